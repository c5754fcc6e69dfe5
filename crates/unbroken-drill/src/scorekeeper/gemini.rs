//! The grammar of Gemini: chunks of one response, the finish reason in the last one, no terminator.

use serde_json::Value;

use super::{Grammar, Same, Verdict, json, number, text};

const REASONS: [&str; 14] = [
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "IMAGE_SAFETY",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "MALFORMED_RESPONSE",
];

/// Other parts than text and calls.
const PARTS: [&str; 6] = [
    "inlineData",
    "fileData",
    "executableCode",
    "codeExecutionResult",
    "functionResponse",
    "thoughtSignature",
];

#[derive(Default)]
pub(super) struct Gemini {
    id: Same,
    model: Same,
}

impl Gemini {
    fn candidate(candidate: &Value, verdict: &mut Verdict) {
        let index = number(candidate, "/index").unwrap_or(0);
        verdict.hold(index == 0, "a candidate that was not asked for");
        if let Some(content) = candidate.get("content") {
            let role = text(content, "/role");
            verdict.hold(role.is_none_or(|role| role == "model"), "a role that is not the model's");
            for part in content.get("parts").and_then(Value::as_array).into_iter().flatten() {
                take_part(part, verdict);
            }
        }
    }
}

/// Takes one part of a candidate.
pub(super) fn take_part(part: &Value, verdict: &mut Verdict) {
    if let Some(said) = part.get("text") {
        verdict.hold(said.is_string(), "a text that is no text");
        let said = said.as_str().unwrap_or_default();
        if part.get("thought") == Some(&Value::Bool(true)) {
            verdict.thinking.push_str(said);
        } else {
            verdict.text.push_str(said);
        }
    } else if let Some(call) = part.get("functionCall") {
        let name = text(call, "/name").unwrap_or_default();
        verdict.hold(!name.is_empty(), "a call without an id or a name");
        let args = call.get("args").cloned().unwrap_or_else(|| serde_json::json!({}));
        verdict.hold(args.is_object(), "arguments that are no object");
        verdict.calls.push((name.to_owned(), args));
    } else {
        let is_known = PARTS.iter().any(|key| part.get(*key).is_some());
        verdict.hold(is_known, "a part that the dialect does not have");
    }
}

/// Takes the reason why a candidate ends.
pub(super) fn take_finish(reason: &str, verdict: &mut Verdict) {
    verdict.hold(REASONS.contains(&reason), "a finish reason that the dialect does not have");
    verdict.finish = Some(reason.to_owned());
    verdict.is_whole = true;
}

/// Takes the usage.
pub(super) fn take_usage(usage: Option<&Value>, verdict: &mut Verdict) {
    let Some(usage) = usage else { return verdict.broken("an end without usage") };
    let of = |key: &str| number(usage, key);
    let (prompt, total) = (of("/promptTokenCount"), of("/totalTokenCount"));
    let output = of("/candidatesTokenCount").unwrap_or(0);
    let thoughts = of("/thoughtsTokenCount").unwrap_or(0);
    let least = prompt.map(|prompt| prompt + output);
    verdict.hold(least.is_some() && total >= least, "usage that does not add up");
    verdict.output_tokens = Some(output + thoughts);
}

impl Grammar for Gemini {
    fn event(&mut self, name: Option<&str>, data: &str, verdict: &mut Verdict) {
        verdict.hold(name.is_none(), "an event with a name");
        let Some(chunk) = json(data, verdict) else { return };
        if let Some(error) = chunk.get("error").filter(|error| !error.is_null()) {
            // Google's Python SDK tells an error by its first key.
            let is_alone = chunk.as_object().is_some_and(|chunk| chunk.len() == 1);
            verdict.hold(is_alone, "an error that is not alone");
            return verdict.failed(error);
        }
        verdict.hold(self.id.is_kept(chunk.get("responseId")), "more than one id");
        verdict.hold(self.model.is_kept(chunk.get("modelVersion")), "more than one model");
        verdict.model = text(&chunk, "/modelVersion").map(ToOwned::to_owned);
        let candidate = chunk.pointer("/candidates/0").filter(|candidate| candidate.is_object());
        let is_blocked = chunk.pointer("/promptFeedback/blockReason").is_some();
        verdict.hold(candidate.is_some() || is_blocked, "a chunk without a candidate");
        if let Some(candidate) = candidate {
            Self::candidate(candidate, verdict);
        }
        let reason = candidate.and_then(|candidate| text(candidate, "/finishReason"));
        if let Some(reason) = reason {
            take_finish(reason, verdict);
            take_usage(chunk.get("usageMetadata"), verdict);
        } else if is_blocked {
            verdict.finish = Some("SAFETY".to_owned());
            verdict.is_whole = true;
        }
    }
}
