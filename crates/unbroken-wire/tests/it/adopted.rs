//! A stream that broke is taken over by another writer, after any of its events, and is one stream.

use unbroken_wire::chat::{Answer, Block, FinishReason, StreamEvent, Usage};
use unbroken_wire::dialects::{DIALECTS, Ended, Framing, StreamHead};
use unbroken_wire::sse;

use crate::sequence;
use crate::traffic::{read_stream, write_events};

fn answer() -> Answer {
    let thinking = Block::Thinking { text: "hm".to_owned(), proof: None };
    let blocks = vec![thinking, Block::Text("one two".to_owned())];
    let usage = Some(Usage { input: 3, output: 4, ..Usage::default() });
    Answer { id: "a".to_owned(), model: "m".to_owned(), blocks, finish: FinishReason::Stop, usage }
}

#[test]
fn a_stream_is_taken_over_after_any_event() {
    let whole = answer();
    for dialect in DIALECTS {
        let bytes = write_events(dialect, &whole.to_events(), whole.ended());
        let mut parser = sse::Parser::new();
        parser.push(&bytes).unwrap();
        let (mut raw, mut taken) = (Vec::new(), Vec::new());
        let mut cuts = 0;
        while let Some(event) = parser.next_event() {
            raw.extend_from_slice(event.raw);
            taken.push((event.name.clone(), event.data.clone()));
            let so_far = read_stream(dialect, &[&raw]);
            if so_far.ended.is_some() {
                break;
            }
            if !so_far.events.iter().any(StreamEvent::is_content) {
                continue;
            }
            let head = StreamHead {
                id: "other".to_owned(),
                framing: Framing::Sse,
                ..StreamHead::default()
            };
            let mut writer = (dialect.stream_writer)(&head);
            for (name, data) in &taken {
                writer.adopt(name.as_deref(), data);
            }
            let mut stream = raw.clone();
            writer.seam(&mut stream);
            writer.write(&StreamEvent::Text(" three".to_owned()), &mut stream);
            writer.end(&Ended::at_the_limit(Usage { output: 9, ..Usage::default() }), &mut stream);
            let what = format!("{} after {} events", dialect.name, taken.len());
            let joined = read_stream(dialect, &[&stream]);
            assert_eq!(joined.ended.map(|e| e.finish()), Some(FinishReason::Length), "{what}");
            let before = Answer::of_events(&so_far.events);
            let after = Answer::of_events(&joined.events);
            assert_eq!(after.text(), before.text() + " three", "{what}");
            assert_eq!(after.id, before.id, "{what}");
            let is_in_an_item = dialect.name == "openai-responses" && closes(&taken);
            if !is_in_an_item {
                sequence::check(dialect, &stream, &what);
            }
            cuts += 1;
        }
        assert!(cuts >= 2, "{}: {cuts} cuts", dialect.name);
    }
}

/// Between the end of a part and the end of its item nothing breaks but for chance: such a stream
/// is read well, but is not as a provider would have written it.
fn closes(taken: &[(Option<String>, String)]) -> bool {
    let last = taken.last().and_then(|(name, _)| name.as_deref()).unwrap_or_default();
    last.ends_with("text.done") || last.ends_with("part.done") || last.ends_with("item.added")
}
