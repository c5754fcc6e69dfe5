//! One client: makes a call over a real socket and judges every byte of the answer.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request};
use unbroken::http::{HttpClient, HttpConfig, Progress};
use unbroken_drill::scenario::Scenario;
use unbroken_drill::scorekeeper::{Verdict, judge_stream_with_usage, judge_whole};

use super::{WORDS, body};

/// A client gives up after this long.
const PATIENCE: Duration = Duration::from_secs(100);

/// What became of one call.
#[derive(Clone, Debug)]
pub(crate) struct Called {
    /// The target that answered, as the answer says.
    pub(crate) target: String,
    /// The model that the answer names.
    pub(crate) model: Option<String>,
    /// Milliseconds to the first bytes.
    pub(crate) first_ms: Option<u64>,
    /// Milliseconds to the end.
    pub(crate) done_ms: u64,
    /// How it ended.
    pub(crate) ending: Ending,
}

/// How a call ended for its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// A whole answer.
    Whole {
        /// Words that are missing.
        lost: u64,
        /// Words that are there twice or in the wrong place.
        repeated: u64,
    },
    /// Content, and then an honest error.
    Broken,
    /// An error instead of an answer: its status, and what it says.
    Refused(u16, String),
    /// Something that the dialect does not allow.
    Corrupt(String),
}

struct Received {
    status: u16,
    target: String,
    first_ms: Option<u64>,
    bytes: Vec<u8>,
    is_complete: bool,
}

/// Makes one call.
pub(super) async fn call(url: String, scenario: Scenario) -> Called {
    let start = tokio::time::Instant::now();
    let received = tokio::time::timeout(PATIENCE, receive(&url, &scenario)).await;
    let done_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let Ok(received) = received else {
        let ending = Ending::Refused(0, "no answer".to_owned());
        return Called { target: String::new(), model: None, first_ms: None, done_ms, ending };
    };
    let verdict = if scenario.stream && received.status == 200 {
        judge_stream_with_usage(&scenario.dialect, &received.bytes, true)
    } else {
        judge_whole(&scenario.dialect, &received.bytes)
    };
    let ending = ending(&received, &verdict);
    let Received { target, first_ms, .. } = received;
    Called { target, model: verdict.model, first_ms, done_ms, ending }
}

fn ending(received: &Received, verdict: &Verdict) -> Ending {
    if received.status != 200 {
        return Ending::Refused(received.status, verdict.error.clone().unwrap_or_default());
    }
    if !received.is_complete {
        return Ending::Corrupt("the connection broke".to_owned());
    }
    match (verdict.corrupt.clone(), verdict.is_whole, verdict.is_error) {
        (Some(rule), _, _) => Ending::Corrupt(rule),
        (None, _, true) => Ending::Broken,
        (None, true, false) => {
            let (lost, repeated) = verdict.words(WORDS);
            Ending::Whole { lost, repeated }
        }
        (None, false, false) => Ending::Corrupt("the answer has no end".to_owned()),
    }
}

async fn receive(url: &str, scenario: &Scenario) -> Received {
    let start = tokio::time::Instant::now();
    let mut received = Received {
        status: 0,
        target: String::new(),
        first_ms: None,
        bytes: Vec::new(),
        is_complete: false,
    };
    let Ok(request) = request(url, scenario) else { return received };
    // Every client has a connection of its own.
    let mut exchange = HttpClient::new(&HttpConfig::default()).send(request, false);
    loop {
        match exchange.next().await {
            Progress::Connected { .. } => {}
            Progress::Head(head) => {
                received.status = head.status.as_u16();
                let target = head.headers.get("x-unbroken-target");
                let target = target.and_then(|value| value.to_str().ok());
                received.target = target.unwrap_or_default().to_owned();
            }
            Progress::Bytes(bytes) => {
                let elapsed = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
                received.first_ms.get_or_insert(elapsed);
                received.bytes.extend_from_slice(&bytes);
            }
            Progress::End => {
                received.is_complete = true;
                return received;
            }
            Progress::Failed(_) => return received,
        }
    }
}

fn request(url: &str, scenario: &Scenario) -> Result<Request<Bytes>, http::Error> {
    let path = match (scenario.dialect.as_str(), scenario.stream) {
        ("anthropic-messages", _) => "/v1/messages",
        ("gemini", true) => "/v1beta/models/chat:streamGenerateContent?alt=sse",
        ("gemini", false) => "/v1beta/models/chat:generateContent",
        _ => "/v1/chat/completions",
    };
    Request::post(format!("{url}{path}"))
        .header("content-type", HeaderValue::from_static("application/json"))
        .body(body(&scenario.dialect, scenario.stream))
}
