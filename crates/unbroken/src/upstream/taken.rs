//! What one read of a stream brought: its events, and what is wrong with them.

use bytes::Bytes;
use unbroken_wire::chat::StreamEvent;
use unbroken_wire::dialects::StreamReader;
use unbroken_wire::sse;

use super::{Fault, Piece, RawEvent};

/// What one read brought.
pub(super) struct Taken {
    pub(super) is_native: bool,
    /// Whether a finish reason in it is beyond doubt.
    pub(super) is_certain: bool,
    pub(super) pieces: Vec<Piece>,
    pub(super) size: usize,
}

impl Taken {
    pub(super) const fn new(is_native: bool) -> Self {
        Self { is_native, is_certain: true, pieces: Vec::new(), size: 0 }
    }

    /// Gives the last event the blank line that never came.
    pub(super) fn close_last(&mut self) {
        if let Some(raw) = self.pieces.last_mut().and_then(|piece| piece.raw.as_mut()) {
            raw.bytes = [raw.bytes.trim_ascii_end(), b"\n\n"].concat().into();
        }
    }

    /// Reads one event; says what is wrong with it, if anything. An event that is wrong goes to
    /// nobody.
    pub(super) fn read(
        &mut self,
        event: sse::Event<'_>,
        reader: &mut dyn StreamReader,
    ) -> Option<Fault> {
        let mut events = Vec::new();
        self.size = self.size.saturating_add(event.raw.len());
        if reader.read(&event, &mut events).is_err() {
            return Some(Fault::Malformed);
        }
        let mut fault = None;
        events.retain_mut(|event| match event {
            StreamEvent::Error(error) => {
                fault = Some(Fault::Error(std::mem::take(error)));
                false
            }
            _ => true,
        });
        let raw = (self.is_native && fault.is_none()).then(|| RawEvent {
            bytes: Bytes::copy_from_slice(event.raw),
            name: event.name,
            data: event.data,
        });
        self.pieces.push(Piece { raw, events });
        fault
    }
}
