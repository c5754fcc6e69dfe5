//! A stream that broke is taken over by another writer, after any of its events, and is one stream.

use unbroken_wire::chat::{Answer, Block, FinishReason, StreamEvent, Usage};
use unbroken_wire::dialects::{
    DIALECTS, Ended, Framing, OPENAI_CHAT, OPENAI_RESPONSES, StreamHead,
};
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

/// The beginning of a stream with a message and thinking beside it.
fn side_by_side() -> Vec<String> {
    let added = |place: u8, kind: &str, id: &str| {
        format!(
            r#"{{"type":"response.output_item.added","output_index":{place},"item":{{"type":"{kind}","id":"{id}","role":"assistant","status":"in_progress","content":[],"summary":[]}}}}"#
        )
    };
    let part = r#"{"type":"response.content_part.added","item_id":"msg_0","output_index":0,"content_index":0,"part":{"type":"output_text","text":"","annotations":[]}}"#;
    let delta = |kind: &str, place: u8, id: &str, index: &str, text: &str| {
        format!(
            r#"{{"type":"response.{kind}.delta","item_id":"{id}","output_index":{place},"{index}":0,"delta":"{text}"}}"#
        )
    };
    let summary = r#"{"type":"response.reasoning_summary_part.added","item_id":"rs_1","output_index":1,"summary_index":0,"part":{"type":"summary_text","text":""}}"#;
    vec![
        r#"{"type":"response.created","response":{"id":"resp_1","object":"response","model":"m","output":[]}}"#.to_owned(),
        r#"{"type":"response.in_progress","response":{"id":"resp_1","object":"response","model":"m","output":[]}}"#.to_owned(),
        added(0, "message", "msg_0"),
        part.to_owned(),
        delta("output_text", 0, "msg_0", "content_index", "one"),
        added(1, "reasoning", "rs_1"),
        summary.to_owned(),
        delta("reasoning_summary_text", 1, "rs_1", "summary_index", "hm"),
        delta("output_text", 0, "msg_0", "content_index", " two"),
    ]
}

/// Some open an item of Responses before they have closed the last, and close them in any order.
#[test]
fn items_that_are_open_side_by_side_are_each_closed_once() {
    let events = side_by_side();
    for taken in 5..=events.len() {
        let mut writer = (OPENAI_RESPONSES.stream_writer)(&StreamHead::default());
        let mut stream = Vec::new();
        for (number, event) in events.iter().take(taken).enumerate() {
            let numbered = event.replacen('{', &format!(r#"{{"sequence_number":{number},"#), 1);
            writer.adopt(None, &numbered);
            let kind = numbered.split('"').nth(5).unwrap();
            stream.extend_from_slice(format!("event: {kind}\ndata: {numbered}\n\n").as_bytes());
        }
        let said = Answer::of_events(&read_stream(&OPENAI_RESPONSES, &[&stream]).events).text();
        writer.seam(&mut stream);
        writer.write(&StreamEvent::Text(" three".to_owned()), &mut stream);
        writer.end(&Ended::at_the_limit(Usage::default()), &mut stream);
        let what = format!("after {taken} events");
        let joined = Answer::of_events(&read_stream(&OPENAI_RESPONSES, &[&stream]).events);
        assert_eq!(joined.text(), said + " three", "{what}");
        sequence::check(&OPENAI_RESPONSES, &stream, &what);
        let text = String::from_utf8(stream).unwrap();
        let times = |kind: &str, place: u8| {
            let of_kind = text.lines().filter(|line| line.contains(&format!(r#""{kind}""#)));
            of_kind.filter(|line| line.contains(&format!(r#""output_index":{place}"#))).count()
        };
        for place in 0..2 {
            let opened = times("response.output_item.added", place);
            assert_eq!(
                times("response.output_item.done", place),
                opened,
                "{what}: {place}\n{text}"
            );
        }
        let last = text.lines().rfind(|line| line.starts_with("data: ")).unwrap();
        let items = last.matches(r#""type":"message""#).count();
        assert_eq!(items, 1, "{what}: the text is one message: {last}");
    }
}

#[test]
fn arguments_that_were_told_are_not_told_again() {
    let events = [
        r#"{"type":"response.created","response":{"id":"resp_1","object":"response","model":"m","output":[]}}"#,
        r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","id":"fc_0","call_id":"c","name":"f","arguments":""}}"#,
        r#"{"type":"response.function_call_arguments.done","item_id":"fc_0","output_index":0,"arguments":"{\"a\":1}"}"#,
    ];
    let mut writer = (OPENAI_RESPONSES.stream_writer)(&StreamHead::default());
    events.iter().for_each(|event| writer.adopt(None, event));
    let mut out = Vec::new();
    writer.end(&Ended::at_the_limit(Usage::default()), &mut out);
    let out = String::from_utf8(out).unwrap();
    assert!(!out.contains("event: response.function_call_arguments.done"), "{out}");
    assert!(out.contains("event: response.output_item.done"), "{out}");
    assert!(out.contains(r#""arguments":"{\"a\":1}""#), "whole, although it came at once: {out}");
}
