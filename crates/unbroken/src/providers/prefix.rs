//! Which targets take the beginning of an answer as a part of the request, and go on with it?
//!
//! Known, never guessed: who is not listed is asked to go on in words. A target that refuses is
//! remembered by the fleet. Source: wire-formats.md 6.1 (vendor documentation, SDKs), read
//! 2026-11-22.

use unbroken_wire::chat::{Chat, OutputFormat};
use unbroken_wire::resume::Prefill;

use crate::endpoint::Endpoint;

/// Which models at which addresses, by parts of their names; an empty part fits all.
struct Known {
    dialect: &'static str,
    host: &'static str,
    models: &'static [&'static str],
    prefill: Prefill,
}

/// Claude to 4.5.
const CLAUDES: &[&str] = &[
    "claude-2",
    "claude-3",
    "claude-instant",
    "claude-opus-4-0",
    "claude-opus-4-1",
    "claude-opus-4-2025",
    "claude-opus-4-5",
    "claude-sonnet-4-0",
    "claude-sonnet-4-2025",
    "claude-sonnet-4-5",
    "claude-haiku-4-5",
];

const KNOWN: &[Known] = &[
    // Anthropic to 4.5, wherever it is hosted; 4.6 and later answer with a 400.
    Known { dialect: "anthropic-messages", host: "", models: CLAUDES, prefill: Prefill::Trailing },
    // The same models behind Converse; the others there are mixed.
    Known { dialect: "bedrock-converse", host: "", models: CLAUDES, prefill: Prefill::Trailing },
    // It goes on loosely and may begin anew, which the seam sees. Gemini 3 thinks anew.
    Known {
        dialect: "gemini",
        host: "",
        models: &["gemini-1.5", "gemini-2.0", "gemini-2.5"],
        prefill: Prefill::Trailing,
    },
    Known {
        dialect: "openai-chat",
        host: "api.mistral.ai",
        models: &[""],
        prefill: Prefill::PrefixField,
    },
    // Only below its beta address.
    Known {
        dialect: "openai-chat",
        host: "api.deepseek.com/beta",
        models: &[""],
        prefill: Prefill::PrefixField,
    },
    Known {
        dialect: "openai-chat",
        host: "api.moonshot.",
        models: &["kimi", "moonshot"],
        prefill: Prefill::PartialField,
    },
    Known {
        dialect: "openai-chat",
        host: "dashscope",
        models: &["qwen"],
        prefill: Prefill::PartialField,
    },
];

/// How this target takes the beginning of an answer to this request, if it is known to.
pub(crate) fn prefill(endpoint: &Endpoint, model: &str, chat: &Chat) -> Option<Prefill> {
    let dialect = endpoint.provider.dialect.name;
    // Thinking, forced output formats and beginnings exclude each other at these.
    let is_compatible = dialect == "openai-chat"
        || (!chat.asks_for_reasoning() && chat.output == OutputFormat::Text);
    if !is_compatible {
        return None;
    }
    let bare = model.rsplit('/').next().unwrap_or(model);
    let fits = |known: &&Known| {
        known.dialect == dialect
            && endpoint.base_url.contains(known.host)
            && known.models.iter().any(|part| bare.contains(part))
    };
    let configured = endpoint.prefill;
    configured.or_else(|| KNOWN.iter().find(fits).map(|known| known.prefill))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::{ANTHROPIC, GEMINI, OPENAI, OPENAI_COMPATIBLE};

    #[test]
    fn only_documented_models_get_a_beginning() {
        let chat = Chat::plain("m", "hello");
        let anthropic = Endpoint::new(&ANTHROPIC, None);
        for (model, expected) in [
            ("claude-sonnet-4-5-20250929", true),
            ("claude-3-5-haiku-latest", true),
            ("claude-opus-4-20250514", true),
            ("claude-haiku-4-5", true),
            ("claude-sonnet-4-6", false),
            ("claude-opus-4-7", false),
            ("claude-opus-5", false),
            ("something-new", false),
        ] {
            assert_eq!(prefill(&anthropic, model, &chat).is_some(), expected, "{model}");
        }
        let gemini = Endpoint::new(&GEMINI, None);
        assert_eq!(prefill(&gemini, "gemini-2.5-pro", &chat), Some(Prefill::Trailing));
        assert_eq!(prefill(&gemini, "gemini-3-pro", &chat), None);
        assert_eq!(prefill(&Endpoint::new(&OPENAI, None), "gpt-5.1", &chat), None);
        let at = |url: &str| Endpoint::new(&OPENAI_COMPATIBLE, None).at(url);
        let mistral = at("https://api.mistral.ai/v1");
        assert_eq!(prefill(&mistral, "mistral-large", &chat), Some(Prefill::PrefixField));
        assert_eq!(prefill(&at("https://api.deepseek.com/v1"), "deepseek-chat", &chat), None);
        let beta = at("https://api.deepseek.com/beta");
        assert_eq!(prefill(&beta, "deepseek-chat", &chat), Some(Prefill::PrefixField));
        let local = at("http://127.0.0.1:8000/v1");
        assert_eq!(prefill(&local, "llama", &chat), None);
        let told = Endpoint { prefill: Some(Prefill::ContinueField), ..local };
        assert_eq!(prefill(&told, "llama", &chat), Some(Prefill::ContinueField));
    }

    #[test]
    fn thinking_and_forced_formats_exclude_a_beginning() {
        let anthropic = Endpoint::new(&ANTHROPIC, None);
        let effort = Some(unbroken_wire::chat::Effort::High);
        let thinking = Chat { effort, ..Chat::plain("m", "hello") };
        assert_eq!(prefill(&anthropic, "claude-sonnet-4-5", &thinking), None);
        let json = Chat { output: OutputFormat::Json, ..Chat::plain("m", "hello") };
        assert_eq!(prefill(&anthropic, "claude-sonnet-4-5", &json), None);
    }
}
