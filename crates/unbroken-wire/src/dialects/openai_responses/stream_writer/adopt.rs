//! Taking note of what another writer has written, so that this one can go on where it stopped.

use serde_json::Value;

use super::{Beside, Growing, Open, Part, Thought, Writer};
use crate::chat::ToolCall;
use crate::dialects::fields::{some_text, text};

/// More than this is not kept of what another writer wrote: so long an answer is not gone on with.
/// In bytes.
const KEPT_MAX: usize = 16 << 20;

impl Writer {
    /// Whether so many bytes more may be kept.
    const fn keeps(&mut self, bytes: usize) -> bool {
        self.kept = self.kept.saturating_add(bytes);
        self.kept <= KEPT_MAX
    }

    pub(super) fn adopt_event(&mut self, data: &Value) {
        if let Some(number) = data.get("sequence_number").and_then(Value::as_u64) {
            self.sequence = number + 1;
        }
        let kind = text(data, "type");
        match kind {
            "response.created" => {
                self.has_started = true;
                self.adopted = data.get("response").and_then(Value::as_object).cloned();
            }
            "response.output_item.added" => self.adopt_item(data),
            "response.output_item.done" => self.adopt_done(data),
            // What belongs to no item that is known grows elsewhere.
            _ if !self.turn_to(data) => {}
            "response.content_part.added" | "response.reasoning_summary_part.added" => {
                self.adopt_part(data);
            }
            "response.output_text.done"
            | "response.refusal.done"
            | "response.reasoning_text.done"
            | "response.reasoning_summary_text.done" => self.adopt_text_done(),
            "response.function_call_arguments.done" => self.adopt_arguments(data),
            "response.content_part.done" | "response.reasoning_summary_part.done" => {
                self.adopt_part_done(data);
            }
            _ if kind.ends_with(".delta") => self.adopt_delta(data),
            _ => {}
        }
    }

    /// Takes over an item that another writer has opened.
    fn adopt_item(&mut self, data: &Value) {
        let place = place_of(data).unwrap_or(self.next);
        self.next = self.next.max(place + 1);
        let item = data.get("item").unwrap_or(&Value::Null);
        let open = match text(item, "type") {
            "message" => Open::Message { parts: vec![], part: None },
            "reasoning" => Open::Reasoning(Thought::default()),
            "function_call" => {
                let (id, name) = (text(item, "call_id").to_owned(), text(item, "name").to_owned());
                let call = ToolCall { id, name, arguments: String::new() };
                Open::Call { index: u32::MAX, call, is_told: false }
            }
            // Nothing that we could close.
            _ => return,
        };
        self.set_aside();
        (self.open, self.place, self.open_id) = (open, Some(place), some_text(item, "id"));
    }

    fn set_aside(&mut self) {
        let open = std::mem::replace(&mut self.open, Open::Nothing);
        let (place, id) = (self.place.take(), self.open_id.take());
        if !matches!(open, Open::Nothing) {
            self.beside.push(Beside { open, place, id });
        }
    }

    fn take_up(&mut self, at: usize) {
        let Beside { open, place, id } = self.beside.remove(at);
        self.set_aside();
        (self.open, self.place, self.open_id) = (open, place, id);
    }

    /// Makes the item that an event belongs to the open one; `false` if it is none that is known.
    fn turn_to(&mut self, data: &Value) -> bool {
        let place = place_of(data);
        if place.is_none() || place == self.place {
            return true;
        }
        let at = self.beside.iter().position(|beside| beside.place == place);
        at.inspect(|at| self.take_up(*at)).is_some()
    }

    /// The part of the open item that grows.
    const fn growing(&mut self) -> Option<&mut Option<Growing>> {
        match &mut self.open {
            Open::Message { part, .. } => Some(part),
            Open::Reasoning(thought) => Some(&mut thought.open),
            Open::Nothing | Open::Call { .. } => None,
        }
    }

    fn adopt_part(&mut self, data: &Value) {
        let part = Part::of(data.get("part").unwrap_or(&Value::Null));
        if let Some(growing) = self.growing() {
            *growing = Some(Growing::new(part));
        }
    }

    fn adopt_delta(&mut self, data: &Value) {
        let delta = text(data, "delta");
        if !self.keeps(delta.len()) {
            return;
        }
        if let Open::Call { call, .. } = &mut self.open {
            call.arguments.push_str(delta);
        }
        // Some hosts open no parts.
        let part = Part::of_delta(text(data, "type"));
        if let Some(growing) = self.growing() {
            growing.get_or_insert_with(|| Growing::new(part)).text.push_str(delta);
        }
    }

    fn adopt_text_done(&mut self) {
        if let Some(Some(growing)) = self.growing() {
            growing.is_text_done = true;
        }
    }

    /// The arguments as a whole: some hosts send them in no other way.
    fn adopt_arguments(&mut self, data: &Value) {
        if let Open::Call { call, is_told, .. } = &mut self.open {
            *is_told = true;
            if let Some(arguments) = some_text(data, "arguments") {
                call.arguments = arguments;
            }
        }
    }

    fn adopt_part_done(&mut self, data: &Value) {
        let whole = data.get("part").filter(|part| part.is_object()).cloned();
        let size = whole.as_ref().map_or(0, |part| text(part, "text").len());
        let whole = whole.filter(|_| self.keeps(size));
        match &mut self.open {
            Open::Message { parts, part } => {
                *part = None;
                parts.extend(whole);
            }
            Open::Reasoning(thought) => {
                let is_summary = text(data, "type") == "response.reasoning_summary_part.done";
                let Thought { summary, content, open } = thought;
                *open = None;
                if is_summary { summary } else { content }.extend(whole);
            }
            Open::Nothing | Open::Call { .. } => {}
        }
    }

    fn adopt_done(&mut self, data: &Value) {
        let place = place_of(data).or(self.place).unwrap_or(self.next);
        self.next = self.next.max(place + 1);
        if let Some(item) = data.get("item").filter(|item| self.keeps(item.to_string().len())) {
            self.output.insert(place, item.clone());
        }
        if self.place == Some(place) {
            (self.open, self.place, self.open_id) = (Open::Nothing, None, None);
        }
        self.beside.retain(|beside| beside.place != Some(place));
        if matches!(self.open, Open::Nothing) && !self.beside.is_empty() {
            self.take_up(self.beside.len() - 1);
        }
    }

    /// Closes all items but one: a message that can go on, if there is one.
    pub(super) fn close_beside(&mut self, status: &str, out: &mut Vec<u8>) {
        let is_message = |open: &Open| matches!(open, Open::Message { .. });
        let message = self.beside.iter().rposition(|beside| is_message(&beside.open));
        if let Some(at) = message.filter(|_| !is_message(&self.open)) {
            self.take_up(at);
        }
        let kept =
            (std::mem::replace(&mut self.open, Open::Nothing), self.place, self.open_id.take());
        self.beside.sort_by_key(|beside| beside.place);
        for Beside { open, place, id } in std::mem::take(&mut self.beside) {
            (self.open, self.place, self.open_id) = (open, place, id);
            self.close(status, out);
        }
        (self.open, self.place, self.open_id) = kept;
    }
}

fn place_of(data: &Value) -> Option<u64> {
    data.get("output_index").and_then(Value::as_u64)
}
