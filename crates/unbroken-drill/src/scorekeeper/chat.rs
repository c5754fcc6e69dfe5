//! The grammar of OpenAI Chat Completions: the role, content and calls, one finish reason, usage
//! if asked for, `[DONE]`.

use serde_json::Value;

use super::calls::Calls;
use super::{Grammar, Same, Verdict, json, number, text};

const REASONS: [&str; 5] = ["stop", "length", "tool_calls", "content_filter", "function_call"];

pub(super) struct Chat {
    include_usage: Option<bool>,
    id: Same,
    created: Same,
    model: Same,
    roles: u32,
    calls: Calls,
    usages: u32,
}

impl Chat {
    pub(super) fn new(include_usage: Option<bool>) -> Self {
        Self {
            include_usage,
            id: Same::default(),
            created: Same::default(),
            model: Same::default(),
            roles: 0,
            calls: Calls::default(),
            usages: 0,
        }
    }

    fn done(&mut self, verdict: &mut Verdict) {
        verdict.hold(verdict.finish.is_some(), "[DONE] without one finish reason");
        let is_missing = self.include_usage == Some(true) && self.usages == 0;
        verdict.hold(!is_missing, "usage was asked for and never came");
        verdict.is_whole = true;
    }

    fn envelope(&mut self, chunk: &Value, verdict: &mut Verdict) {
        let object = text(chunk, "/object");
        verdict.hold(object == Some("chat.completion.chunk"), "a chunk without its object");
        verdict.hold(self.id.is_kept(chunk.get("id")), "more than one id");
        verdict.hold(self.created.is_kept(chunk.get("created")), "more than one time of creation");
        verdict.hold(self.model.is_kept(chunk.get("model")), "more than one model");
        verdict.model = text(chunk, "/model").map(ToOwned::to_owned);
    }

    fn usage(&mut self, usage: &Value, verdict: &mut Verdict) {
        self.usages += 1;
        verdict.hold(self.include_usage != Some(false), "usage that was not asked for");
        verdict.hold(self.usages == 1, "usage twice");
        verdict.hold(verdict.finish.is_some(), "usage before the finish reason");
        let prompt = number(usage, "/prompt_tokens");
        let output = number(usage, "/completion_tokens");
        let total = number(usage, "/total_tokens");
        let is_sum = prompt.zip(output).map(|(prompt, output)| prompt + output) == total;
        verdict.hold(is_sum && total.is_some(), "usage that does not add up");
        verdict.output_tokens = output;
    }

    fn choice(&mut self, choice: &Value, verdict: &mut Verdict) {
        verdict.hold(number(choice, "/index") == Some(0), "a choice that was not asked for");
        verdict.hold(verdict.finish.is_none(), "a choice after the finish reason");
        let delta = choice.get("delta").unwrap_or(&Value::Null);
        verdict.hold(delta.is_object(), "a choice without a delta");
        if let Some(role) = delta.get("role") {
            self.roles += 1;
            verdict.hold(role == "assistant", "a role that is not the assistant's");
            verdict.hold(self.roles == 1, "the role twice");
        }
        verdict.hold(self.roles > 0, "content before the role");
        for key in ["content", "refusal", "reasoning_content"] {
            let is_text = delta.get(key).is_none_or(|text| text.is_string() || text.is_null());
            verdict.hold(is_text, "a delta that is no text");
        }
        verdict.text.push_str(text(delta, "/content").unwrap_or_default());
        verdict.thinking.push_str(text(delta, "/reasoning_content").unwrap_or_default());
        for call in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            self.call(call, verdict);
        }
        if let Some(reason) = choice.get("finish_reason").filter(|reason| !reason.is_null()) {
            self.finish(reason.as_str().unwrap_or_default(), verdict);
        }
    }

    fn call(&mut self, call: &Value, verdict: &mut Verdict) {
        let index = number(call, "/index").and_then(|index| usize::try_from(index).ok());
        let count = self.calls.0.len();
        verdict.hold(index.is_some_and(|index| index <= count), "a call whose index is not next");
        let (id, name) = (text(call, "/id"), text(call, "/function/name"));
        if index == Some(count) {
            verdict.hold(text(call, "/type") == Some("function"), "a call without its type");
            self.calls.add(id, name, verdict);
        } else {
            verdict.hold(id.is_none() && name.is_none(), "a call that begins twice");
        }
        let more = text(call, "/function/arguments").unwrap_or_default();
        if let Some(call) = index.and_then(|index| self.calls.0.get_mut(index)) {
            call.arguments.push_str(more);
        }
    }

    fn finish(&mut self, reason: &str, verdict: &mut Verdict) {
        verdict.hold(REASONS.contains(&reason), "a finish reason that the dialect does not have");
        let is_of_calls = reason == "tool_calls";
        let has_calls = !self.calls.0.is_empty();
        verdict.hold(!is_of_calls || has_calls, "a finish for calls, and no calls");
        let hides_calls = reason == "stop" && has_calls;
        verdict.hold(!hides_calls, "calls, and another finish");
        self.calls.finish(verdict);
        verdict.finish = Some(reason.to_owned());
    }
}

impl Grammar for Chat {
    fn event(&mut self, name: Option<&str>, data: &str, verdict: &mut Verdict) {
        verdict.hold(name.is_none(), "an event with a name");
        if data == "[DONE]" {
            return self.done(verdict);
        }
        let Some(chunk) = json(data, verdict) else { return };
        if let Some(error) = chunk.get("error").filter(|error| !error.is_null()) {
            return verdict.failed(error);
        }
        self.envelope(&chunk, verdict);
        let choices = chunk.get("choices").and_then(Value::as_array);
        verdict.hold(choices.is_some(), "a chunk without choices");
        for choice in choices.into_iter().flatten() {
            self.choice(choice, verdict);
        }
        if let Some(usage) = chunk.get("usage").filter(|usage| !usage.is_null()) {
            let is_alone = choices.is_some_and(Vec::is_empty);
            verdict.hold(is_alone, "usage beside a choice");
            self.usage(usage, verdict);
        }
    }
}
