//! Who watches? Logs, metrics and demos: each sees every event of the engine.

use unbroken_engine::event::Event;

/// What a call is about, as far as whoever watches may know it: never its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFacts {
    /// Names the client's request.
    pub id: String,
    /// The route that answers it.
    pub route: String,
    /// The dialect that its client speaks.
    pub dialect: &'static str,
    /// Whether the answer is a stream.
    pub is_stream: bool,
    /// The size of the request, estimated.
    pub input_tokens: u32,
}

/// One event and what it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// What happened.
    pub event: &'a Event,
    /// The call to which it happened, if it happened to one.
    pub call: Option<&'a CallFacts>,
}

/// Somebody who watches. Called outside of the fleet's lock, one event after the other in the order
/// in which they happened; must not block.
pub trait Observer: Send + Sync {
    /// Takes note of an event.
    fn observe(&self, seen: &Seen<'_>);
}

/// Nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn observe(&self, _: &Seen<'_>) {}
}
