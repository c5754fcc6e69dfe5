//! Streams that break after their first content, over real sockets: the client sees one answer.

use std::sync::Arc;
use std::time::Duration;

use unbroken::endpoint::Endpoint;
use unbroken::providers::{self, Provider};
use unbroken::reply::{CallRequest, ReplyBody};
use unbroken::route::{Choice, Route};
use unbroken::{Failover, FailoverConfig};
use unbroken_drill::fake_provider::{FakeConfig, FakeProvider};
use unbroken_drill::fault::{CutKind, Fault};
use unbroken_drill::scorekeeper::{Verdict, judge_stream_with_usage};
use unbroken_engine::deadline::Limits;
use unbroken_engine::fleet::RetryConfig;
use unbroken_engine::health::HealthConfig;
use unbroken_wire::dialects::{DIALECTS, Dialect};

pub(crate) const PROVIDERS: [&Provider; 3] =
    [&providers::OPENAI_COMPATIBLE, &providers::ANTHROPIC, &providers::GEMINI];

pub(crate) fn words() -> String {
    (1..=60).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ")
}

/// Two fake providers behind one route.
pub(crate) struct World {
    pub(crate) first: FakeProvider,
    pub(crate) second: FakeProvider,
    pub(crate) failover: Failover,
    pub(crate) route: Route,
    pub(crate) headers: http::HeaderMap,
}

impl World {
    pub(crate) async fn new(first: &'static Provider, second: &'static Provider) -> Self {
        Self::with_models(first, second, "m", "m").await
    }

    pub(crate) async fn with_models(
        first: &'static Provider,
        second: &'static Provider,
        first_model: &str,
        second_model: &str,
    ) -> Self {
        let one = FakeProvider::start(FakeConfig::default()).await.unwrap();
        let other = FakeProvider::start(FakeConfig::default()).await.unwrap();
        let choice = |provider: &'static Provider, fake: &FakeProvider, name: &str, model: &str| {
            let path = if provider.dialect.name == "openai-chat" { "/v1" } else { "" };
            let endpoint = Endpoint {
                name: name.to_owned(),
                ..Endpoint::new(provider, None).at(&format!("{}{path}", fake.url()))
            };
            Choice::new(Arc::new(endpoint), model.to_owned())
        };
        let choices = vec![
            choice(first, &one, "first", first_model),
            choice(second, &other, "second", second_model),
        ];
        let limits = Limits {
            first_token: Duration::from_secs(2),
            between_tokens: Duration::from_millis(400),
            total: Duration::from_secs(20),
            ..Limits::default()
        };
        let mut config = FailoverConfig::default();
        config.fleet.health = HealthConfig { enabled: false, ..HealthConfig::default() };
        config.fleet.retry = RetryConfig { patience: Duration::ZERO, ..RetryConfig::default() };
        let failover = Failover::new(config, Arc::new(Unseen));
        let route = Route::in_order("r", choices, limits);
        let headers = http::HeaderMap::new();
        Self { first: one, second: other, failover, route, headers }
    }

    /// What the client of this dialect gets, byte for byte.
    pub(crate) async fn ask(&self, dialect: &'static Dialect, body: &str) -> (u16, Vec<u8>) {
        let request = CallRequest {
            model_in_path: (dialect.name == "gemini").then(|| "r".to_owned()),
            stream_in_path: true,
            headers: self.headers.clone(),
            ..CallRequest::new("call-7", dialect, body.to_owned(), Arc::new(self.route.clone()))
        };
        let reply = self.failover.call(request).await;
        let mut bytes = Vec::new();
        match reply.body {
            ReplyBody::Whole(whole) => bytes.extend_from_slice(&whole),
            ReplyBody::Stream(mut stream) => {
                while let Some(more) = stream.next().await {
                    bytes.extend_from_slice(&more);
                }
            }
        }
        (reply.status, bytes)
    }
}

struct Unseen;

impl unbroken::observer::Observer for Unseen {
    fn observe(&self, _: &unbroken::observer::Seen<'_>) {}
}

/// A request for words.
pub(crate) fn plain(dialect: &Dialect) -> String {
    with(dialect, "Count", "")
}

pub(crate) fn with(dialect: &Dialect, prompt: &str, more: &str) -> String {
    match dialect.name {
        "gemini" => {
            format!(r#"{{"contents":[{{"role":"user","parts":[{{"text":"{prompt}"}}]}}]{more}}}"#)
        }
        "openai-responses" => {
            format!(r#"{{"model":"r","stream":true,"input":"{prompt}"{more}}}"#)
        }
        "anthropic-messages" => format!(
            r#"{{"model":"r","max_tokens":500,"stream":true,"messages":[{{"role":"user","content":"{prompt}"}}]{more}}}"#
        ),
        _ => format!(
            r#"{{"model":"r","stream":true,"stream_options":{{"include_usage":true}},"messages":[{{"role":"user","content":"{prompt}"}}]{more}}}"#
        ),
    }
}

/// What the strict judge says of the client's bytes; nothing may be wrong with them.
pub(crate) fn judged(dialect: &Dialect, bytes: &[u8], case: &str) -> Verdict {
    let verdict = judge_stream_with_usage(dialect.name, bytes, true);
    let text = String::from_utf8_lossy(bytes);
    assert!(verdict.broken_rules.is_empty(), "{case}: {:?}\n{text}", verdict.broken_rules);
    verdict
}

/// The same for an answer that is whole.
pub(crate) fn whole(dialect: &Dialect, bytes: &[u8], case: &str) -> Verdict {
    let verdict = judged(dialect, bytes, case);
    let text = String::from_utf8_lossy(bytes);
    assert!(verdict.is_whole && !verdict.is_error, "{case}: {verdict:?}\n{text}");
    verdict
}

/// The finish reason of an answer that came to its natural end.
pub(crate) fn natural_end(dialect: &Dialect) -> &'static str {
    match dialect.name {
        "openai-chat" => "stop",
        "gemini" => "STOP",
        "openai-responses" => "completed",
        _ => "end_turn",
    }
}

pub(crate) fn faults(after_words: u32) -> Vec<Fault> {
    vec![
        Fault::CutStream { after_words, how: CutKind::Reset, inside_event: false },
        Fault::CutStream { after_words, how: CutKind::Close, inside_event: true },
        Fault::NoEnd { after_words, inside_event: false },
        Fault::NoEnd { after_words, inside_event: true },
        Fault::Malformed { after_words },
        Fault::ErrorEvent { after_words },
        Fault::Stall { after_words, pings: false },
        Fault::Stall { after_words, pings: true },
    ]
}

/// Every pair of dialects: whose stream breaks, and who goes on.
pub(crate) fn pairs() -> impl Iterator<Item = (&'static Provider, &'static Provider)> {
    PROVIDERS.into_iter().flat_map(|first| PROVIDERS.map(|second| (first, second)))
}

#[tokio::test]
async fn every_break_is_invisible_in_every_dialect_from_every_target_to_every_other() {
    for fault in faults(20) {
        let cases = pairs().map(|(first, second)| async move {
            let world = World::new(first, second).await;
            world.first.fault(fault);
            for client in DIALECTS.iter().copied() {
                let (from, to) = (first.dialect.name, second.dialect.name);
                let case = format!("{fault:?}: {} from {from} to {to}", client.name);
                let (status, bytes) = world.ask(client, &plain(client)).await;
                let answer = whole(client, &bytes, &case);
                assert_eq!((status, answer.text), (200, words()), "{case}");
                assert_eq!(answer.finish.as_deref(), Some(natural_end(client)), "{case}");
                let output = answer.output_tokens.unwrap_or_else(|| panic!("{case}: no usage"));
                assert!((50..=70).contains(&output), "{case}: {output}");
            }
            let calls = DIALECTS.len();
            assert_eq!(world.second.journal().len(), calls, "asked once per call");
        });
        futures_util::future::join_all(cases).await;
    }
}
