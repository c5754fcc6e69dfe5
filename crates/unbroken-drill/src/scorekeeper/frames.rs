//! Server-sent events, as strictly as the narrowest of the clients reads them.

use serde_json::Value;

use super::Verdict;

/// What stands between two blank lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) name: Option<String>,
    pub(super) data: Option<String>,
    pub(super) comments: Vec<String>,
}

/// Reads all frames.
pub(super) fn read(bytes: &[u8], verdict: &mut Verdict) -> Vec<Frame> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        verdict.broken("not UTF-8");
        return Vec::new();
    };
    if text.starts_with('[') {
        return elements(text, verdict);
    }
    let text = text.replace("\r\n", "\n");
    verdict.hold(text.is_empty() || text.ends_with("\n\n"), "the last event has no blank line");
    let events = text.split("\n\n").filter(|event| !event.is_empty());
    events.map(|event| frame(event, verdict)).collect()
}

fn frame(event: &str, verdict: &mut Verdict) -> Frame {
    let mut frame = Frame::default();
    for line in event.lines() {
        if let Some(name) = line.strip_prefix("event: ") {
            verdict.hold(frame.name.is_none(), "two names in one event");
            frame.name = Some(name.to_owned());
        } else if let Some(data) = line.strip_prefix("data: ") {
            verdict.hold(frame.data.is_none(), "two data lines in one event");
            frame.data = Some(data.to_owned());
        } else if let Some(comment) = line.strip_prefix(':') {
            frame.comments.push(comment.trim().to_owned());
        } else {
            verdict.broken("a line that is no field");
        }
    }
    let is_nameless = frame.name.is_none() || frame.data.is_some();
    verdict.hold(is_nameless, "a name without data");
    frame
}

/// Gemini's other framing: one JSON array, streamed element by element.
fn elements(text: &str, verdict: &mut Verdict) -> Vec<Frame> {
    let Ok(list) = serde_json::from_str::<Vec<Value>>(text) else {
        verdict.broken("an array that has no end");
        return Vec::new();
    };
    let frame = |json: Value| Frame { data: Some(json.to_string()), ..Frame::default() };
    list.into_iter().map(frame).collect()
}
