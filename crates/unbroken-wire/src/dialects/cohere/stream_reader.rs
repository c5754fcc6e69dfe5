//! Streams of Cohere's chat. Citations have no place in other dialects and are left out.

use serde_json::Value;

use super::answer::{finish_reason, read_call, read_usage};
use crate::chat::{FinishReason, StreamEvent, Usage};
use crate::dialects::fields::{some_text, text};
use crate::dialects::{Ended, StreamReader, Truncated};
use crate::error::ErrorBody;
use crate::sse;

/// Reads one stream.
#[derive(Debug, Default)]
pub(super) struct Reader {
    open_call: Option<u32>,
    calls: u32,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
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
        let data: Value = serde_json::from_str(data).map_err(|error| error.to_string())?;
        if ErrorBody::is_in(&data) || data.get("message").is_some_and(Value::is_string) {
            self.fail(ErrorBody::of(&data), out);
            return Ok(());
        }
        let message = data.pointer("/delta/message").unwrap_or(&Value::Null);
        let named = event.name.as_deref().unwrap_or_default();
        let kind = some_text(&data, "type").unwrap_or_else(|| named.to_owned());
        match kind.as_str() {
            "message-start" => {
                let id = text(&data, "id").to_owned();
                out.push(StreamEvent::Start { id, model: String::new() });
            }
            "tool-plan-delta" => out.extend(some_text(message, "tool_plan").map(StreamEvent::Text)),
            "content-start" | "content-delta" => read_content(message, out),
            "tool-call-start" => self.read_call_start(message, out),
            "tool-call-delta" => self.read_arguments(message, out),
            "tool-call-end" => {
                out.extend(self.open_call.take().map(|index| StreamEvent::ToolEnd { index }));
            }
            "message-end" => self.read_end(&data, out),
            _ => out.push(StreamEvent::Ping),
        }
        Ok(())
    }

    fn end(&mut self) -> Result<Ended, Truncated> {
        match self.finish {
            Some(finish) if !self.has_failed => Ok(Ended::new(finish, self.usage)),
            Some(_) | None => Err(Truncated),
        }
    }

    fn is_ended(&self) -> bool {
        self.finish.is_some()
    }
}

fn read_content(message: &Value, out: &mut Vec<StreamEvent>) {
    let content = message.get("content").unwrap_or(&Value::Null);
    let before = out.len();
    out.extend(some_text(content, "thinking").map(StreamEvent::Thinking));
    out.extend(some_text(content, "text").map(StreamEvent::Text));
    if out.len() == before {
        out.push(StreamEvent::Ping);
    }
}

impl Reader {
    fn fail(&mut self, error: ErrorBody, out: &mut Vec<StreamEvent>) {
        self.has_failed = true;
        out.push(StreamEvent::Error(error));
    }

    fn read_call_start(&mut self, message: &Value, out: &mut Vec<StreamEvent>) {
        let call = read_call(message.get("tool_calls").unwrap_or(&Value::Null));
        let index = self.calls;
        self.calls += 1;
        self.open_call = Some(index);
        out.push(StreamEvent::ToolStart { index, id: call.id, name: call.name });
        if !call.arguments.is_empty() {
            out.push(StreamEvent::ToolArguments { index, fragment: call.arguments });
        }
    }

    fn read_arguments(&mut self, message: &Value, out: &mut Vec<StreamEvent>) {
        let fragment = message.pointer("/tool_calls/function/arguments").and_then(Value::as_str);
        let fragment = fragment.filter(|fragment| !fragment.is_empty()).map(ToOwned::to_owned);
        if let (Some(index), Some(fragment)) = (self.open_call, fragment) {
            out.push(StreamEvent::ToolArguments { index, fragment });
        }
    }

    fn read_end(&mut self, data: &Value, out: &mut Vec<StreamEvent>) {
        let delta = data.get("delta").unwrap_or(&Value::Null);
        if let Some(usage) = delta.get("usage").map(read_usage) {
            self.usage = Some(usage);
            out.push(StreamEvent::Usage(usage));
        }
        let native = text(delta, "finish_reason");
        let finish = finish_reason(native, self.calls > 0);
        if finish == FinishReason::Error {
            let message = some_text(delta, "error").unwrap_or_else(|| format!("finish: {native}"));
            return self.fail(ErrorBody { message, ..ErrorBody::default() }, out);
        }
        self.finish = Some(finish);
        out.push(StreamEvent::Finish(finish));
    }
}
