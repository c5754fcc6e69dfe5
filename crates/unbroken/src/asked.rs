//! What does the engine need to know about a request? Its size, its conversation, its effects.

use std::hash::{BuildHasher as _, Hash as _, Hasher as _};

use foldhash::quality::FixedState;
use unbroken_engine::call::Effect;
use unbroken_wire::chat::{Block, Chat, Role};

use crate::reply::CallRequest;

/// A fingerprint looks at so much of a body's beginning and end.
const LOOKED_AT: usize = 8 << 10;
/// Fields that make the provider do something outside of the answer.
const EFFECTFUL_FIELDS: &[&str] = &["mcp_servers", "background"];

/// Tells requests apart that differ. Two that differ only in the middle of a large body count as
/// one, which costs a doubt at most.
pub(crate) fn fingerprint(body: &[u8]) -> u64 {
    let beginning = body.get(..LOOKED_AT.min(body.len()));
    let end = body.get(body.len().saturating_sub(LOOKED_AT)..);
    FixedState::default().hash_one((body.len(), beginning, end))
}

/// The conversation it belongs to: one with an answer of the model in it, named by its route, its
/// system prompt and its first turn.
pub(crate) fn conversation(request: &CallRequest, chat: &Chat) -> Option<u64> {
    if !chat.turns.iter().any(|turn| turn.role == Role::Assistant) {
        return None;
    }
    let mut hasher = FixedState::default().build_hasher();
    request.route.name.hash(&mut hasher);
    chat.system.hash(&mut hasher);
    for block in chat.turns.first().into_iter().flat_map(|turn| &turn.blocks) {
        if let Block::Text(text) = block {
            text.hash(&mut hasher);
        }
    }
    Some(hasher.finish())
}

/// Whether the client does not want a broken answer to go on elsewhere: the header
/// `x-unbroken-continue: false`.
pub(crate) fn forbids_continuation(request: &CallRequest) -> bool {
    request.headers.get("x-unbroken-continue").is_some_and(|value| value == "false")
}

/// What it would do to send the request twice.
pub(crate) fn effect(chat: &Chat) -> Effect {
    let is_effectful = |(name, value): &(String, serde_json::Value)| {
        EFFECTFUL_FIELDS.contains(&name.as_str()) && *value != serde_json::Value::Bool(false)
    };
    if chat.extras.iter().any(is_effectful) { Effect::Effectful } else { Effect::Pure }
}

/// Whether the provider stores the answer while it makes it, because the client asked for that: a
/// stream of Responses in the background. Its events can be asked for again.
pub(crate) fn is_stored(request: &CallRequest, chat: &Chat) -> bool {
    let is_background = |(name, value): &(String, serde_json::Value)| {
        name == "background" && *value == serde_json::Value::Bool(true)
    };
    chat.stream
        && request.dialect.name == "openai-responses"
        && chat.extras.iter().any(is_background)
}

#[cfg(test)]
mod tests {
    use unbroken_wire::dialects::{OPENAI_CHAT, RequestHead};

    use super::*;

    fn chat(body: &str) -> Chat {
        (OPENAI_CHAT.read_request)(&RequestHead::default(), body.as_bytes()).unwrap()
    }

    #[test]
    fn fingerprints_tell_bodies_apart() {
        assert_eq!(fingerprint(b"one"), fingerprint(b"one"));
        assert_ne!(fingerprint(b"one"), fingerprint(b"two"));
        let (mut long, other) = (vec![7; 100_000], vec![7; 100_001]);
        assert_ne!(fingerprint(&long), fingerprint(&other));
        long[99_999] = 8;
        assert_ne!(fingerprint(&long), fingerprint(&vec![7; 100_000]));
    }

    #[test]
    fn only_what_acts_outside_is_effectful() {
        let plain = r#"{"model":"m","messages":[{"role":"user","content":"x"}]"#;
        assert_eq!(effect(&chat(&format!("{plain}}}"))), Effect::Pure);
        assert_eq!(effect(&chat(&format!("{plain},\"background\":false}}"))), Effect::Pure);
        assert_eq!(effect(&chat(&format!("{plain},\"background\":true}}"))), Effect::Effectful);
        assert_eq!(effect(&chat(&format!("{plain},\"mcp_servers\":[]}}"))), Effect::Effectful);
    }
}
