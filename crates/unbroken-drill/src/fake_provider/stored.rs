//! Answers that are stored while they are made: `background` of Responses. Their events can be asked
//! for again, all of them or those behind a number.
//!
//! Source: wire-formats.md 6.1 (recorded: `starting_after` names the last event that is known).

use http::{Method, request};
use serde_json::Value;

use super::State;
use super::answer::whole;
use super::dialect::{FakeDialect, Script};
use super::serve::Outgoing;
use super::words::Asked;
use crate::fault::Fault;

/// Answers that are kept; the first one goes first.
const STORED_MAX: usize = 100;

/// Keeps an answer under its id.
pub(super) fn keep(state: &State, script: &Script) {
    let parts = [&script.prelude, &script.content, &script.end];
    let events: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
    let first = events.first().and_then(|event| member(event, "/response/id"));
    let Some(id) = first.and_then(|id| id.as_str().map(ToOwned::to_owned)) else { return };
    let mut inner = state.inner();
    inner.stored.insert(id, events.concat());
    if inner.stored.len() > STORED_MAX {
        inner.stored.pop_first();
    }
}

/// The events of a stored answer, if it is one that is asked for.
pub(super) fn pick_up(state: &State, head: &request::Parts) -> Option<Outgoing> {
    let (_, id) = head.uri.path().split_once("/responses/")?;
    if head.method != Method::GET {
        return None;
    }
    let asked = Asked { stream: true, ..Asked::default() };
    let query = head.uri.query().unwrap_or_default();
    let after = query.split('&').find_map(|pair| pair.strip_prefix("starting_after="));
    let after: Option<u64> = after.and_then(|number| number.parse().ok());
    let events = state.inner().stored.get(id).cloned();
    let is_up = state.peek().is_none_or(|fault| !matches!(fault, Fault::Status { .. }));
    let Some(events) = events.filter(|_| is_up && query.contains("stream=true")) else {
        state.note(FakeDialect::OpenaiResponses, &asked, "not_stored");
        return Some(whole(404, "application/json", r#"{"error":{"message":"no such response"}}"#));
    };
    state.note(FakeDialect::OpenaiResponses, &asked, "picked_up");
    let is_wanted = |event: &&str| {
        let number = member(event, "/sequence_number").and_then(|number| number.as_u64());
        after.is_none_or(|after| number.is_some_and(|number| number > after))
    };
    let rest: String = events.split_inclusive("\n\n").filter(is_wanted).collect();
    Some(whole(200, "text/event-stream", rest))
}

fn member(event: &str, pointer: &str) -> Option<Value> {
    let data = event.lines().find_map(|line| line.strip_prefix("data: "))?;
    serde_json::from_str::<Value>(data).ok()?.pointer(pointer).cloned()
}
