//! AWS event streams, cut anywhere: an incremental decoder that turns their frames into
//! server-sent events, so that everything behind it reads one framing only.
//!
//! ```text
//! total length | headers length | CRC of these eight bytes | headers | payload | CRC of all before
//! ```
//!
//! All numbers are big-endian `u32`; both CRCs are checked, and a frame that fails one ends the
//! stream: nothing after it can be trusted. A frame `event` becomes an SSE event of its type with
//! the payload as data; a `chunk` of InvokeModel holds the data of one event of the model's own
//! API in base64, and that becomes the event. Exceptions become an `error` event.
//!
//! Source: wire-formats.md 1.3, 4.5, 4.6, and the exact bytes in `fixtures/recordings/bedrock`.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::base64;

/// A frame may not be larger. Bound: images come inside events.
pub const FRAME_MAX: usize = 16 << 20;
/// Lengths and their CRC.
const PRELUDE: usize = 12;
/// The CRC at the end.
const TRAILER: usize = 4;

/// Why the bytes are no event stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A checksum does not match.
    Checksum,
    /// A length cannot be right.
    Length,
    /// A header or a payload cannot be read.
    Content,
}

/// Decodes one stream.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
}

impl Decoder {
    /// A decoder at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes and gives the server-sent events of all frames that are whole.
    ///
    /// # Errors
    /// When a frame is broken.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Broken> {
        self.buffer.extend_from_slice(bytes);
        let mut events = Vec::new();
        let mut read = 0;
        while let Some(frame) = next_frame(self.buffer.get(read..).unwrap_or_default())? {
            read += frame.len();
            write_event(frame, &mut events)?;
        }
        self.buffer.drain(..read);
        Ok(events)
    }

    /// Whether it stands between two frames. The end of a connection elsewhere is a cut.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        self.buffer.is_empty()
    }
}

/// The first frame, once all of it is there and both checksums match.
fn next_frame(bytes: &[u8]) -> Result<Option<&[u8]>, Broken> {
    let Some(prelude) = bytes.get(..PRELUDE) else { return Ok(None) };
    if crc32(prelude.get(..8).unwrap_or_default()) != number(prelude, 8)? {
        return Err(Broken::Checksum);
    }
    let total = number(prelude, 0)? as usize;
    let headers = number(prelude, 4)? as usize;
    if total > FRAME_MAX || total < PRELUDE + headers + TRAILER {
        return Err(Broken::Length);
    }
    let Some(frame) = bytes.get(..total) else { return Ok(None) };
    let before = frame.get(..total - TRAILER).unwrap_or_default();
    if crc32(before) != number(frame, total - TRAILER)? {
        return Err(Broken::Checksum);
    }
    Ok(Some(frame))
}

fn number(bytes: &[u8], at: usize) -> Result<u32, Broken> {
    let four = bytes.get(at..at + 4).and_then(|four| <[u8; 4]>::try_from(four).ok());
    four.map(u32::from_be_bytes).ok_or(Broken::Length)
}

/// What the headers of a frame say.
#[derive(Default)]
struct Head {
    message: String,
    event: String,
    exception: String,
    error_message: String,
}

fn write_event(frame: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
    let headers_end = PRELUDE + number(frame, 4)? as usize;
    let head = read_head(frame.get(PRELUDE..headers_end).ok_or(Broken::Length)?)?;
    let payload = frame.get(headers_end..frame.len() - TRAILER).ok_or(Broken::Length)?;
    let (name, data) = match head.message.as_str() {
        "exception" | "error" => ("error".to_owned(), exception(&head, payload)),
        _ if head.event == "chunk" => unwrap_chunk(payload)?,
        _ => (head.event, without_padding(payload)?),
    };
    let mut event = String::new();
    // A data field has no line breaks: the payloads are JSON on one line.
    let _ = write!(event, "event: {name}\ndata: {}\n\n", data.replace(['\r', '\n'], " "));
    out.extend_from_slice(event.as_bytes());
    Ok(())
}

/// Only strings are in use (type 7); other types are skipped by their lengths.
fn read_head(mut bytes: &[u8]) -> Result<Head, Broken> {
    let mut head = Head::default();
    while let Some((length, rest)) = bytes.split_first() {
        let (name, rest) = rest.split_at_checked(usize::from(*length)).ok_or(Broken::Length)?;
        let (kind, rest) = rest.split_first().ok_or(Broken::Length)?;
        let (size, rest) = match kind {
            0 | 1 => (0, rest),
            2 => (1, rest),
            3 => (2, rest),
            4 => (4, rest),
            5 | 8 => (8, rest),
            9 => (16, rest),
            6 | 7 => {
                let (size, rest) = rest.split_at_checked(2).ok_or(Broken::Length)?;
                let size = <[u8; 2]>::try_from(size).map_err(|_| Broken::Length)?;
                (usize::from(u16::from_be_bytes(size)), rest)
            }
            _ => return Err(Broken::Content),
        };
        let (value, rest) = rest.split_at_checked(size).ok_or(Broken::Length)?;
        let value = String::from_utf8_lossy(value).into_owned();
        match name {
            b":message-type" => head.message = value,
            b":event-type" => head.event = value,
            b":exception-type" | b":error-code" => head.exception = value,
            b":error-message" => head.error_message = value,
            _ => {}
        }
        bytes = rest;
    }
    Ok(head)
}

/// The error that an exception frame stands for, with the status that AWS gives it.
fn exception(head: &Head, payload: &[u8]) -> String {
    let payload: Value = serde_json::from_slice(payload).unwrap_or_default();
    let text = |key: &str| payload.get(key).and_then(Value::as_str);
    let message = text("message").or_else(|| text("Message")).or_else(|| text("originalMessage"));
    let status = payload.get("originalStatusCode").and_then(Value::as_u64);
    let status = status.unwrap_or_else(|| status_of(&head.exception));
    json!({ "type": "error", "error": {
        "type": head.exception,
        "message": message.unwrap_or(&head.error_message),
        "status": status,
    }})
    .to_string()
}

/// Source: botocore, bedrock-runtime 2023-09-30, as quoted in engine.md 3.2.
fn status_of(exception: &str) -> u64 {
    let name = exception.to_ascii_lowercase();
    match name.trim_end_matches("exception") {
        "throttling" | "modelnotready" => 429,
        "validation" => 400,
        "accessdenied" => 403,
        "modeltimeout" => 408,
        "serviceunavailable" => 503,
        "modelstreamerror" | "modelerror" => 424,
        _ => 500,
    }
}

/// The event inside a chunk; its name is its type, as in the model's own API.
fn unwrap_chunk(payload: &[u8]) -> Result<(String, String), Broken> {
    let payload: Value = serde_json::from_slice(payload).map_err(|_| Broken::Content)?;
    let bytes = payload.get("bytes").and_then(Value::as_str).ok_or(Broken::Content)?;
    let data = base64::decode(bytes).ok_or(Broken::Content)?;
    let data = String::from_utf8(data).map_err(|_| Broken::Content)?;
    let value: Value = serde_json::from_str(&data).map_err(|_| Broken::Content)?;
    let name = value.get("type").and_then(Value::as_str).unwrap_or("message").to_owned();
    Ok((name, data))
}

/// The payload without `p`, whose length is random.
fn without_padding(payload: &[u8]) -> Result<String, Broken> {
    let mut payload: Value = serde_json::from_slice(payload).map_err(|_| Broken::Content)?;
    if let Value::Object(object) = &mut payload {
        object.shift_remove("p");
    }
    Ok(payload.to_string())
}

/// The CRC of IEEE 802.3, as in zlib.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        let place = ((crc ^ u32::from(*byte)) & 0xff) as usize;
        CRC_TABLE.get(place).copied().unwrap_or_default() ^ (crc >> 8)
    };
    !bytes.iter().fold(!0, step)
}

const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut n: u32 = 0;
    while n < 256 {
        let mut crc = n;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
            bit += 1;
        }
        #[expect(clippy::indexing_slicing, reason = "computed when compiled, below 256")]
        {
            table[n as usize] = crc;
        }
        n += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    /// Source: wire-formats.md 1.3: `messageStop`, payload `{"stopReason":"end_turn"}`.
    const FRAME: &str = "0000007a00000051ca2c46650d3a6d6573736167652d747970650700056576656e740b3a\
6576656e742d7479706507000b6d65737361676553746f700d3a636f6e74656e742d747970650700106170706c69636174\
696f6e2f6a736f6e7b2273746f70526561736f6e223a22656e645f7475726e227d3dc33bfa";
    const EVENT: &str = "event: messageStop\ndata: {\"stopReason\":\"end_turn\"}\n\n";

    fn bytes() -> Vec<u8> {
        let pairs = FRAME.as_bytes().chunks(2);
        pairs.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    fn frame(headers: &[(&str, &str)], payload: &str) -> Vec<u8> {
        let mut head = Vec::new();
        for (name, value) in headers {
            head.push(name.len() as u8);
            head.extend(name.as_bytes());
            head.push(7);
            head.extend((value.len() as u16).to_be_bytes());
            head.extend(value.as_bytes());
        }
        let total = PRELUDE + head.len() + payload.len() + TRAILER;
        let mut frame = (total as u32).to_be_bytes().to_vec();
        frame.extend((head.len() as u32).to_be_bytes());
        frame.extend(crc32(&frame).to_be_bytes());
        frame.extend(head);
        frame.extend(payload.as_bytes());
        frame.extend(crc32(&frame).to_be_bytes());
        frame
    }

    fn decoded(bytes: &[u8]) -> Result<String, Broken> {
        Decoder::new().push(bytes).map(|events| String::from_utf8(events).unwrap())
    }

    #[test]
    fn the_published_frame_is_read_however_it_is_cut() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        let two = [bytes(), bytes()].concat();
        for cut in 0..two.len() {
            let mut decoder = Decoder::new();
            let (one, other) = two.split_at(cut);
            let mut events = decoder.push(one).unwrap();
            events.extend(decoder.push(other).unwrap());
            assert_eq!(events, EVENT.repeat(2).as_bytes(), "cut at {cut}");
            assert!(decoder.is_between_frames());
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_is_seen() {
        for place in 0..bytes().len() {
            let mut broken = bytes();
            broken[place] ^= 1;
            let seen = decoded(&broken);
            assert!(seen.is_err(), "bit {place}: {seen:?}");
        }
    }

    #[test]
    fn a_cut_frame_is_no_end() {
        let mut decoder = Decoder::new();
        let all = bytes();
        assert_eq!(decoder.push(&all[..all.len() - 1]), Ok(Vec::new()));
        assert!(!decoder.is_between_frames());
    }

    #[test]
    fn chunks_are_unwrapped_and_padding_is_dropped() {
        let inner = base64::encode(br#"{"type":"ping"}"#);
        let payload = json!({ "bytes": inner, "p": "abc" }).to_string();
        let chunk = frame(&[(":message-type", "event"), (":event-type", "chunk")], &payload);
        assert_eq!(decoded(&chunk).unwrap(), "event: ping\ndata: {\"type\":\"ping\"}\n\n");
        let delta = frame(
            &[(":message-type", "event"), (":event-type", "contentBlockDelta")],
            r#"{"p":"xx","delta":{"text":"a"}}"#,
        );
        let expected = "event: contentBlockDelta\ndata: {\"delta\":{\"text\":\"a\"}}\n\n";
        assert_eq!(decoded(&delta).unwrap(), expected);
    }

    #[test]
    fn exceptions_become_errors_with_their_status() {
        let headers = [(":message-type", "exception"), (":exception-type", "throttlingException")];
        let told = decoded(&frame(&headers, r#"{"message":"Too many"}"#)).unwrap();
        assert!(told.starts_with("event: error\n") && told.contains("\"status\":429"), "{told}");
        let headers =
            [(":message-type", "exception"), (":exception-type", "modelStreamErrorException")];
        let payload = r#"{"originalStatusCode":503,"originalMessage":"busy"}"#;
        let told = decoded(&frame(&headers, payload)).unwrap();
        assert!(told.contains("\"status\":503") && told.contains("busy"), "{told}");
    }

    #[test]
    fn absurd_lengths_are_refused_before_anything_is_kept() {
        let mut prelude = u32::MAX.to_be_bytes().to_vec();
        prelude.extend(0_u32.to_be_bytes());
        prelude.extend(crc32(&prelude).to_be_bytes());
        assert_eq!(decoded(&prelude), Err(Broken::Length));
    }
}
