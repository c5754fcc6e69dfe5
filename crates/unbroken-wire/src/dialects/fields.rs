//! Reading fields of JSON that may be missing, null or of another type: then they are not there.

use serde_json::Value;

use super::{AnswerFault, RequestError};
use crate::error::ErrorBody;

/// Reads a request body.
pub(super) fn read_body(body: &[u8]) -> Result<Value, RequestError> {
    match serde_json::from_slice(body) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => {
            Err(RequestError { message: "the body is not a JSON object".to_owned(), param: None })
        }
        Err(error) => Err(RequestError {
            message: format!("could not parse the JSON body of your request: {error}"),
            param: None,
        }),
    }
}

/// Reads an answer body, and tells an error from an answer.
pub(super) fn read_answer_body(body: &[u8]) -> Result<Value, AnswerFault> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(AnswerFault::Empty);
    }
    let value: Value =
        serde_json::from_slice(body).map_err(|error| AnswerFault::Malformed(error.to_string()))?;
    if ErrorBody::is_in(&value) {
        return Err(AnswerFault::Error(Box::new(ErrorBody::of(&value))));
    }
    Ok(value)
}

/// The values of an event's data: one, or several where a host leaves out the lines between events.
pub(super) fn read_data(data: &str) -> Result<Vec<Value>, String> {
    let values = serde_json::Deserializer::from_str(data).into_iter::<Value>();
    values.collect::<Result<Vec<Value>, _>>().map_err(|error| error.to_string())
}

/// Something with named fields.
pub(super) trait Fields {
    /// A field, if it is there.
    fn field(&self, key: &str) -> Option<&Value>;
}

impl Fields for Value {
    fn field(&self, key: &str) -> Option<&Value> {
        self.get(key)
    }
}

/// A few fields in their order: quicker to ask for what is not there than a map is.
#[derive(Debug, Default)]
pub(super) struct FewFields(Vec<(String, Value)>);

impl FewFields {
    /// Of two of one name the last one holds, in the place of the first.
    pub(super) fn set(&mut self, key: String, value: Value) {
        match self.0.iter_mut().find(|(other, _)| *other == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key, value)),
        }
    }

    /// Fields that are not among `known` and not null.
    pub(super) fn others(&self, known: &[&str]) -> Vec<(String, Value)> {
        others_of(self.0.iter().map(|(key, value)| (key, value)), known)
    }
}

impl Fields for FewFields {
    fn field(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }
}

impl From<Value> for FewFields {
    fn from(value: Value) -> Self {
        match value {
            Value::Object(object) => Self(object.into_iter().collect()),
            _ => Self::default(),
        }
    }
}

/// A string.
pub(super) fn text<'a>(value: &'a (impl Fields + ?Sized), key: &str) -> &'a str {
    value.field(key).and_then(Value::as_str).unwrap_or_default()
}

/// A string that is there and not empty.
pub(super) fn some_text(value: &(impl Fields + ?Sized), key: &str) -> Option<String> {
    value.field(key).and_then(Value::as_str).filter(|t| !t.is_empty()).map(ToOwned::to_owned)
}

/// Nobody counts further; sums of a few such counts do not overflow.
const COUNT_MAX: u64 = 1 << 53;

/// A count; floats are cut.
pub(super) fn count(value: &(impl Fields + ?Sized), key: &str) -> Option<u64> {
    let number = value.field(key)?;
    let count = number.as_u64().or_else(|| number.as_f64().filter(|n| *n >= 0.0).map(|n| n as u64));
    count.map(|count| count.min(COUNT_MAX))
}

/// The elements of an array; nothing if it is none.
pub(super) fn list<'a>(value: &'a (impl Fields + ?Sized), key: &str) -> &'a [Value] {
    value.field(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A field under either of two names (Google accepts both spellings).
pub(super) fn either<'a>(value: &'a Value, one: &str, other: &str) -> Option<&'a Value> {
    value.get(one).or_else(|| value.get(other)).filter(|value| !value.is_null())
}

/// One string or several.
pub(super) fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(list)) => {
            list.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect()
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => vec![],
    }
}

/// Members of `body` that are not among `known` and not null.
pub(super) fn others(body: &Value, known: &[&str]) -> Vec<(String, Value)> {
    let Value::Object(object) = body else { return vec![] };
    others_of(object.iter(), known)
}

fn others_of<'a>(
    fields: impl Iterator<Item = (&'a String, &'a Value)>,
    known: &[&str],
) -> Vec<(String, Value)> {
    let others = fields.filter(|(key, value)| !known.contains(&key.as_str()) && !value.is_null());
    others.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// A JSON object under construction: leaves out what is not there.
#[derive(Default)]
pub(super) struct Object(serde_json::Map<String, Value>);

impl Object {
    pub(super) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
    }

    pub(super) fn set_some(&mut self, key: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.set(key, value);
        }
    }

    /// Takes a member out again; whether it was there.
    pub(super) fn unset(&mut self, key: &str) -> bool {
        self.0.shift_remove(key).is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether nothing but `key` is in it.
    pub(super) fn is_only(&self, key: &str) -> bool {
        self.0.keys().all(|other| other == key)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object.0)
    }
}

/// A schema whose root is an object, as every dialect wants it.
pub(super) fn object_schema(schema: Option<&Value>) -> Value {
    match schema {
        Some(Value::Object(object)) if !object.is_empty() => {
            let mut object = object.clone();
            object.entry("type").or_insert_with(|| "object".into());
            if object.get("type").and_then(Value::as_str) == Some("object") {
                object.entry("properties").or_insert_with(|| serde_json::json!({}));
            }
            Value::Object(object)
        }
        _ => serde_json::json!({ "type": "object", "properties": {} }),
    }
}

/// The arguments of a tool whose input is free text.
pub(super) fn custom_tool_schema() -> Value {
    serde_json::json!({
        "type": "object", "properties": { "input": { "type": "string" } }, "required": ["input"],
    })
}
