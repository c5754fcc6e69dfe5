//! Who asks a target whether it serves, when no client does? A task that asks the engine which is
//! due, sends that target one tiny request with a real model, and reports what came of it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use unbroken_engine::call::AttemptId;
use unbroken_engine::cause::FailureCause;
use unbroken_engine::deadline::Limits;
use unbroken_engine::target::TargetId;
use unbroken_engine::time::Timestamp;
use unbroken_wire::chat::Chat;
use unbroken_wire::dialects::OPENAI_CHAT;

use crate::capabilities::Needs;
use crate::failover::Shared;
use crate::generate;
use crate::route::{Choice, Route};
use crate::upstream::{Asked, News, Resume, Upstream};

/// How long to sleep when nothing is due.
const IDLE: Duration = Duration::from_secs(1);
/// So many targets are asked at the same time.
const AT_ONCE: usize = 8;
/// What is asked, and how much may be answered. A single token is refused by some models.
const PROMPT: &str = "Reply with the one word: OK";
const ANSWER_TOKENS_MAX: u64 = 16;

/// Probes for as long as the fleet lives.
pub(crate) async fn run(shared: Weak<Shared>) {
    loop {
        let Some(strong) = shared.upgrade() else { return };
        let (leases, next) = due(&strong);
        if leases.is_empty() {
            let idle = strong.clock.now() + IDLE;
            let until = strong.clock.instant(next.map_or(idle, |at| at.min(idle)));
            drop(strong);
            tokio::time::sleep_until(until).await;
        } else {
            join_all(leases.into_iter().map(probe)).await;
            strong.observe();
        }
    }
}

fn due(shared: &Arc<Shared>) -> (Vec<Lease>, Option<Timestamp>) {
    let now = shared.clock.now();
    let mut leases = Vec::new();
    let mut fleet = shared.fleet();
    while leases.len() < AT_ONCE {
        match fleet.next_synthetic(now) {
            Ok(target) => leases.push(Lease { shared: shared.clone(), target, result: None }),
            Err(next) => return (leases, next),
        }
    }
    (leases, None)
}

/// The engine's leave to probe: goes back with the result, whatever happens to this task.
struct Lease {
    shared: Arc<Shared>,
    target: TargetId,
    /// `None` until something was proved.
    result: Option<Result<(), FailureCause>>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let now = self.shared.clock.now();
        self.shared.fleet().probed(self.target, self.result, now);
    }
}

async fn probe(mut lease: Lease) {
    let shared = lease.shared.clone();
    let Some(choice) = choice(&shared, lease.target) else { return };
    let limit = shared.fleet().config().breaker.probe_timeout;
    let answer = tokio::time::timeout(limit, ask(&shared, &choice)).await;
    lease.result = answer.unwrap_or(Some(Err(FailureCause::Silent)));
    tracing::debug!(target_label = choice.label(), result = ?lease.result, "probed");
}

fn choice(shared: &Shared, target: TargetId) -> Option<Choice> {
    let spec = shared.fleet().spec(target).cloned()?;
    let endpoint = shared.endpoint_with_key(&spec.endpoint, &spec.key)?;
    Some(Choice::new(endpoint, spec.model.to_string()))
}

/// Sends the tiny request and waits for its end.
async fn ask(shared: &Shared, choice: &Choice) -> Option<Result<(), FailureCause>> {
    let max_tokens = Some(ANSWER_TOKENS_MAX);
    let chat = Chat { max_tokens, ..Chat::plain(&choice.model, PROMPT) };
    let written = (OPENAI_CHAT.write_request)(&chat, &choice.model).ok()?;
    let route = Arc::new(Route::in_order("probe", Vec::new(), Limits::default()));
    let request = generate::request(route, written.body);
    let (http, attempt) = (&shared.http, AttemptId(1));
    let learned = shared.lessons().fits(choice, shared.clock.now());
    let (needs, learned) = (Needs::of(&chat), learned.as_slice());
    let asked = Asked { request: &request, chat: &chat, needs, learned };
    let mut upstream = Upstream::start(http, attempt, choice, asked, Resume::default());
    loop {
        match upstream.next().await {
            News::Connected
            | News::Alive
            | News::Stored
            | News::Content(..)
            | News::Joining
            | News::Finishing => {}
            News::Ended => return Some(Ok(())),
            // The pooled connection was closed meanwhile: nothing is proved.
            News::Failed(FailureCause::StaleConnection) => return None,
            News::Failed(cause) => return Some(Err(cause)),
        }
    }
}
