//! How does a model of the fake provider speak? What it says, and what it does when it is asked to
//! go on with an answer that somebody else began.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The manner of one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Manner {
    /// What it says when nothing else is asked for. Default: numbered words.
    pub says: Says,
    /// Words, or tokens of the other kinds. Default: the provider's own number.
    pub words: Option<u32>,
    /// Words of thinking before the answer, when it answers anew. Default: none.
    pub thinking_words: u32,
    /// Words before tool calls, when tools are called. Default: none.
    pub words_before_calls: u32,
    /// What it does with an assistant's message at the end. Default: as its dialect's models do.
    pub prefill: Prefill,
    /// What it does when it is asked, in words, to go on. Default: it goes on exactly.
    pub continues: Continues,
    /// Bytes per network write, which may then end inside of an event. Default: whole events.
    pub write_bytes: Option<usize>,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            says: Says::Words,
            words: None,
            thinking_words: 0,
            words_before_calls: 0,
            prefill: Prefill::ByDialect,
            continues: Continues::Exact,
            write_bytes: None,
        }
    }
}

/// A kind of text. Everything but `Words` has a fixed length that repeats up to the number of words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Says {
    /// `w1 w2 … wN`.
    #[default]
    Words,
    /// A program in a fence, with indentation.
    Code,
    /// A JSON object.
    Json,
    /// Emoji with joiners, combining marks, Chinese, Arabic; tokens may end inside of a grapheme.
    Multibyte,
    /// Exactly this.
    This(Said),
}

/// An answer, given in advance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Said {
    /// Its thinking.
    pub thinking: String,
    /// Its text.
    pub text: String,
    /// Tool calls after the text, by name and arguments.
    pub calls: Vec<(String, Value)>,
}

/// What a model does with an assistant's message at the end of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prefill {
    /// Chat Completions: history, unless `prefix` or `continue_final_message` says otherwise.
    /// Messages: Claude goes on up to 4.5 and refuses from 4.6. Gemini: goes on.
    #[default]
    ByDialect,
    /// It goes on after the message's last character.
    Continue,
    /// The message is history like any other: it answers anew.
    Ignore,
    /// It refuses with a 400, in the provider's words.
    Refuse,
}

/// What a model does when a user's message asks it to go on with its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Continues {
    /// It does as it is told: it says the end once more if asked to, and goes on after the last
    /// character.
    #[default]
    Exact,
    /// It goes on after the last character, whatever else it is told.
    Straight,
    /// It answers anew, from the start.
    Restart,
    /// It says that it will go on, and then does.
    Preamble,
}

/// Whether a Claude model refuses an assistant's message at the end: from version 4.6.
///
/// Source: docs.anthropic.com, errors, read 2026-11-22.
pub(super) fn claude_refuses_prefill(model: &str) -> bool {
    let numbers = model.split(['-', '.', '@']).filter_map(|part| part.parse::<u32>().ok());
    // A date is no version.
    let mut version = numbers.filter(|number| *number < 100);
    match (version.next(), version.next()) {
        (Some(major), minor) => (major, minor.unwrap_or(0)) >= (4, 6),
        (None, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_claudes_refuse_and_older_ones_go_on() {
        for model in ["claude-opus-4-6", "claude-sonnet-5", "claude-haiku-5-5", "claude-opus-4-8"] {
            assert!(claude_refuses_prefill(model), "{model}");
        }
        for model in
            ["claude-haiku-4-5-20251001", "claude-3-5-sonnet-20241022", "claude-opus-4", "m"]
        {
            assert!(!claude_refuses_prefill(model), "{model}");
        }
    }
}
