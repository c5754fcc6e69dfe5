//! Failover over clients of your own: anything that can answer, whatever it is.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use unbroken_engine::call::{Ask, Call, Command, Failure, Input};
use unbroken_engine::cause::FailureCause;
use unbroken_engine::deadline::{Kind, Limits};
use unbroken_engine::fleet::{Fleet, FleetConfig};
use unbroken_engine::target::{TargetSpec, Tier, TierOrder};

use crate::clock::Clock;
use crate::failover::Failover;

type Answering<A> = Pin<Box<dyn Future<Output = Result<A, FailureCause>> + Send>>;
type Client<Q, A> = Arc<dyn Fn(Q) -> Answering<A> + Send + Sync>;

/// Clients of your own, in order of preference, behind one engine.
pub struct Over<Q, A> {
    clock: Clock,
    fleet: Mutex<Fleet>,
    limits: Limits,
    clients: Vec<(String, Client<Q, A>)>,
}

impl<Q, A> fmt::Debug for Over<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.clients.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Over").field("clients", &names).finish_non_exhaustive()
    }
}

/// An answer and who gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverAnswer<A> {
    /// The client's name.
    pub client: String,
    /// What it answered.
    pub answer: A,
}

/// Nobody answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody could answer: {}", .tried.iter().map(|(name, cause)| format!("{name}: {cause}")).collect::<Vec<_>>().join("; "))]
pub struct NobodyAnswered {
    /// Who was asked, and why it failed.
    pub tried: Vec<(String, FailureCause)>,
}

impl Failover {
    /// Failover over clients of your own; add more with [`Over::or`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use unbroken::Failover;
    /// use unbroken_engine::cause::FailureCause;
    ///
    /// let failover = Failover::over("fast", |_: String| async {
    ///     Err(FailureCause::TargetError { status: 500 })
    /// })
    /// .or("safe", |prompt: String| async move { Ok(format!("{prompt}? Yes.")) });
    ///
    /// let answered = failover.ask("Still there".to_owned()).await.unwrap();
    /// assert_eq!((answered.client.as_str(), answered.answer.as_str()), ("safe", "Still there? Yes."));
    /// # }
    /// ```
    pub fn over<Q, A, F>(name: &str, client: impl Fn(Q) -> F + Send + Sync + 'static) -> Over<Q, A>
    where
        F: Future<Output = Result<A, FailureCause>> + Send + 'static,
    {
        let over = Over {
            clock: Clock::start(),
            fleet: Mutex::new(Fleet::new(FleetConfig::default(), Clock::seed())),
            limits: Limits::default(),
            clients: Vec::new(),
        };
        over.or(name, client)
    }
}

impl<Q, A> Over<Q, A> {
    /// Adds a client that stands in when those before it cannot answer.
    #[must_use]
    pub fn or<F>(mut self, name: &str, client: impl Fn(Q) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<A, FailureCause>> + Send + 'static,
    {
        self.clients.push((name.to_owned(), Arc::new(move |question| Box::pin(client(question)))));
        self
    }

    /// Other settings of the engine; forgets what was learned.
    #[must_use]
    pub fn config(self, config: FleetConfig, limits: Limits) -> Self {
        Self { fleet: Mutex::new(Fleet::new(config, Clock::seed())), limits, ..self }
    }

    fn fleet(&self) -> MutexGuard<'_, Fleet> {
        self.fleet.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Q: Clone, A> Over<Q, A> {
    /// Asks the clients until one answers.
    ///
    /// # Errors
    /// When none can, with the reason of each.
    pub async fn ask(&self, question: Q) -> Result<OverAnswer<A>, NobodyAnswered> {
        let mut running = Running { over: self, call: self.begin() };
        let mut tried = Vec::new();
        let mut attempt: Option<(usize, Input, Answering<A>)> = None;
        let mut answered = None;
        loop {
            while let Some(command) = running.call.next_command() {
                match command {
                    Command::Start { attempt: id, target, .. } => {
                        let index = self.index_of(target);
                        let Some((_, client)) = self.clients.get(index) else { continue };
                        let ended = Input::Ended { attempt: id, output_tokens: 0 };
                        running.tell(Input::Connected { attempt: id });
                        attempt = Some((index, ended, client(question.clone())));
                    }
                    Command::Cancel { .. } => attempt = None,
                    Command::Relay { .. } => {}
                    Command::Complete { .. } => {
                        return answered.ok_or(NobodyAnswered { tried });
                    }
                    Command::Fail(
                        Failure::Tell { .. } | Failure::Exhausted { .. } | Failure::Broken { .. },
                    ) => {
                        return Err(NobodyAnswered { tried });
                    }
                }
            }
            let Some(deadline) = running.call.deadline() else {
                return Err(NobodyAnswered { tried });
            };
            let deadline = self.clock.instant(deadline);
            let Some((index, ended, answering)) = &mut attempt else {
                tokio::time::sleep_until(deadline).await;
                running.tell(Input::Tick);
                continue;
            };
            let name = self.clients.get(*index).map(|(name, _)| name.clone()).unwrap_or_default();
            let input = match tokio::time::timeout_at(deadline, answering).await {
                Err(_) => {
                    tried.push((name, FailureCause::Silent));
                    Input::Tick
                }
                Ok(Ok(answer)) => {
                    answered = Some(OverAnswer { client: name, answer });
                    *ended
                }
                Ok(Err(cause)) => {
                    tried.push((name, cause));
                    failed(*ended, cause)
                }
            };
            attempt = None;
            running.tell(input);
        }
    }

    fn begin(&self) -> Call {
        let now = self.clock.now();
        let mut fleet = self.fleet();
        let tiers = self.clients.iter().map(|(name, _)| {
            let target = fleet.target(&spec(name), now);
            Tier { targets: vec![(target, 1)], order: TierOrder::Weighted }
        });
        let tiers = tiers.collect();
        // What the clients do is not known: nothing is sent to two of them at the same time.
        let may_hedge = false;
        let ask = Ask { may_hedge, ..Ask::new("over", tiers, self.limits, Kind::Whole) };
        fleet.begin(&ask, now)
    }

    fn index_of(&self, target: unbroken_engine::target::TargetId) -> usize {
        let now = self.clock.now();
        let mut fleet = self.fleet();
        let found =
            self.clients.iter().position(|(name, _)| fleet.target(&spec(name), now) == target);
        found.unwrap_or(usize::MAX)
    }
}

fn spec(name: &str) -> TargetSpec {
    let name: Arc<str> = name.into();
    // Your clients are taken for different ways to the same answer.
    let model = "any".into();
    TargetSpec { label: name.clone(), endpoint: name.clone(), model, key: name }
}

const fn failed(ended: Input, cause: FailureCause) -> Input {
    match ended {
        Input::Ended { attempt, .. } => Input::Failed { attempt, cause },
        other => other,
    }
}

/// A call under way; dropping it gives its permits back.
struct Running<'a, Q, A> {
    over: &'a Over<Q, A>,
    call: Call,
}

impl<Q, A> Running<'_, Q, A> {
    fn tell(&mut self, input: Input) {
        self.call.handle(&mut self.over.fleet(), input, self.over.clock.now());
    }
}

impl<Q, A> Drop for Running<'_, Q, A> {
    fn drop(&mut self) {
        if !self.call.is_over() {
            self.tell(Input::ClientGone);
        }
    }
}
