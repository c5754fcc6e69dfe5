//! The 98 nasty cases of wire-formats.md section 7: each has a test, here or where it belongs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use unbroken_wire::chat::Chat;
use unbroken_wire::dialects::{
    ANTHROPIC_MESSAGES, Dialect, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES, RequestHead, Unsupported,
    Written,
};

mod content;
mod messages;
mod parameters;
mod streams;

/// A model that takes everything its dialect has.
pub(crate) const PLAIN: &str = "m";

/// Reads a request.
pub(crate) fn read(dialect: &Dialect, body: &Value) -> Chat {
    let mut body = body.clone();
    if let Value::Object(body) = &mut body {
        body.entry("model").or_insert_with(|| PLAIN.into());
    }
    let head = RequestHead { model_in_path: Some(PLAIN), stream_in_path: false, outline: None };
    (dialect.read_request)(&head, body.to_string().as_bytes()).unwrap()
}

/// Reads a request and writes it for a model of another dialect.
pub(crate) fn write(from: &Dialect, body: &Value, to: &Dialect, model: &str) -> (Value, Written) {
    let written = try_write(from, body, to, model).unwrap();
    (serde_json::from_slice(&written.body).unwrap(), written)
}

/// The same, when it may be impossible.
pub(crate) fn try_write(
    from: &Dialect,
    body: &Value,
    to: &Dialect,
    model: &str,
) -> Result<Written, Unsupported> {
    (to.write_request)(&read(from, body), model)
}

pub(crate) fn chat_to(to: &Dialect, body: &Value) -> Value {
    write(&OPENAI_CHAT, body, to, PLAIN).0
}

pub(crate) fn claude_to(to: &Dialect, body: &Value) -> Value {
    write(&ANTHROPIC_MESSAGES, body, to, PLAIN).0
}

pub(crate) fn responses_to(to: &Dialect, body: &Value) -> Value {
    write(&OPENAI_RESPONSES, body, to, PLAIN).0
}

pub(crate) fn gemini_to(to: &Dialect, body: &Value) -> Value {
    write(&GEMINI, body, to, PLAIN).0
}

/// Where cases are held that are not this crate's: file below `crates/`, and function.
const ELSEWHERE: &[(u8, &str, &str)] = &[
    (55, "unbroken-wire/tests/it/of_targets.rs", "case_55_names_of_documents_fit_and_differ"),
    (52, "unbroken/src/providers/classify.rs", "classify_by_status"),
    (79, "unbroken-wire/tests/it/nasty/parameters.rs", "case_78_79_80"),
    (91, "unbroken/tests/it/calls.rs", "an_answer_that_comes_whole_is_played_as_a_stream"),
    (92, "unbroken/tests/it/calls.rs", "every_failure_is_invisible"),
    (97, "unbroken/tests/it/calls.rs", "a_client_that_leaves_closes_the_upstream_connection"),
];

/// Every number is held by a test of its name, and the places that are named exist.
#[test]
fn all_98_cases_are_held() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut held = BTreeSet::new();
    for file in ["content", "messages", "parameters", "streams"] {
        let text = fs::read_to_string(root.join(format!("tests/it/nasty/{file}.rs"))).unwrap();
        for name in text.split("fn case_").skip(1) {
            let name = name.split('(').next().unwrap();
            held.extend(name.split('_').map_while(|word| word.parse::<u8>().ok()));
        }
    }
    for (number, file, function) in ELSEWHERE {
        let text = fs::read_to_string(root.join("..").join(file)).unwrap();
        assert!(text.contains(function), "case {number}: {function} is not in {file}");
        held.insert(*number);
    }
    let missing: Vec<u8> = (1..=98).filter(|number| !held.contains(number)).collect();
    assert!(missing.is_empty(), "cases without a test: {missing:?}");
    println!("98 cases: {} here, {} elsewhere", 98 - ELSEWHERE.len(), ELSEWHERE.len());
}
