//! Streams of `generateContent`: chunks, of which the last has the finish reason. There is no
//! other sign of the end, so a stream without one is truncated however cleanly it closes.

use serde_json::Value;

use super::answer::{finish_reason, is_blocked, native_reason, read_usage};
use super::request::read_part;
use crate::chat::{Block, FinishReason, StreamEvent, Usage};
use crate::dialects::fields::{list, read_data, text};
use crate::dialects::{Ended, StreamReader, Truncated};
use crate::error::ErrorBody;
use crate::sse;

/// Reads one stream.
#[derive(Debug, Default)]
pub(super) struct Reader {
    has_started: bool,
    calls: u32,
    finish: Option<FinishReason>,
    /// Whether the finish reason came with content, and without the count of tokens that goes with
    /// the last chunk: old Vertex AI gives one with every chunk.
    is_doubtful: bool,
    usage: Option<Usage>,
    has_failed: bool,
}

impl StreamReader for Reader {
    fn read(&mut self, event: &sse::Event<'_>, out: &mut Vec<StreamEvent>) -> Result<(), String> {
        // Errors come as bare JSON, without `data:`, and may have been cut into lines.
        if !event.stray.is_empty() {
            self.has_failed = true;
            let error = ErrorBody::read(event.raw);
            if error.message.is_empty() && error.code.is_empty() {
                return Err("a line that belongs to no event".to_owned());
            }
            out.push(StreamEvent::Error(error));
            return Ok(());
        }
        let data = event.data.trim();
        if data.is_empty() || data == "[DONE]" {
            out.push(StreamEvent::Ping);
            return Ok(());
        }
        for chunk in read_data(data)? {
            self.read_value(chunk.get(0).unwrap_or(&chunk), out);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<Ended, Truncated> {
        match self.finish {
            Some(FinishReason::Error) | None => Err(Truncated),
            Some(_) if self.has_failed => Err(Truncated),
            Some(finish) => Ok(Ended::new(finish, self.usage)),
        }
    }

    fn is_ended(&self) -> bool {
        // Usage and signatures may still follow the reason; only the connection's end is the end.
        false
    }

    fn is_certain(&self) -> bool {
        !self.is_doubtful
    }
}

impl Reader {
    /// Reads one chunk, or the error in its place.
    pub(super) fn read_value(&mut self, chunk: &Value, out: &mut Vec<StreamEvent>) {
        if ErrorBody::is_in(chunk) {
            self.has_failed = true;
            out.push(StreamEvent::Error(ErrorBody::of(chunk)));
        } else {
            self.read_chunk(chunk, out);
        }
    }

    fn read_chunk(&mut self, chunk: &Value, out: &mut Vec<StreamEvent>) {
        if !self.has_started {
            self.has_started = true;
            let id = text(chunk, "responseId").to_owned();
            out.push(StreamEvent::Start { id, model: text(chunk, "modelVersion").to_owned() });
        }
        if let Some(usage) = chunk.get("usageMetadata") {
            let usage = read_usage(usage);
            self.usage = Some(usage);
            out.push(StreamEvent::Usage(usage));
        }
        if is_blocked(chunk) {
            self.finish = Some(FinishReason::Filter);
            out.push(StreamEvent::Finish(FinishReason::Filter));
        }
        let Some(candidate) = list(chunk, "candidates").first() else { return };
        let parts = candidate.get("content").map_or(&[][..], |content| list(content, "parts"));
        for part in parts {
            self.read_part(part, out);
        }
        let native = native_reason(candidate);
        if !native.is_empty() {
            self.is_doubtful = !parts.is_empty() && self.usage.is_none();
            let finish = finish_reason(native, self.calls > 0);
            self.finish = Some(finish);
            out.push(StreamEvent::Finish(finish));
        }
    }

    fn read_part(&mut self, part: &Value, out: &mut Vec<StreamEvent>) {
        let blocks = read_part(part, &format!("call_{}", self.calls));
        if blocks.is_empty() {
            out.push(StreamEvent::Ping);
        }
        for block in blocks {
            match block {
                Block::Text(text) => out.push(StreamEvent::Text(text)),
                Block::Thinking { text, proof } => {
                    if !text.is_empty() {
                        out.push(StreamEvent::Thinking(text));
                    }
                    out.extend(proof.map(StreamEvent::Proof));
                }
                Block::ToolCall(call) => {
                    let index = self.calls;
                    self.calls += 1;
                    out.push(StreamEvent::ToolStart { index, id: call.id, name: call.name });
                    let fragment = call.arguments;
                    out.push(StreamEvent::ToolArguments { index, fragment });
                    out.push(StreamEvent::ToolEnd { index });
                }
                _ => out.push(StreamEvent::Ping),
            }
        }
    }
}
