//! A scenario played for real: three fake providers, the gateway in front, clients that count words.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use unbroken::Clock;
use unbroken::http::{HttpConfig, Resolve, Resolving};
use unbroken_drill::fake_provider::{Armed, FakeConfig, FakeName, FakeProvider};
use unbroken_drill::report::Scorecard;
use unbroken_drill::scenario::{Scenario, StageKind, Timed};

use crate::config::{Environment, Plan};
use crate::log::{All, Log};
use crate::metrics::Metrics;
use crate::routing::Routing;
use crate::server::{Current, Server};

mod client;
mod record;

pub(crate) use client::{Called, Ending};
pub(crate) use record::{Note, Record};

/// The targets of a rehearsal, most preferred first: one per dialect.
pub(crate) const TARGETS: [&str; 3] = ["first", "second", "third"];

/// Words per answer.
const WORDS: u32 = 60;
/// Clients wait this long for the last answers.
const LAST_ANSWERS: Duration = Duration::from_secs(100);
/// So many different refusals are kept.
const REFUSALS_MAX: usize = 8;

/// A stage: providers and a gateway that serves them.
pub(crate) struct Stage {
    pub(crate) url: String,
    pub(crate) record: Arc<Record>,
    kind: StageKind,
    providers: Vec<FakeProvider>,
    stop: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<()>>,
}

/// Told to whoever watches a rehearsal.
pub(crate) enum Happening<'a> {
    /// A client has its answer.
    Called(&'a Called),
    /// A fault strikes.
    Strikes(&'a Timed),
    /// A fault is over.
    Ends(&'a Timed),
    /// The engine changed its mind about something.
    Noted(&'a Note),
}

impl Stage {
    /// Sets the stage for a scenario.
    ///
    /// # Errors
    /// What could not be started, for people.
    pub(crate) async fn set(scenario: &Scenario) -> Result<Self, String> {
        let kind = scenario.stage;
        let addresses = match kind {
            StageKind::Three => TARGETS.len(),
            StageKind::Shared => 1,
        };
        let mut providers = Vec::new();
        for _ in 0..addresses {
            let config = FakeConfig { words: WORDS, tls: true, ..FakeConfig::default() };
            let provider = FakeProvider::start(config).await;
            providers.push(provider.map_err(|e| format!("a fake provider cannot start: {e}"))?);
        }
        for (target, manner) in &scenario.manners {
            if let Some((provider, model)) = whom(kind, &providers, *target) {
                provider.set_manner(model, manner.clone());
            }
        }
        let file = configuration(kind, &providers, &scenario.settings);
        let plan = Plan::read("the scenario's settings", &file, &Environment::default());
        let mut plan = plan.map_err(|errors| errors.to_string())?;
        plan.failover.http = HttpConfig {
            roots: Some(
                providers.iter().filter_map(FakeProvider::certificate).collect::<String>().into(),
            ),
            resolver: Some(Arc::new(Names(providers.iter().map(FakeProvider::name).collect()))),
            ..plan.failover.http
        };
        let clock = Clock::start();
        let record = Arc::new(Record::new(clock));
        let metrics = Arc::new(Metrics::new());
        let observer = Arc::new(All(vec![Arc::new(Log), metrics.clone(), record.clone()]));
        let failover = unbroken::Failover::new(plan.failover.clone(), observer);
        let server =
            Server::bind(failover, Arc::new(Current::new(Routing::new(plan))), metrics).await;
        let server = server.map_err(|error| format!("the gateway cannot listen: {error}"))?;
        let url = format!("http://{}", server.address());
        let (stop, stopped) = oneshot::channel::<()>();
        let server = unbroken::spawn("gateway", async move {
            server.run(async { drop(stopped.await) }).await;
        });
        Ok(Self { url, record, kind, providers, stop: Some(stop), server: Some(server) })
    }

    /// Plays the scenario.
    pub(crate) async fn play(
        &self,
        scenario: &Scenario,
        mut watch: impl FnMut(Duration, &Happening<'_>),
    ) -> Scorecard {
        let start = tokio::time::Instant::now();
        let mut cues = cues(scenario);
        let (sender, mut called) = tokio::sync::mpsc::channel(1_024);
        let gap = Duration::from_secs_f64(1.0 / scenario.rate);
        let mut next_call = Duration::ZERO;
        let mut begun = 0;
        let mut all: Vec<Called> = Vec::new();
        let mut noted = 0;
        loop {
            let now = start.elapsed();
            while let Some(cue) = cues.pop_if(|cue| cue.at <= now) {
                self.cue(&cue);
                let timed = &cue.timed;
                watch(
                    now,
                    &if cue.begins { Happening::Strikes(timed) } else { Happening::Ends(timed) },
                );
                self.record.cue(cue.timed.target, cue.begins);
            }
            if now >= scenario.length {
                break;
            }
            if now >= next_call {
                next_call += gap;
                begun += 1;
                let call = client::call(self.url.clone(), scenario.clone());
                let sender = sender.clone();
                drop(unbroken::spawn("client", async move {
                    drop(sender.send(call.await).await);
                }));
            }
            let next_cue = cues.last().map_or(scenario.length, |cue| cue.at);
            let wake = start + next_call.min(next_cue).min(scenario.length);
            tokio::select! {
                () = tokio::time::sleep_until(wake) => {}
                Some(call) = called.recv() => {
                    watch(start.elapsed(), &Happening::Called(&call));
                    all.push(call);
                }
            }
            for note in self.record.since(&mut noted) {
                watch(start.elapsed(), &Happening::Noted(&note));
            }
        }
        drop(sender);
        let last = async {
            while let Some(call) = called.recv().await {
                watch(start.elapsed(), &Happening::Called(&call));
                all.push(call);
            }
        };
        drop(tokio::time::timeout(LAST_ANSWERS, last).await);
        self.score(scenario, &all, begun)
    }

    /// Stops the gateway, and lets its calls end.
    pub(crate) async fn strike(mut self) {
        drop(self.stop.take());
        if let Some(server) = self.server.take() {
            drop(server.await);
        }
    }

    fn cue(&self, cue: &Cue) {
        let Some((provider, model)) = whom(self.kind, &self.providers, cue.timed.target) else {
            return;
        };
        if cue.begins {
            provider.arm(Armed {
                model: model.to_owned(),
                fault: cue.timed.fault,
                times: cue.timed.times,
                share_per_mille: cue.timed.share_per_mille,
            });
        } else {
            provider.heal_model(model);
        }
    }

    /// When each target was asked, in milliseconds.
    fn attempts(&self) -> Vec<Vec<u64>> {
        let of = |target| {
            let whom = whom(self.kind, &self.providers, target);
            let entries = whom.map(|(provider, model)| {
                let mut entries = provider.journal();
                entries.retain(|entry| model == "*" || entry.model == model);
                entries
            });
            entries.into_iter().flatten().map(|entry| entry.at_ms).collect()
        };
        (0..self.kind.targets()).map(of).collect()
    }

    fn score(&self, scenario: &Scenario, all: &[Called], begun: u64) -> Scorecard {
        let mut card = Scorecard { calls: begun, ..Scorecard::default() };
        // A call that never came back is a failed call.
        card.failed_calls = begun.saturating_sub(all.len() as u64);
        let mut first: Vec<u64> = Vec::new();
        for call in all {
            card.done_ms = card.done_ms.max(call.done_ms);
            match &call.ending {
                Ending::Whole { lost, repeated } => {
                    card.lost_words += lost;
                    card.repeated_words += repeated;
                    first.extend(call.first_ms);
                    let model = call.model.clone().unwrap_or_default();
                    if !card.models.contains(&model) {
                        card.models.push(model);
                    }
                }
                Ending::Broken => {
                    card.broken_streams += 1;
                    card.failed_calls += 1;
                }
                Ending::Refused(status, said) => {
                    card.failed_calls += 1;
                    let told = (*status, said.clone());
                    if card.refusals.len() < REFUSALS_MAX && !card.refusals.contains(&told) {
                        card.refusals.push(told);
                    }
                }
                Ending::Corrupt(_) => {
                    card.corrupt += 1;
                    card.failed_calls += 1;
                }
            }
        }
        first.sort_unstable();
        let quantile = |per_cent: usize| {
            first.get((first.len() * per_cent / 100).min(first.len().saturating_sub(1)))
        };
        card.first_token_p50_ms = quantile(50).copied().unwrap_or_default();
        card.first_token_p99_ms = quantile(99).copied().unwrap_or_default();
        let totals = self.record.totals();
        card.rescued_calls = totals.rescued;
        card.attempts_per_call = round(totals.attempts as f64 / begun.max(1) as f64);
        card.detect_ms = totals.detect_ms;
        card.recover_ms = totals.recover_ms;
        card.attempts = self.attempts();
        card.judge(&scenario.expect);
        card
    }
}

/// Plays a scenario on a stage of its own, unwatched.
pub(crate) async fn rehearse(scenario: &Scenario) -> Scorecard {
    match Stage::set(scenario).await {
        Ok(stage) => {
            let card = stage.play(scenario, |_, _| {}).await;
            stage.strike().await;
            card
        }
        Err(error) => Scorecard { failures: vec![error], ..Scorecard::default() },
    }
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// The beginning or the end of a fault.
struct Cue {
    at: Duration,
    begins: bool,
    timed: Timed,
}

/// All cues, the last one first.
fn cues(scenario: &Scenario) -> Vec<Cue> {
    let mut cues = Vec::new();
    for timed in &scenario.faults {
        cues.push(Cue { at: timed.at, begins: true, timed: timed.clone() });
        if let Some(length) = timed.length {
            cues.push(Cue { at: timed.at + length, begins: false, timed: timed.clone() });
        }
    }
    // The last one first; those of one moment in the order of the file, from the end.
    cues.reverse();
    cues.sort_by_key(|cue| std::cmp::Reverse(cue.at));
    cues
}

/// The providers' names, which resolve as badly as faults want them to.
#[derive(Debug)]
struct Names(Vec<FakeName>);

impl Resolve for Names {
    fn resolve(&self, host: &str, _: u16) -> Resolving {
        let label = host.split('.').next().unwrap_or_default();
        let place = TARGETS.iter().position(|target| *target == label);
        let name = place.and_then(|place| self.0.get(place)).cloned();
        Box::pin(async move {
            let name = name.ok_or(std::io::ErrorKind::NotFound)?;
            Ok(vec![name.resolve().await?])
        })
    }
}

/// The provider that plays a target, and the model that it is there.
fn whom(
    kind: StageKind,
    providers: &[FakeProvider],
    target: usize,
) -> Option<(&FakeProvider, &'static str)> {
    match kind {
        StageKind::Three => Some((providers.get(target)?, "*")),
        StageKind::Shared => Some((providers.first()?, TARGETS.get(target)?)),
    }
}

fn configuration(kind: StageKind, providers: &[FakeProvider], settings: &str) -> String {
    use std::fmt::Write as _;
    let dialects = [("openai-chat", "/v1"), ("anthropic-messages", ""), ("gemini", "")];
    let mut file = "listen = \"127.0.0.1:0\"\n".to_owned();
    for ((name, (dialect, path)), provider) in TARGETS.iter().zip(dialects).zip(providers) {
        let port = provider.address().port();
        let _ = write!(
            file,
            "[[provider]]\nname = \"{name}\"\ndialect = \"{dialect}\"\n\
             base_url = \"https://{name}.fake.test:{port}{path}\"\n"
        );
    }
    let targets = match kind {
        StageKind::Three => "\"first/m\", \"second/m\", \"third/m\"",
        StageKind::Shared => "\"first/first\", \"first/second\"",
    };
    let _ = write!(file, "[[route]]\nname = \"chat\"\ntargets = [{targets}]\n");
    file + settings
}

/// The body of one call.
pub(crate) fn body(dialect: &str, stream: bool) -> Bytes {
    let messages = serde_json::json!([{ "role": "user", "content": "Count your words." }]);
    let body = match dialect {
        "gemini" => serde_json::json!({ "contents": [{ "parts": [{ "text": "Count." }] }] }),
        "anthropic-messages" => serde_json::json!({
            "model": "chat", "messages": messages, "stream": stream, "max_tokens": 1000,
        }),
        _ if stream => serde_json::json!({
            "model": "chat", "messages": messages, "max_tokens": 1000,
            "stream": true, "stream_options": { "include_usage": true },
        }),
        _ => serde_json::json!({ "model": "chat", "messages": messages, "max_tokens": 1000 }),
    };
    body.to_string().into()
}

#[cfg(test)]
mod tests;
