//! Everything recorded is read, written back unchanged in meaning, and translated.

use unbroken_wire::chat::{Answer, Block, Chat, StreamEvent};
use unbroken_wire::dialects::{
    AnswerFault, DIALECTS, Dialect, Ended, Framing, RequestHead, StreamHead,
};
use unbroken_wire::sse;

use crate::recordings::{Recording, all};

/// What reading a stream gave.
struct ReadStream {
    events: Vec<StreamEvent>,
    ended: Option<Ended>,
    error: Option<String>,
}

fn read_stream(dialect: &Dialect, chunks: &[&[u8]]) -> ReadStream {
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
    let head = StreamHead {
        id: "id".to_owned(),
        model: "model".to_owned(),
        created_unix: 1,
        include_usage: true,
        framing: Framing::Sse,
        input_tokens_estimate: 1,
    };
    let mut writer = (dialect.stream_writer)(&head);
    let mut out = Vec::new();
    for event in &read.events {
        writer.write(event, &mut out);
    }
    if let Some(ended) = &read.ended {
        writer.end(ended, &mut out);
    }
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
    RequestHead { model_in_path, stream_in_path: false }
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
        let chat = match (recording.dialect.read_request)(&head(&recording), &body) {
            Ok(chat) => chat,
            Err(error) => panic!("{name}: {error:?}"),
        };
        read += 1;
        let own = (recording.dialect.replace_model)(&body, &chat.model).unwrap();
        let own: serde_json::Value = serde_json::from_slice(&own).unwrap();
        let original: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(own["messages"], original["messages"], "{name}");
        for dialect in DIALECTS {
            match (dialect.write_request)(&chat, "model") {
                Ok(written) => {
                    translated += 1;
                    let head =
                        RequestHead { model_in_path: Some("model"), stream_in_path: chat.stream };
                    let back = (dialect.read_request)(&head, &written.body);
                    let back = back.unwrap_or_else(|e| panic!("{name} as {}: {e:?}", dialect.name));
                    same_conversation(&chat, &back, &format!("{name} as {}", dialect.name));
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
fn same_conversation(one: &Chat, other: &Chat, what: &str) {
    let blocks = |chat: &Chat| -> Vec<String> {
        let blocks = chat.turns.iter().flat_map(|turn| &turn.blocks);
        blocks
            .filter_map(|block| match block {
                Block::Text(text) | Block::Refusal(text) => Some(squeeze(text)),
                Block::ToolCall(call) => {
                    Some(squeeze(&format!("{} {}", call.name, call.input().0)))
                }
                _ => None,
            })
            .collect()
    };
    let other_said = blocks(other).concat();
    for said in blocks(one) {
        assert!(other_said.contains(&said), "{what} lost {said}");
    }
    assert_eq!(one.tools.len(), other.tools.len(), "{what}");
}

/// Without white space: dialects join blocks in different ways.
fn squeeze(text: &str) -> String {
    text.split_whitespace().collect()
}

#[test]
fn recorded_answers_are_read_and_translated() {
    let (mut read, mut empty) = (0, 0);
    for recording in all() {
        let Some(body) = recording.answer() else { continue };
        let name = recording.name();
        let answer = match (recording.dialect.read_answer)(&body) {
            Ok(answer) => answer,
            Err(AnswerFault::Error(_)) if recording.has("error_in_200") => continue,
            Err(AnswerFault::Empty | AnswerFault::Malformed(_)) => {
                empty += 1;
                continue;
            }
            Err(AnswerFault::Error(error)) => panic!("{name}: {error:?}"),
        };
        read += 1;
        for dialect in DIALECTS {
            let written = (dialect.write_answer)(&answer, 1_700_000_000);
            let back = (dialect.read_answer)(&written)
                .unwrap_or_else(|error| panic!("{name} as {}: {error:?}", dialect.name));
            assert_eq!(meaning(&back), meaning(&answer), "{name} as {}", dialect.name);
            if let (Some(usage), Some(original)) = (back.usage, answer.usage) {
                assert_eq!(usage.output, original.output, "{name} as {}", dialect.name);
                assert_eq!(usage.input, original.input, "{name} as {}", dialect.name);
            }
        }
    }
    println!("{read} answers read, {empty} without anything");
    assert!(read >= 150, "{read} answers");
    assert!(empty * 20 < read, "{empty} of {read} hold nothing");
}

#[test]
fn recorded_streams_are_read_to_their_end_and_translated() {
    let (mut read, mut failed) = (0, 0);
    for recording in all() {
        let Some(bytes) = recording.stream() else { continue };
        if recording.status().is_some_and(|status| status != 200) {
            continue;
        }
        let name = recording.name();
        let stream = read_stream(recording.dialect, &[&bytes]);
        let is_broken = ["mid_stream_error", "no_terminal_event", "raw_json_tail", "error_in_200"];
        if stream.ended.is_none() {
            let is_known = is_broken.iter().any(|feature| recording.has(feature))
                || recording.json.get("error").is_some_and(|error| !error.is_null());
            assert!(is_known, "{name}: {:?} {:?}", stream.error, stream.events.last());
            failed += 1;
            continue;
        }
        read += 1;
        let answer = Answer::of_events(&stream.events);
        for dialect in DIALECTS {
            let written = write_stream(dialect, &stream);
            let back = read_stream(dialect, &[&written]);
            let what = format!("{name} as {}", dialect.name);
            assert!(back.ended.is_some(), "{what}: {:?}", back.error);
            assert_eq!(meaning(&Answer::of_events(&back.events)), meaning(&answer), "{what}");
        }
    }
    println!("{read} streams read, {failed} broken ones recognised");
    assert!(read >= 80, "{read} streams");
}

#[test]
fn a_stream_that_is_cut_is_never_taken_for_whole() {
    let mut cuts = 0;
    for recording in all() {
        let Some(bytes) = recording.stream() else { continue };
        let whole = read_stream(recording.dialect, &[&bytes]);
        if whole.ended.is_none() || bytes.len() > 60_000 {
            continue;
        }
        // Some hosts go on after the reason (old Gemini models, Together): their first reason
        // cannot be told from the end.
        let reason = whole.events.iter().position(|e| matches!(e, StreamEvent::Finish(_)));
        let last_content = whole.events.iter().rposition(StreamEvent::is_content);
        if reason < last_content {
            continue;
        }
        let text = meaning(&Answer::of_events(&whole.events));
        let step = (bytes.len() / 40).max(1);
        for at in (0..bytes.len()).step_by(step) {
            let cut = read_stream(recording.dialect, &[bytes.get(..at).unwrap()]);
            cuts += 1;
            if cut.ended.is_some() {
                let so_far = meaning(&Answer::of_events(&cut.events));
                assert_eq!(so_far, text, "{} cut at {at}", recording.name());
            }
        }
    }
    assert!(cuts >= 2_000, "{cuts} cuts");
}

#[test]
fn every_split_of_a_stream_gives_the_same_events() {
    let mut streams = 0;
    for recording in all() {
        let Some(bytes) = recording.stream() else { continue };
        if bytes.len() > 12_000 {
            continue;
        }
        let whole = read_stream(recording.dialect, &[&bytes]);
        let singles: Vec<&[u8]> = bytes.chunks(1).collect();
        let split = read_stream(recording.dialect, &singles);
        assert_eq!(split.events, whole.events, "{}", recording.name());
        assert_eq!(split.ended, whole.ended, "{}", recording.name());
        streams += 1;
    }
    assert!(streams >= 30, "{streams} streams");
}
