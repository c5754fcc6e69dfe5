//! What is asked besides answers: embeddings and counts of tokens. Each goes to targets that know
//! the very same request, as bytes; nobody translates it.
//!
//! Source: wire-formats.md 8.1.

use serde_json::{Value, json};

use super::fields::{count, list, read_answer_body, read_body, some_text};
use super::{
    ANTHROPIC_MESSAGES, AnswerFault, Dialect, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES, RequestError,
    RequestHead, Unsupported, Written, splice_model,
};
use crate::chat::{Answer, Block, Chat, Usage};

/// `POST /v1/embeddings`, as `OpenAI` and everybody who is compatible speaks it.
pub static OPENAI_EMBEDDINGS: Dialect = Dialect {
    name: "openai-embeddings",
    read_request: read_embeddings,
    read_answer: read_vectors,
    write_request: nobody,
    replace_model: splice_model,
    ..OPENAI_CHAT
};

/// `POST /v1/responses/input_tokens`.
pub static OPENAI_INPUT_TOKENS: Dialect = Dialect {
    name: "openai-input-tokens",
    read_request: |head, body| {
        as_side((OPENAI_RESPONSES.read_request)(head, body)?, "input_tokens")
    },
    read_answer: |body| read_count(body, "input_tokens"),
    write_request: nobody,
    ..OPENAI_RESPONSES
};

/// `POST /v1/messages/count_tokens`.
pub static ANTHROPIC_COUNT_TOKENS: Dialect = Dialect {
    name: "anthropic-count-tokens",
    read_request: |head, body| {
        as_side((ANTHROPIC_MESSAGES.read_request)(head, body)?, "count_tokens")
    },
    read_answer: |body| read_count(body, "input_tokens"),
    write_request: nobody,
    ..ANTHROPIC_MESSAGES
};

/// `POST /v1beta/models/{model}:countTokens`.
pub static GEMINI_COUNT_TOKENS: Dialect = Dialect {
    name: "gemini-count-tokens",
    read_request: read_gemini_count,
    read_answer: |body| read_count(body, "totalTokens"),
    write_request: nobody,
    ..GEMINI
};

/// Whether it is one of these: what a target says of them is not said of its answers.
#[must_use]
pub fn is_side(dialect: &Dialect) -> bool {
    [&OPENAI_EMBEDDINGS, &OPENAI_INPUT_TOKENS, &ANTHROPIC_COUNT_TOKENS, &GEMINI_COUNT_TOKENS]
        .iter()
        .any(|side| side.name == dialect.name)
}

/// What is said of a target that does not do such a thing; in no vendor's envelope is there a better
/// place to know it by.
pub const NOT_ASKED: &str = "this is not asked of the target's API";

/// The answer to a count that nobody could give: an estimate, in the shape of the dialect.
#[must_use]
pub fn estimated(dialect: &Dialect, tokens: u64) -> Vec<u8> {
    let body = match dialect.name {
        "gemini-count-tokens" => json!({ "totalTokens": tokens }),
        "openai-input-tokens" => {
            json!({ "object": "response.input_tokens", "input_tokens": tokens })
        }
        _ => json!({ "input_tokens": tokens }),
    };
    body.to_string().into_bytes()
}

/// Marks a request as one that only its own API knows: no other dialect can be written from it.
fn as_side(chat: Chat, what: &str) -> Result<Chat, RequestError> {
    let name = match what {
        "count_tokens" => ANTHROPIC_COUNT_TOKENS.name,
        "input_tokens" => OPENAI_INPUT_TOKENS.name,
        "countTokens" => GEMINI_COUNT_TOKENS.name,
        _ => OPENAI_EMBEDDINGS.name,
    };
    let extras = vec![("side_request".to_owned(), Value::from(what))];
    Ok(Chat { origin: name, stream: false, extras, choices: 1, ..chat })
}

/// Google wraps what is to be counted, if it has more than contents.
fn read_gemini_count(head: &RequestHead<'_>, body: &[u8]) -> Result<Chat, RequestError> {
    let whole = read_body(body)?;
    let inner =
        whole.get("generateContentRequest").or_else(|| whole.get("generate_content_request"));
    let chat = match inner {
        Some(inner) => (GEMINI.read_request)(head, inner.to_string().as_bytes())?,
        None => (GEMINI.read_request)(head, body)?,
    };
    as_side(chat, "countTokens")
}

fn read_embeddings(head: &RequestHead<'_>, body: &[u8]) -> Result<Chat, RequestError> {
    let body = read_body(body)?;
    let model = some_text(&body, "model")
        .unwrap_or_else(|| head.model_in_path.unwrap_or_default().to_owned());
    let input = body.get("input").filter(|input| !input.is_null());
    let Some(input) = input else { return Err(RequestError::missing("input")) };
    // Only its size is of interest.
    let chat = Chat::plain(&model, &input.to_string()).checked()?;
    as_side(chat, "embeddings")
}

fn nobody(_: &Chat, _: &str) -> Result<Written, Unsupported> {
    Err(Unsupported::new("model", NOT_ASKED))
}

fn read_vectors(body: &[u8]) -> Result<Answer, AnswerFault> {
    let body = read_answer_body(body)?;
    let vectors = list(&body, "data");
    let is_vector = |row: &Value| match row.get("embedding") {
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(numbers)) => !numbers.is_empty(),
        _ => false,
    };
    if vectors.is_empty() {
        return Err(AnswerFault::Empty);
    }
    if !vectors.iter().all(is_vector) {
        return Err(AnswerFault::Malformed("a row without an embedding".to_owned()));
    }
    let usage = body.get("usage").unwrap_or(&Value::Null);
    let input = count(usage, "prompt_tokens").unwrap_or_default();
    Ok(Answer {
        model: some_text(&body, "model").unwrap_or_default(),
        usage: Some(Usage { input, ..Usage::default() }),
        blocks: vec![Block::Text(format!("{} vectors", vectors.len()))],
        ..Answer::default()
    })
}

fn read_count(body: &[u8], key: &str) -> Result<Answer, AnswerFault> {
    let body = read_answer_body(body)?;
    let Some(input) = count(&body, key) else {
        return Err(AnswerFault::Malformed(format!("a count without '{key}'")));
    };
    let usage = Some(Usage { input, ..Usage::default() });
    Ok(Answer { usage, blocks: vec![Block::Text(input.to_string())], ..Answer::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialects::DIALECTS;

    const SIDES: [&Dialect; 4] =
        [&OPENAI_EMBEDDINGS, &OPENAI_INPUT_TOKENS, &ANTHROPIC_COUNT_TOKENS, &GEMINI_COUNT_TOKENS];

    fn request(dialect: &Dialect) -> &'static str {
        match dialect.name {
            "openai-embeddings" => r#"{"model":"m","input":["a","b"]}"#,
            "openai-input-tokens" => r#"{"model":"m","input":"Count me"}"#,
            "anthropic-count-tokens" => {
                r#"{"model":"m","messages":[{"role":"user","content":"Count me"}]}"#
            }
            _ => {
                r#"{"generateContentRequest":{"model":"models/m","contents":[{"parts":[{"text":"Count me"}]}]}}"#
            }
        }
    }

    #[test]
    fn what_is_asked_besides_answers_is_never_translated() {
        let head = RequestHead { model_in_path: Some("m"), stream_in_path: false, outline: None };
        for side in SIDES {
            let chat = (side.read_request)(&head, request(side).as_bytes()).unwrap();
            assert_eq!((chat.origin, chat.model.as_str()), (side.name, "m"));
            assert!(chat.estimated_input_tokens() >= 2, "{}", side.name);
            for dialect in DIALECTS.iter().chain(&SIDES) {
                let written = (dialect.write_request)(&chat, "m");
                assert!(written.is_err(), "{} as {}", side.name, dialect.name);
            }
        }
    }

    #[test]
    fn counts_and_vectors_are_told_from_their_absence() {
        let count = (GEMINI_COUNT_TOKENS.read_answer)(br#"{"totalTokens":7}"#).unwrap();
        assert_eq!(count.usage.unwrap().input, 7);
        assert!((ANTHROPIC_COUNT_TOKENS.read_answer)(br#"{"totalTokens":7}"#).is_err());
        let read = OPENAI_EMBEDDINGS.read_answer;
        assert!(read(br#"{"data":[{"embedding":"AAAA"},{"embedding":[0.5]}]}"#).is_ok());
        assert!(read(br#"{"data":[{"embedding":[]}]}"#).is_err());
        assert!(read(br#"{"data":[]}"#).is_err());
        for side in &SIDES[1..] {
            let answer = (side.read_answer)(&estimated(side, 9)).unwrap();
            assert_eq!(answer.usage.unwrap().input, 9, "{}", side.name);
        }
    }
}
