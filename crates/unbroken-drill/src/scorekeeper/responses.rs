//! The grammar of OpenAI Responses: numbered events; items added, filled and done; one terminal
//! whose output is what was streamed.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Grammar, Same, Verdict, json, number, text};

/// Events of the tools that OpenAI runs itself; they carry nothing that is judged here.
const OF_TOOLS: [&str; 10] = [
    "response.web_search_call.",
    "response.file_search_call.",
    "response.code_interpreter_call",
    "response.image_generation_call.",
    "response.mcp_",
    "response.shell_call",
    "response.compaction.",
    "response.audio.",
    "response.custom_tool_call_input.",
    "response.output_text.annotation.",
];

#[derive(Default)]
pub(super) struct Responses {
    next_number: u64,
    id: Same,
    model: Same,
    has_started: bool,
    items: Vec<Item>,
}

/// An output item.
#[derive(Debug, Default)]
struct Item {
    id: String,
    kind: String,
    /// Content parts, or parts of a summary, by index.
    parts: BTreeMap<u64, Part>,
    arguments: String,
    are_arguments_done: bool,
    done: Option<Value>,
}

/// Text that grows.
#[derive(Debug, Default)]
struct Part {
    text: String,
    is_text_done: bool,
    is_done: bool,
}

impl Responses {
    fn response(&mut self, event: &Value, status: &[&str], verdict: &mut Verdict) {
        let response = event.get("response").unwrap_or(&Value::Null);
        verdict.hold(self.id.is_kept(response.get("id")), "more than one id");
        verdict.hold(self.model.is_kept(response.get("model")), "more than one model");
        verdict
            .hold(text(response, "/object") == Some("response"), "a response without its object");
        let is_right = text(response, "/status").is_some_and(|said| status.contains(&said));
        verdict.hold(is_right, "a status that does not fit its event");
        verdict.model = text(response, "/model").map(ToOwned::to_owned);
    }

    fn add_item(&mut self, event: &Value, verdict: &mut Verdict) {
        let is_next = number(event, "/output_index") == u64::try_from(self.items.len()).ok();
        verdict.hold(is_next, "an index that does not follow the last");
        let (id, kind) = (text(event, "/item/id"), text(event, "/item/type"));
        let (id, kind) = (id.unwrap_or_default(), kind.unwrap_or_default());
        verdict.hold(!id.is_empty() && !kind.is_empty(), "an item without an id or a type");
        verdict.hold(self.items.iter().all(|item| item.id != id), "two items with one id");
        if kind == "function_call" {
            let is_called = text(event, "/item/call_id").is_some_and(|id| !id.is_empty())
                && text(event, "/item/name").is_some_and(|name| !name.is_empty());
            verdict.hold(is_called, "a call without an id or a name");
        }
        let (id, kind) = (id.to_owned(), kind.to_owned());
        self.items.push(Item { id, kind, ..Item::default() });
    }

    /// The open item that an event speaks of.
    fn item(&mut self, event: &Value, verdict: &mut Verdict) -> Option<&mut Item> {
        let index = number(event, "/output_index").and_then(|index| usize::try_from(index).ok());
        let item = index.and_then(|index| self.items.get_mut(index));
        let is_open = item.as_ref().is_some_and(|item| item.done.is_none());
        verdict.hold(is_open, "content outside of an item");
        let item = item?;
        let said = text(event, "/item_id").or_else(|| text(event, "/item/id"));
        verdict.hold(said == Some(item.id.as_str()), "an item id that is not its item's");
        Some(item)
    }

    fn add_part(&mut self, event: &Value, index: &str, verdict: &mut Verdict) {
        let Some(item) = self.item(event, verdict) else { return };
        let index = number(event, index);
        let is_next = index == u64::try_from(item.parts.len()).ok();
        verdict.hold(is_next, "an index that does not follow the last");
        let is_empty = text(event, "/part/text").is_none_or(str::is_empty);
        verdict.hold(is_empty, "a part with content at its start");
        item.parts.insert(index.unwrap_or_default(), Part::default());
    }

    fn delta(&mut self, event: &Value, index: &str, verdict: &mut Verdict) -> String {
        let more = text(event, "/delta").map(ToOwned::to_owned);
        verdict.hold(more.is_some(), "a delta without its content");
        let more = more.unwrap_or_default();
        let Some(item) = self.item(event, verdict) else { return more };
        let part = number(event, index).and_then(|index| item.parts.get_mut(&index));
        let is_open = part.as_ref().is_some_and(|part| !part.is_text_done && !part.is_done);
        verdict.hold(is_open, "content outside of a part");
        if let Some(part) = part {
            part.text.push_str(&more);
        }
        more
    }

    fn text_done(&mut self, event: &Value, index: &str, key: &str, verdict: &mut Verdict) {
        let Some(item) = self.item(event, verdict) else { return };
        let part = number(event, index).and_then(|index| item.parts.get_mut(&index));
        let Some(part) = part else { return verdict.broken("the end of a part that is not open") };
        verdict.hold(!part.is_text_done, "the end of a text twice");
        verdict.hold(text(event, key) == Some(&part.text), "a text that differs from its deltas");
        part.is_text_done = true;
    }

    fn part_done(&mut self, event: &Value, index: &str, verdict: &mut Verdict) {
        let Some(item) = self.item(event, verdict) else { return };
        let part = number(event, index).and_then(|index| item.parts.get_mut(&index));
        let Some(part) = part else { return verdict.broken("the end of a part that is not open") };
        verdict.hold(part.is_text_done && !part.is_done, "a part that ends before its text");
        let said = text(event, "/part/text").or_else(|| text(event, "/part/refusal"));
        verdict.hold(said == Some(&part.text), "a text that differs from its deltas");
        part.is_done = true;
    }

    fn arguments(&mut self, event: &Value, is_done: bool, verdict: &mut Verdict) {
        let Some(item) = self.item(event, verdict) else { return };
        let is_open = item.kind == "function_call" && !item.are_arguments_done;
        verdict.hold(is_open, "arguments outside of a call");
        if is_done {
            let said = text(event, "/arguments");
            verdict.hold(said == Some(&item.arguments), "arguments that differ from their deltas");
            item.are_arguments_done = true;
        } else {
            item.arguments.push_str(text(event, "/delta").unwrap_or_default());
        }
    }

    fn item_done(&mut self, event: &Value, verdict: &mut Verdict) {
        let Some(item) = self.item(event, verdict) else { return };
        let done = event.get("item").cloned().unwrap_or_default();
        verdict.hold(text(&done, "/type") == Some(&item.kind), "an item that changes its type");
        let are_closed = item.parts.values().all(|part| part.is_text_done && part.is_done);
        verdict.hold(are_closed, "an item that ends before its parts");
        match item.kind.as_str() {
            "message" => verdict.hold(parts_are(&done, "content", item), DIFFERS),
            "reasoning" => {
                let is_same =
                    parts_are(&done, "summary", item) || parts_are(&done, "content", item);
                verdict.hold(is_same, DIFFERS);
            }
            "function_call" => {
                verdict.hold(item.are_arguments_done, "an item that ends before its arguments");
                verdict.hold(text(&done, "/arguments") == Some(&item.arguments), DIFFERS);
                let arguments = serde_json::from_str::<Value>(&item.arguments).ok();
                let arguments = arguments.filter(Value::is_object);
                verdict.hold(arguments.is_some(), "arguments that are no object");
                let name = text(&done, "/name").unwrap_or_default().to_owned();
                verdict.calls.push((name, arguments.unwrap_or_default()));
            }
            _ => {}
        }
        item.done = Some(done);
    }

    fn end(&mut self, event: &Value, status: &'static str, verdict: &mut Verdict) {
        self.response(event, &[status], verdict);
        let are_done = self.items.iter().all(|item| item.done.is_some());
        verdict.hold(are_done, "an item was never done");
        let output = event.pointer("/response/output").and_then(Value::as_array);
        let streamed: Option<Vec<Value>> =
            self.items.iter().map(|item| item.done.clone()).collect();
        verdict.hold(output == streamed.as_ref(), "an output that differs from its items");
        take_usage(event.pointer("/response/usage"), verdict);
        if status == "incomplete" {
            let reason = text(event, "/response/incomplete_details/reason");
            verdict.hold(reason.is_some(), "incomplete without a reason");
            verdict.finish = reason.map(ToOwned::to_owned);
        } else {
            verdict.finish = Some(status.to_owned());
        }
        verdict.is_whole = true;
    }

    fn fill(&mut self, kind: &str, event: &Value, verdict: &mut Verdict) {
        const CONTENT: &str = "/content_index";
        const SUMMARY: &str = "/summary_index";
        match kind {
            "response.output_item.added" => self.add_item(event, verdict),
            "response.output_item.done" => self.item_done(event, verdict),
            "response.content_part.added" => self.add_part(event, CONTENT, verdict),
            "response.content_part.done" => self.part_done(event, CONTENT, verdict),
            "response.output_text.delta" => {
                let more = self.delta(event, CONTENT, verdict);
                verdict.text.push_str(&more);
            }
            "response.output_text.done" => self.text_done(event, CONTENT, "/text", verdict),
            "response.refusal.delta" => {
                self.delta(event, CONTENT, verdict);
            }
            "response.refusal.done" => self.text_done(event, CONTENT, "/refusal", verdict),
            "response.function_call_arguments.delta" => self.arguments(event, false, verdict),
            "response.function_call_arguments.done" => self.arguments(event, true, verdict),
            "response.reasoning_summary_part.added" => self.add_part(event, SUMMARY, verdict),
            "response.reasoning_summary_part.done" => self.part_done(event, SUMMARY, verdict),
            "response.reasoning_summary_text.delta" => {
                let more = self.delta(event, SUMMARY, verdict);
                verdict.thinking.push_str(&more);
            }
            "response.reasoning_summary_text.done" => {
                self.text_done(event, SUMMARY, "/text", verdict);
            }
            "response.reasoning_text.delta" => {
                let more = self.delta(event, CONTENT, verdict);
                verdict.thinking.push_str(&more);
            }
            "response.reasoning_text.done" => self.text_done(event, CONTENT, "/text", verdict),
            other => {
                let is_known = OF_TOOLS.iter().any(|known| other.starts_with(known));
                verdict.hold(is_known, "an event that the dialect does not have");
            }
        }
    }
}

const DIFFERS: &str = "an item that differs from its events";

/// Whether the texts of a finished item are what was streamed.
fn parts_are(done: &Value, key: &str, item: &Item) -> bool {
    let said = done.get(key).and_then(Value::as_array).into_iter().flatten();
    let said = said.map(|part| text(part, "/text").or_else(|| text(part, "/refusal")));
    let streamed = item.parts.values().map(|part| Some(part.text.as_str()));
    said.eq(streamed)
}

/// Takes the usage.
pub(super) fn take_usage(usage: Option<&Value>, verdict: &mut Verdict) {
    let of = |key: &str| usage.and_then(|usage| number(usage, key));
    let (input, output) = (of("/input_tokens"), of("/output_tokens"));
    let is_sum = input.zip(output).map(|(input, output)| input + output) == of("/total_tokens");
    verdict.hold(is_sum && output.is_some(), "usage that does not add up");
    verdict.output_tokens = output;
}

impl Grammar for Responses {
    fn event(&mut self, name: Option<&str>, data: &str, verdict: &mut Verdict) {
        let Some(event) = json(data, verdict) else { return };
        let kind = text(&event, "/type").unwrap_or_default();
        verdict.hold(name == Some(kind), "an event whose name is not its type");
        let is_next = number(&event, "/sequence_number") == Some(self.next_number);
        verdict.hold(is_next, "a sequence number that does not follow the last");
        self.next_number += 1;
        let needs_start = !matches!(kind, "response.created" | "error");
        verdict.hold(self.has_started || !needs_start, "not one response.created in front");
        match kind {
            "response.created" => {
                verdict.hold(!self.has_started, "response.created twice");
                self.has_started = true;
                self.response(&event, &["in_progress", "queued"], verdict);
            }
            "response.queued" => self.response(&event, &["queued"], verdict),
            "response.in_progress" => self.response(&event, &["in_progress"], verdict),
            "response.completed" => self.end(&event, "completed", verdict),
            "response.incomplete" => self.end(&event, "incomplete", verdict),
            "response.failed" => {
                self.response(&event, &["failed"], verdict);
                verdict.failed(event.pointer("/response/error").unwrap_or(&Value::Null));
            }
            "error" => verdict.failed(&event),
            "keepalive" => {}
            other => self.fill(other, &event, verdict),
        }
    }
}
