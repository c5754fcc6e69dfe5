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
use unbroken_engine::deadline::Limits;
use unbroken_engine::fleet::RetryConfig;
use unbroken_engine::health::HealthConfig;
use unbroken_wire::chat::{Answer, FinishReason, StreamEvent};
use unbroken_wire::dialects::{Dialect, Framing};
use unbroken_wire::sse;

const PROVIDERS: [&Provider; 3] =
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
            Choice { endpoint: Arc::new(endpoint), model: model.to_owned(), weight: 1 }
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
        Self { first: one, second: other, failover, route: Route::in_order("r", choices, limits) }
    }

    /// What the client of this dialect gets, byte for byte.
    pub(crate) async fn ask(&self, dialect: &'static Dialect, body: &str) -> (u16, Vec<u8>) {
        let request = CallRequest {
            id: "call-7".to_owned(),
            dialect,
            model_in_path: (dialect.name == "gemini").then(|| "r".to_owned()),
            stream_in_path: true,
            framing: Framing::Sse,
            headers: http::HeaderMap::new(),
            body: body.to_owned().into(),
            route: Arc::new(self.route.clone()),
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

fn with(dialect: &Dialect, prompt: &str, more: &str) -> String {
    match dialect.name {
        "gemini" => {
            format!(r#"{{"contents":[{{"role":"user","parts":[{{"text":"{prompt}"}}]}}]{more}}}"#)
        }
        "anthropic-messages" => format!(
            r#"{{"model":"r","max_tokens":500,"stream":true,"messages":[{{"role":"user","content":"{prompt}"}}]{more}}}"#
        ),
        _ => format!(
            r#"{{"model":"r","stream":true,"stream_options":{{"include_usage":true}},"messages":[{{"role":"user","content":"{prompt}"}}]{more}}}"#
        ),
    }
}

/// Reads a stream as its SDK would, and checks its grammar.
pub(crate) fn read(dialect: &Dialect, bytes: &[u8]) -> Result<Answer, String> {
    let mut parser = sse::Parser::new();
    parser.push(bytes).map_err(|_| "too long")?;
    let mut reader = (dialect.stream_reader)();
    let mut events = Vec::new();
    while let Some(event) = parser.next_event() {
        reader.read(&event, &mut events)?;
    }
    if let Some(left) = parser.finish() {
        return Err(format!("something is left: {}", left.data));
    }
    if let Some(StreamEvent::Error(error)) =
        events.iter().find(|event| matches!(event, StreamEvent::Error(_)))
    {
        return Err(format!("error: {}", error.message));
    }
    let ended = reader.end().map_err(|_| "no end".to_owned())?;
    let mut answer = Answer::of_events(&events);
    answer.finish = ended.finish();
    answer.usage = ended.usage();
    check_grammar(dialect, &String::from_utf8(bytes.to_vec()).map_err(|e| e.to_string())?)?;
    Ok(answer)
}

/// One id, one beginning, one end, contiguous indices.
fn check_grammar(dialect: &Dialect, text: &str) -> Result<(), String> {
    let datas: Vec<serde_json::Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).map_err(|e| format!("{e}: {data}")))
        .collect::<Result<_, String>>()?;
    let distinct = |key: &str| {
        let mut values: Vec<String> =
            datas.iter().filter_map(|data| data.get(key)).map(ToString::to_string).collect();
        values.sort();
        values.dedup();
        values
    };
    let mut counts = vec![];
    match dialect.name {
        "openai-chat" => {
            for key in ["id", "created", "model"] {
                counts.push((key, distinct(key).len()));
            }
            let roles = text.matches("\"role\":\"assistant\"").count();
            counts.push(("role", roles));
            counts.push(("[DONE]", text.matches("data: [DONE]").count()));
            counts.push(("finish", text.matches("\"finish_reason\":\"").count()));
        }
        "gemini" => {
            counts.push(("responseId", distinct("responseId").len()));
            counts.push(("modelVersion", distinct("modelVersion").len()));
            counts.push(("finish", text.matches("finishReason").count()));
        }
        _ => {
            counts.push(("message_start", text.matches("event: message_start").count()));
            counts.push(("message_stop", text.matches("event: message_stop").count()));
            let (mut open, mut next) = (None, 0);
            for data in &datas {
                let index = data.get("index").and_then(serde_json::Value::as_u64);
                match data.get("type").and_then(serde_json::Value::as_str) {
                    Some("content_block_start") if open.is_none() && index == Some(next) => {
                        open = index;
                    }
                    Some("content_block_delta") if open == index => {}
                    Some("content_block_stop") if open == index => {
                        open = None;
                        next += 1;
                    }
                    Some(kind) if kind.starts_with("content_block") => {
                        return Err(format!("{data} while {open:?} is open and {next} is next"));
                    }
                    _ => {}
                }
            }
            if open.is_some() {
                return Err("a block is left open".to_owned());
            }
        }
    }
    let wrong: Vec<_> = counts.iter().filter(|(_, count)| *count != 1).collect();
    if wrong.is_empty() { Ok(()) } else { Err(format!("{wrong:?} in {text}")) }
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
            for client in PROVIDERS.map(|provider| provider.dialect) {
                let (from, to) = (first.dialect.name, second.dialect.name);
                let case = format!("{fault:?}: {} from {from} to {to}", client.name);
                let (status, bytes) = world.ask(client, &plain(client)).await;
                let text = String::from_utf8_lossy(&bytes);
                let answer = read(client, &bytes).unwrap_or_else(|e| panic!("{case}: {e}\n{text}"));
                assert_eq!((status, answer.text()), (200, words()), "{case}");
                assert_eq!(answer.finish, FinishReason::Stop, "{case}");
                let usage = answer.usage.unwrap_or_else(|| panic!("{case}: no usage"));
                assert!((50..=70).contains(&usage.output), "{case}: {usage:?}");
                assert!(usage.input > 0, "{case}: {usage:?}");
            }
            assert_eq!(world.second.journal().len(), 3, "asked once per call");
        });
        futures_util::future::join_all(cases).await;
    }
}
