use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::fault::{CutKind, StreamEnd};

/// What came back, and whether the connection ended by a reset.
struct Got {
    text: String,
    is_reset: bool,
    is_open: bool,
}

impl Got {
    /// Whether the body ended as HTTP says.
    fn is_whole(&self) -> bool {
        self.text.ends_with("0\r\n\r\n")
    }
}

async fn ask(provider: &FakeProvider, path: &str, body: &str) -> Got {
    let mut stream = tokio::net::TcpStream::connect(provider.address()).await.unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    let read = tokio::time::timeout(Duration::from_millis(1_500), read).await;
    let (is_reset, is_open) = (matches!(read, Ok(Err(_))), read.is_err());
    Got { text: String::from_utf8_lossy(&bytes).into_owned(), is_reset, is_open }
}

const CHAT: &str = "/v1/chat/completions";

fn chat(model: &str, more: &str) -> String {
    format!(
        r#"{{"model":"{model}","stream":true,"messages":[{{"role":"user","content":"Count."}}{more}]}}"#
    )
}

async fn provider() -> FakeProvider {
    FakeProvider::start(FakeConfig { words: 10, ..FakeConfig::default() }).await.unwrap()
}

#[tokio::test]
async fn streams_break_off_as_told() {
    let provider = provider().await;
    let cut = |how, inside_event| Fault::CutStream { after_words: 4, how, inside_event };
    let missing = |events, then| Fault::LastEventsMissing { events, then };
    let broken = Fault::Malformed { after_words: 4 };
    for (fault, whole, reset, open, has, has_not) in [
        (cut(CutKind::Reset, false), false, true, false, "w4", "w5"),
        (cut(CutKind::Close, false), false, false, false, "w4", "w5"),
        (cut(CutKind::Close, true), false, false, false, "chatcmpl-fake", "w5"),
        (Fault::NoEnd { after_words: 4, inside_event: false }, true, false, false, "w4", "w5"),
        (Fault::Stall { after_words: 4, pings: false }, false, false, true, "w4", ": ping"),
        (Fault::Stall { after_words: 4, pings: true }, false, false, true, ": ping", "w5"),
        (broken, true, false, false, "\"w1\"", "w5"),
        (broken, true, false, false, "[DONE]", "w5"),
        (missing(1, StreamEnd::Clean), true, false, false, "\"stop\"", "[DONE]"),
        (missing(1, StreamEnd::Silence), false, false, true, "\"stop\"", "[DONE]"),
        (missing(2, StreamEnd::Reset), false, true, false, "w10", "\"stop\""),
    ] {
        provider.fault(fault);
        let got = ask(&provider, CHAT, &chat("m", "")).await;
        let told = format!("{fault:?}: {}", got.text);
        assert!(got.text.contains(has) && !got.text.contains(has_not), "{told}");
        assert_eq!((got.is_whole(), got.is_reset, got.is_open), (whole, reset, open), "{told}");
    }
}

#[tokio::test]
async fn faults_and_manners_are_of_a_model() {
    let provider = provider().await;
    let fault =
        Fault::Status { status: 503, body: crate::fault::BodyKind::Json, retry_after: None };
    provider.arm(Armed { model: "first".to_owned(), fault, times: None, share_per_mille: 1000 });
    provider.set_manner("second", Manner { words: Some(2), ..Manner::default() });
    assert!(ask(&provider, CHAT, &chat("first", "")).await.text.starts_with("HTTP/1.1 503"));
    let second = ask(&provider, CHAT, &chat("second", "")).await.text;
    assert!(second.contains("w2") && !second.contains("w3"), "{second}");
    assert!(ask(&provider, CHAT, &chat("third", "")).await.text.contains("w10"));
}

#[tokio::test]
async fn an_answer_that_was_begun_goes_on_as_the_model_has_it() {
    let provider = provider().await;
    let begun = r#",{"role":"assistant","content":"w1 w2"#;
    let prefill = format!("{begun}\"}}");
    let declared = format!("{begun}\",\"prefix\":true}}");
    let plea = "Your reply was cut off. Continue exactly after its last character.";
    let asked = format!("{prefill},{{\"role\":\"user\",\"content\":\"{plea}\"}}");
    let manner = |prefill, continues| Manner { prefill, continues, ..Manner::default() };
    provider.set_manner("refuses", manner(Prefill::Refuse, Continues::Restart));
    provider.set_manner("talks", manner(Prefill::Continue, Continues::Preamble));
    for (model, more, begins, wish) in [
        ("m", &prefill, "\"w1\"", Wish::Prefill),
        ("m", &declared, "\" w3\"", Wish::Prefill),
        ("m", &asked, "\" w3\"", Wish::Continue),
        ("talks", &prefill, "\" w3\"", Wish::Prefill),
        ("talks", &asked, "\"Sure\"", Wish::Continue),
        ("refuses", &declared, "assistant message prefill", Wish::Prefill),
        ("refuses", &asked, "\"w1\"", Wish::Continue),
    ] {
        let got = ask(&provider, CHAT, &chat(model, more)).await.text;
        assert!(got.contains(begins), "{model}: {got}");
        assert_eq!(got.contains("\"w1\""), begins == "\"w1\"", "{model}: {got}");
        assert_eq!(provider.journal().last().unwrap().wish, wish);
    }
    assert_eq!(provider.journal()[5].outcome, "prefill_refused");
}

#[tokio::test]
async fn claude_takes_no_prefill_that_ends_in_space_and_newer_ones_take_none() {
    let provider = provider().await;
    let ask = async |model: &str, text: &str| {
        let body = format!(
            r#"{{"model":"{model}","max_tokens":9,"messages":[{{"role":"user","content":"Hi"}},
               {{"role":"assistant","content":"{text}"}}]}}"#
        );
        ask(&provider, "/v1/messages", &body).await.text
    };
    let answer = ask("claude-haiku-4-5", "w1").await;
    assert!(answer.contains(r#""text":" w2 w3"#), "{answer}");
    assert!(ask("claude-haiku-4-5", "w1 ").await.contains("trailing whitespace"));
    assert!(ask("claude-opus-4-6", "w1").await.contains("must end with a user message"));
}

#[tokio::test]
async fn tapes_are_played_byte_by_byte() {
    let provider = provider().await;
    let tape = Tape { write_bytes: Some(3), ..Tape::events("data: héllo\n\n") };
    provider.set_tape("m", tape.clone());
    let got = ask(&provider, CHAT, &chat("m", "")).await;
    let pieces: Vec<&str> = got.text.split("\r\n\r\n").nth(1).unwrap().split("\r\n").collect();
    assert_eq!((pieces[0], pieces[1]), ("3", "dat"), "{}", got.text);
    assert!(got.is_whole());
    provider.set_tape("m", tape.cut(8, StreamEnd::Reset));
    let got = ask(&provider, CHAT, &chat("m", "")).await;
    assert!(got.is_reset && !got.text.contains("llo"), "{}", got.text);
}

/// Every dialect, every kind of content, in a stream and whole: the events are JSON and the text
/// is the same.
#[test]
fn every_dialect_says_the_same() {
    use words::{Asked, decide};
    let schema = serde_json::json!({ "properties": { "city": { "type": "string" } } });
    for says in [Says::Words, Says::Code, Says::Json, Says::Multibyte] {
        for wish in ["Count.", "Please call weather"] {
            let asked = Asked {
                tools: vec![("weather".to_owned(), schema.clone())],
                wish: Some(wish.to_owned()),
                include_usage: true,
                ..Asked::default()
            };
            let says = says.clone();
            let manner =
                Manner { says, thinking_words: 3, words_before_calls: 2, ..Manner::default() };
            let content = decide(&asked, &manner, 12);
            for dialect in [
                FakeDialect::OpenaiChat,
                FakeDialect::OpenaiResponses,
                FakeDialect::AnthropicMessages,
                FakeDialect::Gemini,
                FakeDialect::BedrockConverse,
                FakeDialect::CohereChat,
            ] {
                let script = dialect.script(&asked, &content);
                let events = script.prelude.iter().chain(&script.content).chain(&script.end);
                for event in events {
                    let (_, data) = event.trim_end().split_once("data: ").unwrap();
                    let is_json = serde_json::from_str::<serde_json::Value>(data).is_ok();
                    assert!(is_json || data == "[DONE]", "{dialect:?}: {event}");
                }
                let whole = dialect.whole(&asked, &content).to_string();
                let text = serde_json::to_string(&content.text.concat()).unwrap();
                assert!(whole.contains(text.trim_matches('"')), "{dialect:?}: {whole}");
                let has_call = !content.calls.is_empty();
                assert_eq!(whole.contains("Berlin"), has_call, "{dialect:?}: {whole}");
            }
        }
    }
}

/// Who is to judge others must hold the rules itself.
#[test]
fn every_dialect_holds_its_own_grammar() {
    for dialect in [
        FakeDialect::OpenaiChat,
        FakeDialect::OpenaiResponses,
        FakeDialect::AnthropicMessages,
        FakeDialect::Gemini,
    ] {
        for (thinking_words, words, calls) in
            [(0, 6, false), (3, 6, false), (3, 0, true), (0, 2, true)]
        {
            let manner = Manner { thinking_words, words_before_calls: words, ..Manner::default() };
            let stream = dialect.recording(&manner, words, calls);
            let name = serde_json::to_value(dialect).unwrap();
            let name = name.as_str().unwrap();
            let verdict =
                crate::scorekeeper::judge_stream_with_usage(name, stream.as_bytes(), true);
            assert_eq!((verdict.corrupt, verdict.is_whole), (None, true), "{name}: {stream}");
        }
    }
}
