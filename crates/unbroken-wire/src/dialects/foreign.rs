//! What becomes of a block or a field that only another dialect understands?
//!
//! Hints are dropped, what can be said in words is said in words, and what would change the
//! meaning makes the target no candidate. Source: wire-formats.md 2.2 and 7 (cases 30, 31, 36, 37).

use serde_json::{Value, json};

use super::fields::{list, text};
use super::{NOT_ASKED, Unsupported};
use crate::chat::{Chat, ToolChoice};

/// What becomes of a foreign block.
pub(super) enum Verdict {
    /// It is said in words.
    Text(String),
    /// Nobody misses it.
    Drop,
    /// The target is no candidate.
    Refuse(Unsupported),
}

/// Blocks that hold finished work of the provider: its outcome is in the text that follows.
const FINISHED: &[&str] = &[
    "server_tool_use",
    "web_search_call",
    "file_search_call",
    "code_interpreter_call",
    "image_generation_call",
    "mcp_list_tools",
    "mcp_call",
    "tool_search_call",
    "tool_search_output",
    "bash_code_execution_tool_result",
    "code_execution_tool_result",
    "text_editor_code_execution_tool_result",
    "tool_search_tool_result",
    "fallback",
    "additional_tools",
    "configuration_update",
];

pub(super) fn verdict(block: &Value) -> Verdict {
    let kind = text(block, "type");
    match kind {
        "web_search_tool_result" | "web_fetch_tool_result" => match sources(block) {
            list if list.is_empty() => Verdict::Drop,
            list => Verdict::Text(format!("Sources found:\n{}", list.join("\n"))),
        },
        "search_result" => Verdict::Text(as_text(block)),
        kind if FINISHED.contains(&kind) => Verdict::Drop,
        // What Google's models ran at Google: code, its outcome, search.
        "" if ["executableCode", "codeExecutionResult", "toolCall", "toolResponse"]
            .iter()
            .any(|key| block.get(*key).is_some()) =>
        {
            Verdict::Drop
        }
        _ => {
            let kind = if kind.is_empty() {
                block.as_object().and_then(|block| block.keys().next()).map_or("", String::as_str)
            } else {
                kind
            };
            Verdict::Refuse(Unsupported::new("messages", &format!("a block of type '{kind}'")))
        }
    }
}

/// `dropped:messages.web_search_call`.
pub(super) fn warning(what: &str, block: &Value) -> String {
    let kind = text(block, "type");
    format!("{what}:messages.{}", if kind.is_empty() { "part" } else { kind })
}

/// A block in words; never its encrypted parts.
pub(super) fn as_text(block: &Value) -> String {
    let inner: Vec<&str> = list(block, "content").iter().map(|part| text(part, "text")).collect();
    let (title, source) = (text(block, "title"), text(block, "source"));
    match (title, inner.as_slice()) {
        ("", []) => block.to_string(),
        _ => [title, source, &inner.join("\n")].join("\n").trim().to_owned(),
    }
}

fn sources(block: &Value) -> Vec<String> {
    let row = |result: &Value| {
        let url = text(result, "url");
        (!url.is_empty()).then(|| format!("- {} {url}", text(result, "title")))
    };
    list(block, "content").iter().filter_map(row).collect()
}

/// Asks for the rest of an answer whose beginning was given, of an API that would begin anew.
///
/// Source: wire-formats.md 6.2 and 7 (case 24).
pub(super) fn go_on(begun: &str) -> String {
    let tail: Vec<char> = begun.chars().rev().take(200).collect();
    let tail: String = tail.into_iter().rev().collect();
    format!(
        "Your previous message is the beginning of your answer. It ends with: <<<{tail}>>>. \
         Continue exactly after the last character. Do not repeat, summarise, apologise or greet."
    )
}

/// Fields that change the meaning of the answer; the rest are hints.
pub(super) const CONSTRAINTS: &[&str] = &[
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "audio",
    "modalities",
    "web_search_options",
    "tools",
    "cachedContent",
    "cached_content",
    "responseModalities",
    "response_modalities",
    "responseLogprobs",
    "mcp_servers",
    "container",
    "previous_response_id",
    "conversation",
    "prompt",
    "background",
    "thread",
    "speechConfig",
    "imageConfig",
    "continuationToken",
];

/// What another dialect's fields mean for a target that does not know them.
pub(super) fn weigh_extras(chat: &Chat, warnings: &mut Vec<String>) -> Result<(), Unsupported> {
    if chat.max_tokens == Some(0) {
        return Err(Unsupported::new(
            "max_tokens",
            "only its own API fills caches without an answer",
        ));
    }
    let is_forced = matches!(
        chat.tool_choice,
        Some(ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::OneOf(_))
    );
    if is_forced && chat.tools.is_empty() {
        return Err(Unsupported::new("tool_choice", "a tool is demanded and none is offered"));
    }
    if let Some((_, Value::String(what))) =
        chat.extras.iter().find(|(key, _)| key == "side_request")
    {
        return Err(Unsupported::new(what, NOT_ASKED));
    }
    for (field, value) in &chat.extras {
        let is_harmless = matches!(value, Value::Bool(false))
            || *value == json!(0)
            || value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(serde_json::Map::is_empty)
            || (field.to_ascii_lowercase().ends_with("modalities") && is_text_only(value))
            // An agent's own tools do its work; those of its provider only add to them.
            || (field == "tools" && !chat.tools.is_empty());
        if CONSTRAINTS.contains(&field.as_str()) && !is_harmless {
            return Err(Unsupported::new(field, "this target's API has nothing like it"));
        }
        let kind = value.get("type").and_then(Value::as_str).filter(|_| field == "tools");
        warnings.push(match kind {
            Some(kind) => format!("dropped:tools.{kind}"),
            None => format!("dropped:{field}"),
        });
    }
    Ok(())
}

fn is_text_only(value: &Value) -> bool {
    let words = value.as_array().map_or(&[][..], Vec::as_slice);
    words.iter().all(|word| word.as_str().is_some_and(|word| word.eq_ignore_ascii_case("text")))
}
