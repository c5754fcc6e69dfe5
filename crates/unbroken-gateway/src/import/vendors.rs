//! Which provider of ours is what others call by another name?
//!
//! Source: the provider pages of docs.litellm.ai and portkey.ai/docs, read 2026-11-25.

/// A provider as others know it.
#[derive(Debug)]
pub(super) struct Vendor {
    /// LiteLLM's prefixes of models.
    pub(super) litellm: &'static [&'static str],
    /// Portkey's names.
    pub(super) portkey: &'static [&'static str],
    /// Our name for it, or the name that is given to it.
    pub(super) name: &'static str,
    /// Where it is, if it is no provider of ours but speaks Chat Completions.
    pub(super) base_url: &'static str,
    /// The variable that LiteLLM reads its key from; empty if it needs none.
    pub(super) key_env: &'static str,
}

const fn ours(
    litellm: &'static [&'static str],
    portkey: &'static [&'static str],
    name: &'static str,
    key_env: &'static str,
) -> Vendor {
    Vendor { litellm, portkey, name, base_url: "", key_env }
}

const fn compatible(
    litellm: &'static [&'static str],
    portkey: &'static [&'static str],
    name: &'static str,
    base_url: &'static str,
    key_env: &'static str,
) -> Vendor {
    Vendor { litellm, portkey, name, base_url, key_env }
}

/// Everyone.
pub(super) const VENDORS: &[Vendor] = &[
    ours(&["openai", "text-completion-openai"], &["openai"], "openai", "OPENAI_API_KEY"),
    ours(&["azure", "azure_text"], &["azure-openai"], "azure", "AZURE_API_KEY"),
    ours(&["anthropic", "anthropic_text"], &["anthropic"], "anthropic", "ANTHROPIC_API_KEY"),
    ours(&["gemini"], &["google"], "gemini", "GEMINI_API_KEY"),
    ours(&["bedrock", "bedrock_converse"], &["bedrock"], "bedrock", ""),
    // Nobody else has two names for it.
    ours(&[], &[], "bedrock-anthropic", ""),
    ours(&["mistral", "codestral"], &["mistral-ai"], "mistral", "MISTRAL_API_KEY"),
    ours(&["groq"], &["groq"], "groq", "GROQ_API_KEY"),
    ours(&["together_ai"], &["together-ai"], "together", "TOGETHERAI_API_KEY"),
    ours(&["fireworks_ai"], &["fireworks-ai"], "fireworks", "FIREWORKS_AI_API_KEY"),
    ours(&["deepseek"], &["deepseek"], "deepseek", "DEEPSEEK_API_KEY"),
    ours(&["xai"], &["x-ai"], "xai", "XAI_API_KEY"),
    ours(&["openrouter"], &["openrouter"], "openrouter", "OPENROUTER_API_KEY"),
    ours(&["cerebras"], &["cerebras"], "cerebras", "CEREBRAS_API_KEY"),
    ours(&["cohere", "cohere_chat"], &["cohere"], "cohere", "COHERE_API_KEY"),
    ours(&["ollama", "ollama_chat"], &["ollama"], "ollama", ""),
    ours(&["hosted_vllm", "vllm"], &[], "vllm", ""),
    ours(&["llamafile"], &[], "llamacpp", ""),
    compatible(
        &["perplexity"],
        &["perplexity-ai"],
        "perplexity",
        "https://api.perplexity.ai",
        "PERPLEXITYAI_API_KEY",
    ),
    compatible(
        &["deepinfra"],
        &["deepinfra"],
        "deepinfra",
        "https://api.deepinfra.com/v1/openai",
        "DEEPINFRA_API_KEY",
    ),
    compatible(
        &["nvidia_nim"],
        &[],
        "nvidia",
        "https://integrate.api.nvidia.com/v1",
        "NVIDIA_NIM_API_KEY",
    ),
    compatible(
        &["moonshot"],
        &["moonshot"],
        "moonshot",
        "https://api.moonshot.ai/v1",
        "MOONSHOT_API_KEY",
    ),
    compatible(
        &["sambanova"],
        &["sambanova"],
        "sambanova",
        "https://api.sambanova.ai/v1",
        "SAMBANOVA_API_KEY",
    ),
];

/// The vendor with this prefix.
pub(super) fn of_litellm(prefix: &str) -> Option<&'static Vendor> {
    VENDORS.iter().find(|vendor| vendor.litellm.contains(&prefix))
}

/// The vendor of this name.
pub(super) fn of_portkey(name: &str) -> Option<&'static Vendor> {
    VENDORS.iter().find(|vendor| vendor.portkey.contains(&name))
}

/// Who serves a model of this vendor: Claude loses less on Bedrock by its own API.
pub(super) fn serving(vendor: &'static Vendor, model: &str) -> &'static Vendor {
    let is_claude = vendor.name == "bedrock" && model.contains("anthropic.");
    named("bedrock-anthropic").filter(|_| is_claude).unwrap_or(vendor)
}

/// Why somebody is not brought along.
pub(super) fn unknown(name: &str) -> String {
    if name.starts_with("vertex") {
        return format!(
            "`{name}` is not brought along: add it as `vertex` or `vertex-anthropic`, with its \
             project and credentials (docs/providers.md)"
        );
    }
    format!("nobody here is called `{name}`")
}

/// The vendor that we call this.
pub(super) fn named(name: &str) -> Option<&'static Vendor> {
    VENDORS.iter().find(|vendor| vendor.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use unbroken::providers::PROVIDERS;

    use super::*;

    #[test]
    fn everyone_is_known_here_or_says_where_it_is_and_no_name_stands_for_two() {
        let mut seen = BTreeSet::new();
        for vendor in VENDORS {
            let is_known = PROVIDERS.iter().any(|provider| provider.name == vendor.name);
            assert_eq!(is_known, vendor.base_url.is_empty(), "{}", vendor.name);
            for name in vendor.litellm {
                assert!(seen.insert(("litellm", *name)), "{name}");
            }
            for name in vendor.portkey {
                assert!(seen.insert(("portkey", *name)), "{name}");
            }
        }
    }
}
