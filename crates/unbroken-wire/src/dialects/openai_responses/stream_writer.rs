//! Writing streams of Responses: every event numbered, every item opened and closed, one open at
//! a time, and one last event that holds the whole response. What another writer wrote before is
//! taken note of in `adopt`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::answer::{call_prefix, envelope, item_id, status, write_usage};
use super::item;
use crate::chat::{FinishReason, Proof, StreamEvent, ToolCall, Usage};
use crate::dialects::fields::text;
use crate::dialects::{ClientError, Ended, ErrorKind, StreamHead, StreamWriter};

mod adopt;

/// Writes one stream.
#[derive(Debug)]
pub(super) struct Writer {
    head: StreamHead,
    sequence: u64,
    has_started: bool,
    /// The response as another writer began it.
    adopted: Option<Map<String, Value>>,
    /// Items that are complete, by their place in the response.
    output: BTreeMap<u64, Value>,
    /// The place of the next item.
    next: u64,
    open: Open,
    /// The place of the open item.
    place: Option<u64>,
    /// The id of the open item, if another writer gave it.
    open_id: Option<String>,
    /// Other items that another writer has not closed: some open one before the last is closed.
    beside: Vec<Beside>,
    /// Bytes that were kept of what another writer wrote.
    kept: usize,
    /// Calls whose item is not open: other dialects let calls grow side by side.
    waiting: BTreeMap<u32, Waiting>,
    usage: Usage,
}

#[derive(Debug)]
enum Open {
    Nothing,
    Message {
        parts: Vec<Value>,
        part: Option<Growing>,
    },
    Reasoning(Thought),
    Call {
        index: u32,
        call: ToolCall,
        /// Whether the end of its arguments was told already.
        is_told: bool,
    },
}

/// An item that is open beside the one that grows.
#[derive(Debug)]
struct Beside {
    open: Open,
    place: Option<u64>,
    id: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Text,
    Refusal,
    Summary,
    Thinking,
}

/// A part that is not closed yet.
#[derive(Debug)]
struct Growing {
    part: Part,
    text: String,
    /// Whether the end of its text was told already; only its own end is missing then.
    is_text_done: bool,
}

/// Thinking: its closed parts, by their place in the item.
#[derive(Debug, Default)]
struct Thought {
    summary: Vec<Value>,
    content: Vec<Value>,
    open: Option<Growing>,
}

impl Growing {
    const fn new(part: Part) -> Self {
        Self { part, text: String::new(), is_text_done: false }
    }

    fn goes_on(&self, part: Part) -> bool {
        self.part == part && !self.is_text_done
    }
}

impl Part {
    /// By the type of a part, as another writer opened it.
    fn of(part: &Value) -> Self {
        match text(part, "type") {
            "refusal" => Self::Refusal,
            "summary_text" => Self::Summary,
            "reasoning_text" => Self::Thinking,
            _ => Self::Text,
        }
    }

    /// By the event that adds to its text.
    fn of_delta(kind: &str) -> Self {
        let of = |part: &Self| kind.starts_with(part.names().0);
        [Self::Refusal, Self::Summary, Self::Thinking].into_iter().find(of).unwrap_or(Self::Text)
    }

    /// The part with its text.
    fn whole(self, text: &str) -> Value {
        match self {
            Self::Text => item::text_part(text),
            Self::Refusal => item::refusal_part(text),
            Self::Summary => json!({ "type": "summary_text", "text": text }),
            Self::Thinking => json!({ "type": "reasoning_text", "text": text }),
        }
    }

    /// What its events are called: those of its text, and its own.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Text => ("response.output_text", "response.content_part"),
            Self::Refusal => ("response.refusal", "response.content_part"),
            Self::Summary => ("response.reasoning_summary_text", "response.reasoning_summary_part"),
            Self::Thinking => ("response.reasoning_text", "response.content_part"),
        }
    }

    /// Its place in the item, as its events name it.
    fn at(self, place: usize) -> Value {
        match self {
            Self::Summary => json!({ "summary_index": place }),
            Self::Text | Self::Refusal | Self::Thinking => json!({ "content_index": place }),
        }
    }
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
            output: BTreeMap::new(),
            next: 0,
            open: Open::Nothing,
            place: None,
            open_id: None,
            beside: Vec::new(),
            kept: 0,
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
        let number = usize::try_from(self.place.unwrap_or(self.next)).unwrap_or(usize::MAX);
        let own = || item_id(prefix, &self.head.id, number);
        self.open_id.clone().unwrap_or_else(own)
    }

    fn is_custom(&self, call: &ToolCall) -> bool {
        self.head.custom_tools.contains(&call.name)
    }

    fn add(&mut self, item: &Value, out: &mut Vec<u8>) {
        self.start(out);
        let members = json!({ "output_index": self.next, "item": item });
        self.place = Some(self.next);
        self.next += 1;
        self.event("response.output_item.added", members, out);
    }

    fn done(&mut self, item: Value, out: &mut Vec<u8>) {
        let place = self.place.take().unwrap_or(self.next);
        let members = json!({ "output_index": place, "item": item });
        self.event("response.output_item.done", members, out);
        self.open_id = None;
        self.output.insert(place, item);
    }

    /// Closes what is open.
    fn close(&mut self, status: &str, out: &mut Vec<u8>) {
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing => {}
            Open::Message { mut parts, part } => {
                if let Some(part) = part {
                    self.close_part("msg", &mut parts, &part, out);
                }
                self.done(item::message(&self.id("msg"), status, &parts), out);
            }
            Open::Reasoning(thought) => self.close_reasoning(thought, None, out),
            Open::Call { call, is_told, .. } => self.close_call(&call, is_told, status, out),
        }
    }

    fn place(&self, prefix: &str) -> Value {
        json!({ "item_id": self.id(prefix), "output_index": self.place })
    }

    fn open_part(&mut self, prefix: &str, place: usize, part: Part, out: &mut Vec<u8>) {
        let members = with(part.at(place), json!({ "part": part.whole("") }));
        let members = with(self.place(prefix), members);
        self.event(&format!("{}.added", part.names().1), members, out);
    }

    /// Closes a part behind those that are closed, as far as it is open.
    fn close_part(
        &mut self,
        prefix: &str,
        parts: &mut Vec<Value>,
        growing: &Growing,
        out: &mut Vec<u8>,
    ) {
        let Growing { part, text, is_text_done } = growing;
        let (of_text, own) = part.names();
        let place = with(self.place(prefix), part.at(parts.len()));
        if !is_text_done {
            let said = match part {
                Part::Text => json!({ "text": text, "logprobs": [] }),
                Part::Refusal => json!({ "refusal": text }),
                Part::Summary | Part::Thinking => json!({ "text": text }),
            };
            self.event(&format!("{of_text}.done"), with(place.clone(), said), out);
        }
        let whole = part.whole(text);
        self.event(&format!("{own}.done"), with(place, json!({ "part": whole })), out);
        parts.push(whole);
    }

    fn text(&mut self, part: Part, more: &str, out: &mut Vec<u8>) {
        self.flush_calls(out);
        if !matches!(self.open, Open::Message { .. }) {
            self.close("completed", out);
            let item = item::message(&self.id("msg"), "in_progress", &[]);
            self.add(&item, out);
            self.open = Open::Message { parts: vec![], part: None };
        }
        let open = std::mem::replace(&mut self.open, Open::Nothing);
        let Open::Message { mut parts, part: growing } = open else { return };
        let mut growing = match growing {
            Some(growing) if growing.goes_on(part) => growing,
            growing => {
                if let Some(growing) = growing {
                    self.close_part("msg", &mut parts, &growing, out);
                }
                self.open_part("msg", parts.len(), part, out);
                Growing::new(part)
            }
        };
        growing.text.push_str(more);
        let delta = with(part.at(parts.len()), json!({ "delta": more }));
        self.open = Open::Message { parts, part: Some(growing) };
        let mut members = with(self.place("msg"), delta);
        if part == Part::Text {
            members = with(members, json!({ "logprobs": [] }));
        }
        self.event(&format!("{}.delta", part.names().0), members, out);
    }

    fn thinking(&mut self, more: &str, out: &mut Vec<u8>) {
        self.flush_calls(out);
        if !matches!(self.open, Open::Reasoning(_)) {
            self.close("completed", out);
            self.add(&empty_reasoning(&self.id("rs")), out);
            self.open_part("rs", 0, Part::Summary, out);
            let open = Some(Growing::new(Part::Summary));
            self.open = Open::Reasoning(Thought { open, ..Thought::default() });
        }
        if let Open::Reasoning(Thought { open: Some(growing), .. }) = &mut self.open {
            growing.text.push_str(more);
        }
        let members = with(self.place("rs"), json!({ "summary_index": 0, "delta": more }));
        self.event("response.reasoning_summary_text.delta", members, out);
    }

    fn close_reasoning(&mut self, thought: Thought, proof: Option<&Proof>, out: &mut Vec<u8>) {
        let Thought { mut summary, mut content, open } = thought;
        if let Some(growing) = open {
            let parts = if growing.part == Part::Summary { &mut summary } else { &mut content };
            self.close_part("rs", parts, &growing, out);
        }
        let mut item = item::reasoning(&self.id("rs"), "", proof);
        if let Value::Object(item) = &mut item {
            item.insert("summary".to_owned(), summary.into());
            if !content.is_empty() {
                item.insert("content".to_owned(), content.into());
            }
        }
        self.done(item, out);
    }

    /// The proof ends the thinking before it; alone it is thinking without words.
    fn proof(&mut self, proof: &Proof, out: &mut Vec<u8>) {
        if let Open::Reasoning(thought) = &mut self.open {
            let thought = std::mem::take(thought);
            self.open = Open::Nothing;
            self.close_reasoning(thought, Some(proof), out);
            return;
        }
        self.flush_calls(out);
        self.close("completed", out);
        self.add(&empty_reasoning(&self.id("rs")), out);
        self.close_reasoning(Thought::default(), Some(proof), out);
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
        self.open = Open::Call { index, call, is_told: false };
        if !fragment.is_empty() {
            self.arguments(index, &fragment, out);
        }
    }

    fn arguments(&mut self, index: u32, fragment: &str, out: &mut Vec<u8>) {
        match &mut self.open {
            Open::Call { index: open, call, .. } if *open == index => {
                call.arguments.push_str(fragment);
                // Free text is taken out of its arguments once they are whole.
                if !self.head.custom_tools.contains(&call.name) {
                    let members = with(self.place("fc"), json!({ "delta": fragment }));
                    self.event("response.function_call_arguments.delta", members, out);
                }
            }
            Open::Nothing | Open::Message { .. } | Open::Reasoning(_) | Open::Call { .. } => {
                if let Some(waiting) = self.waiting.get_mut(&index) {
                    waiting.call.arguments.push_str(fragment);
                }
            }
        }
    }

    fn close_call(&mut self, call: &ToolCall, is_told: bool, status: &str, out: &mut Vec<u8>) {
        let is_custom = self.is_custom(call);
        let place = self.place(call_prefix(is_custom));
        if is_told {
            // Only the end of the item is missing.
        } else if is_custom {
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
        let output: Vec<Value> = self.output.values().cloned().collect();
        let mut body = envelope(&self.head, status, &output);
        if let Some(adopted) = &self.adopted {
            body.extend(adopted.clone());
            body.insert("status".to_owned(), status.into());
            body.insert("output".to_owned(), output.into());
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
        self.close_beside(status, out);
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
        if let Ok(data) = serde_json::from_str::<Value>(data) {
            self.adopt_event(&data);
        }
    }

    fn seam(&mut self, out: &mut Vec<u8>) {
        // Another model does not think this one's thoughts to their end.
        self.close_beside("incomplete", out);
        if !matches!(self.open, Open::Message { .. }) {
            self.close("incomplete", out);
        }
    }
}
