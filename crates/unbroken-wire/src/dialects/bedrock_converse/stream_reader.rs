//! Streams of Converse: text and thinking have no start, usage comes behind the stop.

use serde_json::{Value, json};

use super::answer::{finish_reason, proof, read_usage, runs_there};
use crate::chat::{FinishReason, StreamEvent, Usage};
use crate::dialects::fields::{some_text, text};
use crate::dialects::{Ended, StreamReader, Truncated};
use crate::error::ErrorBody;
use crate::sse;

/// Reads one stream.
#[derive(Debug, Default)]
pub(super) struct Reader {
    has_started: bool,
    /// The call that the open block is, if it is one.
    open_call: Option<u32>,
    /// The thinking of the open block, for its signature.
    thinking: String,
    calls: u32,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
    is_done: bool,
    has_failed: bool,
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
        let data: Value = serde_json::from_str(data).map_err(|error| error.to_string())?;
        let name = event.name.as_deref().unwrap_or_default();
        if name == "error" || ErrorBody::is_in(&data) {
            self.has_failed = true;
            out.push(StreamEvent::Error(ErrorBody::of(&data)));
            return Ok(());
        }
        match name {
            "messageStart" => self.start(out),
            "contentBlockStart" => self.read_block_start(&data, out),
            "contentBlockDelta" => self.read_delta(&data, out),
            "contentBlockStop" => {
                self.thinking.clear();
                out.extend(self.open_call.take().map(|index| StreamEvent::ToolEnd { index }));
            }
            "messageStop" => self.read_stop(&data, out),
            "metadata" => self.read_metadata(&data, out),
            _ => out.push(StreamEvent::Ping),
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
        self.is_done
    }
}

impl Reader {
    fn start(&mut self, out: &mut Vec<StreamEvent>) {
        if !std::mem::replace(&mut self.has_started, true) {
            out.push(StreamEvent::Start { id: String::new(), model: String::new() });
        }
    }

    fn read_block_start(&mut self, data: &Value, out: &mut Vec<StreamEvent>) {
        self.open_call = None;
        let Some(call) = data.pointer("/start/toolUse").filter(|call| !runs_there(call)) else {
            out.push(StreamEvent::Ping);
            return;
        };
        let index = self.calls;
        self.calls += 1;
        self.open_call = Some(index);
        let (id, name) = (text(call, "toolUseId").to_owned(), text(call, "name").to_owned());
        out.push(StreamEvent::ToolStart { index, id, name });
    }

    fn read_delta(&mut self, data: &Value, out: &mut Vec<StreamEvent>) {
        let delta = data.get("delta").unwrap_or(&Value::Null);
        if let Some(words) = some_text(delta, "text") {
            out.push(StreamEvent::Text(words));
        } else if let Some(thought) = delta.get("reasoningContent") {
            self.read_thinking(thought, out);
        } else if let (Some(call), Some(index)) = (delta.get("toolUse"), self.open_call) {
            let fragment = some_text(call, "input");
            out.extend(fragment.map(|fragment| StreamEvent::ToolArguments { index, fragment }));
        } else {
            // Citations, and what its own tools found.
            out.push(StreamEvent::Ping);
        }
    }

    fn read_thinking(&mut self, thought: &Value, out: &mut Vec<StreamEvent>) {
        if let Some(words) = some_text(thought, "text") {
            self.thinking.push_str(&words);
            out.push(StreamEvent::Thinking(words));
        }
        if let Some(signature) = some_text(thought, "signature") {
            let words = std::mem::take(&mut self.thinking);
            let whole = json!({ "reasoningText": { "text": words, "signature": signature } });
            out.push(StreamEvent::Proof(proof(&whole)));
        }
        if thought.get("redactedContent").is_some() {
            out.push(StreamEvent::Proof(proof(thought)));
        }
    }

    fn read_stop(&mut self, data: &Value, out: &mut Vec<StreamEvent>) {
        let finish = finish_reason(text(data, "stopReason"), self.calls > 0);
        self.finish = Some(finish);
        out.push(StreamEvent::Finish(finish));
    }

    fn read_metadata(&mut self, data: &Value, out: &mut Vec<StreamEvent>) {
        self.is_done = self.finish.is_some();
        if let Some(usage) = data.get("usage").map(read_usage) {
            self.usage = Some(usage);
            out.push(StreamEvent::Usage(usage));
        }
    }
}
