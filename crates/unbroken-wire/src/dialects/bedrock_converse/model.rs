//! What the models behind Converse differ in, by their names.
//!
//! Source: wire-formats.md 2.2, 2.3, 8.2; recordings (`us.amazon.nova-…`, `qwen.…`, `minimax.…`).

use serde_json::{Value, json};

use crate::chat::Effort;
use crate::dialects::anthropic_messages::model as claude;

/// Whether it is one of Anthropic's.
pub(super) fn is_claude(model: &str) -> bool {
    model.contains("claude")
}

/// Whether it is one of Amazon's own that take all of Converse.
pub(super) fn is_nova(model: &str) -> bool {
    model.contains("amazon.nova")
}

/// Whether a result may say that the tool failed.
pub(super) fn has_result_status(model: &str) -> bool {
    is_claude(model) || is_nova(model)
}

/// Whether places for a prompt cache may be marked.
pub(super) fn has_cache_points(model: &str) -> bool {
    is_claude(model) || is_nova(model)
}

/// Whether answers can be made to match a schema.
pub(super) fn has_structured_output(model: &str) -> bool {
    if is_claude(model) {
        return claude::has_structured_output(model);
    }
    let lacking = ["amazon.", "meta.", "cohere.", "ai21.", "stability."];
    !lacking.iter().any(|vendor| model.contains(vendor))
}

/// Whether temperature and kin are accepted.
pub(super) fn takes_sampling(model: &str) -> bool {
    !is_claude(model) || claude::takes_sampling(model)
}

/// Whether both temperature and `top_p` are. Source: wire-formats.md 7 (case 57).
pub(super) fn takes_both(model: &str) -> bool {
    !is_claude(model)
}

/// Whether an assistant's message at the end is gone on with.
pub(super) fn takes_prefill(model: &str) -> bool {
    is_claude(model) && claude::takes_prefill(model)
}

/// How much it should think, in the model's own fields.
#[derive(Debug, PartialEq)]
pub(super) enum Thinking {
    /// A member of `additionalModelRequestFields`, and `outputConfig.effort`.
    Fields(&'static str, Value, Option<Effort>),
    /// It does not take that.
    Dropped,
    /// Nothing has to be said.
    Nothing,
}

/// How an effort is told to the model.
pub(super) fn thinking(model: &str, effort: Effort) -> Thinking {
    let is_off = effort <= Effort::Minimal;
    if is_claude(model) {
        return match (is_off, claude::thinks_by_effort(model)) {
            (true, _) => Thinking::Nothing,
            (false, true) => {
                let taken = claude::effort_for(model, effort);
                Thinking::Fields("thinking", json!({ "type": "adaptive" }), Some(taken))
            }
            (false, false) => {
                let budget = json!({ "type": "enabled", "budget_tokens": effort.budget() });
                Thinking::Fields("thinking", budget, None)
            }
        };
    }
    let word = match effort {
        Effort::None | Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High | Effort::XHigh | Effort::Max => "high",
    };
    if ["qwen.", "deepseek.v3"].iter().any(|name| model.contains(name)) {
        return if is_off {
            Thinking::Nothing
        } else {
            Thinking::Fields("reasoning_config", word.into(), None)
        };
    }
    if model.contains("openai.gpt-oss") {
        return Thinking::Fields("reasoning_effort", word.into(), None);
    }
    if model.contains("amazon.nova-2") {
        let kind = if is_off { "disabled" } else { "enabled" };
        let mut config = json!({ "type": kind });
        if let (false, Value::Object(config)) = (is_off, &mut config) {
            config.insert("maxReasoningEffort".to_owned(), word.into());
        }
        return Thinking::Fields("reasoningConfig", config, None);
    }
    if is_off { Thinking::Nothing } else { Thinking::Dropped }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vendor_hears_of_thinking_in_its_own_words() {
        let of = |model, effort| match thinking(model, effort) {
            Thinking::Fields(name, value, effort) => {
                format!("{name} {value} {}", effort.map_or("", Effort::word))
            }
            Thinking::Dropped => "dropped".to_owned(),
            Thinking::Nothing => "nothing".to_owned(),
        };
        for (model, effort, told) in [
            (
                "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
                Effort::Low,
                "thinking {\"type\":\"enabled\",\"budget_tokens\":1024} ",
            ),
            (
                "anthropic.claude-opus-4-6-v1",
                Effort::XHigh,
                "thinking {\"type\":\"adaptive\"} high",
            ),
            ("qwen.qwen3-32b-v1:0", Effort::Max, "reasoning_config \"high\" "),
            ("openai.gpt-oss-120b-1:0", Effort::None, "reasoning_effort \"low\" "),
            (
                "us.amazon.nova-2-lite-v1:0",
                Effort::Medium,
                "reasoningConfig {\"type\":\"enabled\",\"maxReasoningEffort\":\"medium\"} ",
            ),
            ("meta.llama3-2-1b-instruct-v1:0", Effort::High, "dropped"),
            ("meta.llama3-2-1b-instruct-v1:0", Effort::None, "nothing"),
        ] {
            assert_eq!(of(model, effort), told, "{model}");
        }
    }
}
