//! Counts of tokens and embeddings: what holds for them besides failover.
//!
//! Vectors of two models have nothing to do with each other, and models count differently, so only
//! the same model may stand in. A count that no target gives is estimated, and says so.
//!
//! Source: wire-formats.md 8.1.

use std::sync::Arc;

use http::HeaderValue;
use unbroken::reply::{CallRequest, Reply, ReplyBody};
use unbroken::route::{Route, Tier};
use unbroken_wire::dialects::{
    ANTHROPIC_COUNT_TOKENS, Dialect, GEMINI_COUNT_TOKENS, NOT_ASKED, OPENAI_INPUT_TOKENS,
    RequestHead, estimated,
};
use unbroken_wire::error::ErrorBody;

use super::respond::{Outgoing, json, reply};

pub(super) fn is_count(dialect: &Dialect) -> bool {
    [&ANTHROPIC_COUNT_TOKENS, &GEMINI_COUNT_TOKENS, &OPENAI_INPUT_TOKENS]
        .iter()
        .any(|count| count.name == dialect.name)
}

/// The targets of a route that serve the model of its first one.
pub(super) fn same_model(route: &Route) -> Arc<Route> {
    let mut choices = route.tiers.iter().flat_map(|tier| &tier.choices);
    let first = choices.next().map(|choice| choice.model.clone()).unwrap_or_default();
    let same = |tier: &Tier| Tier {
        choices: tier
            .choices
            .iter()
            .filter(|choice| bare(&choice.model) == bare(&first))
            .cloned()
            .collect(),
        order: tier.order,
    };
    let tiers = route.tiers.iter().map(same).filter(|tier| !tier.choices.is_empty()).collect();
    Arc::new(Route { tiers, ..route.clone() })
}

/// Some hosts put the vendor in front of the name.
fn bare(model: &str) -> &str {
    model.rsplit('/').next().unwrap_or(model)
}

/// About how many tokens a request has; `None` if it cannot be read.
pub(super) fn estimate(call: &CallRequest) -> Option<u64> {
    let head = RequestHead {
        model_in_path: call.model_in_path.as_deref(),
        stream_in_path: false,
        outline: None,
    };
    let chat = (call.dialect.read_request)(&head, &call.body).ok()?;
    Some(chat.estimated_input_tokens())
}

/// The count of a target, or an estimate that says that it is one. A request that a target found
/// wrong stays wrong.
pub(super) fn counted(counted: Reply, dialect: &Dialect, estimate: Option<u64>) -> Outgoing {
    let is_unsupported = |body: &ReplyBody| match body {
        ReplyBody::Whole(body) => ErrorBody::read(body).mentions(NOT_ASKED),
        ReplyBody::Stream(_) => false,
    };
    // A target without such a path says 404, 405 or 501.
    let nobody_could =
        matches!(counted.status, 404 | 405 | 429 | 501 | 503) || is_unsupported(&counted.body);
    let (true, Some(estimate)) = (nobody_could, estimate) else { return reply(counted) };
    let mut response = json(200, estimated(dialect, estimate));
    let mark = HeaderValue::from_static("estimate");
    response.headers_mut().insert("x-unbroken-token-count", mark);
    for name in ["x-unbroken-attempts", "x-unbroken-target"] {
        if let Some(value) = counted.headers.get(name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use unbroken::endpoint::Endpoint;
    use unbroken::providers::{OPENAI, OPENAI_COMPATIBLE};
    use unbroken::route::Choice;

    use super::*;

    #[test]
    fn embeddings_stay_with_their_model() {
        let choice = |provider, model: &str| {
            Choice::new(Arc::new(Endpoint::new(provider, None)), model.to_owned())
        };
        let choices = vec![
            choice(&OPENAI, "text-embedding-3-small"),
            choice(&OPENAI, "text-embedding-3-large"),
            choice(&OPENAI_COMPATIBLE, "openai/text-embedding-3-small"),
        ];
        let route = Route::in_order("e", choices, unbroken_engine::deadline::Limits::default());
        let left = same_model(&route);
        let labels: Vec<&str> =
            left.tiers.iter().flat_map(|tier| &tier.choices).map(Choice::label).collect();
        let other = "openai-compatible/openai/text-embedding-3-small";
        assert_eq!(labels, ["openai/text-embedding-3-small", other]);
    }
}
