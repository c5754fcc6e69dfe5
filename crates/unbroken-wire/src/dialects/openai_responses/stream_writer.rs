//! Writing streams of Responses: every event numbered, every item opened and closed, one open at
//! a time, and one last event that holds the whole response.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::answer::{call_prefix, envelope, item_id, status, write_usage};
use super::item;
use crate::chat::{FinishReason, Proof, StreamEvent, ToolCall, Usage};
use crate::dialects::fields::{some_text, text};
use crate::dialects::{ClientError, Ended, ErrorKind, StreamHead, StreamWriter};

/// Writes one stream.
#[derive(Debug)]
pub(super) struct Writer {
    head: StreamHead,
    sequence: u64,
    has_started: bool,
    /// The response as another writer began it.
    adopted: Option<Map<String, Value>>,
    /// Items that are complete.
    output: Vec<Value>,
    open: Open,
    /// The id of the open item, if another writer gave it.
    open_id: Option<String>,
    /// Calls whose item is not open: other dialects let calls grow side by side.
    waiting: BTreeMap<u32, Waiting>,
    usage: Usage,
}

#[derive(Debug)]
enum Open {
    Nothing,
    Message { parts: Vec<Value>, part: Part, text: String },
    Reasoning { text: String },
    Call { index: u32, call: ToolCall },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Text,
    Refusal,
}

#[derive(Debug)]
struct Waiting {
    call: ToolCall,
    is_whole: bool,
}

impl Writer {
    pub(super) fn new(head: &StreamHead) -> Self {
        Self {
            head: head.clone(),
            sequence: 0,
            has_started: false,
            adopted: None,
            output: Vec::new(),
            open: Open::Nothing,
            open_id: None,
            waiting: BTreeMap::new(),
            usage: Usage::default(),
        }
    }

    /// Writes an event of `kind`; its number is counted here and nowhere else.
    fn event(&mut self, kind: &str, members: Value, out: &mut Vec<u8>) {
        let mut event = json!({ "type": kind, "sequence_number": self.sequence });
        if let (Value::Object(event), Value::Object(members)) = (&mut event, members) {
            event.extend(members);
        }
        self.sequence += 1;
        out.extend_from_slice(format!("event: {kind}\ndata: {event}\n\n").as_bytes());
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.has_started, true) {
            return;
        }
        let response = Value::Object(envelope(&self.head, "in_progress", &[]));
        self.event("response.created", json!({ "response": response }), out);
        self.event("response.in_progress", json!({ "response": response }), out);
    }

    /// The id of the item that is open or would be next.
    fn id(&self, prefix: &str) -> String {
        let own = || item_id(prefix, &self.head.id, self.output.len());
        self.open_id.clone().unwrap_or_else(own)
    }

    fn is_custom(&self, call: &ToolCall) -> bool {
        self.head.custom_tools.contains(&call.name)
    }

    fn add(&mut self, item: &Value, out: &mut Vec<u8>) {
        self.start(out);
        let place = self.output.len();
        let members = json!({ "output_index": place, "item": item });
        self.event("response.output_item.added", members, out);
    }

    fn done(&mut self, item: Value, out: &mut Vec<u8>) {
        let members = json!({ "output_index": self.output.len(), "item": item });
        self.event("response.output_item.done", members, out);
        self.open_id = None;
        self.output.push(item);
    }

    /// Closes what is open.
    fn close(&mut self, status: &str, out: &mut Vec<u8>) {
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing => {}
            Open::Message { mut parts, part, text } => {
                self.close_part(&mut parts, part, &text, out);
                self.done(item::message(&self.id("msg"), status, &parts), out);
            }
            Open::Reasoning { text } => self.close_reasoning(&text, None, out),
            Open::Call { call, .. } => self.close_call(&call, status, out),
        }
    }

    fn place(&self, prefix: &str) -> Value {
        json!({ "item_id": self.id(prefix), "output_index": self.output.len() })
    }

    fn open_part(&mut self, place: usize, part: Part, out: &mut Vec<u8>) {
        let empty = match part {
            Part::Text => item::text_part(""),
            Part::Refusal => item::refusal_part(""),
        };
        let members = with(self.place("msg"), json!({ "content_index": place, "part": empty }));
        self.event("response.content_part.added", members, out);
    }

    fn close_part(&mut self, parts: &mut Vec<Value>, part: Part, text: &str, out: &mut Vec<u8>) {
        let place = with(self.place("msg"), json!({ "content_index": parts.len() }));
        let whole = match part {
            Part::Text => {
                let members = with(place.clone(), json!({ "text": text, "logprobs": [] }));
                self.event("response.output_text.done", members, out);
                item::text_part(text)
            }
            Part::Refusal => {
                let members = with(place.clone(), json!({ "refusal": text }));
                self.event("response.refusal.done", members, out);
                item::refusal_part(text)
            }
        };
        let members = with(place, json!({ "part": whole }));
        self.event("response.content_part.done", members, out);
        parts.push(whole);
    }

    fn text(&mut self, part: Part, more: &str, out: &mut Vec<u8>) {
        self.flush_calls(out);
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Message { parts, part: open, text } if open == part => {
                self.open = Open::Message { parts, part, text };
            }
            Open::Message { mut parts, part: open, text } => {
                self.close_part(&mut parts, open, &text, out);
                self.open_part(parts.len(), part, out);
                self.open = Open::Message { parts, part, text: String::new() };
            }
            other @ (Open::Nothing | Open::Reasoning { .. } | Open::Call { .. }) => {
                self.open = other;
                self.close("completed", out);
                let item = item::message(&self.id("msg"), "in_progress", &[]);
                self.add(&item, out);
                self.open_part(0, part, out);
                self.open = Open::Message { parts: vec![], part, text: String::new() };
            }
        }
        let Open::Message { parts, text, .. } = &mut self.open else { return };
        text.push_str(more);
        let content_index = parts.len();
        let delta = json!({ "content_index": content_index, "delta": more });
        let members = with(self.place("msg"), delta);
        match part {
            Part::Text => {
                let members = with(members, json!({ "logprobs": [] }));
                self.event("response.output_text.delta", members, out);
            }
            Part::Refusal => self.event("response.refusal.delta", members, out),
        }
    }

    fn thinking(&mut self, more: &str, out: &mut Vec<u8>) {
        self.flush_calls(out);
        if !matches!(self.open, Open::Reasoning { .. }) {
            self.close("completed", out);
            self.add(&empty_reasoning(&self.id("rs")), out);
            let part = json!({ "type": "summary_text", "text": "" });
            let members = with(self.place("rs"), json!({ "summary_index": 0, "part": part }));
            self.event("response.reasoning_summary_part.added", members, out);
            self.open = Open::Reasoning { text: String::new() };
        }
        if let Open::Reasoning { text } = &mut self.open {
            text.push_str(more);
        }
        let members = with(self.place("rs"), json!({ "summary_index": 0, "delta": more }));
        self.event("response.reasoning_summary_text.delta", members, out);
    }

    fn close_reasoning(&mut self, text: &str, proof: Option<&Proof>, out: &mut Vec<u8>) {
        if !text.is_empty() {
            let place = with(self.place("rs"), json!({ "summary_index": 0 }));
            let members = with(place.clone(), json!({ "text": text }));
            self.event("response.reasoning_summary_text.done", members, out);
            let part = json!({ "type": "summary_text", "text": text });
            let members = with(place, json!({ "part": part }));
            self.event("response.reasoning_summary_part.done", members, out);
        }
        self.done(item::reasoning(&self.id("rs"), text, proof), out);
    }

    /// The proof ends the thinking before it; alone it is thinking without words.
    fn proof(&mut self, proof: &Proof, out: &mut Vec<u8>) {
        if let Open::Reasoning { text } = &mut self.open {
            let text = std::mem::take(text);
            self.open = Open::Nothing;
            self.close_reasoning(&text, Some(proof), out);
            return;
        }
        self.flush_calls(out);
        self.close("completed", out);
        self.add(&empty_reasoning(&self.id("rs")), out);
        self.close_reasoning("", Some(proof), out);
    }

    fn start_call(&mut self, index: u32, call: ToolCall, out: &mut Vec<u8>) {
        if matches!(self.open, Open::Call { .. }) {
            self.waiting.insert(index, Waiting { call, is_whole: false });
        } else {
            self.open_call(index, call, out);
        }
    }

    fn open_call(&mut self, index: u32, call: ToolCall, out: &mut Vec<u8>) {
        self.close("completed", out);
        let is_custom = self.is_custom(&call);
        let id = self.id(call_prefix(is_custom));
        let (fragment, call) = {
            let mut call = call;
            (std::mem::take(&mut call.arguments), call)
        };
        self.add(&item::call(&id, "in_progress", &call, is_custom), out);
        self.open = Open::Call { index, call };
        if !fragment.is_empty() {
            self.arguments(index, &fragment, out);
        }
    }

    fn arguments(&mut self, index: u32, fragment: &str, out: &mut Vec<u8>) {
        match &mut self.open {
            Open::Call { index: open, call } if *open == index => {
                call.arguments.push_str(fragment);
                // Free text is taken out of its arguments once they are whole.
                if !self.head.custom_tools.contains(&call.name) {
                    let members = with(self.place("fc"), json!({ "delta": fragment }));
                    self.event("response.function_call_arguments.delta", members, out);
                }
            }
            Open::Nothing | Open::Message { .. } | Open::Reasoning { .. } | Open::Call { .. } => {
                if let Some(waiting) = self.waiting.get_mut(&index) {
                    waiting.call.arguments.push_str(fragment);
                }
            }
        }
    }

    fn close_call(&mut self, call: &ToolCall, status: &str, out: &mut Vec<u8>) {
        let is_custom = self.is_custom(call);
        let place = self.place(call_prefix(is_custom));
        if is_custom {
            let input = item::custom_input(&call.arguments);
            let members = with(place.clone(), json!({ "delta": input }));
            self.event("response.custom_tool_call_input.delta", members, out);
            let members = with(place, json!({ "input": input }));
            self.event("response.custom_tool_call_input.done", members, out);
        } else {
            let members = with(place, json!({ "name": call.name, "arguments": call.arguments }));
            self.event("response.function_call_arguments.done", members, out);
        }
        let id = self.id(call_prefix(is_custom));
        self.done(item::call(&id, status, call, is_custom), out);
    }

    /// A call is whole: the next one may be opened, and those that are whole already are written.
    fn end_call(&mut self, index: u32, out: &mut Vec<u8>) {
        if !matches!(&self.open, Open::Call { index: open, .. } if *open == index) {
            if let Some(waiting) = self.waiting.get_mut(&index) {
                waiting.is_whole = true;
            }
            return;
        }
        self.close("completed", out);
        while let Some((index, Waiting { call, is_whole })) = self.waiting.pop_first() {
            self.open_call(index, call, out);
            if !is_whole {
                return;
            }
            self.close("completed", out);
        }
    }

    fn flush_calls(&mut self, out: &mut Vec<u8>) {
        while let Some((index, Waiting { call, .. })) = self.waiting.pop_first() {
            self.open_call(index, call, out);
        }
    }

    fn terminal(&mut self, kind: &str, status: &str, members: &Value, out: &mut Vec<u8>) {
        let mut body = envelope(&self.head, status, &self.output);
        if let Some(adopted) = &self.adopted {
            body.extend(adopted.clone());
            body.insert("status".to_owned(), status.into());
            body.insert("output".to_owned(), self.output.as_slice().into());
        }
        if let Value::Object(members) = members {
            body.extend(members.clone());
        }
        let members = json!({ "response": Value::Object(body) });
        self.event(kind, members, out);
    }
}

fn empty_reasoning(id: &str) -> Value {
    json!({ "id": id, "type": "reasoning", "summary": [], "encrypted_content": "" })
}

fn with(mut members: Value, more: Value) -> Value {
    if let (Value::Object(members), Value::Object(more)) = (&mut members, more) {
        members.extend(more);
    }
    members
}

impl Writer {
    /// Takes over an item that another writer has opened.
    fn adopt_item(&mut self, data: &Value) {
        let item = data.get("item").unwrap_or(&Value::Null);
        self.open_id = some_text(item, "id");
        let words = String::new;
        self.open = match text(item, "type") {
            "message" => Open::Message { parts: vec![], part: Part::Text, text: words() },
            "reasoning" => Open::Reasoning { text: words() },
            "function_call" => {
                let (id, name) = (text(item, "call_id").to_owned(), text(item, "name").to_owned());
                let call = ToolCall { id, name, arguments: words() };
                Open::Call { index: u32::MAX, call }
            }
            _ => Open::Nothing,
        };
    }

    fn adopt_delta(&mut self, data: &Value) {
        let delta = text(data, "delta");
        match &mut self.open {
            Open::Message { text, part, .. } => {
                if self::text(data, "type") == "response.refusal.delta" {
                    *part = Part::Refusal;
                }
                text.push_str(delta);
            }
            Open::Reasoning { text } => text.push_str(delta),
            Open::Call { call, .. } => call.arguments.push_str(delta),
            Open::Nothing => {}
        }
    }

    fn adopt_part(&mut self, data: &Value) {
        let whole = data.get("part").filter(|part| part.is_object());
        if let (Open::Message { parts, text, .. }, Some(whole)) = (&mut self.open, whole) {
            parts.push(whole.clone());
            text.clear();
        }
    }

    fn adopt_done(&mut self, data: &Value) {
        self.output.extend(data.get("item").cloned());
        self.open = Open::Nothing;
        self.open_id = None;
    }
}

impl StreamWriter for Writer {
    fn write(&mut self, event: &StreamEvent, out: &mut Vec<u8>) {
        match event {
            StreamEvent::Start { model, .. } => {
                if !model.is_empty() && !self.has_started {
                    self.head.model.clone_from(model);
                }
            }
            StreamEvent::Text(text) => self.text(Part::Text, text, out),
            StreamEvent::Refusal(text) => self.text(Part::Refusal, text, out),
            StreamEvent::Thinking(text) => self.thinking(text, out),
            StreamEvent::Proof(proof) => self.proof(proof, out),
            StreamEvent::ToolStart { index, id, name } => {
                let (id, name) = (id.clone(), name.clone());
                self.start_call(*index, ToolCall { id, name, arguments: String::new() }, out);
            }
            StreamEvent::ToolArguments { index, fragment } => self.arguments(*index, fragment, out),
            StreamEvent::ToolEnd { index } => self.end_call(*index, out),
            StreamEvent::Usage(usage) => self.usage = *usage,
            StreamEvent::Ping => self.keep_alive(out),
            StreamEvent::Finish(_) | StreamEvent::Error(_) => {}
        }
    }

    fn end(&mut self, ended: &Ended, out: &mut Vec<u8>) {
        self.start(out);
        let (status, why) = status(ended.finish());
        self.flush_calls(out);
        self.close(status, out);
        let usage = write_usage(&ended.usage().unwrap_or(self.usage));
        let members = json!({ "incomplete_details": why, "usage": usage });
        let kind = match ended.finish() {
            FinishReason::Length | FinishReason::Context | FinishReason::Filter => {
                "response.incomplete"
            }
            FinishReason::Error => "response.failed",
            FinishReason::Stop
            | FinishReason::ToolCalls
            | FinishReason::Refusal
            | FinishReason::Pause => "response.completed",
        };
        self.terminal(kind, status, &members, out);
    }

    fn error(&mut self, error: &ClientError, out: &mut Vec<u8>) {
        // What clients take for a reason to send the turn again.
        let code = match error.kind {
            ErrorKind::RateLimited => "rate_limit_exceeded",
            ErrorKind::InvalidRequest
            | ErrorKind::Authentication
            | ErrorKind::Permission
            | ErrorKind::NotFound
            | ErrorKind::TooLarge
            | ErrorKind::Overloaded
            | ErrorKind::Unavailable
            | ErrorKind::Timeout
            | ErrorKind::Internal => "server_error",
        };
        let members = json!({ "error": { "code": code, "message": error.message } });
        self.terminal("response.failed", "failed", &members, out);
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b": keep-alive\n\n");
    }

    fn adopt(&mut self, _: Option<&str>, data: &str) {
        let Ok(data) = serde_json::from_str::<Value>(data) else { return };
        if let Some(number) = data.get("sequence_number").and_then(Value::as_u64) {
            self.sequence = number + 1;
        }
        match text(&data, "type") {
            "response.created" => {
                self.has_started = true;
                self.adopted = data.get("response").and_then(Value::as_object).cloned();
            }
            "response.output_item.added" => self.adopt_item(&data),
            "response.content_part.done" => self.adopt_part(&data),
            "response.output_item.done" => self.adopt_done(&data),
            kind if kind.ends_with(".delta") => self.adopt_delta(&data),
            _ => {}
        }
    }

    fn seam(&mut self, out: &mut Vec<u8>) {
        // Another model does not think this one's thoughts to their end.
        if !matches!(self.open, Open::Message { .. }) {
            self.close("incomplete", out);
        }
    }
}
