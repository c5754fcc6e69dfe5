//! Which field does a refusal name, and may it be left out? A hint that a model does not know is no
//! reason to fail: the same target is asked again without it, once, and the client is told.
//!
//! Only fields that are hints everywhere (DROP in wire-formats.md 2.2) and those that have two names
//! are here; what changes the meaning of an answer is never left out. A value that is wrong is the
//! client's mistake, and not a field that is not known: refusals say so in other words.
//!
//! Source: wire-formats.md 8.2 ("learn at run time"), 7 (cases 57, 58, 60, 65, 74) and recorded
//! refusals.

use unbroken_wire::error::ErrorBody;
use unbroken_wire::raw::Members;

use crate::providers::Fit;

/// Fields that may be left out or called otherwise.
const FIELDS: &[Fit] = &[
    Fit::rename("max_tokens", "max_completion_tokens"),
    Fit::rename("max_completion_tokens", "max_tokens"),
    Fit::drop("temperature"),
    Fit::drop("top_p"),
    Fit::drop("top_k"),
    Fit::drop("presence_penalty"),
    Fit::drop("frequency_penalty"),
    Fit::drop("seed"),
    Fit::drop("user"),
    Fit::drop("metadata"),
    Fit::drop("service_tier"),
    Fit::drop("reasoning_effort"),
    Fit::drop("reasoning"),
    Fit::drop("verbosity"),
    Fit::drop("store"),
    Fit::drop("stream_options"),
    Fit::drop("parallel_tool_calls"),
    Fit::drop("prompt_cache_key"),
    Fit::drop("prompt_cache_retention"),
    Fit::drop("safety_identifier"),
    Fit::drop("prediction"),
];

/// Words of refusals of a field, whatever its value.
const NOT_KNOWN: &[&str] = &[
    "unsupported_parameter",
    "unsupported parameter",
    "unsupported_value",
    "unsupported value",
    "unknown parameter",
    "unknown_parameter",
    "unrecognized request argument",
    "unrecognized_keys",
    "unexpected keyword",
    "unknown field",
    "not a valid field",
    "extra inputs are not permitted",
    "extra_forbidden",
    "is not supported",
    "are not supported",
    "does not support",
    "cannot both be specified",
    "is deprecated",
];

/// What may be done about a refused body, if the refusal names a field of it that is a hint.
pub(crate) fn refused(status: u16, error: &ErrorBody, body: &[u8]) -> Option<Fit> {
    if !matches!(status, 400 | 422) || !NOT_KNOWN.iter().any(|words| error.mentions(words)) {
        return None;
    }
    let members = Members::split(body).ok()?;
    let is_there = |fit: &&Fit| members.get(fit.field).is_some();
    let both = error.mentions("cannot both be specified");
    let is_named = |fit: &&Fit| match both {
        // The temperature is kept.
        true => fit.field == "top_p",
        false => names(error, fit.field),
    };
    // The longest name counts: `max_tokens` is a part of others.
    let found = FIELDS.iter().filter(is_there).filter(is_named);
    found.max_by_key(|fit| fit.field.len()).copied()
}

/// Whether the refusal is about this field: as its parameter, or as the first word that its message
/// quotes or begins with.
fn names(error: &ErrorBody, field: &str) -> bool {
    if !error.param.is_empty() {
        // `loc` is a list: ["body", "user"].
        return error.param == field || error.param.contains(&format!("\"{field}\""));
    }
    let message = &error.message;
    let quoted = ['\'', '"', '`'].iter().filter_map(|mark| {
        let (_, rest) = message.split_once(*mark)?;
        rest.split_once(*mark).map(|(word, _)| word)
    });
    let first = message.split([':', ' ']).next().unwrap_or_default();
    quoted.chain([first]).any(|word| word == field)
        || message.contains(&format!("argument supplied: {field}"))
        || message.contains(&format!("{field}: Extra inputs"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::How;

    fn fit(status: u16, reply: &str) -> Option<(&'static str, How)> {
        let body = br#"{"model":"m","max_tokens":9,"temperature":0.2,"top_p":0.5,"user":"u","n":2,
            "logprobs":true,"tools":[],"reasoning_effort":"high"}"#;
        refused(status, &ErrorBody::read(reply.as_bytes()), body).map(|fit| (fit.field, fit.how))
    }

    #[test]
    fn a_named_hint_may_be_left_out_and_a_name_changed() {
        for (reply, field, how) in [
            (
                r#"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}"#,
                "max_tokens",
                How::Rename("max_completion_tokens"),
            ),
            (
                r#"{"error":{"message":"Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.","param":"temperature","code":"unsupported_value"}}"#,
                "temperature",
                How::Drop,
            ),
            (
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"temperature: Extra inputs are not permitted"}}"#,
                "temperature",
                How::Drop,
            ),
            (
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"`temperature` and `top_p` cannot both be specified for this model."}}"#,
                "top_p",
                How::Drop,
            ),
            (
                r#"{"detail":[{"type":"extra_forbidden","loc":["body","user"],"msg":"Extra inputs are not permitted"}]}"#,
                "user",
                How::Drop,
            ),
            (
                r#"{"error":{"message":"Unrecognized request argument supplied: reasoning_effort"}}"#,
                "reasoning_effort",
                How::Drop,
            ),
        ] {
            assert_eq!(
                fit(if reply.contains("detail") { 422 } else { 400 }, reply),
                Some((field, how))
            );
        }
    }

    #[test]
    fn mistakes_and_what_the_client_needs_stay() {
        for reply in [
            // A wrong value is the client's own.
            r#"{"error":{"message":"Invalid 'temperature': must be a number.","param":"temperature","code":"invalid_value"}}"#,
            // What is not a hint.
            r#"{"error":{"message":"Unsupported parameter: 'logprobs' is not supported with this model.","param":"logprobs","code":"unsupported_parameter"}}"#,
            r#"{"error":{"message":"Unsupported parameter: 'n'","param":"n","code":"unsupported_parameter"}}"#,
            // What the request does not have.
            r#"{"error":{"message":"Unsupported parameter: 'top_k'","code":"unsupported_parameter"}}"#,
            // Another field's refusal that speaks of this one.
            r#"{"error":{"message":"Unsupported parameter: 'tools' with temperature","param":"tools","code":"unsupported_parameter"}}"#,
            "",
        ] {
            assert_eq!(fit(400, reply), None, "{reply}");
        }
        let named = r#"{"error":{"message":"Unsupported parameter: 'user'","param":"user","code":"unsupported_parameter"}}"#;
        assert_eq!(fit(500, named), None, "not a refusal");
    }
}
