//! Server-sent events, cut anywhere: an incremental parser that keeps the exact bytes.
//!
//! Lines end in LF, CRLF or CR; an event ends at a blank line; several `data:` lines are joined
//! with LF; one leading space is stripped; lines that start with `:` are comments; a byte order
//! mark may stand in front. Nothing is copied but what is kept between two reads.
//!
//! Source: WHATWG HTML, section 9.2, read 2026-11-22; wire-formats.md section 4.

/// An event may not be larger than this. Bound: images come inside events.
pub const EVENT_MAX: usize = 16 << 20;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The `event:` field, if there was one.
    pub name: Option<String>,
    /// The joined `data:` fields; empty for comments.
    pub data: String,
    /// The exact bytes, blank line included: for passing on untouched.
    pub raw: &'a [u8],
    /// Whether a `data:` field was there at all.
    pub has_data: bool,
    /// A line that is no field of the format, such as bare JSON: see nasty case "raw JSON tail".
    pub stray: String,
}

/// An event is larger than [`EVENT_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// Splits bytes into events.
#[derive(Debug, Default)]
pub struct Parser {
    buffer: Vec<u8>,
    start: usize,
    /// Bytes before this were searched for the end of an event.
    searched: usize,
    has_begun: bool,
}

impl Parser {
    /// A parser at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes, however they were cut.
    ///
    /// # Errors
    /// When an event grows beyond [`EVENT_MAX`].
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.searched = self.searched.saturating_sub(self.start);
            self.start = 0;
        }
        // What is left in the buffer belongs to one event that has not ended.
        if self.buffer.len() > EVENT_MAX {
            return Err(TooLong);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// The next whole event, comments included.
    pub fn next_event(&mut self) -> Option<Event<'_>> {
        self.skip_byte_order_mark();
        let end = self.find_end()?;
        let start = self.start;
        self.start = end;
        self.searched = end;
        self.buffer.get(start..end).map(parse)
    }

    /// What is left when the stream has ended: an event without its blank line.
    pub fn finish(&mut self) -> Option<Event<'_>> {
        let start = self.start;
        self.start = self.buffer.len();
        let rest = self.buffer.get(start..)?;
        if rest.iter().all(u8::is_ascii_whitespace) { None } else { Some(parse(rest)) }
    }

    fn skip_byte_order_mark(&mut self) {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        if !self.has_begun && rest.len() >= MARK.len() {
            self.has_begun = true;
            if rest.starts_with(MARK) {
                self.start += MARK.len();
                self.searched = self.start;
            }
        }
    }

    /// The end of the blank line that ends the first event, if it is there for certain.
    fn find_end(&mut self) -> Option<usize> {
        let mut at = self.searched.max(self.start);
        loop {
            let Some(offset) =
                self.buffer.get(at..)?.iter().position(|byte| matches!(byte, b'\r' | b'\n'))
            else {
                self.searched = self.buffer.len();
                return None;
            };
            let line_end = at + offset;
            match blank_line_after(&self.buffer, line_end, line_end == self.start) {
                Blank::Ends(end) => return Some(end),
                Blank::Unknown => {
                    self.searched = line_end;
                    return None;
                }
                Blank::No(next) => at = next,
            }
        }
    }
}

enum Blank {
    Ends(usize),
    No(usize),
    Unknown,
}

/// Whether the line end at `at` is followed by a blank line. At the start of an event a line end
/// is a blank line itself.
fn blank_line_after(buffer: &[u8], at: usize, is_first: bool) -> Blank {
    let Some(next) = line_end(buffer, at) else { return Blank::Unknown };
    if is_first {
        return Blank::Ends(next);
    }
    match buffer.get(next) {
        None => Blank::Unknown,
        Some(b'\n' | b'\r') => line_end(buffer, next).map_or(Blank::Unknown, Blank::Ends),
        Some(_) => Blank::No(next),
    }
}

/// Where the line end at `at` ends: a CR may be followed by the LF that belongs to it.
fn line_end(buffer: &[u8], at: usize) -> Option<usize> {
    match (buffer.get(at)?, buffer.get(at + 1)) {
        (b'\r', Some(b'\n')) => Some(at + 2),
        // The LF may still come. A stream that ends its lines in CR alone waits for one byte.
        (b'\r', None) => None,
        _ => Some(at + 1),
    }
}

fn parse(raw: &[u8]) -> Event<'_> {
    let text = String::from_utf8_lossy(raw);
    let mut event =
        Event { name: None, data: String::new(), raw, has_data: false, stray: String::new() };
    for line in text.split(['\n', '\r']).filter(|line| !line.is_empty()) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if event.has_data {
                    event.data.push('\n');
                }
                event.has_data = true;
                event.data.push_str(value);
            }
            "event" => event.name = Some(value.to_owned()),
            "" | "id" | "retry" => {}
            _ => event.stray.push_str(line),
        }
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(chunks: &[&[u8]]) -> Vec<(Option<String>, String)> {
        let mut parser = Parser::new();
        let mut events = Vec::new();
        for chunk in chunks {
            parser.push(chunk).unwrap();
            while let Some(event) = parser.next_event() {
                events.push((event.name, event.data));
            }
        }
        if let Some(event) = parser.finish() {
            events.push((event.name, event.data));
        }
        events
    }

    const NASTY: &[u8] =
        "\u{feff}event: a\r\ndata: x\r\n\r\n: ping\n\ndata:no space\ndata: two\n\n\
        event: b\rdata: Gr\u{fc}\u{df}e \u{1f600}\r\rdata: [DONE]\n\n"
            .as_bytes();

    #[test]
    fn all_line_ends_comments_and_joined_lines_are_read() {
        let expected = [
            (Some("a".to_owned()), "x".to_owned()),
            (None, String::new()),
            (None, "no space\ntwo".to_owned()),
            (Some("b".to_owned()), "Gr\u{fc}\u{df}e \u{1f600}".to_owned()),
            (None, "[DONE]".to_owned()),
        ];
        assert_eq!(events(&[NASTY]), expected);
    }

    #[test]
    fn every_split_gives_the_same_events() {
        let whole = events(&[NASTY]);
        for at in 0..NASTY.len() {
            let (one, two) = NASTY.split_at(at);
            assert_eq!(events(&[one, two]), whole, "cut at {at}");
        }
        let bytes: Vec<&[u8]> = NASTY.chunks(1).collect();
        assert_eq!(events(&bytes), whole, "byte by byte");
    }

    #[test]
    fn the_raw_bytes_of_all_events_are_the_stream() {
        let mut parser = Parser::new();
        parser.push(NASTY).unwrap();
        let mut raw = Vec::new();
        while let Some(event) = parser.next_event() {
            raw.extend_from_slice(event.raw);
        }
        assert_eq!(raw, &NASTY[3..], "but for the byte order mark");
    }

    #[test]
    fn an_event_without_its_blank_line_is_found_at_the_end() {
        assert_eq!(events(&[b"data: x\n"]), [(None, "x".to_owned())]);
        assert_eq!(
            events(&[b"data: x\n\n\r\n \n"]),
            [(None, "x".to_owned()), (None, String::new()),]
        );
    }

    #[test]
    fn bare_json_is_told_apart_from_fields() {
        let mut parser = Parser::new();
        parser.push(b"data: {}\n\n{\n  \"error\": {\"code\": 503}\n}\n\n").unwrap();
        assert!(parser.next_event().unwrap().stray.is_empty());
        assert!(parser.next_event().unwrap().stray.contains("\"error\""));
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut parser = Parser::new();
        let chunk = vec![b'x'; 1 << 20];
        let refused = (0..20).find(|_| {
            let refused = parser.push(&chunk).is_err();
            while parser.next_event().is_some() {}
            refused
        });
        assert!(refused.is_some());
    }

    #[test]
    fn an_event_may_be_as_long_as_the_bound_and_no_longer() {
        for (len, fits) in [(EVENT_MAX, true), (EVENT_MAX + 1, false)] {
            let mut parser = Parser::new();
            parser.push(&vec![b'x'; len]).unwrap();
            assert!(parser.next_event().is_none());
            assert_eq!(parser.push(b"\n\n").is_ok(), fits, "{len}");
            assert_eq!(parser.next_event().is_some(), fits, "{len}");
        }
        // Many events in one push are not one event.
        let mut parser = Parser::new();
        let many = b"data: x\n\n".repeat(EVENT_MAX / 8);
        parser.push(&many).unwrap();
        while parser.next_event().is_some() {}
        parser.push(b"data: y\n\n").unwrap();
        assert_eq!(parser.next_event().unwrap().data, "y");
    }

    #[test]
    fn a_byte_order_mark_is_skipped_at_the_start_only() {
        let mark = "\u{feff}".as_bytes();
        assert_eq!(events(&[mark, b"data: x\n\n"]), events(&[b"data: x\n\n"]));
        let late = events(&[b"data: x\n\n", mark, b"data: y\n\n"]);
        assert_ne!(late, events(&[b"data: x\n\ndata: y\n\n"]));
    }
}
