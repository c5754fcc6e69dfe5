//! The grammar of Anthropic Messages: `message_start`, blocks one after the other, the stop reason,
//! `message_stop`.

use serde_json::Value;

use super::calls::Calls;
use super::{Grammar, Verdict, json, number, text};

const REASONS: [&str; 7] = [
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "pause_turn",
    "refusal",
    "model_context_window_exceeded",
];

#[derive(Default)]
pub(super) struct Messages {
    has_started: bool,
    open: Option<Kind>,
    next_index: u64,
    calls: Calls,
}

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    Call,
    /// Came whole when it started.
    Whole,
}

impl Messages {
    fn start(&mut self, event: &Value, verdict: &mut Verdict) {
        verdict.hold(!self.has_started, "message_start twice");
        self.has_started = true;
        let message = event.get("message").unwrap_or(&Value::Null);
        verdict.hold(text(message, "/id").is_some_and(|id| !id.is_empty()), "no id");
        verdict.hold(text(message, "/role") == Some("assistant"), "no assistant");
        let is_empty = message.get("content").and_then(Value::as_array).is_some_and(Vec::is_empty);
        verdict.hold(is_empty, "content before the blocks");
        verdict.hold(number(message, "/usage/input_tokens").is_some(), "a start without usage");
        let is_open = message.get("stop_reason").is_none_or(Value::is_null);
        verdict.hold(is_open, "a stop reason at the start");
        verdict.model = text(message, "/model").map(ToOwned::to_owned);
        verdict.hold(verdict.model.as_ref().is_some_and(|model| !model.is_empty()), "no model");
    }

    fn open(&mut self, event: &Value, verdict: &mut Verdict) {
        verdict.hold(self.open.is_none(), "two blocks open at once");
        verdict.hold(verdict.finish.is_none(), "a block after the stop reason");
        let is_next = number(event, "/index") == Some(self.next_index);
        verdict.hold(is_next, "an index that does not follow the last");
        let kind = match text(event, "/content_block/type").unwrap_or_default() {
            "text" => {
                let text = text(event, "/content_block/text");
                verdict.hold(text.is_some(), "a text block without text");
                verdict.text.push_str(text.unwrap_or_default());
                Kind::Text
            }
            "thinking" => Kind::Thinking,
            "tool_use" | "server_tool_use" | "mcp_tool_use" => {
                let (id, name) =
                    (text(event, "/content_block/id"), text(event, "/content_block/name"));
                self.calls.add(id, name, verdict);
                let input = event.pointer("/content_block/input").and_then(Value::as_object);
                verdict.hold(input.is_some_and(serde_json::Map::is_empty), "input at the start");
                Kind::Call
            }
            "redacted_thinking" | "fallback" | "container_upload" => Kind::Whole,
            other if other.ends_with("_tool_result") => Kind::Whole,
            _ => {
                verdict.broken("a block that the dialect does not have");
                Kind::Whole
            }
        };
        self.open = Some(kind);
    }

    fn delta(&mut self, event: &Value, verdict: &mut Verdict) {
        let is_open = self.open.is_some() && number(event, "/index") == Some(self.next_index);
        verdict.hold(is_open, "content outside of a block");
        let say = |key: &str| text(event, key);
        let kind = match text(event, "/delta/type").unwrap_or_default() {
            "text_delta" => {
                verdict.hold(say("/delta/text").is_some(), "a delta without its content");
                verdict.text.push_str(say("/delta/text").unwrap_or_default());
                Kind::Text
            }
            "citations_delta" => Kind::Text,
            "thinking_delta" => {
                verdict.thinking.push_str(say("/delta/thinking").unwrap_or_default());
                Kind::Thinking
            }
            "signature_delta" => Kind::Thinking,
            "input_json_delta" => {
                verdict.hold(say("/delta/partial_json").is_some(), "a delta without its content");
                if let Some(call) = self.calls.0.last_mut() {
                    call.arguments.push_str(say("/delta/partial_json").unwrap_or_default());
                }
                Kind::Call
            }
            _ => {
                verdict.broken("a delta that the dialect does not have");
                return;
            }
        };
        let fits = self.open.is_none_or(|open| open == kind);
        verdict.hold(fits, "a delta of another kind than its block");
    }

    fn close_block(&mut self, event: &Value, verdict: &mut Verdict) {
        let is_open =
            self.open.take().is_some() && number(event, "/index") == Some(self.next_index);
        verdict.hold(is_open, "the end of a block that is not open");
        self.next_index += 1;
    }

    fn finish(&mut self, event: &Value, verdict: &mut Verdict) {
        verdict.hold(self.open.is_none(), "a block was never closed");
        if let Some(reason) = text(event, "/delta/stop_reason") {
            verdict.hold(verdict.finish.is_none(), "two stop reasons");
            verdict.hold(REASONS.contains(&reason), "a stop reason that the dialect does not have");
            let has_calls = !self.calls.0.is_empty();
            verdict.hold(reason != "tool_use" || has_calls, "a finish for calls, and no calls");
            verdict.hold(reason != "end_turn" || !has_calls, "calls, and another finish");
            verdict.finish = Some(reason.to_owned());
            self.calls.finish(verdict);
        }
        let output = number(event, "/usage/output_tokens");
        verdict.hold(output.is_some(), "an end without usage");
        verdict.output_tokens = output;
    }

    fn stop(&self, verdict: &mut Verdict) {
        verdict.hold(verdict.finish.is_some(), "message_stop without a stop reason");
        verdict.hold(self.open.is_none(), "a block was never closed");
        verdict.is_whole = true;
    }
}

impl Grammar for Messages {
    fn event(&mut self, name: Option<&str>, data: &str, verdict: &mut Verdict) {
        let Some(event) = json(data, verdict) else { return };
        let kind = text(&event, "/type").unwrap_or_default();
        verdict.hold(name == Some(kind), "an event whose name is not its type");
        let needs_start = !matches!(kind, "message_start" | "ping" | "error");
        verdict.hold(self.has_started || !needs_start, "not one message_start in front");
        match kind {
            "message_start" => self.start(&event, verdict),
            "ping" => {}
            "error" => {
                verdict.hold(text(&event, "/error/type").is_some(), "an error without its type");
                verdict.failed(event.get("error").unwrap_or(&Value::Null));
            }
            "content_block_start" => self.open(&event, verdict),
            "content_block_delta" => self.delta(&event, verdict),
            "content_block_stop" => self.close_block(&event, verdict),
            "message_delta" => self.finish(&event, verdict),
            "message_stop" => self.stop(verdict),
            _ => verdict.broken("an event that the dialect does not have"),
        }
    }
}
