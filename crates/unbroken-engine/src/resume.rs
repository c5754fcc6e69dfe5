//! Where and how does a stream go on that broke after its first content?
//!
//! | delivered so far | the next attempt |
//! |---|---|
//! | nothing that a client can see | the request as it was, as if nothing had happened |
//! | thinking only | the request as it was; what it says follows |
//! | text | the text as the beginning of the answer, where the target is known to take that; otherwise it is told what was said and asked to go on |
//! | JSON | the same beginning; otherwise the request as it was, whose answer must begin the same |
//! | all tokens that were allowed | none: the answer is complete by its own limit |
//! | tool calls, a refusal, what cannot be joined | none: the client hears that it broke |
//!
//! An answer that the provider stores while it makes it, because the client asked for that, is picked
//! up there at the very event where it broke. It is never asked for at anybody else.
//!
//! If somebody who was asked to go on has nothing to say, the answer may have been whole: from then
//! on it is asked for anew, and must begin with all that was delivered.
//!
//! Whether what comes fits what was delivered is judged where words are known (`unbroken-wire`,
//! `seam`); here it is only a cause of failure like any other. A target that refuses a beginning
//! is asked another way at once, and the fleet remembers it.
//!
//! Invariants: an answer is continued twice at most; a target is asked to continue its own broken
//! answer only when nobody else is left; nothing is continued that is not certain to be joined.
//! Source: engine.md 4.11, wire-formats.md section 6.

use core::time::Duration;

/// A stored answer is picked up again this often at most within one call.
pub const PICKUPS_MAX: u32 = 3;

/// An answer is continued this often at most, so that the input is paid for three times at most.
pub const CONTINUATIONS_MAX: u32 = 2;

/// The finish reason came, but not the protocol's last event: it is waited for this long.
pub const LAST_EVENT_WAIT: Duration = Duration::from_secs(3);

/// A target that refused a beginning is not sent one again for this long.
///
/// Source: wire-formats.md 8.2 (learn at run time: 24 h).
pub const PREFIX_REFUSED_FOR: Duration = Duration::from_secs(86_400);

/// What the client has of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivered {
    /// Nothing that it can see.
    #[default]
    Nothing,
    /// Thinking, and nothing else.
    Thinking,
    /// Text.
    Text,
    /// A part of an answer that must be JSON.
    Json,
    /// As many tokens as were allowed.
    Full,
    /// The beginning of a refusal.
    Refusal,
    /// A tool call, or a part of one.
    Calls,
    /// Something that no other answer can be joined to: several answers side by side, sound,
    /// probabilities, results of the provider's own tools.
    Sealed,
}

/// How an attempt relates to what was delivered before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum How {
    /// Nothing was delivered: an ordinary request.
    #[default]
    Fresh,
    /// The request as it was. Its answer must begin with what was delivered, which is left out.
    Restart,
    /// What was delivered is sent as the beginning of the answer.
    Prefix,
    /// What was delivered is sent as an answer that was cut off, with the request to go on.
    Instructed,
    /// The provider stores the answer: the rest of its own events.
    PickedUp,
}

impl How {
    /// Its name, for logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Restart => "restart",
            Self::Prefix => "prefix",
            Self::Instructed => "instructed",
            Self::PickedUp => "picked_up",
        }
    }
}

/// What kind of content comes at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// Text, which comes steadily.
    #[default]
    Text,
    /// Thinking, which may pause for long.
    Thinking,
    /// Arguments of a tool call, which some providers collect before they send them.
    Call,
}

/// How an answer goes on at a target; `None` if it cannot.
#[must_use]
pub const fn how(delivered: Delivered, takes_prefix: bool) -> Option<How> {
    match (delivered, takes_prefix) {
        (Delivered::Nothing, _) => Some(How::Fresh),
        (Delivered::Thinking, _) | (Delivered::Json, false) => Some(How::Restart),
        (Delivered::Text | Delivered::Json, true) => Some(How::Prefix),
        (Delivered::Text, false) => Some(How::Instructed),
        (Delivered::Full | Delivered::Refusal | Delivered::Calls | Delivered::Sealed, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_joined_goes_on() {
        use Delivered::{Calls, Full, Json, Nothing, Refusal, Sealed, Text, Thinking};
        let ways = |delivered| (how(delivered, true), how(delivered, false));
        assert_eq!(ways(Nothing), (Some(How::Fresh), Some(How::Fresh)));
        assert_eq!(ways(Thinking), (Some(How::Restart), Some(How::Restart)));
        assert_eq!(ways(Text), (Some(How::Prefix), Some(How::Instructed)));
        assert_eq!(ways(Json), (Some(How::Prefix), Some(How::Restart)));
        for delivered in [Full, Refusal, Calls, Sealed] {
            assert_eq!(ways(delivered), (None, None), "{delivered:?}");
        }
    }
}
