//! What was done to a request, undone in its answer: tools get their own names back, and the
//! answer ends at the stop texts that its target did not know.

use crate::chat::{Answer, Block, FinishReason, StreamEvent};
use crate::dialects::{Ended, Written};
use crate::names::Renamed;
use crate::stops::StopScanner;

/// Undoes it, event by event or in a whole answer.
#[derive(Clone, Debug, Default)]
pub struct Undo {
    renamed: Renamed,
    stops: StopScanner,
}

impl Undo {
    /// For the answer to a request.
    #[must_use]
    pub fn of(written: &Written) -> Self {
        Self { renamed: written.renamed.clone(), stops: StopScanner::new(&written.stop) }
    }

    /// Takes an event of the target's, gives what the client may see of it.
    pub fn event(&mut self, mut event: StreamEvent, out: &mut Vec<StreamEvent>) {
        if self.stops.is_over() {
            // What it cost is known only later.
            out.extend(matches!(event, StreamEvent::Usage(_)).then_some(event));
            return;
        }
        self.renamed.restore(&mut event);
        match event {
            StreamEvent::Text(text) if !self.stops.is_idle() => {
                let sure = self.stops.push(&text);
                out.extend((!sure.is_empty()).then_some(StreamEvent::Text(sure)));
            }
            StreamEvent::Ping | StreamEvent::Usage(_) => out.push(event),
            other => {
                self.flush(out);
                out.push(other);
            }
        }
    }

    /// The same for all events of one piece.
    pub fn events(&mut self, events: &mut Vec<StreamEvent>) {
        if self.stops.is_idle() && self.renamed.is_empty() {
            return;
        }
        for event in std::mem::take(events) {
            self.event(event, events);
        }
    }

    /// Gives what was held back, once no text follows.
    pub fn flush(&mut self, out: &mut Vec<StreamEvent>) {
        let held = self.stops.finish();
        out.extend((!held.is_empty()).then_some(StreamEvent::Text(held)));
    }

    /// The end of an answer that a stop text ended, however its target goes on.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.stops.is_over().then(|| Ended::at_a_stop(None))
    }

    /// The same for a whole answer.
    pub fn answer(&mut self, answer: &mut Answer) {
        self.renamed.restore_answer(answer);
        if self.stops.is_idle() {
            return;
        }
        let mut blocks = Vec::new();
        for block in std::mem::take(&mut answer.blocks) {
            if self.stops.is_over() {
                answer.finish = FinishReason::Stop;
                break;
            }
            match block {
                Block::Text(text) => {
                    let sure = self.stops.push(&text) + &self.stops.finish();
                    blocks.extend((!sure.is_empty()).then_some(Block::Text(sure)));
                }
                other => blocks.push(other),
            }
        }
        if self.stops.is_over() {
            answer.finish = FinishReason::Stop;
        }
        answer.blocks = blocks;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stopped(stop: &str) -> Undo {
        let written = Written { stop: vec![stop.to_owned()], ..Written::default() };
        Undo::of(&written)
    }

    fn play(undo: &mut Undo, events: Vec<StreamEvent>) -> Vec<StreamEvent> {
        let mut out = Vec::new();
        events.into_iter().for_each(|event| undo.event(event, &mut out));
        out
    }

    #[test]
    fn a_stream_ends_at_its_stop_text_wherever_it_was_cut() {
        let text = |text: &str| StreamEvent::Text(text.to_owned());
        let mut undo = stopped("END");
        let finish = StreamEvent::Finish(FinishReason::Length);
        let seen = play(&mut undo, vec![text("aE"), text("Nb E"), text("ND c"), finish.clone()]);
        assert_eq!(seen, [text("a"), text("ENb ")]);
        assert_eq!(undo.ended(), Some(Ended::at_a_stop(None)));
        let mut undo = stopped("END");
        assert_eq!(
            play(&mut undo, vec![text("aE"), finish.clone()]),
            [text("a"), text("E"), finish]
        );
        assert_eq!(undo.ended(), None);
    }

    #[test]
    fn a_whole_answer_ends_there_too() {
        let text = |text: &str| Block::Text(text.to_owned());
        let call = Block::ToolCall(crate::chat::ToolCall::default());
        let mut answer = Answer {
            blocks: vec![text("one "), text("two END three"), call],
            finish: FinishReason::ToolCalls,
            ..Answer::default()
        };
        stopped("END").answer(&mut answer);
        assert_eq!(
            (answer.blocks, answer.finish),
            (vec![text("one "), text("two ")], FinishReason::Stop)
        );
    }
}
