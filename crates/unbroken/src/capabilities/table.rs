//! The table of models that comes with the program: data, one row for a family of models.
//!
//! A row says what its models lack; what is not listed they have. Rows stand in order, the first
//! that matches counts, so the exception stands before the rule. A model without a row is not
//! known, and nothing is held against it. Newer models of known families inherit their row, which
//! errs on the side of asking.
//!
//! Sources: wire-formats.md 2.2, 2.3, 8.2 and the refusals in `fixtures/recordings`; vendors' model
//! pages as quoted there, read 2026-11-22. Marked `R`: seen in a recorded refusal.

use super::Abilities;
use super::Need::{self, Images, JsonSchema, Pdfs, Reasoning, Tools};
use crate::providers::Fit;

/// What a family of models cannot carry.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The provider; empty for models that many host.
    pub provider: &'static str,
    /// The model's name without its host's prefixes; a `*` at either end stands for anything.
    pub pattern: &'static str,
    /// What it lacks.
    pub lacks: &'static [Need],
    /// Tokens that fit into it; 0 if that differs or is not known.
    pub context: u64,
    /// Fields that it treats in its own way.
    pub fits: &'static [Fit],
}

const fn row(
    provider: &'static str,
    pattern: &'static str,
    lacks: &'static [Need],
    context: u64,
) -> Row {
    Row { provider, pattern, lacks, context, fits: &[] }
}

impl Row {
    const fn fits(mut self, fits: &'static [Fit]) -> Self {
        self.fits = fits;
        self
    }
}

const TEXT_ONLY: &[Need] = &[Images, Pdfs];
const PLAIN: &[Need] = &[Images, Pdfs, JsonSchema, Reasoning];
const NOTHING: &[Need] = &[Tools, Images, Pdfs, JsonSchema, Reasoning];

/// Models that do not reason refuse the wish (R: `unsupported_parameter`).
const NO_EFFORT: &[Fit] = &[Fit::drop("reasoning_effort"), Fit::drop("verbosity")];
/// Models that reason refuse how tokens are drawn (R), and the old name of the limit (R).
const REASONER: &[Fit] = &[
    Fit::rename("max_tokens", "max_completion_tokens"),
    Fit::drop("temperature"),
    Fit::drop("top_p"),
    Fit::drop("presence_penalty"),
    Fit::drop("frequency_penalty"),
    Fit::refuse("logprobs"),
    Fit::refuse("logit_bias"),
];
/// Claude since 4.7 refuses how tokens are drawn.
const UNSAMPLED: &[Fit] = &[Fit::drop("temperature"), Fit::drop("top_p"), Fit::drop("top_k")];

/// The table.
pub const TABLE: &[Row] = &[
    // OpenAI, wherever it is hosted under its own names.
    row("", "gpt-3.5*", PLAIN, 16_385).fits(NO_EFFORT),
    row("", "gpt-4-turbo*", &[Pdfs, JsonSchema, Reasoning], 128_000).fits(NO_EFFORT),
    row("", "gpt-4-vision*", &[Tools, Pdfs, JsonSchema, Reasoning], 128_000).fits(NO_EFFORT),
    row("", "gpt-4-1106*", PLAIN, 128_000).fits(NO_EFFORT),
    row("", "gpt-4-0*", PLAIN, 8_192).fits(NO_EFFORT),
    row("", "gpt-4", PLAIN, 8_192).fits(NO_EFFORT),
    row("", "gpt-4o*", &[Reasoning], 128_000).fits(NO_EFFORT),
    row("", "chatgpt-4o*", &[Tools, Reasoning], 128_000).fits(NO_EFFORT),
    row("", "gpt-4.1*", &[Reasoning], 1_047_576).fits(NO_EFFORT),
    row("", "gpt-5-chat*", &[Tools, Reasoning], 128_000).fits(NO_EFFORT),
    row("", "gpt-oss*", TEXT_ONLY, 131_072),
    row("", "o1-mini*", &[Tools, Images, Pdfs, JsonSchema], 128_000).fits(REASONER),
    row("", "o1-preview*", &[Tools, Images, Pdfs, JsonSchema], 128_000).fits(REASONER),
    row("", "o3-mini*", TEXT_ONLY, 200_000).fits(REASONER),
    row("openai", "o1*", &[], 200_000).fits(REASONER),
    row("openai", "o3*", &[], 200_000).fits(REASONER),
    row("openai", "o4*", &[], 200_000).fits(REASONER),
    row("", "gpt-5*", &[], 400_000).fits(REASONER),
    row("", "gpt-6*", &[], 0).fits(REASONER),
    // Anthropic. What old models lack of schemas is emulated.
    row("", "claude-2*", &[Tools, Images, Pdfs, Reasoning], 100_000),
    row("", "claude-instant*", &[Tools, Images, Pdfs, Reasoning], 100_000),
    row("", "claude-3-5*", &[Reasoning], 200_000),
    row("", "claude-3-7*", &[], 200_000),
    row("", "claude-3-*", &[Pdfs, Reasoning], 200_000),
    row("", "claude-*-4-6*", &[], 1_000_000),
    row("", "claude-*-4-7*", &[], 1_000_000).fits(UNSAMPLED),
    row("", "claude-*-4-8*", &[], 1_000_000).fits(UNSAMPLED),
    row("", "claude-*-4*", &[], 200_000),
    row("", "claude-*-5*", &[], 0).fits(UNSAMPLED),
    row("", "claude-*", &[], 0),
    // Google. R: "JSON mode is not enabled for models/gemini-2.5-flash-image".
    row("", "gemini-*-image*", &[Tools, JsonSchema, Reasoning], 32_768),
    row("", "gemini-*-tts*", NOTHING, 8_192),
    row("", "gemini-1.5*", &[Reasoning], 1_048_576),
    row("", "gemini-2.0*", &[Reasoning], 1_048_576),
    row("", "gemini-*", &[], 1_048_576),
    row("", "gemma-*", &[Tools, Pdfs, JsonSchema, Reasoning], 0),
    // DeepSeek takes text (R: "unknown variant `image_url`") and has no schemas.
    row("deepseek", "deepseek-*", &[Images, Pdfs, JsonSchema], 0),
    row("", "deepseek-*", TEXT_ONLY, 0),
    // Mistral.
    row("", "codestral*", TEXT_ONLY, 0),
    row("", "open-mistral*", PLAIN, 0),
    row("", "open-mixtral*", PLAIN, 0),
    row("", "mixtral*", PLAIN, 0),
    row("", "mistral-7b*", PLAIN, 0),
    row("mistral", "mistral-*", &[], 0),
    // xAI. R: "grok-code-fast-1 does not support parameter reasoningEffort".
    row("", "grok-3-mini*", TEXT_ONLY, 131_072),
    row("", "grok-3*", &[Images, Pdfs, Reasoning], 131_072).fits(NO_EFFORT),
    row("", "grok-code*", &[Images, Pdfs, Reasoning], 256_000).fits(NO_EFFORT),
    row("", "grok-4*", &[], 0).fits(&[Fit::drop("reasoning_effort")]),
    // Open weights, wherever they are hosted. Groq follows schemas on few of them.
    row("groq", "llama-4*", &[Pdfs, Reasoning], 131_072).fits(NO_EFFORT),
    row("groq", "llama-3*", PLAIN, 131_072).fits(NO_EFFORT),
    row("groq", "llama3*", PLAIN, 8_192).fits(NO_EFFORT),
    row("", "llama-3.2-*-vision*", &[Pdfs, Reasoning], 131_072).fits(NO_EFFORT),
    row("", "llama-3*", &[Images, Pdfs, Reasoning], 131_072).fits(NO_EFFORT),
    row("", "meta-llama-3*", &[Images, Pdfs, Reasoning], 131_072).fits(NO_EFFORT),
    row("", "llama3*", &[Images, Pdfs, Reasoning], 0).fits(NO_EFFORT),
    row("", "qwen*-vl*", &[Pdfs], 0),
    row("", "qwen3*", TEXT_ONLY, 0),
    row("", "qwen2.5*", TEXT_ONLY, 0),
    row("", "phi-*", PLAIN, 0),
    // Amazon's own, and others' as Bedrock names them.
    row("", "*amazon.nova-micro*", &[Images, Pdfs, Reasoning], 128_000),
    row("", "*amazon.nova-2*", &[], 0),
    row("", "*amazon.nova-*", &[Reasoning], 300_000),
    row("", "*amazon.titan-*", NOTHING, 0),
    row("bedrock", "*meta.llama3-2-1b*", &[Tools, Images, Pdfs, Reasoning], 131_072),
    row("bedrock", "*meta.llama*", &[Reasoning], 0),
    row("bedrock", "*cohere.command-*", TEXT_ONLY, 128_000),
    row("bedrock", "*deepseek.r1*", &[Tools, Images], 128_000),
    // Cohere.
    row("cohere", "command-a-plus*", &[Pdfs], 256_000),
    row("cohere", "command-a-reasoning*", &[Images, Pdfs], 256_000),
    row("", "command-a-vision*", &[Tools, Pdfs, Reasoning], 128_000),
    row("", "command-*", TEXT_ONLY, 128_000),
];

/// What the table knows of a model.
#[must_use]
pub fn look_up(provider: &str, model: &str) -> Abilities {
    let lower = model.to_ascii_lowercase();
    // Hosts put vendors and regions in front: `openai/gpt-5`, `us.anthropic.claude-…`.
    let name = lower.rsplit('/').next().unwrap_or(&lower);
    let name = name.rsplit_once("anthropic.").map_or(name, |(_, name)| name);
    let found = TABLE.iter().find(|row| {
        (row.provider.is_empty() || row.provider == provider) && matches(row.pattern, name)
    });
    found.map_or_else(Abilities::default, |row| Abilities {
        lacks: row.lacks.iter().copied().collect(),
        context: (row.context > 0).then_some(row.context),
        is_known: true,
        fits: row.fits,
    })
}

/// Whether a pattern matches a name: its parts between `*`s, in their order.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        last = Some(part);
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    match last {
        None => rest.is_empty(),
        Some("") => true,
        Some(end) => name.ends_with(end),
    }
}
