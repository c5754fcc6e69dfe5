//! How is a target asked to go on with an answer that broke?
//!
//! What was said is appended, never rewritten, so that the prompt's cache survives. Only text goes
//! along: thinking belongs to the model that thought, and a half-made tool call is asked for anew.
//! Source: wire-formats.md 6.1 and 6.2.

use serde_json::{Value, json};

use crate::chat::{Block, Chat, Role};
use crate::dialects::{Dialect, Unsupported, Written};

/// How a target takes the beginning of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefill {
    /// The last message is the assistant's (Anthropic to 4.5, Gemini, llama.cpp).
    Trailing,
    /// The last message is the assistant's and says `"prefix": true` (Mistral, `DeepSeek`).
    PrefixField,
    /// The last message is the assistant's and says `"partial": true` (Kimi, Qwen).
    PartialField,
    /// The request says `"continue_final_message": true` (vLLM, `SGLang`).
    ContinueField,
}

/// A request is never sent with a smaller limit. Source: wire-formats.md 6.2.
const TOKENS_MIN: u64 = 16;
/// The end of the text is quoted up to here, in characters.
const QUOTED: usize = 200;

/// Writes the request with `text` as the beginning of the answer.
///
/// # Errors
/// When the dialect cannot express something in the request.
pub fn write_beginning(
    dialect: &Dialect,
    chat: &Chat,
    model: &str,
    text: &str,
    prefill: Prefill,
) -> Result<Written, Unsupported> {
    let mut chat = chat.clone();
    chat.push(Role::Assistant, vec![Block::Text(beginning(text).to_owned())]);
    chat.is_begun = true;
    let written = (dialect.write_request)(&chat, model)?;
    let extra: &[(&str, bool)] = match prefill {
        Prefill::Trailing => return Ok(written),
        Prefill::PrefixField => &[("prefix", true)],
        Prefill::PartialField => &[("partial", true)],
        Prefill::ContinueField => {
            &[("continue_final_message", true), ("add_generation_prompt", false)]
        }
    };
    let Ok(mut body) = serde_json::from_slice::<Value>(&written.body) else { return Ok(written) };
    let place = match prefill {
        Prefill::ContinueField | Prefill::Trailing => body.as_object_mut(),
        Prefill::PrefixField | Prefill::PartialField => body
            .get_mut("messages")
            .and_then(Value::as_array_mut)
            .and_then(|messages| messages.last_mut()?.as_object_mut()),
    };
    if let Some(place) = place {
        place.extend(extra.iter().map(|(key, value)| ((*key).to_owned(), json!(value))));
    }
    Ok(Written { body: body.to_string().into_bytes(), ..written })
}

/// Writes the request with `text` as an answer that was cut off, and the request to go on.
///
/// # Errors
/// When the dialect cannot express something in the request.
pub fn write_to_go_on(
    dialect: &Dialect,
    chat: &Chat,
    model: &str,
    text: &str,
) -> Result<Written, Unsupported> {
    let mut chat = chat.clone();
    chat.push(Role::Assistant, vec![Block::Text(text.trim_end().to_owned())]);
    chat.push(Role::User, vec![Block::Text(note(text))]);
    (dialect.write_request)(&chat, model)
}

/// What goes along as the beginning: APIs refuse one that ends in white space, and the seam knows
/// how to join without.
fn beginning(text: &str) -> &str {
    text.trim_end()
}

/// The last words are asked for again: then the place where the answer goes on is certain.
fn note(text: &str) -> String {
    let quoted = last_words(text);
    format!(
        "Your previous reply was cut off by a network failure. It ended with these words:\n\n\
         {quoted}\n\n\
         Begin your reply by repeating exactly these words, and then continue where they end, so \
         that the two replies can be joined. Do not summarise, apologise or greet. If you were \
         inside a code block, list, table or JSON value, go on inside it."
    )
}

/// The end of a text, from the beginning of a word.
pub(crate) fn last_words(text: &str) -> &str {
    let text = text.trim_end();
    let start = text.char_indices().rev().nth(QUOTED - 1).map_or(0, |(at, _)| at);
    let end = text.get(start..).unwrap_or(text);
    end.split_once(char::is_whitespace).filter(|_| start > 0).map_or(end, |(_, words)| words)
}

/// The request with the tokens that are left when so many were used.
#[must_use]
pub fn shortened(chat: &Chat, used: u64) -> Chat {
    let mut chat = chat.clone();
    chat.max_tokens = chat.max_tokens.map(|max| max.saturating_sub(used).max(TOKENS_MIN.min(max)));
    chat
}

/// About how many tokens a text has: one for four bytes.
#[must_use]
pub const fn estimated_tokens(text: &str) -> u64 {
    (text.len() / 4) as u64
}

#[cfg(test)]
mod tests;
