//! What does the fake provider answer? Numbered words, a tool call, or JSON around the words.

use serde_json::{Value, json};

/// What is asked, as far as the answer depends on it.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    pub(super) model: String,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
    pub(super) wants_json: bool,
    /// Tools by name, with their schemas.
    pub(super) tools: Vec<(String, Value)>,
    /// The last user's text, if the user spoke last.
    pub(super) last_text: Option<String>,
    pub(super) forced_tool: Option<String>,
    pub(super) max_words: Option<u64>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    Words(Vec<String>),
    Calls(Vec<(String, Value)>),
}

/// Decides what to answer. `call NAME` in the user's last words asks for a tool call.
pub(super) fn decide(asked: &Asked, words: u32) -> Content {
    let called = |name: &str| {
        asked.forced_tool.as_deref() == Some(name)
            || asked.last_text.as_deref().is_some_and(|text| calls(text, name))
    };
    let calls: Vec<(String, Value)> = asked
        .tools
        .iter()
        .filter(|(name, _)| called(name))
        .map(|(name, schema)| (name.clone(), example(schema, 0)))
        .collect();
    if !calls.is_empty() {
        return Content::Calls(calls);
    }
    let limit = asked.max_words.unwrap_or(u64::MAX).max(1);
    let count = u64::from(words).min(limit);
    let words = (1..=count).map(|n| if n == 1 { "w1".to_owned() } else { format!(" w{n}") });
    if asked.wants_json {
        let text = json!({ "words": words.collect::<String>() }).to_string();
        // In pieces, as a model writes it.
        let chars: Vec<char> = text.chars().collect();
        return Content::Words(chars.chunks(6).map(|piece| piece.iter().collect()).collect());
    }
    Content::Words(words.collect())
}

fn calls(text: &str, name: &str) -> bool {
    let words: Vec<&str> = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    words.contains(&"call") && words.contains(&name)
}

/// Arguments that match a schema.
fn example(schema: &Value, depth: u8) -> Value {
    if let Some(first) = schema.get("enum").and_then(|list| list.get(0)) {
        return first.clone();
    }
    let kind = schema.get("type").and_then(Value::as_str).unwrap_or("object");
    match kind.to_ascii_lowercase().as_str() {
        "string" => "Berlin".into(),
        "integer" => 7.into(),
        "number" => 1.5.into(),
        "boolean" => true.into(),
        "array" => json!([example(schema.get("items").unwrap_or(&Value::Null), depth + 1)]),
        _ if depth > 8 => json!({}),
        _ => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let fields = properties.into_iter().flatten();
            fields.map(|(key, schema)| (key.clone(), example(schema, depth + 1))).collect()
        }
    }
}
