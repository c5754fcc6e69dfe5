//! The one loop: wait for one thing, tell the engine, do what it says.
//!
//! No decision is made here. The fleet's lock is taken per event and never held across an
//! `.await`. Whoever drops a call (the client left, the server stops) ends it: the upstream
//! exchange is closed and every permit goes back.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use unbroken_engine::call::{Ask, AttemptId, Call, Command, Failure, Input};
use unbroken_engine::deadline::Kind;
use unbroken_engine::target::{TargetId, Tier};
use unbroken_engine::time::Timestamp;
use unbroken_wire::chat::Chat;

use crate::asked;
use crate::failover::Shared;
use crate::observer::CallFacts;
use crate::relay::Relay;
use crate::reply::{self, CallRequest, Refused, Reply};
use crate::route::Choice;
use crate::upstream::{Kept, News, Upstream};

/// One call under way.
pub(crate) struct Driver {
    shared: Arc<Shared>,
    call: Call,
    request: CallRequest,
    chat: Chat,
    choices: BTreeMap<TargetId, Choice>,
    /// What runs: one attempt, or two before the first content.
    upstreams: Vec<Upstream>,
    relay: Relay,
    /// What failed attempts were told, for the client to read if nobody answers.
    kept: BTreeMap<AttemptId, Kept>,
    ending: Option<Ending>,
}

/// How the call has ended, once it has.
enum Ending {
    Complete,
    Failed(Failure),
}

impl Driver {
    pub(crate) fn begin(shared: Arc<Shared>, request: CallRequest, chat: Chat) -> Self {
        let now = shared.clock.now();
        let kind = match (chat.stream, chat.asks_for_reasoning()) {
            (true, true) => Kind::ReasoningStream,
            (true, false) => Kind::Stream,
            (false, _) => Kind::Whole,
        };
        let mut choices = BTreeMap::new();
        let mut fleet = shared.fleet();
        let tiers = request.route.tiers.iter().map(|tier| {
            let targets = tier.choices.iter().map(|choice| {
                let id = fleet.target(&choice.spec(), now);
                choices.insert(id, choice.clone());
                (id, choice.weight)
            });
            Tier { targets: targets.collect(), order: tier.order }
        });
        let ask = Ask {
            client_retries: reply::client_retries(&request.headers),
            input_tokens: u32::try_from(chat.estimated_input_tokens()).unwrap_or(u32::MAX),
            conversation: asked::conversation(&request, &chat),
            fingerprint: asked::fingerprint(&request.body),
            effect: asked::effect(&chat),
            may_hedge: chat.choices <= 1,
            ..Ask::new(&request.route.name, tiers.collect(), request.route.limits, kind)
        };
        let call = fleet.begin(&ask, now);
        // Under the fleet's lock: nobody sees an event of the call before its facts are known.
        shared.remember_call(call.id(), facts(&request, &chat, ask.input_tokens));
        drop(fleet);
        let relay = Relay::new(&request, &chat);
        shared.remember_endpoints(choices.values());
        let mut driver = Self {
            shared,
            call,
            request,
            chat,
            choices,
            upstreams: Vec::new(),
            relay,
            kept: BTreeMap::new(),
            ending: None,
        };
        driver.perform_commands();
        driver
    }

    /// Runs until there is something to tell the client: the first content of a stream, a whole
    /// answer, or a failure.
    pub(crate) async fn reply(mut self) -> Reply {
        while self.ending.is_none() && !(self.chat.stream && self.relay.has_begun()) {
            self.step().await;
        }
        match self.ending {
            Some(Ending::Failed(failure)) if !self.relay.has_begun() => self.refuse(failure),
            Some(Ending::Complete | Ending::Failed(_)) | None => self.answer(),
        }
    }

    /// The next bytes of a stream; `None` when the client has everything.
    pub(crate) async fn next_bytes(&mut self) -> Option<Bytes> {
        loop {
            let bytes = self.relay.take();
            if !bytes.is_empty() {
                return Some(bytes);
            }
            if self.ending.is_some() {
                return None;
            }
            self.step().await;
        }
    }

    /// Waits for one thing, tells the engine and does what it says.
    async fn step(&mut self) {
        let Some(deadline) = self.call.deadline() else {
            // Over without a word cannot happen; if it did, the client must not wait for ever.
            let nothing = Failure::Exhausted { only_rate_limits: false, retry_at: None };
            self.ending.get_or_insert(Ending::Failed(nothing));
            return;
        };
        let input = self.next_input(deadline).await;
        self.tell(input);
        self.perform_commands();
    }

    async fn next_input(&mut self, deadline: Timestamp) -> Input {
        let deadline = self.shared.clock.instant(deadline);
        match tokio::time::timeout_at(deadline, news_of(&mut self.upstreams)).await {
            Err(_) => Input::Tick,
            Ok((upstream, news)) => {
                let attempt = upstream.attempt();
                match news {
                    News::Connected => Input::Connected { attempt },
                    News::Alive => Input::Alive { attempt },
                    News::Content => Input::Content { attempt },
                    News::Ended => {
                        let output_tokens = upstream.output_tokens();
                        Input::Ended { attempt, output_tokens }
                    }
                    News::Failed(cause) => Input::Failed { attempt, cause },
                }
            }
        }
    }

    fn tell(&mut self, input: Input) {
        let mut fleet = self.shared.fleet();
        self.call.handle(&mut fleet, input, self.shared.clock.now());
        drop(fleet);
        let relayed = self.relay.attempt();
        let mut upstreams = self.upstreams.iter_mut();
        if let Some(upstream) = upstreams.find(|upstream| relayed == Some(upstream.attempt())) {
            self.relay.pass_on(upstream);
        }
    }

    fn perform_commands(&mut self) {
        while let Some(command) = self.call.next_command() {
            self.perform(&command);
        }
        self.shared.observe();
    }

    fn perform(&mut self, command: &Command) {
        match *command {
            Command::Start { attempt, target } => self.start(attempt, target),
            Command::Relay { attempt } => {
                if let Some(upstream) =
                    self.upstreams.iter_mut().find(|upstream| upstream.attempt() == attempt)
                {
                    self.relay.begin(upstream);
                    self.relay.pass_on(upstream);
                }
            }
            Command::Cancel { attempt } => {
                self.keep_words(attempt);
            }
            Command::Complete { attempt } => {
                let whole = |upstream: &Upstream| upstream.attempt() == attempt;
                if let Some(place) = self.upstreams.iter().position(whole) {
                    let mut upstream = self.upstreams.swap_remove(place);
                    self.relay.finish(&mut upstream);
                    upstream.let_go();
                }
                self.upstreams.clear();
                self.ending = Some(Ending::Complete);
            }
            Command::Fail(failure) => {
                self.keep_all_words();
                if let Failure::Broken { cause, .. } = failure {
                    self.relay.break_off(cause);
                }
                self.ending = Some(Ending::Failed(failure));
            }
        }
    }

    fn start(&mut self, attempt: AttemptId, target: TargetId) {
        self.keep_failed_words();
        let Some(choice) = self.choices.get(&target) else { return };
        let http = &self.shared.http;
        let upstream = Upstream::start(http, attempt, choice, &self.request, &self.chat);
        self.upstreams.push(upstream);
    }

    /// Drops an attempt that is over, but keeps what it was told.
    fn keep_words(&mut self, attempt: AttemptId) {
        let place = self.upstreams.iter().position(|upstream| upstream.attempt() == attempt);
        let Some(upstream) = place.map(|place| self.upstreams.swap_remove(place)) else { return };
        if let Some(kept) = upstream.into_words() {
            self.kept.insert(attempt, kept);
        }
    }

    fn keep_failed_words(&mut self) {
        let failed = self.upstreams.iter().filter(|upstream| upstream.has_failed());
        for attempt in failed.map(Upstream::attempt).collect::<Vec<_>>() {
            self.keep_words(attempt);
        }
    }

    fn keep_all_words(&mut self) {
        while let Some(attempt) = self.upstreams.first().map(Upstream::attempt) {
            self.keep_words(attempt);
        }
    }

    fn answer(self) -> Reply {
        let attempts = self.call.trail().len();
        let head = self.relay.head(attempts, self.answering_label());
        if self.chat.stream {
            Reply::stream(head, self)
        } else {
            let mut driver = self;
            Reply::whole(head, driver.relay.take())
        }
    }

    /// The target that answers, or answered last.
    fn answering_label(&self) -> String {
        let trail = self.call.trail();
        let by_relay = self
            .relay
            .attempt()
            .and_then(|AttemptId(number)| trail.get(usize::try_from(number).ok()?.checked_sub(1)?));
        let choice =
            by_relay.or_else(|| trail.last()).and_then(|tried| self.choices.get(&tried.target));
        choice.map(Choice::label).unwrap_or_default()
    }

    fn refuse(mut self, failure: Failure) -> Reply {
        let now = self.shared.clock.now();
        let refusals = self.call.refusals(&self.shared.fleet(), now);
        let label = |target| self.choices.get(&target).map(Choice::label).unwrap_or_default();
        let tried = self.call.trail().iter().map(|tried| (label(tried.target), tried.cause));
        let refused = Refused {
            tried: tried.collect(),
            refusals: refusals.into_iter().map(|(target, r)| (label(target), r)).collect(),
            now,
        };
        let told = match failure {
            Failure::Tell { attempt } => self.kept.remove(&attempt),
            Failure::Exhausted { .. } | Failure::Broken { .. } => None,
        };
        reply::refuse(&self.request, failure, told, &refused)
    }
}

fn facts(request: &CallRequest, chat: &Chat, input_tokens: u32) -> CallFacts {
    CallFacts {
        id: request.id.clone(),
        route: request.route.name.clone(),
        dialect: request.dialect.name,
        is_stream: chat.stream,
        input_tokens,
    }
}

/// The next news of whoever has some; never, if nothing runs. Cancel-safe.
async fn news_of(upstreams: &mut [Upstream]) -> (&mut Upstream, News) {
    match upstreams {
        [] => std::future::pending().await,
        [one] => {
            let news = one.next().await;
            (one, news)
        }
        [one, other, ..] => {
            let (is_one, news) = tokio::select! {
                news = one.next() => (true, news),
                news = other.next() => (false, news),
            };
            (if is_one { one } else { other }, news)
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if !self.call.is_over() {
            self.tell(Input::ClientGone);
            self.upstreams.clear();
            self.shared.observe();
        }
        self.shared.forget_call(self.call.id());
    }
}
