//! AWS's frames, as recorded at Bedrock: every one is read, however the bytes are cut.

use serde_json::Value;
use unbroken_wire::dialects::ANTHROPIC_MESSAGES;
use unbroken_wire::event_stream::Decoder;
use unbroken_wire::{base64, sse};

use crate::recordings;

/// The bytes of a stream and its frames, as the recorder has decoded them.
fn streams() -> Vec<(String, Vec<u8>, Vec<Value>)> {
    let found = recordings::in_folders(&["invoke_model_stream", "converse_stream"]);
    let read = |(name, json): (String, Value)| {
        let bytes = base64::decode(json["response"]["body_b64"].as_str()?)?;
        Some((name, bytes, json["response"]["frames"].as_array()?.clone()))
    };
    found.into_iter().filter_map(read).collect()
}

fn events(bytes: &[u8]) -> Vec<(String, Value)> {
    let mut parser = sse::Parser::new();
    parser.push(bytes).unwrap();
    let mut events = Vec::new();
    while let Some(event) = parser.next_event() {
        let data = serde_json::from_str(&event.data).unwrap();
        events.push((event.name.clone().unwrap_or_default(), data));
    }
    events
}

/// What the recorder saw in a frame.
fn recorded(frame: &Value) -> Value {
    let payload = &frame["payload"];
    if !payload["bytes_json"].is_null() {
        return payload["bytes_json"].clone();
    }
    let mut payload = payload.clone();
    if let Value::Object(object) = &mut payload {
        object.shift_remove("p");
    }
    payload
}

#[test]
fn recorded_frames_are_read_as_the_recorder_read_them() {
    let mut frames = 0;
    let streams = streams();
    for (name, bytes, expected) in &streams {
        let mut decoder = Decoder::new();
        let decoded = decoder.push(bytes).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert!(decoder.is_between_frames(), "{name}");
        let data: Vec<Value> = events(&decoded).into_iter().map(|(_, data)| data).collect();
        let expected: Vec<Value> = expected.iter().map(recorded).collect();
        assert_eq!(data, expected, "{name}");
        frames += data.len();
        // In two pieces, at a hundred places.
        for cut in (0..bytes.len()).step_by(bytes.len() / 100 + 1) {
            let mut decoder = Decoder::new();
            let (one, other) = bytes.split_at(cut);
            let mut cut_events = decoder.push(one).unwrap();
            cut_events.extend(decoder.push(other).unwrap());
            assert_eq!(cut_events, decoded, "{name} cut at {cut}");
        }
    }
    assert!(streams.len() >= 2 && frames >= 10, "{frames} frames in {} streams", streams.len());
}

#[test]
fn claudes_streams_end_as_anthropics_do_and_cut_ones_do_not() {
    let mut read = 0;
    for (name, bytes, frames) in streams() {
        let is_claude =
            frames.first().is_some_and(|f| f["payload"]["bytes_json"]["type"] == "message_start");
        if !is_claude {
            continue;
        }
        let whole = Decoder::new().push(&bytes).unwrap();
        assert!(ends(&whole), "{name}");
        let cut = Decoder::new().push(&bytes[..bytes.len() / 2]).unwrap();
        assert!(!ends(&cut), "{name}: half of it is missing");
        read += 1;
    }
    assert!(read >= 1, "no stream of Claude");
}

fn ends(events: &[u8]) -> bool {
    let mut parser = sse::Parser::new();
    parser.push(events).unwrap();
    let mut reader = (ANTHROPIC_MESSAGES.stream_reader)();
    while let Some(event) = parser.next_event() {
        reader.read(&event, &mut Vec::new()).unwrap();
    }
    reader.end().is_ok()
}
