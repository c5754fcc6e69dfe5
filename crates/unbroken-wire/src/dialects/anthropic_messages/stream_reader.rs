//! Streams of Messages.

use serde_json::{Value, json};

use super::answer::{finish_reason, read_usage};
use crate::chat::{FinishReason, Proof, StreamEvent, Usage};
use crate::dialects::fields::{some_text, text};
use crate::dialects::{Ended, StreamReader, Truncated, plain};
use crate::error::ErrorBody;
use crate::{seal, sse};

/// Reads one stream.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The call that the open block is, if it is one.
    open_call: Option<u32>,
    /// The thinking of the open block, for its signature.
    thinking: String,
    calls: u32,
    finish: Option<FinishReason>,
    usage: Usage,
    is_done: bool,
    has_failed: bool,
}

impl StreamReader for Reader {
    fn read(&mut self, event: &sse::Event<'_>, out: &mut Vec<StreamEvent>) -> Result<(), String> {
        if !event.stray.is_empty() {
            return Err("a line that belongs to no event".to_owned());
        }
        let data = event.data.trim();
        if data.is_empty() || data == "[DONE]" {
            out.push(StreamEvent::Ping);
            return Ok(());
        }
        if let Some(text) = plain::messages_text(data) {
            let text = StreamEvent::Text(text.into_owned());
            debug_assert!(is_read_as(data, &text), "both readers agree");
            out.push(text);
            return Ok(());
        }
        let data: Value = serde_json::from_str(data).map_err(|error| error.to_string())?;
        if ErrorBody::is_in(&data) {
            self.has_failed = true;
            out.push(StreamEvent::Error(ErrorBody::of(&data)));
            return Ok(());
        }
        match text(&data, "type") {
            "message_start" => self.read_start(&data, out),
            "content_block_start" => self.read_block_start(&data, out),
            "content_block_delta" => self.read_delta(&data, out),
            "content_block_stop" => {
                out.extend(self.open_call.take().map(|index| StreamEvent::ToolEnd { index }));
            }
            "message_delta" => self.read_message_delta(&data, out),
            "message_stop" => self.is_done = true,
            _ => out.push(StreamEvent::Ping),
        }
        Ok(())
    }

    fn end(&mut self) -> Result<Ended, Truncated> {
        match self.finish {
            Some(finish) if !self.has_failed => Ok(Ended::new(finish, Some(self.usage))),
            // Some hosts leave the reason out; the last event still means the end.
            None if self.is_done && !self.has_failed => {
                Ok(Ended::new(FinishReason::Stop, Some(self.usage)))
            }
            Some(_) | None => Err(Truncated),
        }
    }

    fn is_ended(&self) -> bool {
        self.is_done
    }
}

/// Whether reading it in full gives the same. Where that fails, it does in a field that says
/// nothing.
fn is_read_as(data: &str, event: &StreamEvent) -> bool {
    let mut out = Vec::new();
    let Ok(data) = serde_json::from_str::<Value>(data) else { return true };
    Reader::default().read_delta(&data, &mut out);
    matches!(out.as_slice(), [only] if only == event) && !ErrorBody::is_in(&data)
}

impl Reader {
    fn read_start(&mut self, data: &Value, out: &mut Vec<StreamEvent>) {
        let message = data.get("message").unwrap_or(&Value::Null);
        let (id, model) = (text(message, "id").to_owned(), text(message, "model").to_owned());
        out.push(StreamEvent::Start { id, model });
        if let Some(usage) = message.get("usage") {
            self.usage = read_usage(usage, self.usage);
            out.push(StreamEvent::Usage(self.usage));
        }
    }

    fn read_block_start(&mut self, data: &Value, out: &mut Vec<StreamEvent>) {
        let block = data.get("content_block").unwrap_or(&Value::Null);
        match text(block, "type") {
            "tool_use" => {
                let index = self.calls;
                self.calls += 1;
                self.open_call = Some(index);
                let (id, name) = (text(block, "id").to_owned(), text(block, "name").to_owned());
                out.push(StreamEvent::ToolStart { index, id, name });
                // Some hosts put all of the input into the start.
                let input = block.get("input").and_then(Value::as_object);
                if let Some(input) = input.filter(|input| !input.is_empty()) {
                    let fragment = Value::Object(input.clone()).to_string();
                    out.push(StreamEvent::ToolArguments { index, fragment });
                }
            }
            "text" => out.extend(some_text(block, "text").map(StreamEvent::Text)),
            "thinking" => {
                text(block, "thinking").clone_into(&mut self.thinking);
                out.extend(some_text(block, "thinking").map(StreamEvent::Thinking));
                let signature = some_text(block, "signature");
                out.extend(signature.and_then(|s| self.proof(&s)).map(StreamEvent::Proof));
            }
            "redacted_thinking" => {
                let json = block.to_string();
                let proof = Proof { origin: super::ANTHROPIC_MESSAGES.name, json };
                let data = text(block, "data");
                let proof = if seal::is_sealed(data) { seal::open(data) } else { Some(proof) };
                out.extend(proof.map(StreamEvent::Proof));
            }
            _ => out.push(StreamEvent::Ping),
        }
    }

    /// The signed thinking, as it goes back to its maker.
    fn proof(&mut self, signature: &str) -> Option<Proof> {
        let thinking = std::mem::take(&mut self.thinking);
        if seal::is_sealed(signature) {
            return seal::open(signature);
        }
        let block = json!({ "type": "thinking", "thinking": thinking, "signature": signature });
        Some(Proof { origin: super::ANTHROPIC_MESSAGES.name, json: block.to_string() })
    }

    fn read_delta(&mut self, data: &Value, out: &mut Vec<StreamEvent>) {
        let delta = data.get("delta").unwrap_or(&Value::Null);
        let read = |key| some_text(delta, key);
        match text(delta, "type") {
            "text_delta" => out.extend(read("text").map(StreamEvent::Text)),
            "thinking_delta" => {
                self.thinking.push_str(text(delta, "thinking"));
                out.extend(read("thinking").map(StreamEvent::Thinking));
            }
            "signature_delta" => {
                let signature = read("signature");
                out.extend(signature.and_then(|s| self.proof(&s)).map(StreamEvent::Proof));
            }
            "input_json_delta" => {
                if let (Some(index), Some(fragment)) = (self.open_call, read("partial_json")) {
                    out.push(StreamEvent::ToolArguments { index, fragment });
                }
            }
            _ => out.push(StreamEvent::Ping),
        }
    }

    fn read_message_delta(&mut self, data: &Value, out: &mut Vec<StreamEvent>) {
        if let Some(usage) = data.get("usage") {
            self.usage = read_usage(usage, self.usage);
            out.push(StreamEvent::Usage(self.usage));
        }
        let reason = data.get("delta").and_then(|delta| some_text(delta, "stop_reason"));
        if let Some(reason) = reason {
            let finish = finish_reason(&reason);
            self.finish = Some(finish);
            out.push(StreamEvent::Finish(finish));
        }
    }
}
