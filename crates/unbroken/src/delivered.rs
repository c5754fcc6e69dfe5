//! What does the client have of the answer, and what did it cost?

use unbroken_engine::resume::{Delivered, How};
use unbroken_wire::chat::{Chat, OutputFormat, StreamEvent, Usage};
use unbroken_wire::dialects::OPENAI_CHAT;
use unbroken_wire::resume::estimated_tokens;

/// A longer text is not gone on with: it is not worth the memory. In bytes.
const TEXT_MAX: usize = 4 << 20;

/// What the client has of one answer.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    text: String,
    /// Bytes of text that are not kept: it is too long to be gone on with.
    beyond: usize,
    /// Pieces of text, which most providers make one for each token.
    pieces: u64,
    /// Where the text of the attempt that is relayed begins, and tokens before.
    hop_begins: usize,
    tokens_before: u64,
    has_thinking: bool,
    has_refusal: bool,
    has_calls: bool,
    /// The first attempt's input, as far as it said.
    input: Option<Usage>,
    wants_json: bool,
    /// Whether nothing can be joined to it.
    is_sealed: bool,
    max_tokens: Option<u64>,
    hops: Vec<Hop>,
}

/// One attempt that the client has something of.
#[derive(Clone, Debug)]
pub(crate) struct Hop {
    /// The target's label.
    pub(crate) target: String,
    /// How it was asked.
    pub(crate) how: How,
}

/// Fields without a neutral meaning that change the answer (tools of the provider's own, sound,
/// probabilities) make it one that no other can be joined to. Only streams are joined.
fn has_expressible_extras(chat: &Chat) -> bool {
    if chat.extras.is_empty() || !chat.stream {
        return true;
    }
    let fields = Chat { extras: chat.extras.clone(), ..Chat::plain("m", "") };
    (OPENAI_CHAT.write_request)(&fields, "m").is_ok()
}

impl Ledger {
    pub(crate) fn new(chat: &Chat) -> Self {
        Self {
            wants_json: chat.output != OutputFormat::Text,
            is_sealed: chat.choices > 1 || !has_expressible_extras(chat),
            max_tokens: chat.max_tokens,
            ..Self::default()
        }
    }

    /// The text that the client has.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// About how many tokens it has.
    pub(crate) fn tokens(&self) -> u64 {
        (estimated_tokens(&self.text) + (self.beyond / 4) as u64).max(self.pieces)
    }

    /// Whose answer it is, in their order.
    pub(crate) fn hops(&self) -> &[Hop] {
        &self.hops
    }

    /// From now on it is this target's.
    pub(crate) fn hop(&mut self, target: String, how: How) {
        self.hop_begins = self.text.len();
        self.tokens_before = self.tokens();
        self.hops.push(Hop { target, how });
    }

    /// Nothing of it has reached the client: forget it.
    pub(crate) fn forget(&mut self) {
        let Self { wants_json, is_sealed, max_tokens, .. } = *self;
        *self = Self { wants_json, is_sealed, max_tokens, ..Self::default() };
    }

    /// An event goes to the client.
    pub(crate) fn take(&mut self, event: &StreamEvent) {
        match event {
            StreamEvent::Text(text) => {
                self.pieces += 1;
                if self.beyond > 0 || self.text.len() + text.len() > TEXT_MAX {
                    self.beyond += text.len();
                    self.is_sealed = true;
                } else {
                    self.text.push_str(text);
                }
            }
            StreamEvent::Thinking(text) => self.has_thinking |= !text.is_empty(),
            StreamEvent::Refusal(text) => self.has_refusal |= !text.is_empty(),
            StreamEvent::ToolStart { .. } => self.has_calls = true,
            StreamEvent::Usage(usage) if self.hops.len() <= 1 => self.input = Some(*usage),
            StreamEvent::Usage(_)
            | StreamEvent::Start { .. }
            | StreamEvent::Proof(_)
            | StreamEvent::ToolArguments { .. }
            | StreamEvent::ToolEnd { .. }
            | StreamEvent::Finish(_)
            | StreamEvent::Ping
            | StreamEvent::Error(_) => {}
        }
    }

    /// Whether the client can see anything of it.
    pub(crate) const fn is_visible(&self) -> bool {
        self.has_calls
            || self.has_refusal
            || self.has_thinking
            || !self.text.is_empty()
            || self.beyond > 0
    }

    /// The same for the engine.
    pub(crate) fn delivered(&self) -> Delivered {
        if !self.is_visible() {
            return Delivered::Nothing;
        }
        let is_used_up = self.max_tokens.is_some_and(|max| self.tokens() >= max);
        match self {
            Self { is_sealed: true, .. } => Delivered::Sealed,
            Self { has_calls: true, .. } => Delivered::Calls,
            Self { has_refusal: true, .. } => Delivered::Refusal,
            _ if self.text.is_empty() => Delivered::Thinking,
            _ if is_used_up => Delivered::Full,
            Self { wants_json: true, .. } => Delivered::Json,
            _ => Delivered::Text,
        }
    }

    /// What the client is told that it used: the first attempt's input, and the output that it
    /// got. `last` is what the last attempt said, `joined` how many bytes of how many went to the
    /// client.
    pub(crate) fn usage(
        &self,
        last: Option<Usage>,
        joined: Option<(usize, usize)>,
        input_estimate: u64,
    ) -> Usage {
        let before = self.tokens_before;
        let here = self.text.get(self.hop_begins..).unwrap_or_default();
        let share = |output: u64| match joined {
            Some((passed, said)) if said > 0 => output * passed as u64 / said as u64,
            _ => output,
        };
        let output = last.map_or_else(
            || estimated_tokens(here) + (self.beyond / 4) as u64,
            |usage| share(usage.output),
        );
        let first = self.input.filter(|usage| usage.input > 0);
        let input = first.map_or(input_estimate, |usage| usage.input);
        let (cached, cache_written) =
            first.map_or((0, 0), |usage| (usage.cached, usage.cache_written));
        let reasoning = last.map_or(0, |usage| usage.reasoning.min(output));
        Usage { input, cached, cache_written, output: before + output, reasoning }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_too_long_is_not_kept_but_counted() {
        let mut ledger = Ledger::new(&Chat::plain("m", ""));
        ledger.hop("a".to_owned(), How::Fresh);
        let piece = "x".repeat(TEXT_MAX / 4);
        for _ in 0..4 {
            ledger.take(&StreamEvent::Text(piece.clone()));
        }
        assert_eq!(ledger.delivered(), Delivered::Text);
        for _ in 0..100 {
            ledger.take(&StreamEvent::Text(piece.clone()));
        }
        assert_eq!((ledger.text().len(), ledger.delivered()), (TEXT_MAX, Delivered::Sealed));
        let tokens = 104 * (TEXT_MAX as u64) / 16;
        assert_eq!((ledger.tokens(), ledger.usage(None, None, 0).output), (tokens, tokens));
    }
}
