//! Tool calls that grow piece by piece.

use serde_json::{Value, json};

use super::Verdict;

/// A call that is being received.
#[derive(Debug, Default)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: String,
}

/// All calls of an answer.
#[derive(Debug, Default)]
pub(super) struct Calls(pub(super) Vec<Call>);

impl Calls {
    pub(super) fn add(&mut self, id: Option<&str>, name: Option<&str>, verdict: &mut Verdict) {
        let (id, name) = (id.unwrap_or_default(), name.unwrap_or_default());
        verdict.hold(!id.is_empty() && !name.is_empty(), "a call without an id or a name");
        verdict.hold(self.0.iter().all(|call| call.id != id), "two calls with one id");
        let arguments = String::new();
        self.0.push(Call { id: id.to_owned(), name: name.to_owned(), arguments });
    }

    /// Every call is complete: its arguments are an object.
    pub(super) fn finish(&self, verdict: &mut Verdict) {
        for call in &self.0 {
            let arguments = if call.arguments.is_empty() { "{}" } else { &call.arguments };
            let arguments = serde_json::from_str::<Value>(arguments).ok();
            let arguments = arguments.filter(Value::is_object);
            verdict.hold(arguments.is_some(), "arguments that are no object");
            verdict.calls.push((call.name.clone(), arguments.unwrap_or_else(|| json!(null))));
        }
    }
}
