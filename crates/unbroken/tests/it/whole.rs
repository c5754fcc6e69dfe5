//! Whole answers of Chat Completions, from a failover that nobody watches.

use std::sync::Arc;

use serde_json::Value;
use unbroken::observer::Unobserved;
use unbroken::reply::{CallRequest, Reply, ReplyBody};
use unbroken::route::{Choice, Route};
use unbroken::{Failover, FailoverConfig};
use unbroken_engine::deadline::Limits;
use unbroken_wire::dialects::OPENAI_CHAT;

pub(crate) fn failover() -> Failover {
    Failover::new(FailoverConfig::default(), Arc::new(Unobserved))
}

/// A route of these, in their order.
pub(crate) fn in_order(choices: Vec<Choice>) -> Arc<Route> {
    Arc::new(Route::in_order("chat", choices, Limits::default()))
}

/// One call: the reply, and its body.
pub(crate) async fn call(
    failover: &Failover,
    choices: Vec<Choice>,
    body: impl ToString,
) -> (Reply, Value) {
    let request = CallRequest::new("r", &OPENAI_CHAT, body.to_string(), in_order(choices));
    let reply = failover.call(request).await;
    let ReplyBody::Whole(bytes) = &reply.body else { panic!("a stream") };
    let body = serde_json::from_slice(bytes).unwrap();
    (reply, body)
}
