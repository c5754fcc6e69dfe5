//! A stream that broke is taken over by another writer, after any of its events, and is one stream.

use unbroken_wire::chat::{Answer, Block, FinishReason, StreamEvent, Usage};
use unbroken_wire::dialects::{DIALECTS, Ended, Framing, OPENAI_CHAT, StreamHead};
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
            sequence::check(dialect, &stream, &what);
            cuts += 1;
        }
        assert!(cuts >= 2, "{}: {cuts} cuts", dialect.name);
    }
}

#[test]
fn an_id_that_is_empty_throughout_stays_so() {
    let head = StreamHead { id: "other".to_owned(), ..StreamHead::default() };
    let chunk =
        |id: &str, model: &str| format!(r#"{{"id":"{id}","model":"{model}","choices":[]}}"#);
    for (chunks, id) in [
        (&[chunk("", "m")][..], r#""id":"""#),
        (&[chunk("", ""), chunk("one", "m")][..], r#""id":"one""#),
        (&[chunk("", "")][..], r#""id":"chatcmpl-other""#),
    ] {
        let mut writer = (OPENAI_CHAT.stream_writer)(&head);
        chunks.iter().for_each(|chunk| writer.adopt(None, chunk));
        let mut out = Vec::new();
        writer.write(&StreamEvent::Text("more".to_owned()), &mut out);
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains(id), "{id}: {out}");
    }
}
