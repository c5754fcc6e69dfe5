//! What must hold of every decoder and of the classifier, whatever bytes come: nothing panics, a
//! stream means the same however it is cut, and what was read can be written.
//!
//! The first byte of an input chooses the dialect, the provider or the size of the pieces; the rest
//! is what came over the wire. Used by libFuzzer, and by a test that mutates recorded traffic.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use unbroken::providers::{ErrorReply, PROVIDERS, Phase, rate_limits, retry_after};
use unbroken_wire::chat::StreamEvent;
use unbroken_wire::dialects::{DIALECTS, Dialect, Ended, OF_TARGETS, RequestHead, StreamHead};
use unbroken_wire::error::ErrorBody;
use unbroken_wire::event_stream::Decoder;
use unbroken_wire::raw::{self, Members};
use unbroken_wire::undo::Undo;
use unbroken_wire::{seal, sse};

/// Every dialect, those of targets behind those of clients.
pub fn dialects() -> Vec<&'static Dialect> {
    DIALECTS.iter().chain(OF_TARGETS).copied().collect()
}

/// The dialect that the first byte chooses, and the rest.
fn chosen(data: &[u8]) -> Option<(&'static Dialect, &[u8])> {
    let (first, rest) = data.split_first()?;
    let dialects = dialects();
    let place = usize::from(*first) % dialects.len();
    Some((dialects.get(place)?, rest))
}

/// A request: what is read can be written for every dialect, and is JSON there, which that dialect
/// reads; the bytes of a body survive another model's name.
pub fn requests(data: &[u8]) {
    let Some((dialect, body)) = chosen(data) else { return };
    let head = RequestHead { model_in_path: Some("m"), stream_in_path: false, outline: None };
    if let Ok(members) = Members::split(body) {
        let with = members.with("model", "\"m\"");
        assert!(Members::split(&with).is_ok(), "a body is one with another model, too");
        drop(members.without(&["model", "messages"]));
    }
    drop(raw::without_lone_surrogates(body));
    drop(seal::without_sealed(body));
    drop((dialect.replace_model)(body, None, "m"));
    let Ok(chat) = (dialect.read_request)(&head, body) else { return };
    for target in dialects() {
        let Ok(written) = (target.write_request)(&chat, "m") else { continue };
        let is_json = serde_json::from_slice::<Value>(&written.body).is_ok();
        assert!(is_json, "{} from {}", target.name, dialect.name);
        let back = (target.read_request)(&head, &written.body);
        assert!(back.is_ok(), "{} from {}: {back:?}", target.name, dialect.name);
    }
}

/// A whole answer: what is read can be told to every client.
pub fn answers(data: &[u8]) {
    let Some((dialect, body)) = chosen(data) else { return };
    let Ok(answer) = (dialect.read_answer)(body) else { return };
    let head = StreamHead::default();
    for client in DIALECTS {
        let told = (client.write_answer)(&answer, &head);
        let is_json = serde_json::from_slice::<Value>(&told).is_ok();
        assert!(is_json, "{} from {}", client.name, dialect.name);
        let stream = write(client, &answer.to_events(), answer.ended());
        let back = read(client, &[&stream]);
        assert!(back.error.is_none(), "{} from {}", client.name, dialect.name);
    }
}

/// A stream: the same however it is cut, and told to every client in events that it can read.
pub fn streams(data: &[u8]) {
    let Some((dialect, rest)) = chosen(data) else { return };
    let Some((size, bytes)) = rest.split_first() else { return };
    let whole = read(dialect, &[bytes]);
    let pieces: Vec<&[u8]> = bytes.chunks(usize::from(*size) + 1).collect();
    let cut = read(dialect, &pieces);
    assert_eq!(whole.events, cut.events, "{}", dialect.name);
    assert_eq!((whole.ended, &whole.error), (cut.ended, &cut.error), "{}", dialect.name);
    let Some(ended) = whole.ended else { return };
    for client in DIALECTS {
        let told = write(client, &whole.events, ended);
        let back = read(client, &[&told]);
        assert!(back.error.is_none(), "{} from {}: {:?}", client.name, dialect.name, back.error);
    }
}

/// AWS's frames: the same however they are cut, and behind them a stream.
pub fn frames(data: &[u8]) {
    let Some((size, bytes)) = data.split_first() else { return };
    let whole = Decoder::new().push(bytes);
    let mut decoder = Decoder::new();
    let mut decoded = Vec::new();
    let mut broken = None;
    for piece in bytes.chunks(usize::from(*size) + 1) {
        match decoder.push(piece) {
            Ok(events) => decoded.extend(events),
            Err(fault) => {
                broken = Some(fault);
                break;
            }
        }
    }
    match (whole, broken) {
        (Ok(whole), None) => assert_eq!(whole, decoded),
        (Err(one), Some(other)) => assert_eq!(one, other),
        (whole, broken) => panic!("{whole:?} and {broken:?}"),
    }
    for dialect in dialects() {
        drop(read(dialect, &[&decoded]));
    }
}

/// An error: headers, an empty line, a body. Every provider says what it means, in its head and
/// inside of an answer.
pub fn errors(data: &[u8]) {
    let [who, status, rest @ ..] = data else { return };
    let split = rest.windows(2).position(|two| two == b"\n\n");
    let (head, body) = split.map_or((&[][..], rest), |at| rest.split_at(at));
    let mut headers = HeaderMap::new();
    for line in head.split(|byte| *byte == b'\n').take(16) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = line.split_at(colon);
        let value = HeaderValue::from_bytes(value.get(1..).unwrap_or_default());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), value) {
            headers.insert(name, value);
        }
    }
    let body = ErrorBody::read(body);
    let Some(provider) = PROVIDERS.get(usize::from(*who) % PROVIDERS.len()) else { return };
    for phase in [Phase::Head, Phase::InBody] {
        let status = 100 + u16::from(*status) * 2;
        let reply = ErrorReply { status, headers: &headers, body: &body, phase };
        let cause = (provider.classify)(&reply);
        assert_eq!(cause, (provider.classify)(&reply), "{}: the same twice", provider.name);
        let _ = retry_after(&reply);
    }
    drop(rate_limits(&headers, 1_795_348_800));
    drop(body.to_body());
}

/// What a stream meant.
struct Read {
    events: Vec<StreamEvent>,
    ended: Option<Ended>,
    error: Option<String>,
}

fn read(dialect: &Dialect, pieces: &[&[u8]]) -> Read {
    let mut parser = sse::Parser::new();
    let mut reader = (dialect.stream_reader)();
    let mut read = Read { events: Vec::new(), ended: None, error: None };
    for piece in pieces {
        if parser.push(piece).is_err() {
            read.error = Some("too long".to_owned());
            return read;
        }
        while let Some(event) = parser.next_event() {
            if read.error.is_none() {
                read.error = reader.read(&event, &mut read.events).err();
            }
        }
    }
    if let (Some(event), None) = (parser.finish(), &read.error) {
        read.error = reader.read(&event, &mut read.events).err();
    }
    let has_failed = read.events.iter().any(|event| matches!(event, StreamEvent::Error(_)));
    if read.error.is_none() && !has_failed {
        read.ended = reader.end().ok();
    }
    read
}

fn write(client: &Dialect, events: &[StreamEvent], ended: Ended) -> Vec<u8> {
    let mut writer = (client.stream_writer)(&StreamHead::default());
    let mut undo = Undo::default();
    let mut out = Vec::new();
    for event in events {
        let mut undone = Vec::new();
        undo.event(event.clone(), &mut undone);
        undone.iter().for_each(|event| writer.write(event, &mut out));
    }
    writer.end(&ended, &mut out);
    out
}
