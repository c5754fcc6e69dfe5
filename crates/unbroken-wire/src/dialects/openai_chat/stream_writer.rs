//! Writing streams of Chat Completions.

use serde_json::{Value, json};

use super::answer::{native_finish, signature_of, wants_function_call, write_detail, write_usage};
use super::error_json;
use crate::chat::{Proof, StreamEvent, Usage};
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
    /// Whether the request was in the form that came before tools.
    is_legacy: bool,
    /// Proofs so far, of which one may belong to a call that follows.
    proofs: Vec<Proof>,
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
            is_legacy: wants_function_call(head),
            proofs: Vec::new(),
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

impl Writer {
    fn start_call(&mut self, index: u32, id: &str, name: &str, out: &mut Vec<u8>) {
        let function = json!({ "name": name, "arguments": "" });
        if self.is_legacy {
            self.delta(&json!({ "function_call": function }), None, out);
            return;
        }
        let mut call =
            json!({ "index": index, "id": id, "type": "function", "function": function });
        let signature = self.proofs.iter().find_map(|proof| signature_of(proof, id));
        if let (Some(signature), Value::Object(call)) = (signature, &mut call) {
            let google = json!({ "google": { "thought_signature": signature } });
            call.insert("extra_content".to_owned(), google);
        }
        self.delta(&json!({ "tool_calls": [call] }), None, out);
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
            StreamEvent::Proof(proof) => {
                let detail = write_detail(proof, self.proofs.len());
                self.proofs.push(proof.clone());
                self.delta(&json!({ "reasoning_details": [detail] }), None, out);
            }
            StreamEvent::ToolStart { index, id, name } => self.start_call(*index, id, name, out),
            StreamEvent::ToolArguments { fragment, .. } if self.is_legacy => {
                let call = json!({ "arguments": fragment });
                self.delta(&json!({ "function_call": call }), None, out);
            }
            StreamEvent::ToolArguments { index, fragment } => {
                let call = json!({ "index": index, "function": { "arguments": fragment } });
                self.delta(&json!({ "tool_calls": [call] }), None, out);
            }
            StreamEvent::Usage(usage) => self.usage = Some(*usage),
            StreamEvent::Ping => self.keep_alive(out),
            // The end writes the finish; errors are not the writer's to tell.
            StreamEvent::Finish(_) | StreamEvent::ToolEnd { .. } | StreamEvent::Error(_) => {}
        }
    }

    fn end(&mut self, ended: &Ended, out: &mut Vec<u8>) {
        self.delta(&json!({}), Some(native_finish(ended.finish(), self.is_legacy)), out);
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
        // Some hosts begin with a chunk that names nothing; others name the model alone, and give
        // the empty id throughout.
        let (id, model) = (text(&chunk, "id"), text(&chunk, "model"));
        if !id.is_empty() || (!model.is_empty() && chunk.get("id").is_some_and(Value::is_string)) {
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

    fn missing_usage(&mut self, usage: &Usage, out: &mut Vec<u8>) {
        if self.include_usage {
            self.chunk(&json!([]), Some(write_usage(usage)), out);
        }
    }
}
