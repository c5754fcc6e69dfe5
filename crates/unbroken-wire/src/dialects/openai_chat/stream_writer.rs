//! Writing streams of Chat Completions.

use serde_json::{Value, json};

use super::answer::{native_finish, write_usage};
use super::error_json;
use crate::chat::{StreamEvent, Usage};
use crate::dialects::fields::text;
use crate::dialects::{ClientError, Ended, StreamHead, StreamWriter};

/// Writes one stream: the role first, then content, the finish, usage if asked for, `[DONE]`.
#[derive(Debug)]
pub(super) struct Writer {
    id: String,
    model: String,
    created: u64,
    include_usage: bool,
    has_role: bool,
    has_adopted: bool,
    usage: Option<Usage>,
}

impl Writer {
    pub(super) fn new(head: &StreamHead) -> Self {
        Self {
            id: format!("chatcmpl-{}", head.id),
            model: head.model.clone(),
            created: head.created_unix,
            include_usage: head.include_usage,
            has_role: false,
            has_adopted: false,
            usage: None,
        }
    }

    fn chunk(&self, choices: &Value, usage: Option<Value>, out: &mut Vec<u8>) {
        let mut chunk = json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        });
        if let (true, Value::Object(chunk)) = (self.include_usage, &mut chunk) {
            chunk.insert("usage".to_owned(), usage.unwrap_or(Value::Null));
        }
        out.extend_from_slice(format!("data: {chunk}\n\n").as_bytes());
    }

    fn delta(&mut self, delta: &Value, finish: Option<&str>, out: &mut Vec<u8>) {
        if !self.has_role {
            self.has_role = true;
            self.delta(&json!({ "role": "assistant", "content": "" }), None, out);
        }
        let choice =
            json!({ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish });
        self.chunk(&json!([choice]), None, out);
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
            StreamEvent::Text(text) => self.delta(&json!({ "content": text }), None, out),
            StreamEvent::Refusal(text) => self.delta(&json!({ "refusal": text }), None, out),
            StreamEvent::Thinking(text) => {
                self.delta(&json!({ "reasoning_content": text }), None, out);
            }
            StreamEvent::ToolStart { index, id, name } => {
                let function = json!({ "name": name, "arguments": "" });
                let call =
                    json!({ "index": index, "id": id, "type": "function", "function": function });
                self.delta(&json!({ "tool_calls": [call] }), None, out);
            }
            StreamEvent::ToolArguments { index, fragment } => {
                let call = json!({ "index": index, "function": { "arguments": fragment } });
                self.delta(&json!({ "tool_calls": [call] }), None, out);
            }
            StreamEvent::Usage(usage) => self.usage = Some(*usage),
            StreamEvent::Ping => self.keep_alive(out),
            // The end writes the finish; signatures and errors have no place here.
            StreamEvent::Finish(_) | StreamEvent::Signature(_) | StreamEvent::Error(_) => {}
        }
    }

    fn end(&mut self, ended: &Ended, out: &mut Vec<u8>) {
        self.delta(&json!({}), Some(native_finish(ended.finish())), out);
        if self.include_usage
            && let Some(usage) = ended.usage().or(self.usage)
        {
            self.chunk(&json!([]), Some(write_usage(&usage)), out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn error(&mut self, error: &ClientError, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("data: {}\n\n", error_json(error)).as_bytes());
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b": keep-alive\n\n");
    }

    fn adopt(&mut self, _: Option<&str>, data: &str) {
        if self.has_adopted {
            return;
        }
        let Ok(chunk) = serde_json::from_str::<Value>(data) else { return };
        // Some hosts begin with a chunk that names nothing.
        let (id, model) = (text(&chunk, "id"), text(&chunk, "model"));
        if !id.is_empty() {
            id.clone_into(&mut self.id);
        }
        if !model.is_empty() {
            model.clone_into(&mut self.model);
        }
        if let Some(created) = chunk.get("created").and_then(Value::as_u64) {
            self.created = created;
        }
        self.has_role = true;
        self.has_adopted = !id.is_empty() && !model.is_empty();
    }

    fn seam(&mut self, _: &mut Vec<u8>) {}
}
