//! Tool calls reach the client whole or not at all.
//!
//! From the first sign of a call on, everything is kept back until the answer's finish reason has
//! come and every call's arguments are JSON. A stream that breaks before has delivered nothing of
//! its calls, so that they can be asked for anew. A finish reason that comes with a part of a call,
//! and without the count of tokens, may not be the last one: Together gives one with every call.
//! Then something else is waited for, or the stream's end. Source: engine.md 4.11.

use unbroken_engine::cause::FailureCause;
use unbroken_wire::chat::{FinishReason, StreamEvent};

use super::Piece;

/// More than this is not kept back: then the calls pass as they come. In bytes.
const HELD_MAX: usize = 16 << 20;

/// What is kept back of one answer.
#[derive(Debug)]
pub(super) struct Hold {
    is_on: bool,
    is_holding: bool,
    size: usize,
    pieces: Vec<Piece>,
    /// Calls by their index, with the arguments so far.
    calls: Vec<(u32, String)>,
    /// A finish reason that may not be the last one.
    doubtful: Option<FinishReason>,
}

impl Hold {
    pub(super) const fn new(is_on: bool) -> Self {
        Self {
            is_on,
            is_holding: false,
            size: 0,
            pieces: Vec::new(),
            calls: Vec::new(),
            doubtful: None,
        }
    }

    /// Whether nothing is kept back.
    pub(super) const fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Whether the finish reason that was seen may not be the last one.
    pub(super) const fn is_in_doubt(&self) -> bool {
        self.doubtful.is_some()
    }

    /// Lets a piece through, or keeps it.
    ///
    /// # Errors
    /// When the answer is over and a call's arguments are not JSON.
    pub(super) fn take(&mut self, piece: Piece, out: &mut Vec<Piece>) -> Result<(), FailureCause> {
        if !self.is_on {
            out.push(piece);
            return Ok(());
        }
        let seen = self.look_at(&piece.events);
        if !self.is_holding {
            out.push(piece);
            return Ok(());
        }
        self.size += piece.raw.as_ref().map_or(0, |raw| raw.bytes.len());
        self.pieces.push(piece);
        if self.size > HELD_MAX {
            self.is_on = false;
            self.doubtful = None;
            out.append(&mut self.pieces);
            return Ok(());
        }
        match (seen.finish, seen.has_call) {
            (Some(finish), true) if !seen.has_usage => {
                self.doubtful = Some(finish);
                self.check(finish)
            }
            (Some(finish), _) => self.release(finish, out),
            (None, true) => {
                self.doubtful = None;
                Ok(())
            }
            (None, false) if seen.is_nothing => Ok(()),
            (None, false) => self.doubtful.map_or(Ok(()), |finish| self.release(finish, out)),
        }
    }

    fn look_at(&mut self, events: &[StreamEvent]) -> Seen {
        let mut seen = Seen { is_nothing: true, ..Seen::default() };
        for event in events {
            seen.is_nothing &= matches!(event, StreamEvent::Ping);
            match event {
                StreamEvent::ToolStart { index, .. } => {
                    (self.is_holding, seen.has_call) = (true, true);
                    self.calls.push((*index, String::new()));
                }
                StreamEvent::ToolArguments { index, fragment } => {
                    seen.has_call = true;
                    self.size += fragment.len();
                    if let Some((_, so_far)) = self.calls.iter_mut().find(|(n, _)| n == index) {
                        so_far.push_str(fragment);
                    }
                }
                StreamEvent::Finish(reason) => seen.finish = Some(*reason),
                StreamEvent::Usage(_) => seen.has_usage = true,
                StreamEvent::Start { .. }
                | StreamEvent::Text(_)
                | StreamEvent::Thinking(_)
                | StreamEvent::Proof(_)
                | StreamEvent::Refusal(_)
                | StreamEvent::ToolEnd { .. }
                | StreamEvent::Ping
                | StreamEvent::Error(_) => {}
            }
        }
        seen
    }

    /// The answer is over: its calls are whole, unless the limit of tokens cut them.
    ///
    /// # Errors
    /// When a call's arguments are not JSON.
    pub(super) fn release(
        &mut self,
        finish: FinishReason,
        out: &mut Vec<Piece>,
    ) -> Result<(), FailureCause> {
        self.check(finish)?;
        (self.is_holding, self.doubtful) = (false, None);
        self.calls.clear();
        out.append(&mut self.pieces);
        Ok(())
    }

    fn check(&self, finish: FinishReason) -> Result<(), FailureCause> {
        let is_whole = |(_, text): &(u32, String)| {
            text.trim().is_empty() || serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
        };
        if self.is_holding && finish != FinishReason::Length && !self.calls.iter().all(is_whole) {
            return Err(FailureCause::Malformed);
        }
        Ok(())
    }
}

/// What was in one piece.
#[derive(Default)]
struct Seen {
    finish: Option<FinishReason>,
    has_call: bool,
    has_usage: bool,
    is_nothing: bool,
}
