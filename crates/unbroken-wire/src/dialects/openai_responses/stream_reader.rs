//! Streams of Responses. Deltas carry the answer; what hosts send only whole, in an item's `done`
//! or in the last event, is taken from there, and never twice.

use serde_json::Value;

use super::answer::{finish_reason, of_body, read_item, read_usage};
use crate::chat::{Block, FinishReason, StreamEvent, Usage};
use crate::dialects::fields::{some_text, text};
use crate::dialects::openai_chat::escaped;
use crate::dialects::{Ended, StreamReader, Truncated};
use crate::error::ErrorBody;
use crate::sse;

/// Reads one stream.
#[derive(Debug, Default)]
pub(super) struct Reader {
    has_started: bool,
    items: Vec<Item>,
    calls: u32,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
    has_failed: bool,
}

/// An output item, as far as it was seen.
#[derive(Debug)]
struct Item {
    /// Its place in the output, which every event names.
    place: u64,
    /// The call that it is, if it is one.
    call: Option<Call>,
    /// Whether anything of its content was passed on.
    has_content: bool,
    is_done: bool,
}

#[derive(Debug)]
struct Call {
    index: u32,
    is_custom: bool,
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
        if ErrorBody::is_in(&data) {
            self.fail(&data, out);
            return Ok(());
        }
        self.read_event(&data, out);
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

impl Reader {
    fn read_event(&mut self, data: &Value, out: &mut Vec<StreamEvent>) {
        let response = data.get("response").unwrap_or(&Value::Null);
        match text(data, "type") {
            "response.created" => self.start(response, out),
            "response.output_item.added" => self.add_item(data, out),
            "response.output_text.delta" => self.pass(data, StreamEvent::Text, out),
            "response.refusal.delta" => self.pass(data, StreamEvent::Refusal, out),
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                self.pass(data, StreamEvent::Thinking, out);
            }
            "response.reasoning_summary_part.added" => self.next_part(data, out),
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                self.pass_arguments(data, out);
            }
            "response.output_item.done" => self.finish_item(data, out),
            "response.completed" | "response.incomplete" => self.finish_all(response, out),
            "response.failed" | "response.cancelled" => self.fail(response, out),
            _ => out.push(StreamEvent::Ping),
        }
    }

    fn fail(&mut self, value: &Value, out: &mut Vec<StreamEvent>) {
        self.has_failed = true;
        out.push(StreamEvent::Error(ErrorBody::of(value)));
    }

    fn start(&mut self, response: &Value, out: &mut Vec<StreamEvent>) {
        if !std::mem::replace(&mut self.has_started, true) {
            let (id, model) = (text(response, "id").to_owned(), text(response, "model").to_owned());
            out.push(StreamEvent::Start { id, model });
        }
    }

    fn add_item(&mut self, data: &Value, out: &mut Vec<StreamEvent>) {
        let item = data.get("item").unwrap_or(&Value::Null);
        let call = match text(item, "type") {
            kind @ ("function_call" | "custom_tool_call") => {
                let index = self.calls;
                self.calls += 1;
                let id = some_text(item, "call_id").unwrap_or_else(|| text(item, "id").to_owned());
                out.push(StreamEvent::ToolStart { index, id, name: text(item, "name").to_owned() });
                Some(Call { index, is_custom: kind == "custom_tool_call" })
            }
            _ => {
                out.push(StreamEvent::Ping);
                None
            }
        };
        let place = place_of(data);
        self.items.push(Item { place, call, has_content: false, is_done: false });
    }

    /// The item of an event; made if its beginning was never told.
    fn item(&mut self, data: &Value) -> Option<&mut Item> {
        let place = place_of(data);
        if !self.items.iter().any(|item| item.place == place) {
            self.items.push(Item { place, call: None, has_content: false, is_done: false });
        }
        self.items.iter_mut().find(|item| item.place == place)
    }

    fn pass(&mut self, data: &Value, event: fn(String) -> StreamEvent, out: &mut Vec<StreamEvent>) {
        if let Some(delta) = some_text(data, "delta") {
            if let Some(item) = self.item(data) {
                item.has_content = true;
            }
            out.push(event(delta));
        }
    }

    /// Parts of a summary are paragraphs.
    fn next_part(&mut self, data: &Value, out: &mut Vec<StreamEvent>) {
        let is_first = data.get("summary_index").and_then(Value::as_u64).unwrap_or(0) == 0;
        let has_content = self.item(data).is_some_and(|item| item.has_content);
        out.push(if is_first || !has_content {
            StreamEvent::Ping
        } else {
            StreamEvent::Thinking("\n\n".to_owned())
        });
    }

    fn pass_arguments(&mut self, data: &Value, out: &mut Vec<StreamEvent>) {
        let Some(delta) = some_text(data, "delta") else { return };
        let Some(item) = self.item(data) else { return };
        let Some(Call { index, is_custom }) = item.call else { return };
        let is_first = !std::mem::replace(&mut item.has_content, true);
        let fragment = match (is_custom, is_first) {
            (false, _) => delta,
            // Free text becomes the one argument `input`.
            (true, true) => format!("{{\"input\":\"{}", escaped(&delta)),
            (true, false) => escaped(&delta),
        };
        out.push(StreamEvent::ToolArguments { index, fragment });
    }

    fn finish_item(&mut self, data: &Value, out: &mut Vec<StreamEvent>) {
        let whole = data.get("item").unwrap_or(&Value::Null);
        let is_new = !self.items.iter().any(|item| item.place == place_of(data));
        if is_new {
            self.add_item(data, out);
        }
        let Some(item) = self.item(data) else { return };
        let had_content = std::mem::replace(&mut item.has_content, true);
        if std::mem::replace(&mut item.is_done, true) {
            return;
        }
        if let Some(Call { index, is_custom }) = item.call {
            if had_content && is_custom {
                let fragment = "\"}".to_owned();
                out.push(StreamEvent::ToolArguments { index, fragment });
            } else if !had_content && let Block::ToolCall(call) = super::item::read_call(whole) {
                out.push(StreamEvent::ToolArguments { index, fragment: call.arguments });
            }
            out.push(StreamEvent::ToolEnd { index });
            return;
        }
        for block in read_item(whole) {
            match block {
                Block::Text(text) if !had_content => out.push(StreamEvent::Text(text)),
                Block::Refusal(text) if !had_content => out.push(StreamEvent::Refusal(text)),
                Block::Thinking { text, proof } => {
                    if !had_content && !text.is_empty() {
                        out.push(StreamEvent::Thinking(text));
                    }
                    out.extend(proof.map(StreamEvent::Proof));
                }
                _ => out.push(StreamEvent::Ping),
            }
        }
    }

    fn finish_all(&mut self, response: &Value, out: &mut Vec<StreamEvent>) {
        self.start(response, out);
        let whole = of_body(response).ok();
        if self.items.iter().all(|item| !item.has_content)
            && let Some(answer) = &whole
        {
            let events = answer.to_events().into_iter();
            out.extend(events.filter(|event| {
                !matches!(event, StreamEvent::Start { .. } | StreamEvent::Finish(_))
            }));
        }
        if let Some(usage) = response.get("usage").and_then(read_usage) {
            self.usage = Some(usage);
            out.push(StreamEvent::Usage(usage));
        }
        let blocks = whole.map(|answer| answer.blocks).unwrap_or_default();
        let mut finish = finish_reason(response, &blocks);
        // Some hosts leave the output out of the last event.
        if finish == FinishReason::Stop && self.calls > 0 {
            finish = FinishReason::ToolCalls;
        }
        self.finish = Some(finish);
        out.push(StreamEvent::Finish(finish));
    }
}

fn place_of(data: &Value) -> u64 {
    data.get("output_index").and_then(Value::as_u64).unwrap_or(0)
}
