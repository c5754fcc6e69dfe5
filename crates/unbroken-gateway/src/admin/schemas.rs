//! What do the answers of the admin API look like? JSON Schema, for the OpenAPI document; a test holds
//! it against what is answered.

use serde_json::{Map, Value, json};

use super::paths::Asked;

/// The schema of an answer, if it is JSON.
pub(super) fn answer(asked: Asked) -> Option<Value> {
    Some(match asked {
        Asked::Dashboard
        | Asked::DashboardScript
        | Asked::DashboardStyle
        | Asked::Live
        | Asked::Stream
        | Asked::Metrics => return None,
        Asked::OpenApi => json!({ "type": "object" }),
        Asked::Status => status(),
        Asked::Targets => object(&[("targets", list(target()))]),
        Asked::ForceOpen | Asked::ForceClosed | Asked::Drain | Asked::Release | Asked::Reset => {
            object(&[("target", text()), ("done", text())])
        }
        Asked::Reload => object(&[("generation", whole()), ("after_restart", list(text()))]),
        Asked::Calls => object(&[("calls", list(call()))]),
        Asked::Call => call(),
        Asked::Incidents => object(&[("incidents", list(incident()))]),
        Asked::Alerts => object(&[("open", list(alert())), ("past", list(alert()))]),
        Asked::WhatIf => what_if(),
        Asked::Explain => explanation(),
    })
}

/// What `POST /admin/explain` takes.
pub(super) fn question() -> Value {
    json!({
        "type": "object",
        "required": ["model"],
        "additionalProperties": false,
        "properties": {
            "model": text(),
            "substitute": yes(),
            "dialect": text(),
            "request": { "description": "a request as a client would send it" },
        },
    })
}

/// An object with all of these, and no others.
fn object(properties: &[(&str, Value)]) -> Value {
    let required: Vec<&str> = properties.iter().map(|(name, _)| *name).collect();
    let own = |(name, schema): &(&str, Value)| ((*name).to_owned(), schema.clone());
    let properties: Map<String, Value> = properties.iter().map(own).collect();
    json!({
        "type": "object", "required": required, "properties": properties,
        "additionalProperties": false,
    })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn whole() -> Value {
    json!({ "type": "integer" })
}

fn number() -> Value {
    json!({ "type": "number" })
}

fn yes() -> Value {
    json!({ "type": "boolean" })
}

#[expect(clippy::needless_pass_by_value, reason = "parts are given away")]
fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

/// Numbers by name.
fn counts() -> Value {
    json!({ "type": "object", "additionalProperties": whole() })
}

/// This or null.
#[expect(clippy::needless_pass_by_value, reason = "parts are given away")]
fn perhaps(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

fn words(words: &[&str]) -> Value {
    json!({ "enum": words })
}

fn status() -> Value {
    let configuration = object(&[
        ("generation", whole()),
        ("loaded_unix", whole()),
        ("error", perhaps(text())),
        ("after_restart", list(text())),
    ]);
    let gateway = json!({
        "type": "object",
        "required": ["version", "listen", "started_ms", "configuration"],
        "properties": {
            "version": text(), "listen": text(), "started_ms": whole(),
            "configuration": configuration,
        },
    });
    let choice = object(&[("target", text()), ("weight", whole())]);
    let tier =
        object(&[("order", words(&["balanced", "weighted", "rotate"])), ("targets", list(choice))]);
    let route = object(&[("route", text()), ("configured", yes()), ("tiers", list(tier))]);
    let mut with_minute = target();
    if let Some(properties) = with_minute.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("minute".to_owned(), list(list(whole())));
    }
    object(&[
        ("gateway", gateway),
        ("routes", list(route)),
        ("flows", list(json!({ "type": "array" }))),
        ("targets", list(with_minute)),
        ("incidents", list(incident())),
        ("now_ms", whole()),
    ])
}

fn target() -> Value {
    let states =
        ["closed", "open", "half_open", "ramp", "forced_open", "forced_closed", "draining"];
    object(&[
        ("target", text()),
        ("state", words(&states)),
        ("health", words(&["well", "slow", "returning", "shut", "held", "retired"])),
        ("usable", yes()),
        ("words", text()),
        ("retry_at_ms", perhaps(whole())),
        ("blocked_by", perhaps(text())),
        ("evidence", number()),
        ("share", number()),
        ("under_way", whole()),
        ("last_failure", perhaps(text())),
        ("first_token_ms", perhaps(whole())),
        ("baseline_ms", perhaps(whole())),
        ("answered", whole()),
        ("failed", whole()),
    ])
}

fn tokens() -> Value {
    object(&[("input", whole()), ("cached", whole()), ("output", whole()), ("estimated", yes())])
}

fn call() -> Value {
    let attempt = object(&[
        ("number", whole()),
        ("target", text()),
        ("why", text()),
        ("at_ms", whole()),
        ("first_token_ms", perhaps(whole())),
        ("took_ms", whole()),
        ("phase", words(&["connecting", "waiting", "delivering"])),
        ("result", text()),
        ("words", text()),
        ("purpose", words(&["answer", "continuation", "failed", "hedge", "left"])),
        ("tokens", perhaps(tokens())),
        ("cost_usd", perhaps(number())),
    ]);
    let outcomes = ["answered", "rescued", "client_error", "failed", "broken", "client_gone"];
    object(&[
        ("id", text()),
        ("route", text()),
        ("dialect", text()),
        ("stream", yes()),
        ("input_tokens", whole()),
        ("begun_ms", whole()),
        ("took_ms", whole()),
        ("outcome", words(&outcomes)),
        ("target", perhaps(text())),
        ("avoided", yes()),
        ("tokens", tokens()),
        ("saved_tokens", whole()),
        ("cost_usd", perhaps(number())),
        ("attempts", list(attempt)),
        ("waits_ms", list(whole())),
        ("notes", list(text())),
    ])
}

fn incident() -> Value {
    object(&[
        ("number", whole()),
        ("cell", text()),
        ("name", text()),
        ("words", text()),
        ("began_ms", whole()),
        ("detected_ms", whole()),
        ("ended_ms", perhaps(whole())),
        ("victims", whole()),
        ("moved", counts()),
        ("client_failures", whole()),
        ("timeline", list(object(&[("at_ms", whole()), ("text", text())]))),
    ])
}

fn alert() -> Value {
    object(&[
        ("alert", text()),
        ("severity", words(&["page", "ticket"])),
        ("route", text()),
        ("words", text()),
        ("raised_ms", whole()),
        ("resolved_ms", perhaps(whole())),
    ])
}

fn what_if() -> Value {
    let share = object(&[("target", text()), ("share", number())]);
    let route = object(&[
        ("route", text()),
        ("calls_per_minute", whole()),
        ("to", list(share)),
        ("words", text()),
    ]);
    object(&[("target", text()), ("routes", list(route)), ("routes_without_an_answer", whole())])
}

fn explanation() -> Value {
    let candidate = object(&[
        ("target", text()),
        ("tier", whole()),
        ("place", perhaps(whole())),
        ("words", text()),
        ("retry_at_ms", perhaps(whole())),
    ]);
    object(&[
        ("model", text()),
        ("configured", yes()),
        ("live", yes()),
        ("input_tokens", perhaps(whole())),
        ("candidates", list(candidate)),
        ("words", text()),
    ])
}
