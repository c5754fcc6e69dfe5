//! What every written stream must be like, dialect by dialect: said here once more, without the
//! code that writes them.

use std::collections::BTreeMap;

use serde_json::Value;
use unbroken_wire::dialects::Dialect;

/// Checks the order of a stream's events.
pub(crate) fn check(dialect: &Dialect, bytes: &[u8], what: &str) {
    let text = std::str::from_utf8(bytes).unwrap();
    match dialect.name {
        "openai-chat" => chat(text, what),
        "openai-responses" => responses(&events(text), what),
        "anthropic-messages" => messages(&events(text), what),
        _ => gemini(text, what),
    }
}

/// The data of all events; the name of an event is its type.
fn events(text: &str) -> Vec<Value> {
    let mut events = Vec::new();
    for block in text.split("\n\n").filter(|block| block.starts_with("event: ")) {
        let (name, data) = block.trim_start_matches("event: ").split_once("\ndata: ").unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["type"], name);
        events.push(data);
    }
    events
}

fn chat(text: &str, what: &str) {
    let lines: Vec<&str> = text.split("\n\n").filter(|line| line.starts_with("data: ")).collect();
    assert_eq!(lines.last(), Some(&"data: [DONE]"), "{what}");
    let chunks: Vec<Value> = lines[..lines.len() - 1]
        .iter()
        .map(|line| serde_json::from_str(line.trim_start_matches("data: ")).unwrap())
        .collect();
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant", "{what}");
    let finishes = chunks.iter().filter(|c| c["choices"][0]["finish_reason"].is_string()).count();
    assert_eq!(finishes, 1, "{what}");
    assert!(chunks.iter().all(|chunk| chunk["id"] == chunks[0]["id"]), "{what}");
}

/// Every block is opened, filled and closed before the next one; the end is told once.
fn messages(events: &[Value], what: &str) {
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds.first(), Some(&"message_start"), "{what}");
    let tail = kinds.get(kinds.len() - 2..).unwrap();
    assert_eq!(tail, ["message_delta", "message_stop"], "{what}");
    let (mut next, mut open) = (0, None);
    for event in events {
        let index = event["index"].as_u64();
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                assert_eq!((index, open), (Some(next), None), "{what}");
                open = Some(next);
                next += 1;
            }
            "content_block_delta" => assert_eq!(index, open, "{what}"),
            "content_block_stop" => {
                assert_eq!(index, open, "{what}");
                open = None;
            }
            _ => {}
        }
    }
    assert_eq!(open, None, "{what}");
}

/// Numbers without a gap; every item opened and closed at its place under one id, its deltas adding
/// up to its end; one last event with all of it.
fn responses(events: &[Value], what: &str) {
    let mut open: BTreeMap<u64, (Value, String)> = BTreeMap::new();
    let mut done: BTreeMap<u64, Value> = BTreeMap::new();
    let mut opened = 0;
    parts(events, what);
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number, "{what}");
        let kind = event["type"].as_str().unwrap();
        let place = event["output_index"].as_u64();
        match kind {
            "response.output_item.added" => {
                let id = event["item"]["id"].clone();
                assert_eq!(place, Some(opened), "{what}");
                opened += 1;
                assert!(open.insert(place.unwrap(), (id, String::new())).is_none(), "{what}");
            }
            "response.output_item.done" => {
                let (id, text) = open.remove(&place.unwrap()).unwrap();
                let item = &event["item"];
                assert_eq!(item["id"], id, "{what}");
                assert_eq!(said(item), text, "{what}");
                done.insert(place.unwrap(), item.clone());
            }
            _ if kind.ends_with(".delta") || kind.ends_with(".done") || kind.contains("part") => {
                let (id, text) = open.get_mut(&place.unwrap()).unwrap();
                assert_eq!(event["item_id"], *id, "{what}: {kind}");
                if kind.ends_with(".delta") {
                    text.push_str(event["delta"].as_str().unwrap());
                }
            }
            _ => {}
        }
    }
    assert!(open.is_empty(), "{what}");
    let done: Vec<Value> = done.into_values().collect();
    ends_with(events, done, what);
}

/// One beginning, and one last event with every item.
fn ends_with(events: &[Value], done: Vec<Value>, what: &str) {
    assert_eq!(events[0]["type"], "response.created", "{what}");
    assert_eq!(events[1]["type"], "response.in_progress", "{what}");
    let is_terminal = |event: &&Value| {
        ["response.completed", "response.incomplete", "response.failed"]
            .contains(&event["type"].as_str().unwrap())
    };
    assert_eq!(events.iter().filter(is_terminal).count(), 1, "{what}");
    let last = events.last().unwrap();
    assert!(is_terminal(&last), "{what}");
    assert_eq!(last["response"]["output"], Value::from(done), "{what}");
    assert!(last["response"]["usage"]["total_tokens"].is_u64(), "{what}");
    assert!(last["response"]["usage"]["input_tokens_details"]["cached_tokens"].is_u64(), "{what}");
}

/// Every part is opened, its text ended and it closed, once each and in this order.
fn parts(events: &[Value], what: &str) {
    let mut stages: BTreeMap<String, &str> = BTreeMap::new();
    for event in events {
        let kind = event["type"].as_str().unwrap();
        let index = if event["summary_index"].is_u64() { "summary_index" } else { "content_index" };
        if !event[index].is_u64() {
            continue;
        }
        let part = format!("{} {index} {}", event["item_id"], event[index]);
        let (is_own, step) = (kind.contains("_part."), kind.rsplit('.').next().unwrap());
        let before = stages.get(&part).copied();
        let (due, now) = match (is_own, step) {
            (true, "added") => (None, "open"),
            (false, "delta") => (Some("open"), "open"),
            (false, "done") => (Some("open"), "ended"),
            (true, "done") => (Some("ended"), "closed"),
            _ => panic!("{what}: {kind}"),
        };
        assert_eq!(before, due, "{what}: {kind} of {part}");
        stages.insert(part, now);
    }
    assert!(stages.values().all(|stage| *stage == "closed"), "{what}: {stages:?}");
}

/// All that an item says.
fn said(item: &Value) -> String {
    let texts = |list: &Value, key: &str| -> String {
        list.as_array().into_iter().flatten().filter_map(|part| part[key].as_str()).collect()
    };
    match item["type"].as_str().unwrap() {
        "message" => item["content"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|part| part["text"].as_str().or_else(|| part["refusal"].as_str()))
            .collect(),
        "reasoning" => texts(&item["summary"], "text"),
        "function_call" => item["arguments"].as_str().unwrap().to_owned(),
        _ => item["input"].as_str().unwrap().to_owned(),
    }
}

fn gemini(text: &str, what: &str) {
    let chunks: Vec<Value> = text
        .split("\r\n\r\n")
        .filter_map(|line| line.trim().strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    let reasons = chunks.iter().filter(|c| c["candidates"][0]["finishReason"].is_string()).count();
    assert_eq!(reasons, 1, "{what}");
    let last = chunks.last().unwrap();
    assert!(last["candidates"][0]["finishReason"].is_string(), "{what}");
    assert!(last["usageMetadata"].is_object(), "{what}");
    assert!(text.ends_with("\r\n\r\n"), "{what}");
}
