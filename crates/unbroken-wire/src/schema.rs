//! What of a JSON Schema does each API take? Constraints that an API refuses are said in words
//! instead, where the model reads them.
//!
//! Source: wire-formats.md 2.2 (JSON schema) and 7 (cases 43, 69 and 73).

use serde_json::{Map, Value, json};

/// Schemas are not nested more deeply than this; what is deeper stays as it is.
const DEPTH_MAX: u8 = 32;

/// Keywords that Claude's structured output refuses.
const REFUSED: &[&str] = &[
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
];

/// Closes every object and says refused constraints in words. Whether any was there.
pub(crate) fn close(schema: &mut Value) -> bool {
    close_at(schema, 0)
}

fn close_at(schema: &mut Value, depth: u8) -> bool {
    if depth > DEPTH_MAX {
        return false;
    }
    let inner = |value: &mut Value| close_at(value, depth + 1);
    match schema {
        Value::Object(object) => {
            if object.get("type").and_then(Value::as_str) == Some("object") {
                object.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
            let said = say(object);
            let nested = object.values_mut().map(inner).fold(false, |any, one| any | one);
            said || nested
        }
        Value::Array(list) => list.iter_mut().map(inner).fold(false, |any, one| any | one),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Moves refused constraints of one schema into its description. A property may have such a name,
/// too: its value is a schema, not a bound.
fn say(object: &mut Map<String, Value>) -> bool {
    let mut words = Vec::new();
    for keyword in REFUSED {
        let is_bound = object.get(*keyword).is_some_and(|value| !value.is_object());
        if is_bound && let Some(value) = object.shift_remove(*keyword) {
            words.push(format!("{keyword}: {value}"));
        }
    }
    if words.is_empty() {
        return false;
    }
    let before = object.get("description").and_then(Value::as_str).unwrap_or_default();
    let description = format!("{before} ({})", words.join(", "));
    object.insert("description".to_owned(), description.trim_start().into());
    true
}

/// Whether `OpenAI` would take it as strict: every object closed, every property required.
pub(crate) fn is_strict(schema: &Value) -> bool {
    is_strict_at(schema, 0)
}

fn is_strict_at(schema: &Value, depth: u8) -> bool {
    if depth > DEPTH_MAX {
        return false;
    }
    match schema {
        Value::Object(object) => {
            let is_object = object.get("type").and_then(Value::as_str) == Some("object");
            (!is_object || is_closed(object))
                && object.values().all(|value| is_strict_at(value, depth + 1))
        }
        Value::Array(list) => list.iter().all(|value| is_strict_at(value, depth + 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

fn is_closed(object: &Map<String, Value>) -> bool {
    let required = object.get("required").and_then(Value::as_array);
    let is_required = |name: &String| {
        required.is_some_and(|list| list.iter().any(|required| required.as_str() == Some(name)))
    };
    let properties = object.get("properties").and_then(Value::as_object);
    object.get("additionalProperties") == Some(&Value::Bool(false))
        && properties.is_none_or(|properties| properties.keys().all(is_required))
}

/// Google's dialect of a schema as plain JSON Schema: small letters, `nullable` as a type.
pub(crate) fn from_google(schema: &mut Value) {
    from_google_at(schema, 0);
}

fn from_google_at(schema: &mut Value, depth: u8) {
    if depth > DEPTH_MAX {
        return;
    }
    match schema {
        Value::Object(object) => {
            if let Some(Value::String(kind)) = object.get_mut("type") {
                kind.make_ascii_lowercase();
            }
            if object.get("nullable").is_some_and(Value::is_boolean) {
                let nullable = object.shift_remove("nullable") == Some(Value::Bool(true));
                if let (true, Some(kind @ Value::String(_))) =
                    (nullable, object.get("type").cloned())
                {
                    object.insert("type".to_owned(), json!([kind, "null"]));
                }
            }
            if object.get("propertyOrdering").is_some_and(Value::is_array) {
                object.shift_remove("propertyOrdering");
            }
            if object.get("format").and_then(Value::as_str) == Some("enum") {
                object.shift_remove("format");
            }
            object.values_mut().for_each(|value| from_google_at(value, depth + 1));
        }
        Value::Array(list) => list.iter_mut().for_each(|value| from_google_at(value, depth + 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_constraints_are_said_in_words_and_objects_are_closed() {
        let mut schema = json!({
            "type": "object",
            "properties": {
                "age": { "type": "integer", "minimum": 0, "maximum": 150, "description": "Years" },
                "maximum": { "type": "string", "maxLength": 9 },
            },
        });
        assert!(close(&mut schema));
        let expected = json!({
            "type": "object",
            "properties": {
                "age": { "type": "integer", "description": "Years (minimum: 0, maximum: 150)" },
                "maximum": { "type": "string", "description": "(maxLength: 9)" },
            },
            "additionalProperties": false,
        });
        assert_eq!(schema, expected);
        assert!(!close(&mut schema), "nothing is left to say");
    }

    #[test]
    fn strict_means_closed_and_required() {
        let schema = |additional: bool, required: Value| {
            json!({
                "type": "object", "properties": { "a": { "type": "string" } },
                "required": required, "additionalProperties": additional,
            })
        };
        assert!(is_strict(&schema(false, json!(["a"]))));
        assert!(!is_strict(&schema(true, json!(["a"]))));
        assert!(!is_strict(&schema(false, json!([]))));
    }

    #[test]
    fn googles_schemas_become_plain_ones() {
        let mut schema = json!({
            "type": "OBJECT", "propertyOrdering": ["a"],
            "properties": { "a": { "type": "STRING", "nullable": true, "format": "enum" } },
        });
        from_google(&mut schema);
        let expected = json!({
            "type": "object", "properties": { "a": { "type": ["string", "null"] } },
        });
        assert_eq!(schema, expected);
    }
}
