//! What does a host do with a field of its dialect that others take? Hosts that call themselves
//! compatible refuse some fields, or name them otherwise. Their quirks are data; this is the one
//! place that applies them, to bodies that pass untouched and to translated ones.
//!
//! Hints are left out and said so; what the client needs makes the target no candidate.
//! Source: wire-formats.md, verdicts DROP and REFUSE.

use unbroken_wire::raw::{Members, NotAnObject};

/// How a host treats one top-level field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// The field.
    pub field: &'static str,
    /// What is done about it.
    pub how: How,
}

/// What is done about a field that a host does not take as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It is a hint: left out.
    Drop,
    /// The host calls it otherwise.
    Rename(&'static str),
    /// The client needs it: the host is no candidate.
    Refuse,
    /// Only this value is taken, as it stands in JSON.
    Only(&'static str),
}

impl Fit {
    /// A hint that is left out.
    #[must_use]
    pub const fn drop(field: &'static str) -> Self {
        Self { field, how: How::Drop }
    }

    /// A field that is called `name` there.
    #[must_use]
    pub const fn rename(field: &'static str, name: &'static str) -> Self {
        Self { field, how: How::Rename(name) }
    }

    /// A field without which the answer would not be what was asked for.
    #[must_use]
    pub const fn refuse(field: &'static str) -> Self {
        Self { field, how: How::Refuse }
    }

    /// A field that may have one value only.
    #[must_use]
    pub const fn only(field: &'static str, json: &'static str) -> Self {
        Self { field, how: How::Only(json) }
    }
}

/// A body that a host takes, or the field that it does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fitted {
    /// The body, and what was left out: `dropped:user`.
    Body(Vec<u8>, Vec<String>),
    /// The host cannot do what this field asks for.
    Refused(&'static str),
}

/// Applies a host's quirks to a body. Nothing else of it changes.
///
/// # Errors
/// When the body is not a JSON object.
pub fn fit(body: Vec<u8>, fits: &[Fit]) -> Result<Fitted, NotAnObject> {
    let mut without: Vec<&str> = Vec::new();
    let mut named: Vec<(&str, String)> = Vec::new();
    let mut warnings = Vec::new();
    let members = Members::split(&body)?;
    for Fit { field, how } in fits {
        let Some(json) = members.get(field) else { continue };
        match how {
            _ if asks_for_nothing(json) => without.push(field),
            How::Drop => {
                without.push(field);
                warnings.push(format!("dropped:{field}"));
            }
            How::Rename(name) => {
                without.push(field);
                if members.get(name).is_none() {
                    named.push((name, json.to_owned()));
                }
            }
            How::Only(only) if json == *only => {}
            How::Only(_) | How::Refuse => return Ok(Fitted::Refused(field)),
        }
    }
    if without.is_empty() {
        return Ok(Fitted::Body(body, warnings));
    }
    let mut fitted = members.without(&without);
    for (name, json) in named {
        fitted = Members::split(&fitted)?.with(name, &json);
    }
    Ok(Fitted::Body(fitted, warnings))
}

/// Whether a value says no more than the field's absence.
fn asks_for_nothing(json: &str) -> bool {
    matches!(json, "null" | "false" | "[]" | "{}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FITS: &[Fit] = &[
        Fit::drop("user"),
        Fit::rename("seed", "random_seed"),
        Fit::refuse("logprobs"),
        Fit::only("n", "1"),
    ];

    fn fitted(body: &str) -> (String, Vec<String>) {
        match fit(body.as_bytes().to_vec(), FITS).unwrap() {
            Fitted::Body(body, warnings) => (String::from_utf8(body).unwrap(), warnings),
            Fitted::Refused(field) => (format!("refused {field}"), Vec::new()),
        }
    }

    #[test]
    fn what_fits_passes_byte_for_byte() {
        let body = "{ \"model\":\"m\",  \"n\":1, \"temperature\": 1.0 }";
        assert_eq!(fitted(body), (body.to_owned(), vec![]));
    }

    #[test]
    fn hints_are_dropped_and_said_and_names_are_changed() {
        let (body, warnings) = fitted(r#"{"user":"u","seed":9007199254740993,"x":1.0}"#);
        assert_eq!(body, r#"{"random_seed":9007199254740993,"x":1.0}"#);
        assert_eq!(warnings, ["dropped:user"]);
        let (body, _) = fitted(r#"{"seed":1,"random_seed":2}"#);
        assert_eq!(body, r#"{"random_seed":2}"#, "the host's own name wins");
    }

    #[test]
    fn what_the_client_needs_makes_the_host_no_candidate() {
        assert_eq!(fitted(r#"{"logprobs":true}"#).0, "refused logprobs");
        assert_eq!(fitted(r#"{"n":2}"#).0, "refused n");
        assert_eq!(fitted(r#"{"logprobs":false,"user":null}"#), ("{}".to_owned(), vec![]));
    }
}
