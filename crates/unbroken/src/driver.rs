//! The one loop: wait for one thing, tell the engine, do what it says.
//!
//! No decision is made here. The fleet's lock is taken per event and never held across an
//! `.await`. A stream's head goes to the client with its first content, or when that is long in
//! coming. Whoever drops a call (the client left, the server stops) ends it: the upstream
//! exchange is closed and every permit goes back.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use unbroken_engine::call::{Ask, AttemptId, Call, Command, Failure, Input};
use unbroken_engine::deadline::Kind;
use unbroken_engine::fleet::Fleet;
use unbroken_engine::resume::{Delivered, How};
use unbroken_engine::target::{TargetId, Tier};
use unbroken_engine::time::Timestamp;
use unbroken_wire::chat::Chat;

use crate::asked;
use crate::capabilities::Needs;
use crate::failover::Shared;
use crate::observer::CallFacts;
use crate::providers;
use crate::relay::Relay;
use crate::reply::{self, CallRequest, Refused, Reply};
use crate::route::{Choice, Route};
use crate::upstream::{Asked, Kept, News, Resume, Stored, Upstream};

/// One call under way.
pub(crate) struct Driver {
    shared: Arc<Shared>,
    call: Call,
    request: CallRequest,
    chat: Chat,
    needs: Needs,
    facts: Arc<CallFacts>,
    /// Where in the route each target stands.
    places: Vec<(TargetId, Place)>,
    /// What runs: one attempt, or two before the first content.
    upstreams: Vec<Upstream>,
    relay: Relay,
    /// What failed attempts were told, for the client to read if nobody answers.
    kept: BTreeMap<AttemptId, Kept>,
    /// How the attempts were asked to begin.
    ways: BTreeMap<AttemptId, How>,
    /// The answer's id at the provider that stores it.
    stored_id: Option<String>,
    /// What the engine knows of what the client has.
    told: Option<Delivered>,
    begun: Timestamp,
    ending: Option<Ending>,
}

/// How the call has ended, once it has.
enum Ending {
    Complete,
    Failed(Failure),
}

impl Driver {
    pub(crate) fn begin(
        shared: Arc<Shared>,
        request: CallRequest,
        chat: Chat,
        needs: Needs,
    ) -> Self {
        let now = shared.clock.now();
        let kind = match (chat.stream, chat.asks_for_reasoning()) {
            (true, true) => Kind::ReasoningStream,
            (true, false) => Kind::Stream,
            (false, _) => Kind::Whole,
        };
        let ask = Ask {
            client_retries: reply::client_retries(&request.headers),
            input_tokens: u32::try_from(needs.input_tokens).unwrap_or(u32::MAX),
            conversation: asked::conversation(&request, &chat),
            fingerprint: asked::fingerprint(&request.body),
            effect: asked::effect(&chat),
            may_hedge: chat.choices <= 1,
            continues: request.route.stream.continues && !asked::forbids_continuation(&request),
            ..Ask::new(&request.route.name, Vec::new(), request.route.limits, kind)
        };
        let facts = Arc::new(facts(&request, &chat, ask.input_tokens));
        let mut fleet = shared.fleet();
        let (tiers, places) = targets(&mut fleet, &request.route, now);
        let prefix = prefix_targets(&places, &request.route, &chat);
        let call = fleet.begin(&Ask { tiers, prefix, ..ask }, now);
        shared.note_events(&mut fleet, Some(&facts));
        drop(fleet);
        shared.remember_endpoints(request.route.choices());
        let mut driver = Self {
            relay: Relay::new(&request, &chat),
            shared,
            call,
            request,
            chat,
            needs,
            facts,
            places,
            upstreams: Vec::new(),
            kept: BTreeMap::new(),
            ways: BTreeMap::new(),
            stored_id: None,
            told: None,
            begun: now,
            ending: None,
        };
        driver.perform_commands();
        driver
    }

    /// Runs until there is something to tell the client: the first content of a stream, a whole
    /// answer, a failure, or that a stream is long in coming.
    pub(crate) async fn reply(mut self) -> Reply {
        let options = self.request.route.stream;
        let early = (self.chat.stream && !options.early_keep_alive.is_zero())
            .then(|| self.begun + options.early_keep_alive);
        let mut content_at = None;
        while self.ending.is_none() {
            let mut wake = early;
            if self.chat.stream && self.relay.has_begun() {
                wake =
                    Some(*content_at.get_or_insert(self.shared.clock.now()) + options.commit_hold);
            } else {
                content_at = None;
            }
            if wake.is_some_and(|wake| wake <= self.shared.clock.now()) {
                break;
            }
            self.step(wake).await;
        }
        match self.ending {
            Some(Ending::Failed(failure)) if !self.relay.has_begun() => self.refuse(failure),
            Some(Ending::Complete | Ending::Failed(_)) | None => self.answer(),
        }
    }

    /// The next bytes of a stream; `None` when the client has everything.
    pub(crate) async fn next_bytes(&mut self) -> Option<Bytes> {
        let life_at = self.shared.clock.now() + self.request.route.stream.keep_alive;
        loop {
            let bytes = self.relay.take();
            if !bytes.is_empty() {
                return Some(bytes);
            }
            if self.ending.is_some() {
                return None;
            }
            if self.shared.clock.now() >= life_at {
                self.relay.keep_alive();
                let bytes = self.relay.take();
                return Some(bytes);
            }
            self.step(Some(life_at)).await;
        }
    }

    /// Whether the answer is whole.
    pub(crate) const fn is_complete(&self) -> bool {
        matches!(self.ending, Some(Ending::Complete))
    }

    /// Waits for one thing, tells the engine and does what it says; not beyond `wake`.
    async fn step(&mut self, wake: Option<Timestamp>) {
        let Some(deadline) = self.call.deadline() else {
            // Over without a word cannot happen; if it did, the client must not wait for ever.
            let nothing = Failure::Exhausted { only_rate_limits: false, retry_at: None };
            self.ending.get_or_insert(Ending::Failed(nothing));
            return;
        };
        let Some(input) = self.next_input(deadline, wake).await else { return };
        self.tell(input);
        self.perform_commands();
        self.tell_delivered();
    }

    async fn next_input(&mut self, deadline: Timestamp, wake: Option<Timestamp>) -> Option<Input> {
        let until = wake.map_or(deadline, |wake| wake.min(deadline));
        let at = self.shared.clock.instant(until);
        match tokio::time::timeout_at(at, news_of(&mut self.upstreams)).await {
            Err(_) => (until == deadline).then_some(Input::Tick),
            Ok((upstream, news)) => {
                let attempt = upstream.attempt();
                Some(match news {
                    News::Connected => Input::Connected { attempt },
                    News::Alive => Input::Alive { attempt },
                    News::Stored => Input::Stored { attempt },
                    News::Joining => Input::Joining { attempt },
                    News::Content(flow, tokens) => Input::Content { attempt, flow, tokens },
                    News::Finishing => Input::Finishing { attempt },
                    News::Ended => {
                        let output_tokens = upstream.output_tokens();
                        Input::Ended { attempt, output_tokens }
                    }
                    News::Failed(cause) => Input::Failed { attempt, cause },
                })
            }
        }
    }

    /// The engine decides about a broken stream by what the client has of it.
    fn tell_delivered(&mut self) {
        let delivered = self.relay.delivered();
        if self.chat.stream && self.told != Some(delivered) && self.relay.attempt().is_some() {
            self.told = Some(delivered);
            self.tell(Input::Delivered(delivered));
        }
    }

    fn tell(&mut self, input: Input) {
        let now = self.shared.clock.now();
        self.tell_spent(input);
        let mut fleet = self.shared.fleet();
        for upstream in &mut self.upstreams {
            if self.stored_id.is_none() {
                self.stored_id = upstream.stored_id().map(ToOwned::to_owned);
            }
            let target = target_of(&self.call, upstream.attempt());
            let choice = target.and_then(|id| choice_of(&self.places, &self.request.route, id));
            for (lesson, choice) in upstream.take_lessons().into_iter().zip(choice.iter().cycle()) {
                self.shared.lessons().learn(choice, lesson, now);
            }
            for left in upstream.take_rate_limits() {
                target.inspect(|target| fleet.headroom(*target, &left, now));
            }
        }
        self.call.handle(&mut fleet, input, now);
        self.shared.note_events(&mut fleet, Some(&self.facts));
        drop(fleet);
        let relayed = self.relay.attempt();
        let mut upstreams = self.upstreams.iter_mut();
        if let Some(upstream) = upstreams.find(|upstream| relayed == Some(upstream.attempt())) {
            self.relay.pass_on(upstream);
        }
    }

    /// Said before the engine hears of what may end an attempt: afterwards others watch its end.
    fn tell_spent(&mut self, input: Input) {
        let goes_on = match input {
            Input::Connected { .. }
            | Input::Alive { .. }
            | Input::Joining { .. }
            | Input::Stored { .. }
            | Input::Content { .. }
            | Input::Finishing { .. } => self.upstreams.len() < 2,
            Input::Delivered(delivered) => delivered != Delivered::Full,
            Input::Ended { .. } | Input::Failed { .. } | Input::Tick | Input::ClientGone => false,
        };
        if goes_on {
            return;
        }
        let tokens = u64::from(self.facts.input_tokens);
        for upstream in &self.upstreams {
            self.call.spends(upstream.attempt(), upstream.spent(tokens));
        }
    }

    fn perform_commands(&mut self) {
        while let Some(command) = self.call.next_command() {
            self.perform(&command);
        }
        self.shared.show();
    }

    fn perform(&mut self, command: &Command) {
        match *command {
            Command::Start { attempt, target, how } => self.start(attempt, target, how),
            Command::Relay { attempt } => {
                let target = self.label_of(attempt);
                let how = self.ways.get(&attempt).copied().unwrap_or_default();
                self.told = None;
                if let Some(upstream) =
                    self.upstreams.iter_mut().find(|upstream| upstream.attempt() == attempt)
                {
                    self.relay.begin(upstream, target, how);
                    self.relay.pass_on(upstream);
                }
            }
            Command::Cancel { attempt } => {
                self.keep_words(attempt);
            }
            Command::Complete { attempt } => {
                let whole = |upstream: &Upstream| upstream.attempt() == attempt;
                let place = self.upstreams.iter().position(whole);
                let mut upstream = place.map(|place| self.upstreams.swap_remove(place));
                self.relay.finish(upstream.as_mut());
                if let Some(upstream) = upstream {
                    upstream.let_go();
                }
                self.upstreams.clear();
                self.ending = Some(Ending::Complete);
            }
            Command::Fail(failure) => {
                self.keep_all_words();
                match failure {
                    Failure::Broken { cause, .. } => self.relay.break_off(cause),
                    Failure::Tell { .. } | Failure::Exhausted { .. }
                        if self.relay.is_committed() =>
                    {
                        self.fail_late(failure);
                    }
                    Failure::Tell { .. } | Failure::Exhausted { .. } => {}
                }
                self.ending = Some(Ending::Failed(failure));
            }
        }
    }

    fn start(&mut self, attempt: AttemptId, target: TargetId, how: How) {
        self.keep_failed_words();
        let Some(choice) = choice_of(&self.places, &self.request.route, target) else { return };
        let resume = match how {
            How::Fresh => {
                if self.relay.attempt().is_some() {
                    self.relay.start_over();
                }
                Resume::default()
            }
            How::PickedUp => {
                if self.relay.attempt().is_some() && !self.relay.has_begun() {
                    self.relay.start_over();
                }
                let after = self.relay.last_event();
                let stored = self.stored_id.clone().map(|id| Stored { id, after });
                Resume { how, stored, ..Resume::default() }
            }
            How::Restart | How::Prefix | How::Instructed => Resume {
                how,
                stored: None,
                text: self.relay.ledger().text().to_owned(),
                tokens: self.relay.ledger().tokens(),
                prefill: providers::prefill(&choice.endpoint, &choice.model, &self.chat),
            },
        };
        if !matches!(how, How::Fresh | How::PickedUp) {
            self.relay.asked_to_go_on(how);
        }
        self.ways.insert(attempt, how);
        let http = &self.shared.http;
        let learned = self.shared.lessons().fits(choice, self.shared.clock.now());
        let (request, chat, learned) = (&self.request, &self.chat, learned.as_slice());
        let asked = Asked { request, chat, needs: self.needs, learned };
        let upstream = Upstream::start(http, attempt, choice, asked, resume);
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

    fn answer(mut self) -> Reply {
        let attempts = self.call.trail().len();
        let head = self.relay.head(attempts, self.answering_label());
        if self.chat.stream {
            self.relay.commit();
            self.tell_delivered();
            Reply::stream(head, self)
        } else {
            Reply::whole(head, self.relay.take())
        }
    }

    fn label_of(&self, attempt: AttemptId) -> String {
        let target = target_of(&self.call, attempt);
        target.map(|target| self.label(target)).unwrap_or_default().to_owned()
    }

    fn label(&self, target: TargetId) -> &str {
        choice_of(&self.places, &self.request.route, target).map(Choice::label).unwrap_or_default()
    }

    /// The target that answers, or answered last.
    fn answering_label(&self) -> String {
        let last = u32::try_from(self.call.trail().len()).unwrap_or(u32::MAX);
        self.label_of(self.relay.attempt().unwrap_or(AttemptId(last)))
    }

    /// There is no answer, and the client has the head of a stream: it hears in the stream why.
    fn fail_late(&mut self, failure: Failure) {
        let refused = self.refused();
        let told = self.told_words(failure);
        let message = reply::message(&self.request, failure, told.as_ref(), &refused);
        self.relay.error(message, "all_targets_failed");
    }

    fn refuse(mut self, failure: Failure) -> Reply {
        let refused = self.refused();
        let told = self.told_words(failure);
        reply::refuse(&self.request, failure, told, &refused)
    }

    fn refused(&self) -> Refused {
        let now = self.shared.clock.now();
        let refusals = self.call.refusals(&self.shared.fleet(), now);
        let label = |target| self.label(target).to_owned();
        let tried = self.call.trail().iter().map(|tried| (label(tried.target), tried.cause));
        Refused {
            tried: tried.collect(),
            refusals: refusals.into_iter().map(|(target, r)| (label(target), r)).collect(),
            now,
        }
    }

    fn told_words(&mut self, failure: Failure) -> Option<Kept> {
        match failure {
            Failure::Tell { attempt } => self.kept.remove(&attempt),
            Failure::Exhausted { .. } | Failure::Broken { .. } => None,
        }
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

/// A tier, and a place in it.
type Place = (usize, usize);

/// The targets of a route as the engine knows them, and where they stand there.
fn targets(
    fleet: &mut Fleet,
    route: &Route,
    now: Timestamp,
) -> (Vec<Tier>, Vec<(TargetId, Place)>) {
    let mut places = Vec::new();
    let tiers = route.tiers.iter().enumerate().map(|(number, tier)| {
        let targets = tier.choices.iter().enumerate().map(|(place, choice)| {
            let id = fleet.target(choice.spec(), now);
            places.push((id, (number, place)));
            (id, choice.weight)
        });
        Tier { targets: targets.collect(), order: tier.order }
    });
    (tiers.collect(), places)
}

/// The choice that the engine knows by this id.
fn choice_of<'a>(
    places: &[(TargetId, Place)],
    route: &'a Route,
    id: TargetId,
) -> Option<&'a Choice> {
    let (_, (tier, place)) = places.iter().rev().find(|(other, _)| *other == id)?;
    route.tiers.get(*tier)?.choices.get(*place)
}

/// The targets that are known to take the beginning of an answer to this request.
fn prefix_targets(places: &[(TargetId, Place)], route: &Route, chat: &Chat) -> Vec<TargetId> {
    if !chat.stream {
        return Vec::new();
    }
    let takes =
        |choice: &Choice| providers::prefill(&choice.endpoint, &choice.model, chat).is_some();
    let ids = places.iter().map(|(id, _)| *id);
    ids.filter(|id| choice_of(places, route, *id).is_some_and(takes)).collect()
}

/// The target of an attempt.
fn target_of(call: &Call, AttemptId(number): AttemptId) -> Option<TargetId> {
    let place = usize::try_from(number).ok()?.checked_sub(1)?;
    call.trail().get(place).map(|tried| tried.target)
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
            self.shared.show();
        }
    }
}
