//! What can go wrong with a provider. One vocabulary for drill files, the fake provider and the
//! simulator; both match without a `_` arm, so a new fault is played by both or the build fails.

use serde::{Deserialize, Serialize};

/// One thing that goes wrong, for as long as it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// The name does not resolve.
    DnsFailure,
    /// The name resolves, but late.
    DnsStall {
        /// How late, in milliseconds.
        ms: u32,
    },
    /// Connections are accepted, but no TLS is agreed.
    TlsFailure,
    /// The port refuses connections.
    Refuse,
    /// The connection is reset before the answer's head.
    Reset,
    /// The connection is closed before the answer's head.
    Close,
    /// Requests are accepted and never answered.
    BlackHole,
    /// Requests fail with an HTTP status.
    Status {
        /// The status.
        status: u16,
        /// What the body looks like. Default: json.
        #[serde(default)]
        body: BodyKind,
        /// The `Retry-After` header, in seconds.
        #[serde(default)]
        retry_after: Option<u32>,
    },
    /// The key is rejected.
    Unauthorized,
    /// The rate limit is reached.
    RateLimit {
        /// The `Retry-After` header, in seconds.
        #[serde(default)]
        retry_after: Option<u32>,
    },
    /// The account has no credit left.
    Quota,
    /// There is no room (529 or 503, as the dialect has it).
    Overloaded,
    /// The model does not exist any more.
    ModelGone,
    /// Valid requests get a 400 for a parameter that this target does not know.
    UnsupportedParameter,
    /// The prompt is too long for this target.
    ContextTooLong,
    /// The request is refused for reasons of content policy.
    PolicyRefused,
    /// The client's own request is refused with a 400.
    InvalidRequest,
    /// A 200 with nothing in it.
    Empty200,
    /// A 200 with an error in it, first of all.
    ErrorIn200,
    /// A 200 with a JSON answer although a stream was asked for.
    JsonInsteadOfStream,
    /// The first content comes late.
    SlowFirstToken {
        /// How late, in milliseconds.
        ms: u32,
    },
    /// Content comes slowly.
    SlowTokens {
        /// Milliseconds between words.
        ms: u32,
    },
    /// The stream's connection is lost.
    CutStream {
        /// After so many words.
        after_words: u32,
        /// How the connection ends. Default: reset.
        #[serde(default)]
        how: CutKind,
        /// Whether half of the next event is sent before. Default: no.
        #[serde(default)]
        inside_event: bool,
    },
    /// The stream ends cleanly, but the answer does not.
    NoEnd {
        /// After so many words.
        after_words: u32,
        /// Whether half of the next event is sent before. Default: no.
        #[serde(default)]
        inside_event: bool,
    },
    /// The stream stops moving.
    Stall {
        /// After so many words.
        after_words: u32,
        /// Whether pings still come.
        #[serde(default)]
        pings: bool,
    },
    /// A chunk that cannot be read, in the place of the next one; the rest is fine.
    Malformed {
        /// After so many words.
        after_words: u32,
    },
    /// An error event.
    ErrorEvent {
        /// After so many words.
        after_words: u32,
    },
    /// Everything is said, but the last events of the stream never come (the last one: `[DONE]`,
    /// `message_stop`).
    LastEventsMissing {
        /// How many are missing. Default: one.
        #[serde(default = "one")]
        events: u32,
        /// How the stream ends instead. Default: cleanly.
        #[serde(default)]
        then: StreamEnd,
    },
}

const fn one() -> u32 {
    1
}

impl Fault {
    /// Whether it strikes before any request can be read.
    #[must_use]
    pub const fn is_of_connections(self) -> bool {
        matches!(self, Self::DnsFailure | Self::DnsStall { .. } | Self::TlsFailure | Self::Refuse)
    }
}

/// What an error body looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyKind {
    /// The provider's own envelope.
    #[default]
    Json,
    /// A page of something in front of the provider.
    Html,
    /// Nothing.
    Empty,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CutKind {
    /// By a reset.
    #[default]
    Reset,
    /// By closing, without the body's last chunk.
    Close,
}

/// What happens after the last byte of a stream that was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamEnd {
    /// The body ends as HTTP says.
    #[default]
    Clean,
    /// The connection closes, without the body's last chunk.
    Close,
    /// The connection is reset.
    Reset,
    /// Nothing, and the connection stays open.
    Silence,
    /// Only pings.
    Pings,
}

impl From<CutKind> for StreamEnd {
    fn from(how: CutKind) -> Self {
        match how {
            CutKind::Reset => Self::Reset,
            CutKind::Close => Self::Close,
        }
    }
}
