//! Who watches? Logs, metrics and demos: each sees every event of the engine.

use unbroken_engine::event::Event;

/// One event and what it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// What happened.
    pub event: &'a Event,
    /// The id of the client's request, if it happened for one.
    pub request: Option<&'a str>,
}

/// Somebody who watches. Called outside of every lock; must not block.
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
