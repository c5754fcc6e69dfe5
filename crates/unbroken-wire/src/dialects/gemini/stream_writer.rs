//! Writing streams of `generateContent`: calls come whole, the last chunk has the reason and usage.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answer::{native_finish, write_thinking, write_usage};
use super::error_json;
use crate::chat::{StreamEvent, ToolCall, Usage};
use crate::dialects::fields::text;
use crate::dialects::{ClientError, Ended, Framing, StreamHead, StreamWriter};

/// Writes one stream.
#[derive(Debug)]
pub(super) struct Writer {
    id: String,
    model: String,
    framing: Framing,
    has_started: bool,
    has_adopted: bool,
    calls: BTreeMap<u32, ToolCall>,
    usage: Option<Usage>,
}

impl Writer {
    pub(super) fn new(head: &StreamHead) -> Self {
        Self {
            id: head.id.clone(),
            model: head.model.clone(),
            framing: head.framing,
            has_started: false,
            has_adopted: false,
            calls: BTreeMap::new(),
            usage: None,
        }
    }

    fn element(&mut self, json: &Value, out: &mut Vec<u8>) {
        let text = match (self.framing, self.has_started) {
            (Framing::Sse, _) => format!("data: {json}\r\n\r\n"),
            (Framing::JsonArray, false) => format!("[{json}"),
            (Framing::JsonArray, true) => format!(",\r\n{json}"),
        };
        self.has_started = true;
        out.extend_from_slice(text.as_bytes());
    }

    fn chunk(&mut self, parts: &Value, finish: Option<&str>, out: &mut Vec<u8>) {
        let mut candidate = json!({ "content": { "role": "model", "parts": parts }, "index": 0 });
        if let (Some(finish), Value::Object(candidate)) = (finish, &mut candidate) {
            candidate.insert("finishReason".to_owned(), finish.into());
        }
        let mut chunk = json!({
            "candidates": [candidate], "modelVersion": self.model, "responseId": self.id,
        });
        if let (Some(usage), Value::Object(chunk)) = (&self.usage, &mut chunk) {
            chunk.insert("usageMetadata".to_owned(), write_usage(usage));
        }
        self.element(&chunk, out);
    }

    /// Whole calls cannot be written before their arguments are there.
    fn flush_calls(&mut self, out: &mut Vec<u8>) {
        while let Some((_, call)) = self.calls.pop_first() {
            self.call(&call, out);
        }
    }

    fn call(&mut self, call: &ToolCall, out: &mut Vec<u8>) {
        let part = json!({ "functionCall": {
            "id": call.id, "name": call.name, "args": call.input().0,
        }});
        self.chunk(&json!([part]), None, out);
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
            StreamEvent::Text(text) | StreamEvent::Refusal(text) => {
                self.chunk(&json!([{ "text": text }]), None, out);
            }
            StreamEvent::Thinking(text) => {
                self.chunk(&json!([{ "text": text, "thought": true }]), None, out);
            }
            StreamEvent::Proof(proof) => {
                self.chunk(&json!([write_thinking("", Some(proof))]), None, out);
            }
            StreamEvent::ToolStart { index, id, name } => {
                let (id, name) = (id.clone(), name.clone());
                self.calls.insert(*index, ToolCall { id, name, arguments: String::new() });
            }
            StreamEvent::ToolArguments { index, fragment } => {
                if let Some(call) = self.calls.get_mut(index) {
                    call.arguments.push_str(fragment);
                }
            }
            // Whole calls cannot be written before their arguments are there.
            StreamEvent::ToolEnd { index } => {
                if let Some(call) = self.calls.remove(index) {
                    self.call(&call, out);
                }
            }
            StreamEvent::Usage(usage) => self.usage = Some(*usage),
            StreamEvent::Ping | StreamEvent::Finish(_) | StreamEvent::Error(_) => {}
        }
    }

    fn end(&mut self, ended: &Ended, out: &mut Vec<u8>) {
        self.flush_calls(out);
        self.usage = ended.usage().or(self.usage).or_else(|| Some(Usage::default()));
        let finish = native_finish(ended.finish());
        self.chunk(&json!([{ "text": "" }]), Some(finish), out);
        if self.framing == Framing::JsonArray {
            out.extend_from_slice(b"]\r\n");
        }
    }

    fn error(&mut self, error: &ClientError, out: &mut Vec<u8>) {
        // Its SDKs look for a chunk that begins with the error, and for nothing else in it.
        let json = error_json(error);
        self.element(&json, out);
        if self.framing == Framing::JsonArray {
            out.extend_from_slice(b"]\r\n");
        }
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        match self.framing {
            // Google's Python SDK takes a comment for broken JSON (3.6.1, seen in the acceptance
            // tests); it skips blank lines.
            Framing::Sse => out.extend_from_slice(b"\r\n\r\n"),
            // White space between the elements of an array means nothing.
            Framing::JsonArray if self.has_started => out.extend_from_slice(b"\n"),
            Framing::JsonArray => {}
        }
    }

    fn adopt(&mut self, _: Option<&str>, data: &str) {
        if self.has_adopted {
            return;
        }
        let Ok(chunk) = serde_json::from_str::<Value>(data) else { return };
        let (id, model) = (text(&chunk, "responseId"), text(&chunk, "modelVersion"));
        if !id.is_empty() {
            id.clone_into(&mut self.id);
        }
        if !model.is_empty() {
            model.clone_into(&mut self.model);
        }
        self.has_started = true;
        self.has_adopted = !id.is_empty() && !model.is_empty();
    }

    fn seam(&mut self, _: &mut Vec<u8>) {}
}
