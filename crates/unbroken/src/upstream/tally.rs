//! What has an attempt used, as far as can be told at this moment?

use unbroken_engine::event::Spent;
use unbroken_wire::chat::{Answer, Block, StreamEvent, Usage};
use unbroken_wire::dialects::Ended;

use super::{News, Piece, Taken, Upstream};

impl Upstream {
    /// The size of the answer, in tokens; zero if the target did not say.
    pub(crate) fn output_tokens(&self) -> u32 {
        self.usage().map_or(0, |usage| u32::try_from(usage.output).unwrap_or(u32::MAX))
    }

    /// What the target says that a whole answer has used.
    fn usage(&self) -> Option<Usage> {
        let end = self.end.as_ref()?;
        let of_stream = end.ended.as_ref().and_then(Ended::usage);
        of_stream.or_else(|| end.answer.as_ref()?.usage)
    }

    /// What it has used so far; `input` is what the request is estimated at, in tokens.
    pub(crate) fn spent(&self, input: u64) -> Option<Spent> {
        // A stored answer is paid for once: whoever fetches its end counts it.
        let is_counted_later = self.stored_id().is_some() && self.usage().is_none();
        if is_counted_later { None } else { self.tally.spent(self.usage(), input) }
    }

    /// What has come is counted, and the id of an answer that is stored is kept.
    pub(super) fn count(&mut self, taken: &Taken) {
        if self.is_stored && self.stored_id.is_none() {
            self.stored_id = taken.pieces.iter().find_map(stored_id);
            self.news.extend(self.stored_id.is_some().then_some(News::Stored));
        }
        taken.pieces.iter().for_each(|piece| self.tally.take(&piece.events));
    }
}

/// Counts what goes out and what comes back.
///
/// A target that never got the request, or refused it before it said anything, has used nothing:
/// providers do not charge for errors. What was asked and then left alone was paid for, most likely.
#[derive(Debug, Default)]
pub(super) struct Tally {
    is_sent: bool,
    is_refused: bool,
    /// Bytes of the answer.
    said: usize,
    /// What the target has said of it so far.
    usage: Option<Usage>,
}

impl Tally {
    /// The request is on its way.
    pub(super) const fn sent(&mut self) {
        self.is_sent = true;
    }

    /// The head of the answer is there.
    pub(super) const fn head(&mut self, is_success: bool) {
        self.is_sent = true;
        self.is_refused = !is_success;
    }

    /// Events of a stream.
    pub(super) fn take(&mut self, events: &[StreamEvent]) {
        for event in events {
            match event {
                StreamEvent::Text(text)
                | StreamEvent::Refusal(text)
                | StreamEvent::Thinking(text)
                | StreamEvent::ToolArguments { fragment: text, .. } => self.said += text.len(),
                StreamEvent::Usage(usage) => self.usage = Some(*usage),
                StreamEvent::Start { .. }
                | StreamEvent::Proof(_)
                | StreamEvent::ToolStart { .. }
                | StreamEvent::ToolEnd { .. }
                | StreamEvent::Finish(_)
                | StreamEvent::Ping
                | StreamEvent::Error(_) => {}
            }
        }
    }

    /// A whole answer.
    pub(super) fn answered(&mut self, answer: &Answer) {
        let size = |block: &Block| match block {
            Block::Text(text) | Block::Refusal(text) | Block::Thinking { text, .. } => text.len(),
            Block::ToolCall(call) => call.arguments.len(),
            Block::Image(_) | Block::File { .. } | Block::ToolResult { .. } | Block::Opaque(_) => 0,
        };
        self.said += answer.blocks.iter().map(size).sum::<usize>();
    }

    /// It failed.
    pub(super) const fn failed(&mut self) {
        self.is_refused |= self.said == 0 && self.usage.is_none();
    }

    /// What it has used. `whole`: what the target said of a whole answer; `input`: what the request
    /// is estimated at, in tokens.
    pub(super) fn spent(&self, whole: Option<Usage>, input: u64) -> Option<Spent> {
        if let Some(Usage { input, cached, output, .. }) = whole {
            return Some(Spent { input, cached, output, is_estimated: false });
        }
        if !self.is_sent || self.is_refused {
            return None;
        }
        let told = self.usage.unwrap_or_default();
        let input = if told.input > 0 { told.input } else { input };
        let output = told.output.max((self.said / 4) as u64);
        Some(Spent { input, cached: told.cached.min(input), output, is_estimated: true })
    }
}

/// The id of a stored answer, as its first event tells it; only one that can stand in an address.
fn stored_id(piece: &Piece) -> Option<String> {
    let event: serde_json::Value = serde_json::from_str(&piece.raw.as_ref()?.data).ok()?;
    let id = event.pointer("/response/id")?.as_str()?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    (!id.is_empty() && id.len() <= 256 && id.chars().all(is_plain)).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn estimated(input: u64, output: u64) -> Option<Spent> {
        Some(Spent { input, cached: 0, output, is_estimated: true })
    }

    #[test]
    fn what_was_never_sent_or_refused_costs_nothing_and_what_was_left_alone_its_input() {
        let mut tally = Tally::default();
        assert_eq!(tally.spent(None, 40), None);
        tally.sent();
        assert_eq!(tally.spent(None, 40), estimated(40, 0));
        tally.head(false);
        assert_eq!(tally.spent(None, 40), None);

        let mut lost = Tally::default();
        lost.sent();
        lost.failed();
        assert_eq!(lost.spent(None, 40), None);
    }

    #[test]
    fn a_stream_that_breaks_costs_what_it_had_said() {
        let mut tally = Tally::default();
        tally.head(true);
        tally.take(&[StreamEvent::Text("x".repeat(400)), StreamEvent::Ping]);
        tally.failed();
        assert_eq!(tally.spent(None, 40), estimated(40, 100));
        let usage = Usage { input: 50, cached: 30, output: 2, ..Usage::default() };
        tally.take(&[StreamEvent::Usage(usage)]);
        let told = Spent { input: 50, cached: 30, output: 100, is_estimated: true };
        assert_eq!(tally.spent(None, 40), Some(told));
        let whole = Usage { output: 120, ..usage };
        let exact = Spent { input: 50, cached: 30, output: 120, is_estimated: false };
        assert_eq!(tally.spent(Some(whole), 40), Some(exact));
    }
}
