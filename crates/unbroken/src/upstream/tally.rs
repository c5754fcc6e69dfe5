//! What has an attempt used, as far as can be told at this moment?

use unbroken_engine::event::Spent;
use unbroken_wire::chat::{Answer, Block, StreamEvent, Usage};

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
