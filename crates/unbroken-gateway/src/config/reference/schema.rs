//! The JSON Schema of `unbroken.toml`, for editors.
//!
//! Draft 7: it is the newest that the TOML tools of editors read (Taplo, tombi).

use serde_json::{Map, Value, json};

use super::{Default, Kind, SECTIONS, Section, Setting};

/// The schema.
pub(crate) fn schema() -> Value {
    let mut definitions = Map::new();
    let mut whole = Map::new();
    whole.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
    whole.insert("title".to_owned(), json!("unbroken.toml"));
    for section in SECTIONS {
        let table = table(section);
        if section.name.is_empty() {
            whole.extend(table);
        } else {
            definitions.insert(section.name.to_owned(), Value::Object(table));
        }
    }
    whole.insert("definitions".to_owned(), Value::Object(definitions));
    Value::Object(whole)
}

fn table(section: &Section) -> Map<String, Value> {
    let required: Vec<&str> = section
        .settings
        .iter()
        .filter(|setting| setting.default == Default::Required)
        .map(|setting| setting.name)
        .collect();
    let properties: Map<String, Value> = section
        .settings
        .iter()
        .map(|setting| (setting.name.to_owned(), property(setting)))
        .collect();
    let mut table = Map::new();
    table.insert("description".to_owned(), json!(section.about));
    table.insert("type".to_owned(), json!("object"));
    table.insert("additionalProperties".to_owned(), json!(false));
    if !required.is_empty() {
        table.insert("required".to_owned(), json!(required));
    }
    table.insert("properties".to_owned(), Value::Object(properties));
    table
}

fn property(setting: &Setting) -> Value {
    let mut value = kind(setting.kind);
    // In draft 7 nothing counts beside a `$ref`.
    if value.get("$ref").is_some() {
        value = json!({ "allOf": [value] });
    }
    let mut meaning = setting.meaning.to_owned();
    for part in [setting.kind.bounds().as_str(), setting.also] {
        if !part.is_empty() {
            meaning = format!("{meaning}; {part}");
        }
    }
    if let Default::Said(words) = setting.default {
        meaning = format!("{meaning}; default: {words}");
    }
    if let Some(object) = value.as_object_mut() {
        object.insert("description".to_owned(), json!(meaning));
        if let Default::Is(default) = setting.default {
            object.insert("default".to_owned(), literal(setting.kind, default));
        }
    }
    value
}

/// A default as a value of the file.
fn literal(kind: Kind, text: &str) -> Value {
    match kind {
        Kind::Flag | Kind::Whole { .. } | Kind::Number { .. } => {
            serde_json::from_str(text).unwrap_or_else(|_| json!(text))
        }
        Kind::Text
        | Kind::Url
        | Kind::Address
        | Kind::Span { .. }
        | Kind::Age { .. }
        | Kind::Size { .. }
        | Kind::OneOf(_)
        | Kind::SomeOf(_)
        | Kind::Texts
        | Kind::Table(_)
        | Kind::Tables(_)
        | Kind::Tiers(_) => json!(text),
    }
}

fn kind(kind: Kind) -> Value {
    let part = |section: &str| json!({ "$ref": format!("#/definitions/{section}") });
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Url => json!({ "type": "string", "pattern": "^(https?://[^/?]+[^?]*|\\$\\{.+\\})$" }),
        Kind::Address => json!({ "type": "string", "pattern": "^.+:[0-9]+$" }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Span { .. } => {
            json!({ "type": "string", "pattern": "^([0-9]+(\\.[0-9]+)?(h|m|s|ms|us|µs|ns))+$" })
        }
        Kind::Age { .. } => json!({ "type": "string", "pattern": "^[0-9]+(d|h|m|s)$" }),
        Kind::Size { .. } => json!({ "type": "string", "pattern": "^[0-9]+ *(KiB|MiB|GiB)$" }),
        Kind::Whole { least, most } => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Kind::Number { least, most } => {
            let number = |text| literal(kind, text);
            json!({ "type": "number", "minimum": number(least), "maximum": number(most) })
        }
        Kind::OneOf(words) => json!({ "enum": words }),
        Kind::SomeOf(words) => json!({ "type": "array", "items": { "enum": words } }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::Table(section) => part(section),
        Kind::Tables(section) => json!({ "type": "array", "items": part(section) }),
        Kind::Tiers(section) => {
            let target = json!({ "anyOf": [{ "type": "string" }, part(section)] });
            json!({ "type": "array", "items": { "type": "array", "minItems": 1, "items": target } })
        }
    }
}
