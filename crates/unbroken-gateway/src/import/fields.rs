//! A table of a foreign file, read name by name: what nobody took is noted at the end.

use serde_json::{Map, Value};

/// A table and where it stands.
#[derive(Debug)]
pub(super) struct Fields {
    place: String,
    map: Map<String, Value>,
}

impl Fields {
    /// The fields of a table; anything else has none.
    pub(super) fn of(place: &str, value: Value) -> Self {
        let mut map = match value {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        map.retain(|_, value| !value.is_null());
        Self { place: place.to_owned(), map }
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// A value, whatever it is.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.map.shift_remove(name)
    }

    /// A text; numbers and truth count as one.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(truth) => Some(truth.to_string()),
            other => {
                self.map.insert(name.to_owned(), other);
                None
            }
        }
    }

    /// A number that is not negative.
    pub(super) fn number(&mut self, name: &str) -> Option<f64> {
        let text = self.text(name)?;
        text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)
    }

    /// A table.
    pub(super) fn table(&mut self, name: &str) -> Self {
        let place = self.inside(name);
        Self::of(&place, self.take(name).unwrap_or(Value::Null))
    }

    /// A list of tables; what is not a list is one of its own.
    pub(super) fn tables(&mut self, name: &str) -> Vec<Self> {
        let values = match self.take(name) {
            None => Vec::new(),
            Some(Value::Array(values)) => values,
            Some(other) => vec![other],
        };
        let place = self.inside(name);
        let table = |(index, value)| Self::of(&format!("{place}[{index}]"), value);
        values.into_iter().enumerate().map(table).collect()
    }

    /// Everything, by name.
    pub(super) fn all(self) -> impl Iterator<Item = (String, Value)> {
        self.map.into_iter()
    }

    /// Where a field of it stands.
    pub(super) fn inside(&self, name: &str) -> String {
        if self.place.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place) }
    }

    /// Notes what was not taken, by name only: a value may be a key.
    pub(super) fn rest(self, notes: &mut Vec<String>, why: &str) {
        for name in self.map.keys() {
            notes.push(format!("{}: {why}", self.inside(name)));
        }
    }
}

/// What stands for a field that we know nothing like.
pub(super) const NOTHING_LIKE_IT: &str = "there is nothing like it here";
