//! Streams of Chat Completions, as some thirty hosts write them.

use serde_json::{Value, json};

use super::answer::{finish_reason, read_usage};
use super::part::{as_custom_input, read_arguments, read_content};
use crate::chat::{Block, FinishReason, StreamEvent, Usage};
use crate::dialects::fields::{list, read_data, some_text, text};
use crate::dialects::{Ended, StreamReader, Truncated, plain};
use crate::error::ErrorBody;
use crate::{seal, sse};

/// Reads one stream.
#[derive(Debug, Default)]
pub(super) struct Reader {
    has_started: bool,
    calls: Vec<Call>,
    finish: Option<FinishReason>,
    /// Whether a call began behind the finish reason: some hosts end each call with one.
    is_reopened: bool,
    usage: Option<Usage>,
    is_done: bool,
    has_failed: bool,
}

#[derive(Debug)]
struct Call {
    native_index: Option<u64>,
    id: String,
}

impl StreamReader for Reader {
    fn read(&mut self, event: &sse::Event<'_>, out: &mut Vec<StreamEvent>) -> Result<(), String> {
        if !event.stray.is_empty() {
            return Err("a line that belongs to no event".to_owned());
        }
        let data = event.data.trim();
        if data.is_empty() {
            out.push(StreamEvent::Ping);
            return Ok(());
        }
        if data == "[DONE]" {
            self.is_done = true;
            return Ok(());
        }
        let plain = if self.has_started { plain::chat_text(data) } else { None };
        if let Some(text) = plain.filter(|_| event.name.is_none()) {
            let text = StreamEvent::Text(text.into_owned());
            debug_assert!(is_read_as(data, &text), "both readers agree");
            out.push(text);
            return Ok(());
        }
        for chunk in read_data(data)? {
            if event.name.as_deref() == Some("error") || ErrorBody::is_in(&chunk) {
                self.has_failed = true;
                out.push(StreamEvent::Error(ErrorBody::of(&chunk)));
            } else {
                self.read_chunk(&chunk, out);
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<Ended, Truncated> {
        match self.finish {
            Some(_) | None if self.has_failed => Err(Truncated),
            Some(_) if self.is_reopened && !self.is_done => Err(Truncated),
            // Some hosts give no reason, but count the tokens and say that they are done.
            None if self.is_done && self.usage.is_some() => {
                Ok(Ended::new(finish_reason("", !self.calls.is_empty()), self.usage))
            }
            Some(FinishReason::Error) | None => Err(Truncated),
            Some(finish) => Ok(Ended::new(finish, self.usage)),
        }
    }

    fn is_ended(&self) -> bool {
        self.is_done
    }
}

/// Whether reading it in full gives the same. Where that fails, it does in a field that says
/// nothing.
fn is_read_as(data: &str, event: &StreamEvent) -> bool {
    let mut reader = Reader { has_started: true, ..Reader::default() };
    let mut out = Vec::new();
    let Ok(chunks) = read_data(data) else { return true };
    for chunk in chunks {
        reader.read_chunk(&chunk, &mut out);
        reader.has_failed |= ErrorBody::is_in(&chunk);
    }
    matches!(out.as_slice(), [only] if only == event) && !reader.has_failed
}

impl Reader {
    fn read_chunk(&mut self, chunk: &Value, out: &mut Vec<StreamEvent>) {
        if !self.has_started {
            self.has_started = true;
            let (id, model) = (text(chunk, "id").to_owned(), text(chunk, "model").to_owned());
            out.push(StreamEvent::Start { id, model });
        }
        // Further choices (n > 1) have no place in the neutral form.
        let index = |choice: &Value| choice.get("index").and_then(Value::as_u64);
        let is_first = |choice: &&Value| index(choice).is_none_or(|index| index == 0);
        if let Some(choice) = list(chunk, "choices").iter().find(is_first) {
            self.read_choice(choice, out);
        }
        let usage = chunk.get("usage").or_else(|| chunk.pointer("/x_groq/usage"));
        if let Some(usage) = usage.and_then(read_usage) {
            self.usage = Some(usage);
            out.push(StreamEvent::Usage(usage));
        }
    }

    fn read_choice(&mut self, choice: &Value, out: &mut Vec<StreamEvent>) {
        let delta = choice.get("delta").or_else(|| choice.get("message")).unwrap_or(&Value::Null);
        let thinking =
            some_text(delta, "reasoning_content").or_else(|| some_text(delta, "reasoning"));
        out.extend(thinking.map(StreamEvent::Thinking));
        let details = list(delta, "reasoning_details").iter();
        out.extend({ details }.filter_map(|d| seal::open(text(d, "data"))).map(StreamEvent::Proof));
        for block in read_content(delta.get("content")) {
            match block {
                Block::Text(text) => out.push(StreamEvent::Text(text)),
                Block::Thinking { text, .. } => out.push(StreamEvent::Thinking(text)),
                _ => {}
            }
        }
        out.extend(some_text(delta, "refusal").map(StreamEvent::Refusal));
        for (place, call) in list(delta, "tool_calls").iter().enumerate() {
            self.read_call(place, call, out);
        }
        if let Some(call) = delta.get("function_call").filter(|call| call.is_object()) {
            self.read_function(Some(0), "call_0", call, out);
        }
        let native = text(choice, "finish_reason");
        // A second finish chunk repeats the first.
        if !native.is_empty() && (self.finish.is_none() || self.is_reopened) {
            self.is_reopened = false;
            let finish = finish_reason(native, !self.calls.is_empty());
            self.finish = Some(finish);
            out.push(StreamEvent::Finish(finish));
        }
    }

    fn read_call(&mut self, place: usize, call: &Value, out: &mut Vec<StreamEvent>) {
        let index = call.get("index").and_then(Value::as_u64);
        let custom = call.get("custom").map(|custom| {
            let arguments = some_text(custom, "input").map(|input| as_custom_input(&input));
            json!({ "name": text(custom, "name"), "arguments": arguments })
        });
        let function = custom.as_ref().or_else(|| call.get("function")).unwrap_or(&Value::Null);
        let id = text(call, "id");
        let is_indexless_continuation = index.is_none() && id.is_empty();
        let index = if is_indexless_continuation { Some(place as u64) } else { index };
        self.read_function(index, id, function, out);
    }

    /// A new id is a new call, whatever its index; a known index without an id goes on.
    fn read_function(
        &mut self,
        native_index: Option<u64>,
        id: &str,
        function: &Value,
        out: &mut Vec<StreamEvent>,
    ) {
        let by_id = self.calls.iter().position(|call| !id.is_empty() && call.id == id);
        let by_index = self.calls.iter().rposition(|call| call.native_index == native_index);
        let known = match (by_id, by_index) {
            (Some(known), _) => Some(known),
            (None, Some(known)) if id.is_empty() => Some(known),
            (None, _) => None,
        };
        let index = known.unwrap_or(self.calls.len());
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        if known.is_none() {
            self.is_reopened = self.finish.is_some();
            let id = if id.is_empty() { format!("call_{index}") } else { id.to_owned() };
            self.calls.push(Call { native_index, id: id.clone() });
            let name = text(function, "name").to_owned();
            out.push(StreamEvent::ToolStart { index: number, id, name });
        }
        let fragment = read_arguments(function);
        if !fragment.is_empty() {
            out.push(StreamEvent::ToolArguments { index: number, fragment });
        }
    }
}
