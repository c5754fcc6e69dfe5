//! What targets say in dialects that no client is answered in: written here, without the code that
//! reads it.

use serde_json::{Value, json};
use unbroken_wire::chat::{Answer, Block, FinishReason};
use unbroken_wire::event_stream::Decoder;

/// A whole answer of Converse.
pub(crate) fn converse_body(answer: &Answer) -> Vec<u8> {
    let content: Vec<Value> = answer
        .blocks
        .iter()
        .map(|block| match block {
            Block::Text(text) => json!({ "text": text }),
            Block::Thinking { text, .. } => {
                json!({ "reasoningContent": { "reasoningText": { "text": text } } })
            }
            Block::ToolCall(call) => json!({ "toolUse": {
                "toolUseId": call.id, "name": call.name, "input": call.input().0,
            }}),
            other => panic!("{other:?}"),
        })
        .collect();
    let usage = answer.usage.unwrap();
    let body = json!({
        "metrics": { "latencyMs": 7 },
        "output": { "message": { "role": "assistant", "content": content } },
        "stopReason": converse_stop(answer.finish),
        "usage": { "inputTokens": usage.input, "outputTokens": usage.output },
    });
    body.to_string().into_bytes()
}

fn converse_stop(finish: FinishReason) -> &'static str {
    if finish == FinishReason::ToolCalls { "tool_use" } else { "end_turn" }
}

/// The frames of an answer that comes as a stream.
pub(crate) fn converse_frames(answer: &Answer) -> Vec<Vec<u8>> {
    let mut frames = vec![event("messageStart", &json!({ "role": "assistant", "p": "abc" }))];
    for (place, block) in answer.blocks.iter().enumerate() {
        let mut deltas = Vec::new();
        match block {
            Block::Text(text) => deltas.extend(halves(text).map(|half| json!({ "text": half }))),
            Block::Thinking { text, .. } => {
                let delta = |half| json!({ "reasoningContent": { "text": half } });
                deltas.extend(halves(text).map(delta));
            }
            Block::ToolCall(call) => {
                let start = json!({ "toolUse": { "toolUseId": call.id, "name": call.name } });
                let start = json!({ "contentBlockIndex": place, "start": start });
                frames.push(event("contentBlockStart", &start));
                let delta = |half| json!({ "toolUse": { "input": half } });
                deltas.extend(halves(&call.arguments).map(delta));
            }
            other => panic!("{other:?}"),
        }
        for delta in deltas {
            let delta = json!({ "contentBlockIndex": place, "delta": delta, "p": "abcdef" });
            frames.push(event("contentBlockDelta", &delta));
        }
        frames.push(event("contentBlockStop", &json!({ "contentBlockIndex": place })));
    }
    let stop = json!({ "stopReason": converse_stop(answer.finish) });
    frames.push(event("messageStop", &stop));
    let usage = answer.usage.unwrap();
    let usage = json!({ "inputTokens": usage.input, "outputTokens": usage.output });
    frames.push(event("metadata", &json!({ "usage": usage, "metrics": { "latencyMs": 7 } })));
    frames
}

/// The same as the server-sent events that the decoder makes of the frames.
pub(crate) fn converse_stream(answer: &Answer) -> Vec<u8> {
    Decoder::new().push(&converse_frames(answer).concat()).unwrap()
}

/// An event in a frame of AWS's.
pub(crate) fn event(kind: &str, payload: &Value) -> Vec<u8> {
    let headers =
        [(":event-type", kind), (":content-type", "application/json"), (":message-type", "event")];
    frame(&headers, payload)
}

/// A frame of AWS's.
pub(crate) fn frame(headers: &[(&str, &str)], payload: &Value) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(u8::try_from(name.len()).unwrap());
        head.extend(name.as_bytes());
        head.push(7);
        head.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        head.extend(value.as_bytes());
    }
    let payload = payload.to_string();
    let total = u32::try_from(16 + head.len() + payload.len()).unwrap();
    let mut frame = total.to_be_bytes().to_vec();
    frame.extend(u32::try_from(head.len()).unwrap().to_be_bytes());
    frame.extend(crc32(&frame).to_be_bytes());
    frame.extend(head);
    frame.extend(payload.as_bytes());
    frame.extend(crc32(&frame).to_be_bytes());
    frame
}

/// Bit by bit, without a table.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 }
        })
    })
}

fn halves(text: &str) -> impl Iterator<Item = &str> {
    let middle = (0..=text.len() / 2).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let (one, other) = text.split_at(middle);
    [one, other].into_iter()
}

/// A whole answer of Cohere's.
pub(crate) fn cohere_body(answer: &Answer) -> Vec<u8> {
    let (mut content, mut calls) = (Vec::new(), Vec::new());
    for block in &answer.blocks {
        match block {
            Block::Text(text) => content.push(json!({ "type": "text", "text": text })),
            Block::Thinking { text, .. } => {
                content.push(json!({ "type": "thinking", "thinking": text }));
            }
            Block::ToolCall(call) => calls.push(json!({
                "id": call.id, "type": "function",
                "function": { "name": call.name, "arguments": call.arguments },
            })),
            other => panic!("{other:?}"),
        }
    }
    let body = json!({
        "id": answer.id,
        "message": { "role": "assistant", "content": content, "tool_calls": calls },
        "finish_reason": cohere_finish(answer.finish),
        "usage": cohere_usage(answer),
    });
    body.to_string().into_bytes()
}

fn cohere_finish(finish: FinishReason) -> &'static str {
    if finish == FinishReason::ToolCalls { "TOOL_CALL" } else { "COMPLETE" }
}

/// Numbers are floats there; what is on the bill is another number.
fn cohere_usage(answer: &Answer) -> Value {
    let usage = answer.usage.unwrap();
    json!({
        "billed_units": { "input_tokens": 1.0, "output_tokens": 1.0 },
        "tokens": { "input_tokens": usage.input as f64, "output_tokens": usage.output as f64 },
    })
}

/// The same as a stream.
pub(crate) fn cohere_stream(answer: &Answer) -> Vec<u8> {
    let mut out = Vec::new();
    let mut say = |kind: &str, place: usize, mut data: Value| {
        data["type"] = kind.into();
        data["index"] = place.into();
        out.extend(format!("event: {kind}\ndata: {data}\n\n").into_bytes());
    };
    say("message-start", 0, json!({ "id": answer.id, "delta": { "message": {} } }));
    for (place, block) in answer.blocks.iter().enumerate() {
        let message = |inner: Value| json!({ "delta": { "message": inner } });
        match block {
            Block::Text(text) | Block::Thinking { text, .. } => {
                let key = if matches!(block, Block::Text(_)) { "text" } else { "thinking" };
                say(
                    "content-start",
                    place,
                    message(json!({ "content": { "type": key, key: "" } })),
                );
                for half in halves(text) {
                    say("content-delta", place, message(json!({ "content": { key: half } })));
                }
                say("content-end", place, json!({}));
            }
            Block::ToolCall(call) => {
                let start = json!({
                    "id": call.id, "type": "function",
                    "function": { "name": call.name, "arguments": "" },
                });
                say("tool-call-start", place, message(json!({ "tool_calls": start })));
                for half in halves(&call.arguments) {
                    let inner = json!({ "tool_calls": { "function": { "arguments": half } } });
                    say("tool-call-delta", place, message(inner));
                }
                say("tool-call-end", place, json!({}));
            }
            other => panic!("{other:?}"),
        }
    }
    let (finish, usage) = (cohere_finish(answer.finish), cohere_usage(answer));
    say("message-end", 0, json!({ "delta": { "finish_reason": finish, "usage": usage } }));
    out
}
