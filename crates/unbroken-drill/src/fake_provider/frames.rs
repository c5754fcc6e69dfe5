//! AWS's frames around the events of a stream.
//!
//! Source: wire-formats.md 1.3 (lengths, headers, payload, two CRCs; big-endian).

use serde_json::{Value, json};

/// How the events of a stream are framed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Framing {
    /// Server-sent events.
    #[default]
    Sse,
    /// Frames of Converse: the event's name is the frame's.
    Events,
    /// Frames of InvokeModel: the event's data in base64.
    Chunks,
}

impl Framing {
    /// The media type of a stream.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Sse => "text/event-stream; charset=utf-8",
            Self::Events | Self::Chunks => "application/vnd.amazon.eventstream",
        }
    }

    /// A server-sent event, framed.
    pub(super) fn wrap(self, event: &str) -> Vec<u8> {
        if self == Self::Sse {
            return event.as_bytes().to_vec();
        }
        let name = event.lines().find_map(|line| line.strip_prefix("event: ")).unwrap_or("ping");
        let data = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or("{}");
        let parsed: Result<Value, _> = serde_json::from_str(data);
        let Ok(payload) = parsed else {
            // What is broken inside of an event is a broken frame here.
            let mut frame = frame(&[(":message-type", "event"), (":event-type", name)], data);
            if let Some(last) = frame.last_mut() {
                *last ^= 1;
            }
            return frame;
        };
        let json = (":content-type", "application/json");
        if name == "error" {
            let kind = payload.pointer("/error/type").and_then(Value::as_str);
            let kind = kind.filter(|kind| kind.ends_with("Exception"));
            let kind = kind.unwrap_or("modelStreamErrorException");
            let message = payload.pointer("/error/message").cloned().unwrap_or_default();
            let headers = [(":exception-type", kind), json, (":message-type", "exception")];
            return frame(&headers, &json!({ "message": message }).to_string());
        }
        let (name, payload) = match self {
            Self::Chunks => {
                let bytes = base64(data.as_bytes());
                ("chunk", json!({ "bytes": bytes, "p": "abcd" }).to_string())
            }
            Self::Sse | Self::Events => (name, data.to_owned()),
        };
        frame(&[(":event-type", name), json, (":message-type", "event")], &payload)
    }
}

fn frame(headers: &[(&str, &str)], payload: &str) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in headers {
        head.extend(u8::try_from(name.len()).unwrap_or_default().to_be_bytes());
        head.extend(name.as_bytes());
        head.push(7);
        head.extend(u16::try_from(value.len()).unwrap_or_default().to_be_bytes());
        head.extend(value.as_bytes());
    }
    let length = |length: usize| u32::try_from(length).unwrap_or_default().to_be_bytes();
    let mut frame = length(16 + head.len() + payload.len()).to_vec();
    frame.extend(length(head.len()));
    frame.extend(crc32(&frame).to_be_bytes());
    frame.extend(head);
    frame.extend(payload.as_bytes());
    frame.extend(crc32(&frame).to_be_bytes());
    frame
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
    !bytes.iter().fold(!0_u32, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

fn base64(bytes: &[u8]) -> String {
    let letter = |bits: u32| {
        char::from(match bits & 63 {
            n @ 0..=25 => b'A' + n as u8,
            n @ 26..=51 => b'a' + (n - 26) as u8,
            n @ 52..=61 => b'0' + (n - 52) as u8,
            62 => b'+',
            _ => b'/',
        })
    };
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0, |bits, byte| (bits << 8) | u32::from(*byte));
        let bits = bits << (8 * (3 - three.len()));
        for place in 0..4 {
            let is_there = place <= three.len();
            text.push(if is_there { letter(bits >> (18 - 6 * place)) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_frame_is_ours_bit_for_bit() {
        // Source: wire-formats.md 1.3.
        let headers = [
            (":message-type", "event"),
            (":event-type", "messageStop"),
            (":content-type", "application/json"),
        ];
        let frame = frame(&headers, "{\"stopReason\":\"end_turn\"}");
        let hex: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(hex.starts_with("0000007a00000051ca2c46650d3a6d65"), "{hex}");
        assert!(hex.ends_with("227d3dc33bfa"), "{hex}");
    }

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_broken_event_is_a_broken_frame_and_an_error_an_exception() {
        let good = Framing::Events.wrap("event: messageStop\ndata: {}\n\n");
        let broken = Framing::Events.wrap("event: messageStop\ndata: {\n\n");
        let crc = |frame: &[u8]| frame[frame.len() - 4..].to_vec();
        assert_eq!(crc(&good), crc32(&good[..good.len() - 4]).to_be_bytes());
        assert_ne!(crc(&broken), crc32(&broken[..broken.len() - 4]).to_be_bytes());
        let error = Framing::Chunks.wrap("event: error\ndata: {\"error\":{\"message\":\"m\"}}\n\n");
        let text = String::from_utf8_lossy(&error).into_owned();
        assert!(text.contains("modelStreamErrorException"), "{text}");
    }
}
