//! Every stream, cut at every event and inside of events, by each kind of fault, through each
//! client dialect, to a fallback of each dialect that goes on in one way or another: the client
//! gets one whole, valid answer, each word once, or in the few cases of `docs/streaming.md` an
//! honest error. A strict reader judges every byte; it shares no code with what it judges.
//!
//! Each event of each stream is cut; the other circumstances go round, so that each of them meets
//! each kind of stream many times.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use unbroken::endpoint::Endpoint;
use unbroken::observer::Unobserved;
use unbroken::providers::{self, Provider};
use unbroken::reply::{CallRequest, ReplyBody};
use unbroken::route::{Choice, Route};
use unbroken::{Failover, FailoverConfig};
use unbroken_drill::fake_provider::{
    Continues, FakeConfig, FakeDialect, FakeProvider, Manner, Prefill, Said, Says, Tape,
};
use unbroken_drill::fault::StreamEnd;
use unbroken_drill::scorekeeper::{Verdict, judge_stream_with_usage, judge_whole};
use unbroken_engine::deadline::Limits;
use unbroken_engine::fleet::RetryConfig;
use unbroken_engine::health::HealthConfig;
use unbroken_wire::dialects::{DIALECTS as CLIENTS, Dialect};
use unbroken_wire::resume::Prefill as Takes;

mod streams;
mod tally;

use streams::{DIALECTS, Stream};
use tally::{Outcome, Tally, outcome};

/// Longer recorded streams are not cut: there are enough shorter ones of every provider.
const EVENTS_MAX: usize = 60;
/// Cases at the same time.
const CASES_AT_ONCE: usize = 48;
/// Cases that share what is learned about targets.
const CASES_PER_FLEET: usize = 480;
/// No case takes longer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Of the cases that wait for a stall one in so many is played; each takes its time.
const STALLS: usize = 16;

/// Recorded streams that break these are no single whole answer: several choices, arguments that
/// were cut by a limit.
const UNUSABLE: [&str; 2] = ["a choice that was not asked for", "arguments that are no object"];

/// Cases that nobody can tell from a whole answer; `docs/streaming.md` says which.
const SHORT_MAX: usize = 2;

/// How a stream breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Break {
    Ends(StreamEnd),
    Error,
    Broken,
}

const BREAKS: [Break; 7] = [
    Break::Ends(StreamEnd::Reset),
    Break::Ends(StreamEnd::Close),
    Break::Ends(StreamEnd::Clean),
    Break::Error,
    Break::Broken,
    Break::Ends(StreamEnd::Silence),
    Break::Ends(StreamEnd::Pings),
];

/// How the fallback goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fallback {
    /// As it is told, in words.
    Told,
    /// From the beginning of the answer that it is given.
    Prefilled,
    /// As it is told, after it refused a beginning.
    Refusing,
    /// It answers anew.
    Anew,
    /// It goes on, but does not say the end once more, although it is told to.
    Straight,
}

const FALLBACKS: [Fallback; 5] =
    [Fallback::Told, Fallback::Prefilled, Fallback::Refusing, Fallback::Anew, Fallback::Straight];

/// One case.
#[derive(Clone, Debug)]
struct Case {
    stream: usize,
    at: usize,
    how: Break,
    client: usize,
    target: usize,
    fallback: Fallback,
}

impl Case {
    /// The circumstances of the n-th case: all of them equally often, in no order.
    fn drawn(n: usize) -> Self {
        let mut left = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let mut draw = |count: usize| {
            let drawn = left % count as u64;
            left /= count as u64;
            drawn as usize
        };
        Self {
            stream: 0,
            at: 0,
            how: BREAKS[draw(BREAKS.len())],
            client: draw(CLIENTS.len()),
            target: draw(DIALECTS.len()),
            fallback: FALLBACKS[draw(FALLBACKS.len())],
        }
    }
}

/// What a case needs.
struct World {
    provider: FakeProvider,
    streams: Vec<Stream>,
    /// By stream and client; `None` if the recorded stream is no whole answer itself.
    uncut: Vec<Vec<Option<Verdict>>>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_stream_cut_everywhere_is_one_answer() {
    let config =
        FakeConfig { first_token: Duration::ZERO, gap: Duration::ZERO, ..FakeConfig::default() };
    let provider = FakeProvider::start(config).await.unwrap();
    let mut streams = streams::generated();
    streams.extend(streams::recorded(EVENTS_MAX));
    let mut world = World { provider, streams, uncut: Vec::new() };
    let healthy = failover();
    for stream in 0..world.streams.len() {
        let uncut = (0..CLIENTS.len()).map(|client| world.uncut(&healthy, stream, client));
        let uncut = futures_util::future::join_all(uncut).await;
        world.uncut.push(uncut);
    }
    let cases = cases(&world);
    let mut tally = Tally::default();
    // A fleet remembers every target that it ever saw, and here each case has two of its own.
    let failovers: Vec<Failover> = cases.chunks(CASES_PER_FLEET).map(|_| failover()).collect();
    let played = cases.iter().enumerate().map(|(n, case)| {
        let (world, failover) = (&world, &failovers[n / CASES_PER_FLEET]);
        async move {
            let played = tokio::time::timeout(PATIENCE, world.play(failover, n, case));
            (case, played.await.unwrap_or_else(|_| Outcome::Wrong("no end in time".to_owned())))
        }
    });
    let mut played = futures_util::stream::iter(played).buffer_unordered(CASES_AT_ONCE);
    while let Some((case, outcome)) = played.next().await {
        let stream = &world.streams[case.stream];
        tally.count(stream.kind, &format!("{} {case:?}", stream.name), outcome);
    }
    let used = world.uncut.iter().filter(|uncut| uncut.iter().any(Option::is_some)).count();
    println!("{used} streams, {} cases", cases.len());
    println!("{tally}");
    assert!(tally.wrong.is_empty(), "{} are wrong:\n{:#?}", tally.wrong.len(), tally.wrong);
    let [untouched, rescued, honest, spaced, refused, short, _] = tally.sums();
    assert!(short <= SHORT_MAX, "{short} are cut short:\n{:#?}", tally.short);
    assert!(refused <= 2, "somebody could almost always answer: {refused}");
    assert!(rescued > 2_000, "{rescued} rescued");
    let whole = untouched + rescued;
    assert!(spaced * 100 <= whole * 2, "{spaced} spaced");
    assert!(honest * 100 <= (whole + honest) * 12, "{honest} honest errors beside {whole}");
}

/// Every place of every stream; the circumstances go round.
fn cases(world: &World) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut turn = 0_usize;
    let mut stalls = 0_usize;
    for (stream, cut) in world.streams.iter().enumerate() {
        // Generated streams are few, and meet more circumstances at each place.
        let times = if cut.kind == "recorded" { 1 } else { 3 };
        for (number, place) in cut.places.windows(2).enumerate() {
            let (begin, end) = (place[0], place[1]);
            let both = [begin, usize::midpoint(begin, end)];
            // Recorded streams are many: between events and inside of them by turns.
            let ats = if times > 1 { &both[..] } else { &both[number % 2..=number % 2] };
            for at in ats.iter().copied() {
                for _ in 0..times {
                    turn += 1;
                    let case = Case { stream, at, ..Case::drawn(turn) };
                    let is_stall =
                        matches!(case.how, Break::Ends(StreamEnd::Silence | StreamEnd::Pings));
                    stalls += usize::from(is_stall);
                    let is_between = at == begin;
                    let is_possible = match case.how {
                        Break::Error | Break::Broken => is_between,
                        Break::Ends(_) => !is_stall || stalls.is_multiple_of(STALLS),
                    };
                    if is_possible && world.uncut[stream][case.client].is_some() {
                        cases.push(case);
                    }
                }
            }
        }
    }
    cases
}

fn failover() -> Failover {
    let mut config = FailoverConfig::default();
    config.fleet.health = HealthConfig { enabled: false, ..HealthConfig::default() };
    config.fleet.retry = RetryConfig { patience: Duration::ZERO, ..RetryConfig::default() };
    Failover::new(config, Arc::new(Unobserved))
}

fn provider_of(dialect: FakeDialect) -> &'static Provider {
    match dialect {
        FakeDialect::OpenaiChat => &providers::OPENAI_COMPATIBLE,
        FakeDialect::OpenaiResponses => &providers::OPENAI_RESPONSES_COMPATIBLE,
        FakeDialect::AnthropicMessages => &providers::ANTHROPIC,
        FakeDialect::Gemini => &providers::GEMINI,
        FakeDialect::BedrockConverse => &providers::BEDROCK,
        FakeDialect::CohereChat => &providers::COHERE,
    }
}

impl World {
    fn choice(&self, dialect: FakeDialect, model: String, prefill: Option<Takes>) -> Choice {
        let is_openai = matches!(dialect, FakeDialect::OpenaiChat | FakeDialect::OpenaiResponses);
        let path = if is_openai { "/v1" } else { "" };
        let url = format!("{}{path}", self.provider.url());
        let endpoint = Endpoint { prefill, ..Endpoint::new(provider_of(dialect), None).at(&url) };
        Choice::new(Arc::new(endpoint), model)
    }

    /// What a client gets of a stream that nobody cuts.
    async fn uncut(&self, failover: &Failover, stream: usize, client: usize) -> Option<Verdict> {
        let cut = &self.streams[stream];
        let model = format!("uncut-{stream}-{client}");
        self.provider.set_tape(&model, Tape::events(cut.bytes.clone()));
        let route = Route::in_order(
            "r",
            vec![self.choice(cut.dialect, model.clone(), None)],
            Limits::default(),
        );
        let (status, bytes) = ask(failover, route, CLIENTS[client], cut.kind).await;
        self.provider.forget(&model);
        let verdict = judge_stream_with_usage(CLIENTS[client].name, &bytes, true);
        let is_usable = !verdict.broken_rules.iter().any(|rule| UNUSABLE.contains(&rule.as_str()));
        let says_something = !verdict.text.trim().is_empty() || !verdict.calls.is_empty();
        (status == 200 && verdict.is_whole && is_usable && says_something).then_some(verdict)
    }

    async fn play(&self, failover: &Failover, number: usize, case: &Case) -> Outcome {
        let cut = &self.streams[case.stream];
        let Some(uncut) = &self.uncut[case.stream][case.client] else { unreachable!() };
        let first = format!("cut-{number}");
        self.provider.set_tape(&first, tape(cut, case));
        let (second, takes) = fallback_name(case, number);
        self.provider.set_manner(&second, manner(case, uncut));
        let limits = Limits {
            connect: Duration::from_secs(15),
            first_token: Duration::from_secs(2),
            between_tokens: Duration::from_millis(600),
            stall: Duration::from_millis(900),
            silence: Duration::from_secs(5),
            total: Duration::from_secs(20),
            ..Limits::default()
        };
        let choices = vec![
            self.choice(cut.dialect, first.clone(), None),
            self.choice(DIALECTS[case.target], second.clone(), takes),
        ];
        let route = Route::in_order("r", choices, limits);
        let client = CLIENTS[case.client];
        let (status, bytes) = ask(failover, route, client, cut.kind).await;
        let was_asked = self.provider.journal_of(&second) > 0;
        self.provider.forget(&first);
        self.provider.forget(&second);
        let verdict = if status == 200 {
            judge_stream_with_usage(client.name, &bytes, true)
        } else {
            judge_whole(client.name, &bytes)
        };
        match outcome(status, &verdict, uncut, was_asked) {
            Outcome::Spaced if case.fallback != Fallback::Straight => {
                Outcome::Wrong("a space inside of a word".to_owned())
            }
            Outcome::Wrong(what) if looks_whole(cut, case, &verdict) => Outcome::Short(what),
            outcome => outcome,
        }
    }
}

/// The bytes that the first target sends.
fn tape(cut: &Stream, case: &Case) -> Tape {
    let head = &cut.bytes[..case.at];
    match case.how {
        Break::Ends(then) => Tape::events(head.to_vec()).cut(head.len(), then),
        Break::Error => Tape::events([head, cut.dialect.error_event().as_bytes()].concat()),
        Break::Broken => {
            let next = cut.places.iter().find(|place| **place > case.at);
            let rest = &cut.bytes[*next.unwrap_or(&cut.bytes.len())..];
            Tape::events([head, cut.dialect.broken_event().as_bytes(), rest].concat())
        }
    }
}

/// Whether what came before a clean end is a whole answer of its own, to the last byte, and the
/// client has it: nobody could know that there was more.
fn looks_whole(cut: &Stream, case: &Case, got: &Verdict) -> bool {
    let mut head = cut.bytes[..case.at].to_vec();
    if cut.dialect == FakeDialect::OpenaiChat {
        // Not everybody sends it, and a finish reason is enough.
        head.extend_from_slice(b"data: [DONE]\n\n");
    }
    let alone = judge_stream_with_usage(provider_of(cut.dialect).dialect.name, &head, false);
    case.how == Break::Ends(StreamEnd::Clean)
        && alone.is_whole
        && got.is_whole
        && (&alone.text, &alone.calls) == (&got.text, &got.calls)
}

/// A name by which the fallback is known to take the beginning of an answer, or not to.
fn fallback_name(case: &Case, number: usize) -> (String, Option<Takes>) {
    let takes = matches!(case.fallback, Fallback::Prefilled | Fallback::Refusing);
    let (name, prefill) = match (DIALECTS[case.target], takes) {
        (FakeDialect::OpenaiChat, true) => ("local", Some(Takes::ContinueField)),
        (FakeDialect::OpenaiChat, false) | (FakeDialect::OpenaiResponses, _) => ("gpt-5.1", None),
        (FakeDialect::AnthropicMessages, true) => ("claude-haiku-4-5-20251001", None),
        (FakeDialect::AnthropicMessages, false) => ("claude-opus-4-7", None),
        (FakeDialect::Gemini, true) => ("gemini-2.5-flash", None),
        (FakeDialect::Gemini, false) => ("gemini-3-pro", None),
        (FakeDialect::BedrockConverse | FakeDialect::CohereChat, _) => {
            unreachable!("not among the targets that are cut")
        }
    };
    (format!("{name}-n{number}"), prefill)
}

/// A fallback that would have given the very same answer.
fn manner(case: &Case, uncut: &Verdict) -> Manner {
    let said = Said {
        thinking: uncut.thinking.clone(),
        text: uncut.text.clone(),
        calls: uncut.calls.clone(),
    };
    Manner {
        says: Says::This(said),
        prefill: match case.fallback {
            Fallback::Refusing => Prefill::Refuse,
            Fallback::Told | Fallback::Prefilled | Fallback::Anew | Fallback::Straight => {
                Prefill::ByDialect
            }
        },
        continues: match case.fallback {
            Fallback::Told | Fallback::Prefilled | Fallback::Refusing => Continues::Exact,
            Fallback::Anew => Continues::Restart,
            Fallback::Straight => Continues::Straight,
        },
        ..Manner::default()
    }
}

/// Makes a call and reads it to its end.
async fn ask(
    failover: &Failover,
    route: Route,
    dialect: &'static Dialect,
    kind: &str,
) -> (u16, Vec<u8>) {
    let request = CallRequest {
        model_in_path: (dialect.name == "gemini").then(|| "r".to_owned()),
        stream_in_path: true,
        ..CallRequest::new("call-7", dialect, body(dialect, kind), Arc::new(route))
    };
    let reply = failover.call(request).await;
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

fn body(dialect: &Dialect, kind: &str) -> String {
    let schema =
        r#"{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"}}}"#;
    let is_json = kind == "json";
    match dialect.name {
        "gemini" => {
            let format = if is_json {
                r#","generationConfig":{"responseMimeType":"application/json"}"#
            } else {
                ""
            };
            let tools = if is_json {
                String::new()
            } else {
                format!(
                    r#","tools":[{{"functionDeclarations":[{{"name":"weather","parametersJsonSchema":{schema}}}]}}]"#
                )
            };
            format!(
                r#"{{"contents":[{{"role":"user","parts":[{{"text":"Go on."}}]}}]{format}{tools}}}"#
            )
        }
        "anthropic-messages" => {
            let format = if is_json {
                r#","output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}}"#
            } else {
                ""
            };
            let tools = if is_json {
                String::new()
            } else {
                format!(r#","tools":[{{"name":"weather","input_schema":{schema}}}]"#)
            };
            format!(
                r#"{{"model":"r","max_tokens":5000,"stream":true,"messages":[{{"role":"user","content":"Go on."}}]{format}{tools}}}"#
            )
        }
        "openai-responses" => {
            let format = if is_json { r#","text":{"format":{"type":"json_object"}}"# } else { "" };
            let tools = if is_json {
                String::new()
            } else {
                format!(
                    r#","tools":[{{"type":"function","name":"weather","parameters":{schema}}}]"#
                )
            };
            format!(r#"{{"model":"r","stream":true,"input":"Go on."{format}{tools}}}"#)
        }
        _ => {
            let format = if is_json { r#","response_format":{"type":"json_object"}"# } else { "" };
            let tools = if is_json {
                String::new()
            } else {
                format!(
                    r#","tools":[{{"type":"function","function":{{"name":"weather","parameters":{schema}}}}}]"#
                )
            };
            format!(
                r#"{{"model":"r","stream":true,"stream_options":{{"include_usage":true}},"messages":[{{"role":"user","content":"Go on."}}]{format}{tools}}}"#
            )
        }
    }
}
