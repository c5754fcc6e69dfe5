//! Tool calls reach the client whole or not at all.
//!
//! From the first sign of a call on, everything is kept back until the answer's finish reason has
//! come and every call's arguments are JSON. A stream that breaks before has delivered nothing of
//! its calls, so that they can be asked for anew. Source: engine.md 4.11.

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
}

impl Hold {
    pub(super) const fn new(is_on: bool) -> Self {
        Self { is_on, is_holding: false, size: 0, pieces: Vec::new(), calls: Vec::new() }
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
        let mut finish = None;
        for event in &piece.events {
            match event {
                StreamEvent::ToolStart { index, .. } => {
                    self.is_holding = true;
                    self.calls.push((*index, String::new()));
                }
                StreamEvent::ToolArguments { index, fragment } => {
                    self.size += fragment.len();
                    if let Some((_, so_far)) = self.calls.iter_mut().find(|(n, _)| n == index) {
                        so_far.push_str(fragment);
                    }
                }
                StreamEvent::Finish(reason) => finish = Some(*reason),
                _ => {}
            }
        }
        if !self.is_holding {
            out.push(piece);
            return Ok(());
        }
        self.size += piece.raw.as_ref().map_or(0, |raw| raw.bytes.len());
        self.pieces.push(piece);
        if self.size > HELD_MAX {
            self.is_on = false;
            out.append(&mut self.pieces);
            return Ok(());
        }
        finish.map_or(Ok(()), |finish| self.release(finish, out))
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
        let is_whole = |(_, text): &(u32, String)| {
            text.trim().is_empty() || serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
        };
        if self.is_holding && finish != FinishReason::Length && !self.calls.iter().all(is_whole) {
            return Err(FailureCause::Malformed);
        }
        self.is_holding = false;
        self.calls.clear();
        out.append(&mut self.pieces);
        Ok(())
    }
}
