//! A stream that was recorded, played back byte by byte up to where it breaks.

use bytes::Bytes;

use crate::fault::StreamEnd;

/// What a model sends whenever a stream is asked of it.
#[derive(Clone, Debug)]
pub struct Tape {
    /// The `Content-Type`.
    pub content_type: String,
    /// The bytes.
    pub bytes: Bytes,
    /// How the stream ends after them.
    pub then: StreamEnd,
    /// Bytes per network write. Default in recordings of ours: all at once.
    pub write_bytes: Option<usize>,
}

impl Tape {
    /// Server-sent events, all of them, to the clean end of the body.
    #[must_use]
    pub fn events(bytes: impl Into<Bytes>) -> Self {
        Self {
            content_type: "text/event-stream".to_owned(),
            bytes: bytes.into(),
            then: StreamEnd::Clean,
            write_bytes: None,
        }
    }

    /// The same, cut after so many bytes.
    #[must_use]
    pub fn cut(mut self, at: usize, then: StreamEnd) -> Self {
        self.bytes.truncate(at);
        self.then = then;
        self
    }
}
