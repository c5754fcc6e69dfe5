//! How does thinking that only its maker can read pass through clients that speak another
//! dialect? Sealed: as one opaque text in the place where their dialect keeps such things.
//!
//! A sealed text is base64 all over, because Gemini demands that, and begins with a mark, so that
//! a body without one is never searched. A seal hides nothing and proves nothing: what it holds is
//! signed or encrypted by its maker already. It comes back with the conversation, is opened, and
//! goes to targets of its maker's dialect only.

use serde_json::{Value, json};

use crate::base64;
use crate::chat::Proof;
use crate::dialects::{DIALECTS, OF_TARGETS};

/// Twelve bytes, so that their base64 does not depend on what follows.
const MARK_BYTES: &[u8] = b"unbroken/v1/";
/// The same in base64.
const MARK: &str = "dW5icm9rZW4vdjEv";
/// Follows the prefix of every id that we give to an item of our own.
pub const OWN_ID: &str = "_unbk";
/// The members in which dialects keep such things.
const PLACES: &[&str] = &["signature", "data", "encrypted_content", "thoughtSignature"];
/// Conversations are not nested more deeply than this.
const DEPTH_MAX: u8 = 16;

/// A proof as one text.
#[must_use]
pub fn seal(proof: &Proof) -> String {
    let inner = json!({ "o": proof.origin, "j": proof.json }).to_string();
    base64::encode(&[MARK_BYTES, inner.as_bytes()].concat())
}

/// A text that stands where a proof belongs, and says that there is none.
#[must_use]
pub fn nothing() -> String {
    MARK.to_owned()
}

/// Whether it is one of ours, with or without a proof in it.
#[must_use]
pub fn is_sealed(text: &str) -> bool {
    text.starts_with(MARK)
}

/// The proof in a sealed text; `None` if there is none.
#[must_use]
pub fn open(text: &str) -> Option<Proof> {
    let bytes = base64::decode(text.starts_with(MARK).then_some(text)?)?;
    let inner: Value = serde_json::from_slice(bytes.get(MARK_BYTES.len()..)?).ok()?;
    let origin = inner.get("o")?.as_str()?;
    let makers = DIALECTS.iter().chain(OF_TARGETS);
    let origin = { makers }.find(|dialect| dialect.name == origin)?.name;
    Some(Proof { origin, json: inner.get("j")?.as_str()?.to_owned() })
}

/// The body without sealed blocks and ids of ours, for a target that gets the client's own bytes:
/// it would refuse what it did not make. `None` if there are none, which is nearly always.
#[must_use]
pub fn without_sealed(body: &[u8]) -> Option<Vec<u8>> {
    let has = |word: &str| memchr::memmem::find(body, word.as_bytes()).is_some();
    if !has(MARK) && !has(OWN_ID) {
        return None;
    }
    let mut body: Value = serde_json::from_slice(body).ok()?;
    strip(&mut body, 0);
    Some(body.to_string().into_bytes())
}

fn strip(value: &mut Value, depth: u8) {
    if depth > DEPTH_MAX {
        return;
    }
    match value {
        Value::Array(list) => {
            list.retain(|item| !holds_seal(item));
            list.iter_mut().for_each(|item| strip(item, depth + 1));
        }
        Value::Object(object) => {
            if object.get("id").and_then(Value::as_str).is_some_and(is_own_id) {
                object.shift_remove("id");
            }
            object.values_mut().for_each(|value| strip(value, depth + 1));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn is_own_id(id: &str) -> bool {
    ["msg", "fc", "ctc", "rs"]
        .iter()
        .any(|prefix| id.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(OWN_ID)))
}

fn holds_seal(item: &Value) -> bool {
    PLACES.iter().any(|place| item.get(*place).and_then(Value::as_str).is_some_and(is_sealed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_comes_back_byte_for_byte() {
        let json = "{\"type\":\"thinking\",\"thinking\":\"ü 1.0\",\"signature\":\"Eo/+=\"}";
        for dialect in DIALECTS.iter().chain(OF_TARGETS) {
            let proof = Proof { origin: dialect.name, json: json.to_owned() };
            let sealed = seal(&proof);
            assert!(is_sealed(&sealed));
            assert_eq!(open(&sealed), Some(proof));
        }
    }

    #[test]
    fn nothing_else_is_taken_for_a_seal() {
        for text in ["", "Eo8BCkYI", &nothing(), "dW5icm9rZW4vdjEvAA==", "dW5icm9rZW4vdjEv!"] {
            assert_eq!(open(text), None, "{text}");
        }
        assert!(is_sealed(&nothing()));
    }

    #[test]
    fn a_native_target_is_spared_foreign_seals_and_nothing_else() {
        let sealed = seal(&Proof { origin: "gemini", json: "{}".to_owned() });
        let body = format!(
            r#"{{"messages":[{{"content":[{{"type":"thinking","signature":"{sealed}"}},{{"type":"text","text":"x"}}]}}],"temperature":1.0}}"#
        );
        let bare = without_sealed(body.as_bytes()).unwrap();
        let expected =
            r#"{"messages":[{"content":[{"type":"text","text":"x"}]}],"temperature":1.0}"#;
        assert_eq!(String::from_utf8(bare).unwrap(), expected);
        assert_eq!(without_sealed(expected.as_bytes()), None);
        let items = br#"{"input":[{"id":"msg_unbk01","role":"user"},{"id":"msg_01"}]}"#;
        let bare = without_sealed(items).unwrap();
        assert_eq!(bare, br#"{"input":[{"role":"user"},{"id":"msg_01"}]}"#);
    }
}
