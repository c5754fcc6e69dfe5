//! What did a client get? A strict reader of each dialect, independent of the gateway's own.
//!
//! The grammar is held as the dialects' documents have it: one start, one end, content between
//! them, nothing after the end. The words are counted: `w1 w2 … wN`, each once and in order.

use serde_json::Value;

/// What one client got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The text.
    pub text: String,
    /// Whether the answer ended as its dialect ends answers.
    pub is_whole: bool,
    /// Whether it ended in the dialect's error.
    pub is_error: bool,
    /// The first rule that was broken.
    pub corrupt: Option<String>,
}

impl Verdict {
    /// Words of `w1 … wN` that are missing, and words that came more than once or out of order.
    #[must_use]
    pub fn words(&self, expected: u32) -> (u64, u64) {
        let mut seen = vec![0_u64; usize::try_from(expected).unwrap_or_default() + 1];
        let mut misplaced = 0;
        let mut last = 0;
        for word in self.text.split_whitespace() {
            let number = word.strip_prefix('w').and_then(|n| n.parse::<usize>().ok()).unwrap_or(0);
            if number <= last {
                misplaced += 1;
            }
            last = number;
            if let Some(count) = seen.get_mut(number) {
                *count += 1;
            }
        }
        let lost = seen.iter().skip(1).filter(|count| **count == 0).count();
        (u64::try_from(lost).unwrap_or_default(), misplaced)
    }
}

/// Judges a whole answer.
#[must_use]
pub fn judge_whole(dialect: &str, body: &[u8]) -> Verdict {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return Verdict { corrupt: Some("not JSON".to_owned()), ..Verdict::default() };
    };
    if body.get("error").is_some_and(|error| !error.is_null()) {
        return Verdict { is_error: true, ..Verdict::default() };
    }
    let (text, finish) = match dialect {
        "anthropic-messages" => ("/content/0/text", "/stop_reason"),
        "gemini" => ("/candidates/0/content/parts/0/text", "/candidates/0/finishReason"),
        _ => ("/choices/0/message/content", "/choices/0/finish_reason"),
    };
    let text = body.pointer(text).and_then(Value::as_str).unwrap_or_default().to_owned();
    let is_whole = body.pointer(finish).is_some_and(Value::is_string);
    Verdict { text, is_whole, ..Verdict::default() }
}

/// Judges a stream of server-sent events.
#[must_use]
pub fn judge_stream(dialect: &str, bytes: &[u8]) -> Verdict {
    let mut judge = Judge { dialect, ..Judge::default() };
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    let tail_is_clean = text.is_empty() || text.ends_with("\n\n");
    for event in text.split("\n\n").filter(|event| !event.is_empty()) {
        judge.event(event);
    }
    if !tail_is_clean {
        judge.broken("the last event has no blank line");
    }
    if judge.verdict.is_whole && judge.open_blocks > 0 {
        judge.broken("a block was never closed");
    }
    judge.verdict
}

#[derive(Default)]
struct Judge<'a> {
    dialect: &'a str,
    verdict: Verdict,
    starts: u32,
    finishes: u32,
    open_blocks: u32,
    next_index: u64,
}

impl Judge<'_> {
    fn broken(&mut self, rule: &str) {
        self.verdict.corrupt.get_or_insert_with(|| rule.to_owned());
    }

    fn event(&mut self, event: &str) {
        let mut name = None;
        let mut data = None;
        for line in event.lines() {
            if let Some(text) = line.strip_prefix("event: ") {
                name = Some(text);
            } else if let Some(text) = line.strip_prefix("data: ") {
                data = Some(text);
            } else if !line.starts_with(':') {
                self.broken("a line that is no field");
            }
        }
        let Some(data) = data else { return };
        if self.verdict.is_whole || self.verdict.is_error {
            self.broken("something follows the end");
            return;
        }
        if data == "[DONE]" && self.dialect == "openai-chat" {
            if self.finishes != 1 {
                self.broken("[DONE] without one finish reason");
            }
            self.verdict.is_whole = true;
            return;
        }
        let Ok(json) = serde_json::from_str::<Value>(data) else {
            self.broken("an event that is not JSON");
            return;
        };
        if json.get("error").is_some_and(|error| !error.is_null()) {
            self.verdict.is_error = true;
            return;
        }
        match self.dialect {
            "anthropic-messages" => self.message_event(name, &json),
            "gemini" => self.gemini_event(&json),
            _ => self.chat_event(&json),
        }
    }

    fn say(&mut self, text: Option<&Value>) {
        self.verdict.text.push_str(text.and_then(Value::as_str).unwrap_or_default());
    }

    fn chat_event(&mut self, json: &Value) {
        if json.get("object").and_then(Value::as_str) != Some("chat.completion.chunk") {
            self.broken("a chunk without its object");
        }
        let Some(choice) = json.pointer("/choices/0") else { return };
        if self.finishes > 0 {
            self.broken("a choice after the finish reason");
        }
        if choice.pointer("/delta/role").is_some() {
            self.starts += 1;
        }
        if self.starts == 0 {
            self.broken("content before the role");
        }
        self.say(choice.pointer("/delta/content"));
        self.finishes += u32::from(choice.get("finish_reason").is_some_and(Value::is_string));
    }

    fn gemini_event(&mut self, json: &Value) {
        if !json.pointer("/candidates/0").is_some_and(Value::is_object) {
            self.broken("a chunk without a candidate");
        }
        self.say(json.pointer("/candidates/0/content/parts/0/text"));
        if json.pointer("/candidates/0/finishReason").is_some() {
            self.verdict.is_whole = true;
        }
    }

    fn message_event(&mut self, name: Option<&str>, json: &Value) {
        let kind = json.get("type").and_then(Value::as_str).unwrap_or_default();
        if name != Some(kind) {
            self.broken("an event whose name is not its type");
        }
        match kind {
            "message_start" => self.starts += 1,
            "ping" => {}
            _ if self.starts != 1 => self.broken("not one message_start in front"),
            "content_block_start" => {
                if self.open_blocks > 0 {
                    self.broken("two blocks open at once");
                }
                if json.get("index").and_then(Value::as_u64) != Some(self.next_index) {
                    self.broken("an index that does not follow the last");
                }
                self.open_blocks += 1;
            }
            "content_block_delta" => {
                if self.open_blocks != 1 {
                    self.broken("content outside of a block");
                }
                self.say(json.pointer("/delta/text"));
            }
            "content_block_stop" => {
                self.open_blocks = self.open_blocks.saturating_sub(1);
                self.next_index += 1;
            }
            "message_delta" => self.finishes += 1,
            "message_stop" => {
                if self.finishes == 0 {
                    self.broken("message_stop without a stop reason");
                }
                self.verdict.is_whole = true;
            }
            _ => self.broken("an event that the dialect does not have"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(delta: &str, finish: &str) -> String {
        format!(
            "data: {{\"object\":\"chat.completion.chunk\",\"choices\":[{{\"delta\":{delta},\
             \"finish_reason\":{finish}}}]}}\n\n"
        )
    }

    fn chat(parts: &[String]) -> Verdict {
        judge_stream("openai-chat", parts.concat().as_bytes())
    }

    const DONE: &str = "data: [DONE]\n\n";

    #[test]
    fn a_good_stream_is_whole() {
        let verdict = chat(&[
            chunk(r#"{"role":"assistant"}"#, "null"),
            ": keep-alive\n\n".to_owned(),
            chunk(r#"{"content":"w1"}"#, "null"),
            chunk(r#"{"content":" w2"}"#, "null"),
            chunk("{}", "\"stop\""),
            DONE.to_owned(),
        ]);
        let text = "w1 w2".to_owned();
        assert_eq!(verdict, Verdict { text, is_whole: true, ..Verdict::default() });
        assert_eq!(verdict.words(2), (0, 0));
    }

    #[test]
    fn every_broken_rule_is_seen() {
        let role = chunk(r#"{"role":"assistant"}"#, "null");
        let word = chunk(r#"{"content":"w1"}"#, "null");
        let stop = chunk("{}", "\"stop\"");
        let done = DONE.to_owned();
        let rule = |parts: &[&String]| {
            let parts: Vec<String> = parts.iter().map(|part| (*part).clone()).collect();
            chat(&parts).corrupt.unwrap_or_default()
        };
        assert_eq!(rule(&[&word]), "content before the role");
        assert_eq!(rule(&[&role, &done]), "[DONE] without one finish reason");
        assert_eq!(rule(&[&role, &stop, &word]), "a choice after the finish reason");
        assert_eq!(rule(&[&role, &stop, &done, &word]), "something follows the end");
        assert_eq!(rule(&[&"data: {\n\n".to_owned()]), "an event that is not JSON");
        assert_eq!(rule(&[&"nonsense\n\n".to_owned()]), "a line that is no field");
        assert_eq!(rule(&[&role.trim_end().to_owned()]), "the last event has no blank line");
    }

    #[test]
    fn an_error_event_is_neither_whole_nor_corrupt() {
        let error = "data: {\"error\":{\"message\":\"x\"}}\n\n".to_owned();
        let verdict = chat(&[chunk(r#"{"role":"assistant","content":"w1"}"#, "null"), error]);
        assert!(verdict.is_error && !verdict.is_whole && verdict.corrupt.is_none());
    }

    #[test]
    fn messages_are_held_to_their_grammar() {
        let judge = |events: &[(&str, &str)]| {
            let text: String = events
                .iter()
                .map(|(name, more)| {
                    format!("event: {name}\ndata: {{\"type\":\"{name}\"{more}}}\n\n")
                })
                .collect();
            judge_stream("anthropic-messages", text.as_bytes())
        };
        let good = [
            ("message_start", ""),
            ("content_block_start", ",\"index\":0"),
            ("content_block_delta", ",\"delta\":{\"text\":\"w1\"}"),
            ("content_block_stop", ",\"index\":0"),
            ("message_delta", ""),
            ("message_stop", ""),
        ];
        assert!(judge(&good).is_whole && judge(&good).corrupt.is_none());
        let without = |skip: usize| {
            let events: Vec<_> = (0..6).filter(|n| *n != skip).map(|n| good[n]).collect();
            judge(&events).corrupt
        };
        for skip in [0, 1, 3, 4] {
            assert!(without(skip).is_some(), "without {}", good[skip].0);
        }
        assert!(!judge(&good[..5]).is_whole);
    }

    #[test]
    fn words_are_counted_one_by_one() {
        let words = |text: &str| Verdict { text: text.to_owned(), ..Verdict::default() }.words(4);
        assert_eq!(words("w1 w2 w3 w4"), (0, 0));
        assert_eq!(words("w1 w2 w4"), (1, 0));
        assert_eq!(words("w1 w2 w2 w3 w4"), (0, 1));
        assert_eq!(words("w2 w1 w3 w4"), (0, 1));
        assert_eq!(words(""), (4, 0));
    }

    #[test]
    fn whole_answers_are_read_in_every_dialect() {
        let text = "w1 w2".to_owned();
        let whole = Verdict { text, is_whole: true, ..Verdict::default() };
        for (dialect, body) in [
            (
                "openai-chat",
                r#"{"choices":[{"message":{"content":"w1 w2"},"finish_reason":"stop"}]}"#,
            ),
            (
                "anthropic-messages",
                r#"{"content":[{"text":"w1 w2"}],"stop_reason":"end_turn","error":null}"#,
            ),
            (
                "gemini",
                r#"{"candidates":[{"content":{"parts":[{"text":"w1 w2"}]},"finishReason":"STOP"}]}"#,
            ),
        ] {
            assert_eq!(judge_whole(dialect, body.as_bytes()), whole, "{dialect}");
            let other = if dialect == "gemini" { "openai-chat" } else { "gemini" };
            assert!(!judge_whole(other, body.as_bytes()).is_whole, "{dialect} is not {other}");
        }
        let error = judge_whole("gemini", br#"{"error":{"code":503}}"#);
        assert!(error.is_error && !error.is_whole && error.corrupt.is_none());
        assert_eq!(judge_whole("gemini", b"<html>").corrupt.as_deref(), Some("not JSON"));
    }

    #[test]
    fn gemini_is_held_to_its_grammar() {
        let judge = |text: &str| judge_stream("gemini", text.as_bytes());
        let part = r#"{"candidates":[{"content":{"parts":[{"text":"w1"}]}FINISH}]}"#;
        let more = format!("data: {}\n\n", part.replace("FINISH", ""));
        let last = format!("data: {}\n\n", part.replace("FINISH", r#","finishReason":"STOP""#));
        let good = judge(&format!("{more}{last}"));
        assert_eq!((good.text.as_str(), good.is_whole, good.corrupt), ("w1w1", true, None));
        assert!(!judge(&more).is_whole);
        assert!(judge(&format!("{last}{more}")).corrupt.is_some());
        assert!(judge("data: {\"candidates\":[]}\n\n").corrupt.is_some());
    }

    #[test]
    fn messages_may_be_pinged_and_blocks_follow_each_other() {
        let block = |index: u32| {
            format!(
                "event: content_block_start\ndata: {{\"type\":\"content_block_start\",\"index\":{index}}}\n\n\
                 event: ping\ndata: {{\"type\":\"ping\"}}\n\n\
                 event: content_block_stop\ndata: {{\"type\":\"content_block_stop\"}}\n\n"
            )
        };
        let start = "event: message_start\ndata: {\"type\":\"message_start\"}\n\n";
        let judge = |blocks: &[u32]| {
            let blocks: String = blocks.iter().map(|index| block(*index)).collect();
            judge_stream("anthropic-messages", format!("{start}{blocks}").as_bytes()).corrupt
        };
        assert_eq!(judge(&[0, 1, 2]), None);
        for wrong in [&[1][..], &[0, 0], &[0, 2]] {
            assert!(judge(wrong).is_some(), "{wrong:?}");
        }
        let opened = block(0).split("event: ping").next().unwrap_or_default().to_owned();
        let twice = format!("{start}{opened}{}", block(1));
        let corrupt = judge_stream("anthropic-messages", twice.as_bytes()).corrupt;
        assert_eq!(corrupt.as_deref(), Some("two blocks open at once"));
    }
}
