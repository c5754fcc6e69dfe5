//! What did a client get? A strict reader of each dialect, independent of the gateway's own.
//!
//! The grammar is held as the dialects' documents have it: one id, one start, one end; indices
//! that count up; content only in what is open; arguments that parse; usage where it was asked
//! for; nothing after the end. Keep-alive comments are no content. The words are counted: `w1 w2 …
//! wN`, each once and in order.

use serde_json::Value;

mod calls;
mod chat;
mod frames;
mod gemini;
mod messages;
mod responses;
mod whole;

/// More broken rules than this are not written down.
const RULES_MAX: usize = 32;

/// What one client got.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// The text.
    pub text: String,
    /// The thinking, or its summary.
    pub thinking: String,
    /// Tool calls, by name and arguments.
    pub calls: Vec<(String, Value)>,
    /// The finish reason, as the dialect writes it.
    pub finish: Option<String>,
    /// The model that the answer names.
    pub model: Option<String>,
    /// The tokens of the answer, as it says.
    pub output_tokens: Option<u64>,
    /// Comments between the events, without their colons.
    pub comments: Vec<String>,
    /// Whether the answer ended as its dialect ends answers.
    pub is_whole: bool,
    /// Whether it ended in the dialect's error.
    pub is_error: bool,
    /// What the error says.
    pub error: Option<String>,
    /// The first rule that was broken.
    pub corrupt: Option<String>,
    /// Every rule that was broken, once each.
    pub broken_rules: Vec<String>,
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

    fn broken(&mut self, rule: &str) {
        self.corrupt.get_or_insert_with(|| rule.to_owned());
        if self.broken_rules.len() < RULES_MAX && !self.broken_rules.iter().any(|r| r == rule) {
            self.broken_rules.push(rule.to_owned());
        }
    }

    /// Breaks `rule` unless it is held.
    fn hold(&mut self, is_held: bool, rule: &str) {
        if !is_held {
            self.broken(rule);
        }
    }

    fn failed(&mut self, error: &Value) {
        self.is_error = true;
        let message = error.get("message").and_then(Value::as_str);
        self.hold(message.is_some_and(|m| !m.is_empty()), "an error without a message");
        let code = error.get("code").map(Value::to_string).unwrap_or_default();
        self.error = Some(format!("{} ({code})", message.unwrap_or_default()));
    }
}

/// One dialect's grammar of streams.
trait Grammar {
    /// The next event.
    fn event(&mut self, name: Option<&str>, data: &str, verdict: &mut Verdict);
}

/// Judges a whole answer.
#[must_use]
pub fn judge_whole(dialect: &str, body: &[u8]) -> Verdict {
    let mut verdict = Verdict::default();
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        verdict.broken("not JSON");
        return verdict;
    };
    if let Some(error) = body.get("error").filter(|error| !error.is_null()) {
        verdict.failed(error);
        return verdict;
    }
    match dialect {
        "anthropic-messages" => whole::messages(&body, &mut verdict),
        "gemini" => whole::gemini(&body, &mut verdict),
        "openai-responses" => whole::responses(&body, &mut verdict),
        _ => whole::chat(&body, &mut verdict),
    }
    verdict
}

/// Judges a stream whose client said nothing about usage.
#[must_use]
pub fn judge_stream(dialect: &str, bytes: &[u8]) -> Verdict {
    judge(dialect, bytes, None)
}

/// Judges a stream; `include_usage` says whether its client asked Chat Completions for usage. The
/// other dialects always have to say it.
#[must_use]
pub fn judge_stream_with_usage(dialect: &str, bytes: &[u8], include_usage: bool) -> Verdict {
    judge(dialect, bytes, Some(include_usage))
}

fn judge(dialect: &str, bytes: &[u8], include_usage: Option<bool>) -> Verdict {
    let mut verdict = Verdict::default();
    let mut grammar: Box<dyn Grammar> = match dialect {
        "anthropic-messages" => Box::<messages::Messages>::default(),
        "gemini" => Box::<gemini::Gemini>::default(),
        "openai-responses" => Box::<responses::Responses>::default(),
        _ => Box::new(chat::Chat::new(include_usage)),
    };
    for frame in frames::read(bytes, &mut verdict) {
        let is_over = verdict.is_whole || verdict.is_error;
        verdict.hold(!is_over, "something follows the end");
        verdict.comments.extend(frame.comments);
        if let Some(data) = frame.data.filter(|_| !is_over) {
            grammar.event(frame.name.as_deref(), &data, &mut verdict);
        }
    }
    verdict
}

/// Reads an event; `None`, and a broken rule, if it is no JSON.
fn json(data: &str, verdict: &mut Verdict) -> Option<Value> {
    let json = serde_json::from_str::<Value>(data).ok();
    verdict.hold(json.as_ref().is_some_and(Value::is_object), "an event that is not JSON");
    json.filter(Value::is_object)
}

fn text<'a>(json: &'a Value, path: &str) -> Option<&'a str> {
    json.pointer(path).and_then(Value::as_str)
}

fn number(json: &Value, path: &str) -> Option<u64> {
    json.pointer(path).and_then(Value::as_u64)
}

/// One value for all events: an id, a time, a model.
#[derive(Debug, Default)]
struct Same(Option<Value>);

impl Same {
    fn is_kept(&mut self, value: Option<&Value>) -> bool {
        match (&self.0, value) {
            (Some(first), Some(value)) => first == value,
            (None, Some(value)) => {
                self.0 = Some(value.clone());
                true
            }
            (_, None) => false,
        }
    }
}

#[cfg(test)]
mod tests;
