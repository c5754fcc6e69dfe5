//! Everything recorded is read, written back unchanged in meaning, and translated.

use unbroken_wire::chat::{Answer, Block, Chat, FinishReason, StreamEvent};
use unbroken_wire::dialects::{DIALECTS, Dialect, Ended, RequestHead, StreamHead};
use unbroken_wire::sse;

use crate::recordings::{Recording, all};
use crate::sequence;

/// What reading a stream gave.
pub(crate) struct ReadStream {
    pub(crate) events: Vec<StreamEvent>,
    pub(crate) ended: Option<Ended>,
    pub(crate) error: Option<String>,
}

pub(crate) fn read_stream(dialect: &Dialect, chunks: &[&[u8]]) -> ReadStream {
    let mut parser = sse::Parser::new();
    let mut reader = (dialect.stream_reader)();
    let mut events = Vec::new();
    let mut error = None;
    for chunk in chunks {
        parser.push(chunk).unwrap();
        while let Some(event) = parser.next_event() {
            if error.is_none() {
                error = reader.read(&event, &mut events).err();
            }
        }
    }
    if let (Some(event), None) = (parser.finish(), &error) {
        error = reader.read(&event, &mut events).err();
    }
    if events.iter().any(|event| matches!(event, StreamEvent::Error(_))) {
        error.get_or_insert_with(|| "an error event".to_owned());
    }
    let ended = if error.is_none() { reader.end().ok() } else { None };
    ReadStream { events, ended, error }
}

fn write_stream(dialect: &Dialect, read: &ReadStream) -> Vec<u8> {
    write_events(dialect, &read.events, read.ended.unwrap())
}

pub(crate) fn write_events(dialect: &Dialect, events: &[StreamEvent], ended: Ended) -> Vec<u8> {
    let head = StreamHead {
        id: "id".to_owned(),
        model: "model".to_owned(),
        created_unix: 1,
        include_usage: true,
        input_tokens_estimate: 1,
        ..StreamHead::default()
    };
    let mut writer = (dialect.stream_writer)(&head);
    let mut out = Vec::new();
    for event in events {
        writer.write(event, &mut out);
    }
    writer.end(&ended, &mut out);
    out
}

/// What every dialect can carry of an answer.
fn meaning(answer: &Answer) -> (String, Vec<(String, serde_json::Value)>) {
    let refusals = answer.blocks.iter().filter_map(|block| match block {
        Block::Refusal(text) => Some(text.as_str()),
        _ => None,
    });
    let text = answer.text() + &refusals.collect::<String>();
    let calls = answer.tool_calls().map(|call| (call.name.clone(), call.input().0));
    (text, calls.collect())
}

fn head(recording: &Recording) -> RequestHead<'_> {
    // Azure names the deployment in the path, Bedrock and Vertex the model.
    let model_in_path = recording.model_in_path().or(Some("model"));
    RequestHead { model_in_path, stream_in_path: false, outline: None }
}

#[test]
fn recorded_requests_are_read_and_translated() {
    let (mut read, mut translated, mut refused) = (0, 0, 0);
    for recording in all() {
        let Some(body) = recording.request() else { continue };
        // What the provider itself refused may be nonsense.
        if recording.status().is_some_and(|status| status >= 400) {
            continue;
        }
        let name = recording.name();
        let chat = match (recording.dialect.read_request)(&head(recording), &body) {
            Ok(chat) => chat,
            Err(error) => panic!("{name}: {error:?}"),
        };
        read += 1;
        let own = (recording.dialect.replace_model)(&body, None, &chat.model).unwrap();
        let own: serde_json::Value = serde_json::from_slice(&own).unwrap();
        let original: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(own["messages"], original["messages"], "{name}");
        for dialect in DIALECTS {
            match (dialect.write_request)(&chat, "model") {
                Ok(written) => {
                    translated += 1;
                    let head = RequestHead {
                        model_in_path: Some("model"),
                        stream_in_path: chat.stream,
                        outline: None,
                    };
                    let back = (dialect.read_request)(&head, &written.body);
                    let back = back.unwrap_or_else(|e| panic!("{name} as {}: {e:?}", dialect.name));
                    let own_names = written.renamed.is_empty();
                    let what = format!("{name} as {}", dialect.name);
                    same_conversation(&chat, &back, own_names, &what);
                }
                Err(unsupported) => {
                    refused += 1;
                    assert!(!unsupported.reason.is_empty(), "{name}");
                    assert_ne!(dialect.name, recording.dialect.name, "{name}: {unsupported:?}");
                }
            }
        }
    }
    println!("{read} requests read, {translated} written, {refused} refused");
    assert!(read >= 200 && translated >= 500, "{read} read, {translated} written");
    assert!(refused * 10 < translated, "{refused} refused of {translated}");
}

/// What is said and called survives a translation, in its order.
fn same_conversation(one: &Chat, other: &Chat, own_names: bool, what: &str) {
    let blocks = |chat: &Chat| -> Vec<String> {
        let blocks = chat.turns.iter().flat_map(|turn| &turn.blocks);
        blocks
            .filter_map(|block| match block {
                Block::Text(text) | Block::Refusal(text) => Some(squeeze(text)),
                Block::ToolCall(call) => {
                    let name = if own_names { call.name.as_str() } else { "" };
                    Some(squeeze(&format!("{name} {}", call.input().0)))
                }
                _ => None,
            })
            .collect()
    };
    let other_said = blocks(other).concat();
    for said in blocks(one) {
        assert!(other_said.contains(&said), "{what} lost {said}");
    }
    // Tools of the history are declared where an API demands that.
    if !one.tools.is_empty() {
        assert_eq!(one.tools.len(), other.tools.len(), "{what}");
    }
}

/// Without white space: dialects join blocks in different ways.
fn squeeze(text: &str) -> String {
    text.split_whitespace().collect()
}

/// Why a body with status 200 is no answer, seen without the reader.
fn is_no_answer(dialect: &Dialect, body: &[u8]) -> bool {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap();
    if body.get("error").is_some_and(serde_json::Value::is_object) {
        return true;
    }
    let failed = |finish: Option<&serde_json::Value>| {
        let finish = finish.and_then(serde_json::Value::as_str).unwrap_or_default();
        ["error", "OTHER", "NO_IMAGE"].contains(&finish)
            || finish.starts_with("MALFORMED")
            || finish.ends_with("TOOL_CALL")
    };
    match dialect.name {
        "openai-chat" => {
            body.get("choices").is_none() || failed(body.pointer("/choices/0/finish_reason"))
        }
        "openai-responses" => body.get("output").is_none() && body.get("choices").is_none(),
        "anthropic-messages" => body.get("content").is_none(),
        "bedrock-converse" => body.get("output").is_none(),
        "cohere-chat" => !body["message"].is_object(),
        _ => {
            (body.get("candidates").is_none() && body.get("promptFeedback").is_none())
                || failed(body.pointer("/candidates/0/finishReason"))
        }
    }
}

type Counts = std::collections::BTreeMap<String, u32>;

fn count(counts: &mut Counts, kind: String) {
    *counts.entry(kind).or_default() += 1;
}

#[test]
fn recorded_answers_are_read_and_translated() {
    let mut counts = Counts::new();
    for recording in all() {
        let Some(body) = recording.answer() else { continue };
        let name = recording.name();
        let answer = match (recording.dialect.read_answer)(&body) {
            Ok(answer) => answer,
            Err(fault) => {
                assert!(is_no_answer(recording.dialect, &body), "{name}: {fault:?}");
                count(&mut counts, recording.kind("bodies that are no answers"));
                continue;
            }
        };
        count(&mut counts, recording.kind("answers"));
        assert!(!answer.blocks.is_empty() || answer.finish != FinishReason::ToolCalls, "{name}");
        for dialect in DIALECTS {
            let written = (dialect.write_answer)(&answer, &StreamHead::default());
            let back = (dialect.read_answer)(&written)
                .unwrap_or_else(|error| panic!("{name} as {}: {error:?}", dialect.name));
            assert_eq!(meaning(&back), meaning(&answer), "{name} as {}", dialect.name);
            if let (Some(usage), Some(original)) = (back.usage, answer.usage) {
                assert_eq!(usage.output, original.output, "{name} as {}", dialect.name);
                assert_eq!(usage.input, original.input, "{name} as {}", dialect.name);
            }
        }
        // A cut body is never a shorter answer.
        for at in [body.len() / 3, body.len() / 2, body.len() - 1] {
            let cut = (recording.dialect.read_answer)(body.get(..at).unwrap());
            assert!(cut.is_err(), "{name} cut at {at}");
        }
    }
    println!("{counts:#?}");
    let answers: u32 =
        counts.iter().filter(|(kind, _)| kind.ends_with(" answers")).map(|(_, n)| n).sum();
    assert!(answers >= 150, "{answers} answers");
}

/// Whether the stream's own events show that it failed or stopped before its end.
fn is_broken(dialect: &Dialect, bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let holds = |signs: &[&str]| signs.iter().any(|sign| text.contains(sign));
    let compact: String = text.split_whitespace().collect();
    let has_error = compact.contains("\"error\":{") || compact.contains("event:error");
    has_error
        || match dialect.name {
            "openai-chat" => !has_reason(&compact, "\"finish_reason\":\""),
            "openai-responses" => !holds(&["response.completed", "response.incomplete"]),
            "anthropic-messages" => {
                !holds(&["message_stop", "\"stop_reason\": \"", "\"stop_reason\":\""])
            }
            "bedrock-converse" => !holds(&["event: messageStop"]),
            "cohere-chat" => !holds(&["message-end"]),
            _ => {
                !has_reason(&compact, "\"finishReason\":\"")
                    || holds(&["MALFORMED", "UNEXPECTED_TOOL_CALL", "\"OTHER\"", "NO_IMAGE"])
            }
        }
}

fn has_reason(compact: &str, key: &str) -> bool {
    compact.contains(key) && !compact.contains(&format!("{key}error\""))
}

#[test]
fn recorded_streams_are_read_to_their_end_and_translated() {
    let mut counts = Counts::new();
    for recording in all() {
        let Some(bytes) = recording.stream() else { continue };
        if recording.status().is_some_and(|status| status != 200) {
            continue;
        }
        let name = recording.name();
        let stream = read_stream(recording.dialect, &[&bytes]);
        if stream.ended.is_none() {
            let told = format!("{name}: {:?} {:?}", stream.error, stream.events.last());
            assert!(is_broken(recording.dialect, &bytes), "{told}");
            count(&mut counts, recording.kind("broken streams, recognised"));
            continue;
        }
        count(&mut counts, recording.kind("streams"));
        let answer = Answer::of_events(&stream.events);
        for dialect in DIALECTS {
            let written = write_stream(dialect, &stream);
            let back = read_stream(dialect, &[&written]);
            let what = format!("{name} as {}", dialect.name);
            assert!(back.ended.is_some(), "{what}: {:?}", back.error);
            assert_eq!(meaning(&Answer::of_events(&back.events)), meaning(&answer), "{what}");
            sequence::check(dialect, &written, &what);
        }
    }
    println!("{counts:#?}");
    let read: u32 =
        counts.iter().filter(|(kind, _)| kind.ends_with(" streams")).map(|(_, n)| n).sum();
    assert!(read >= 80, "{read} streams");
}

/// Streams longer than this are cut in fewer places.
const LONG: usize = 60_000;

#[test]
fn a_stream_that_is_cut_is_never_taken_for_whole() {
    let (mut cuts, mut after_the_reason) = (0, 0);
    for recording in all() {
        let Some(bytes) = recording.stream() else { continue };
        let whole = read_stream(recording.dialect, &[&bytes]);
        if whole.ended.is_none() {
            continue;
        }
        let text = meaning(&Answer::of_events(&whole.events));
        let places = if bytes.len() < LONG { 24 } else { 6 };
        let step = (bytes.len() / places).max(1);
        for at in (0..bytes.len()).step_by(step) {
            let cut = read_stream(recording.dialect, &[bytes.get(..at).unwrap()]);
            cuts += 1;
            if cut.ended.is_none() {
                continue;
            }
            let name = recording.name();
            let has_reason = cut.events.iter().any(|e| matches!(e, StreamEvent::Finish(_)));
            let so_far = meaning(&Answer::of_events(&cut.events));
            if so_far == text {
                continue;
            }
            // Some hosts go on after the reason (old Gemini models, Together): their first reason
            // cannot be told from the end.
            let reason = whole.events.iter().position(|e| matches!(e, StreamEvent::Finish(_)));
            let last_content = whole.events.iter().rposition(StreamEvent::is_content);
            assert!(has_reason && reason < last_content, "{name} cut at {at}");
            after_the_reason += 1;
        }
    }
    println!("{cuts} cuts, {after_the_reason} of them behind a reason that was not the end");
    assert!(cuts >= 2_000, "{cuts} cuts");
    assert!(after_the_reason * 100 < cuts, "{after_the_reason} of {cuts}");
}

#[test]
fn every_split_of_a_stream_gives_the_same_events() {
    let (mut streams, mut as_recorded) = (0, 0);
    for recording in all() {
        let Some(bytes) = recording.stream() else { continue };
        let name = recording.name();
        let whole = read_stream(recording.dialect, &[&bytes]);
        // A prime, so that every place of an event is cut somewhere; single bytes for short ones.
        let size = if bytes.len() > 12_000 { 61 } else { 1 };
        let split = read_stream(recording.dialect, &bytes.chunks(size).collect::<Vec<_>>());
        assert_eq!(split.events, whole.events, "{name}");
        assert_eq!(split.ended, whole.ended, "{name}");
        streams += 1;
        let mut rest = bytes.as_slice();
        let mut reads = Vec::new();
        for size in recording.reads() {
            let (read, next) = rest.split_at(size.min(rest.len()));
            reads.push(read);
            rest = next;
        }
        if !reads.is_empty() {
            reads.push(rest);
            assert_eq!(read_stream(recording.dialect, &reads).events, whole.events, "{name}");
            as_recorded += 1;
        }
    }
    println!("{streams} streams split, {as_recorded} of them as they were read when recorded");
    assert!(streams >= 30, "{streams} streams");
}
