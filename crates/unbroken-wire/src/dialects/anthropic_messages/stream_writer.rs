//! Writing streams of Messages: contiguous indices, one open block at a time.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answer::{native_finish, write_usage};
use super::error_json;
use crate::chat::{Proof, StreamEvent, Usage};
use crate::dialects::fields::{count, text};
use crate::dialects::{ClientError, Ended, StreamHead, StreamWriter};
use crate::seal;

/// Writes one stream.
#[derive(Debug)]
pub(super) struct Writer {
    id: String,
    model: String,
    input_estimate: u64,
    has_started: bool,
    has_pinged: bool,
    /// Whether the open thinking has its signature.
    has_signed: bool,
    index: u64,
    open: Open,
    /// Calls whose block is not open: other dialects let calls grow side by side.
    waiting: BTreeMap<u32, Waiting>,
    usage: Usage,
}

/// Events that say which blocks there are.
const ADOPTED: &[&str] = &["message_start", "content_block_start", "content_block_stop"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Nothing,
    Text,
    Thinking,
    Redacted,
    Call(u32),
    /// A block of the provider's own, passed on as it came.
    Other,
}

#[derive(Debug)]
struct Waiting {
    id: String,
    name: String,
    arguments: String,
    is_whole: bool,
}

impl Writer {
    pub(super) fn new(head: &StreamHead) -> Self {
        Self {
            id: format!("msg_{}", head.id),
            model: head.model.clone(),
            input_estimate: head.input_tokens_estimate,
            has_started: false,
            has_pinged: false,
            has_signed: false,
            index: 0,
            open: Open::Nothing,
            waiting: BTreeMap::new(),
            usage: Usage::default(),
        }
    }

    fn event(name: &str, data: &Value, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("event: {name}\ndata: {data}\n\n").as_bytes());
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if self.has_started {
            return;
        }
        self.has_started = true;
        let mut usage = self.usage;
        if usage.input == 0 {
            usage.input = self.input_estimate;
        }
        usage.output = usage.output.max(1);
        let message = json!({
            "id": self.id, "type": "message", "role": "assistant", "model": self.model,
            "content": [], "stop_reason": null, "stop_sequence": null,
            "usage": write_usage(&usage),
        });
        let data = json!({ "type": "message_start", "message": message });
        Self::event("message_start", &data, out);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open == Open::Thinking && !std::mem::take(&mut self.has_signed) {
            // Thinking that nobody signed is not sent back to those who sign theirs.
            let nothing = seal::nothing();
            self.delta(&json!({ "type": "signature_delta", "signature": nothing }), out);
        }
        if self.open != Open::Nothing {
            let data = json!({ "type": "content_block_stop", "index": self.index });
            Self::event("content_block_stop", &data, out);
            self.index += 1;
            self.open = Open::Nothing;
        }
    }

    fn open(&mut self, what: Open, block: &Value, out: &mut Vec<u8>) {
        if self.open == what {
            return;
        }
        self.start(out);
        self.close(out);
        self.open = what;
        let data =
            json!({ "type": "content_block_start", "index": self.index, "content_block": block });
        Self::event("content_block_start", &data, out);
        if !self.has_pinged {
            self.has_pinged = true;
            self.keep_alive(out);
        }
    }

    fn delta(&self, delta: &Value, out: &mut Vec<u8>) {
        let data = json!({ "type": "content_block_delta", "index": self.index, "delta": delta });
        Self::event("content_block_delta", &data, out);
    }

    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        self.flush_calls_unless_open(out);
        self.open(Open::Text, &json!({ "type": "text", "text": "" }), out);
        self.delta(&json!({ "type": "text_delta", "text": text }), out);
    }

    fn open_call(&mut self, index: u32, id: &str, name: &str, out: &mut Vec<u8>) {
        let block = json!({ "type": "tool_use", "id": id, "name": name, "input": {} });
        self.open(Open::Call(index), &block, out);
    }

    fn arguments(&self, fragment: &str, out: &mut Vec<u8>) {
        self.delta(&json!({ "type": "input_json_delta", "partial_json": fragment }), out);
    }

    /// Text after calls closes the calls that were waiting.
    fn flush_calls_unless_open(&mut self, out: &mut Vec<u8>) {
        if !self.waiting.is_empty() {
            self.flush_calls(out);
        }
    }

    /// A call is whole: the next one may be opened, and those that are whole already are written.
    fn end_call(&mut self, index: u32, out: &mut Vec<u8>) {
        if self.open != Open::Call(index) {
            if let Some(call) = self.waiting.get_mut(&index) {
                call.is_whole = true;
            }
            return;
        }
        self.close(out);
        while let Some((index, call)) = self.waiting.pop_first() {
            self.open_call(index, &call.id, &call.name, out);
            if !call.arguments.is_empty() {
                self.arguments(&call.arguments, out);
            }
            if !call.is_whole {
                return;
            }
            self.close(out);
        }
    }

    /// The proof of the open thinking; alone it is thinking that nobody may read.
    fn proof(&mut self, proof: &Proof, out: &mut Vec<u8>) {
        let sealed = seal::seal(proof);
        if self.open == Open::Thinking {
            self.delta(&json!({ "type": "signature_delta", "signature": sealed }), out);
            self.has_signed = true;
            self.close(out);
        } else {
            self.flush_calls_unless_open(out);
            let block = json!({ "type": "redacted_thinking", "data": sealed });
            self.open(Open::Redacted, &block, out);
            self.close(out);
        }
    }

    fn flush_calls(&mut self, out: &mut Vec<u8>) {
        for (index, call) in std::mem::take(&mut self.waiting) {
            self.open_call(index, &call.id, &call.name, out);
            if !call.arguments.is_empty() {
                self.arguments(&call.arguments, out);
            }
        }
    }
}

impl StreamWriter for Writer {
    fn write(&mut self, event: &StreamEvent, out: &mut Vec<u8>) {
        match event {
            StreamEvent::Start { model, .. } => {
                if !model.is_empty() {
                    self.model.clone_from(model);
                }
            }
            StreamEvent::Text(text) | StreamEvent::Refusal(text) => self.text(text, out),
            StreamEvent::Thinking(text) => {
                let block = json!({ "type": "thinking", "thinking": "", "signature": "" });
                self.open(Open::Thinking, &block, out);
                self.delta(&json!({ "type": "thinking_delta", "thinking": text }), out);
            }
            StreamEvent::ToolStart { index, id, name } => {
                if matches!(self.open, Open::Call(_)) {
                    let (id, name) = (id.clone(), name.clone());
                    let (arguments, is_whole) = (String::new(), false);
                    let call = Waiting { id, name, arguments, is_whole };
                    self.waiting.insert(*index, call);
                } else {
                    self.open_call(*index, id, name, out);
                }
            }
            StreamEvent::ToolArguments { index, fragment } => {
                if self.open == Open::Call(*index) {
                    self.arguments(fragment, out);
                } else if let Some(call) = self.waiting.get_mut(index) {
                    call.arguments.push_str(fragment);
                }
            }
            StreamEvent::ToolEnd { index } => self.end_call(*index, out),
            StreamEvent::Proof(proof) => self.proof(proof, out),
            StreamEvent::Usage(usage) => self.usage = *usage,
            StreamEvent::Ping => self.keep_alive(out),
            StreamEvent::Finish(_) | StreamEvent::Error(_) => {}
        }
    }

    fn end(&mut self, ended: &Ended, out: &mut Vec<u8>) {
        self.start(out);
        self.flush_calls(out);
        self.close(out);
        let delta = json!({
            "stop_reason": native_finish(ended.finish()), "stop_sequence": null,
        });
        let usage = write_usage(&ended.usage().unwrap_or(self.usage));
        let data = json!({ "type": "message_delta", "delta": delta, "usage": usage });
        Self::event("message_delta", &data, out);
        Self::event("message_stop", &json!({ "type": "message_stop" }), out);
    }

    fn error(&mut self, error: &ClientError, out: &mut Vec<u8>) {
        Self::event("error", &error_json(error), out);
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        // A ping before the first event is a comment: nothing may precede `message_start`.
        if self.has_started {
            Self::event("ping", &json!({ "type": "ping" }), out);
        } else {
            out.extend_from_slice(b": keep-alive\n\n");
        }
    }

    fn adopt(&mut self, name: Option<&str>, data: &str) {
        // Deltas are many and change nothing here.
        if name.is_some_and(|name| !ADOPTED.contains(&name)) {
            return;
        }
        let Ok(data) = serde_json::from_str::<Value>(data) else { return };
        match text(&data, "type") {
            "message_start" => {
                let message = data.get("message").unwrap_or(&Value::Null);
                text(message, "id").clone_into(&mut self.id);
                text(message, "model").clone_into(&mut self.model);
                self.has_started = true;
                self.has_pinged = true;
            }
            "content_block_start" => {
                self.index = count(&data, "index").unwrap_or(self.index);
                self.open = match data.pointer("/content_block/type").and_then(Value::as_str) {
                    Some("text") => Open::Text,
                    Some("thinking") => Open::Thinking,
                    Some(_) | None => Open::Other,
                };
            }
            "content_block_stop" => {
                self.index += 1;
                self.open = Open::Nothing;
            }
            _ => {}
        }
    }

    fn seam(&mut self, out: &mut Vec<u8>) {
        // Another model does not think this one's thoughts to their end.
        if self.open != Open::Text {
            self.close(out);
        }
    }
}
