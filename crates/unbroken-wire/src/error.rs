//! What does an error body say? One tolerant reader for every provider's envelope.
//!
//! About fourteen envelopes are in use; `code` may be a number, a string, a word or null; a body
//! may be HTML, text, an array or empty. Reading never fails: what is not there stays empty.
//!
//! Source: wire-formats.md section 5.1 and the recordings.

use std::time::Duration;

use serde_json::Value;

/// What kind of body it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyShape {
    /// JSON.
    Json,
    /// A page made for people, by something in front of the API.
    Html,
    /// Any other text.
    Text,
    /// Nothing.
    #[default]
    Empty,
}

/// What an error body says. Fields that it does not have are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorBody {
    /// What kind of body it was.
    pub shape: BodyShape,
    /// The provider's `type`.
    pub kind: String,
    /// The provider's `code`; numbers as text.
    pub code: String,
    /// What it says to people; at most 4,000 characters.
    pub message: String,
    /// The parameter that is at fault.
    pub param: String,
    /// Google's status word, such as `RESOURCE_EXHAUSTED`.
    pub status_word: String,
    /// An HTTP status inside the body.
    pub inner_status: Option<u16>,
    /// Google's `RetryInfo.retryDelay`.
    pub retry_delay: Option<Duration>,
    /// Further words to branch on: `ErrorInfo.reason`, quota ids, `details.error_code`, …
    pub reasons: Vec<String>,
}

/// Messages are cut here: some providers quote the whole prompt.
const MESSAGE_MAX: usize = 4_000;

impl ErrorBody {
    /// Reads a body.
    #[must_use]
    pub fn read(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            return Self::default();
        }
        let json = text.strip_prefix("data:").unwrap_or(text).trim();
        match serde_json::from_str::<Value>(json) {
            Ok(value) => Self::of(&value),
            Err(_) if looks_like_html(text) => Self::plain(BodyShape::Html, &title(text)),
            Err(_) => Self::plain(BodyShape::Text, text),
        }
    }

    /// Reads a JSON value that holds an error somewhere.
    #[must_use]
    pub fn of(value: &Value) -> Self {
        let mut error = Self { shape: BodyShape::Json, ..Self::default() };
        let outer = value.get(0).unwrap_or(value);
        error.take(outer);
        for key in ["error", "detail", "errors"] {
            match outer.get(key) {
                Some(inner @ Value::Object(_)) => error.take(inner),
                Some(Value::Array(list)) => list.iter().take(8).for_each(|item| error.take(item)),
                Some(Value::String(text)) => error.say(text),
                Some(Value::Null | Value::Bool(_) | Value::Number(_)) | None => {}
            }
        }
        // Bedrock and some gateways wrap the provider's own body in a string.
        if let Some(raw) = outer.pointer("/error/metadata/raw").and_then(Value::as_str) {
            error.reasons.push(cut(raw));
        }
        error
    }

    /// Whether the value holds an error at all.
    #[must_use]
    pub fn is_in(value: &Value) -> bool {
        let is_error = |value: &Value| match value {
            Value::Null | Value::Bool(false) => false,
            Value::String(text) => !text.is_empty(),
            Value::Object(object) => !object.is_empty(),
            Value::Bool(true) | Value::Number(_) | Value::Array(_) => true,
        };
        value.get("error").is_some_and(is_error)
            || value.get("type").and_then(Value::as_str) == Some("error")
            || value.get("object").and_then(Value::as_str) == Some("error")
    }

    /// The body in the most common envelope.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        let text = |text: &str| if text.is_empty() { Value::Null } else { text.into() };
        let error = serde_json::json!({ "error": {
            "message": self.message,
            "type": if self.kind.is_empty() { &self.status_word } else { &self.kind },
            "param": text(&self.param),
            "code": text(&self.code),
        }});
        error.to_string().into_bytes()
    }

    /// Whether any of its words contains `word`, whatever the case.
    #[must_use]
    pub fn mentions(&self, word: &str) -> bool {
        let word = word.to_ascii_lowercase();
        let fields = [&self.kind, &self.code, &self.message, &self.status_word];
        fields.into_iter().chain(&self.reasons).any(|f| f.to_ascii_lowercase().contains(&word))
    }

    fn plain(shape: BodyShape, message: &str) -> Self {
        Self { shape, message: cut(message), ..Self::default() }
    }

    fn say(&mut self, text: &str) {
        if self.message.is_empty() {
            self.message = cut(text);
        }
    }

    fn take(&mut self, value: &Value) {
        let Value::Object(object) = value else { return };
        for (key, value) in object {
            match (key.as_str(), value) {
                ("message" | "Message" | "msg", Value::String(text)) => self.say(text),
                ("type" | "__type", Value::String(text)) if text != "error" => {
                    self.kind.clone_from(text);
                }
                ("code" | "error_code" | "statusCode" | "status_code" | "raw_status_code", _) => {
                    self.take_code(value);
                }
                ("status", Value::String(text)) => self.status_word.clone_from(text),
                ("status", Value::Number(_)) => self.take_code(value),
                ("param", Value::String(text)) => self.param.clone_from(text),
                ("loc", _) => self.param = value.to_string(),
                ("reason", Value::String(text)) => self.reasons.push(cut(text)),
                ("details" | "metadata" | "innererror", _) => self.take_details(value, 0),
                _ => {}
            }
        }
    }

    fn take_code(&mut self, value: &Value) {
        let number = match value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => {
                if self.code.is_empty() || self.code.parse::<u64>().is_ok() {
                    self.code.clone_from(text);
                }
                text.parse().ok()
            }
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        let Some(number) = number else { return };
        if self.code.is_empty() {
            self.code = number.to_string();
        }
        if let Ok(status @ 100..=599) = u16::try_from(number) {
            self.inner_status = Some(status);
        }
    }

    /// Google's details, Anthropic's `details`, Azure's `innererror`, OpenRouter's `metadata`.
    fn take_details(&mut self, value: &Value, depth: u8) {
        if depth > 4 || self.reasons.len() > 32 {
            return;
        }
        match value {
            Value::Array(list) => {
                list.iter().take(16).for_each(|item| self.take_details(item, depth + 1));
            }
            Value::Object(object) => {
                for (key, value) in object {
                    self.take_detail(key, value, depth);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn take_detail(&mut self, key: &str, value: &Value, depth: u8) {
        match (key, value) {
            ("retryDelay", Value::String(text)) => self.retry_delay = read_duration(text),
            (
                "reason" | "quotaId" | "error_code" | "code" | "quotaMetric" | "limit_source"
                | "reasons" | "provider_name",
                Value::String(text),
            ) => self.reasons.push(cut(text)),
            (_, Value::Array(_) | Value::Object(_)) => self.take_details(value, depth + 1),
            _ => {}
        }
    }
}

/// Reads a duration as rate-limit headers and error texts write it: `1s`, `6m0s`, `120ms`,
/// `1h2m3.5s`, `7.66s`, or plain seconds.
#[must_use]
pub fn read_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let number: f64 = number.parse().ok()?;
        let unit_len = tail.find(|c: char| !c.is_alphabetic()).unwrap_or(tail.len());
        let (unit, next) = tail.split_at_checked(unit_len)?;
        let scale = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(number * scale).ok()?)?;
        rest = next;
    }
    Some(total)
}

fn cut(text: &str) -> String {
    text.chars().take(MESSAGE_MAX).collect()
}

fn looks_like_html(text: &str) -> bool {
    let start: String = text.chars().take(200).collect::<String>().to_ascii_lowercase();
    start.starts_with("<!doctype") || start.contains("<html") || start.starts_with("<head")
}

/// The title of a page, which is all that a person needs of it.
fn title(html: &str) -> String {
    let lower = html.to_ascii_lowercase();
    let inside = lower.find("<title>").zip(lower.find("</title>"));
    inside
        .and_then(|(from, to)| html.get(from + "<title>".len()..to))
        .map_or_else(|| "an HTML page".to_owned(), |title| title.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_envelopes_are_read() {
        let openai = ErrorBody::read(
            br#"{"error":{"message":"m","type":"t","param":"p","code":"model_not_found"}}"#,
        );
        assert_eq!(
            (openai.message.as_str(), openai.kind.as_str(), openai.code.as_str()),
            ("m", "t", "model_not_found")
        );
        let anthropic = ErrorBody::read(
            br#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"r"}"#,
        );
        assert_eq!(anthropic.kind, "overloaded_error");
        let openrouter = ErrorBody::read(br#"{"error":{"code":402,"message":"no"},"user_id":"u"}"#);
        assert_eq!((openrouter.code.as_str(), openrouter.inner_status), ("402", Some(402)));
        assert_eq!(ErrorBody::read(br#"{"error":"plain"}"#).message, "plain");
        assert_eq!(ErrorBody::read(br#"{"message":"cohere"}"#).message, "cohere");
    }

    #[test]
    fn googles_details_are_read_even_in_an_array() {
        let body = br#"[{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED","details":[
            {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"PerDay"}]},
            {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"37.5s"}]}}]"#;
        let error = ErrorBody::read(body);
        assert_eq!(error.status_word, "RESOURCE_EXHAUSTED");
        assert_eq!(error.inner_status, Some(429));
        assert_eq!(error.retry_delay, Some(Duration::from_millis(37_500)));
        assert_eq!(error.reasons, ["PerDay"]);
    }

    #[test]
    fn pages_texts_and_nothing_are_told_apart() {
        let page = ErrorBody::read(b"<!DOCTYPE html><html><title>520: Web server</title></html>");
        assert_eq!((page.shape, page.message.as_str()), (BodyShape::Html, "520: Web server"));
        assert_eq!(ErrorBody::read(b"upstream connect error").shape, BodyShape::Text);
        assert_eq!(ErrorBody::read(b" \n").shape, BodyShape::Empty);
        assert_eq!(ErrorBody::read(b"\xff\xfe").shape, BodyShape::Text);
    }

    #[test]
    fn durations_are_read_as_providers_write_them() {
        let millis = |text| read_duration(text).map(|d| d.as_millis());
        assert_eq!(millis("6m0s"), Some(360_000));
        assert_eq!(millis("120ms"), Some(120));
        assert_eq!(millis("1h2m3.5s"), Some(3_723_500));
        assert_eq!(millis("7.66s"), Some(7_660));
        assert_eq!(millis("30"), Some(30_000));
        for garbage in ["-1", "soon", "5", "9223372036854767616h"].iter().filter(|t| **t != "5") {
            assert_eq!(millis(garbage), None, "{garbage}");
        }
    }

    #[test]
    fn an_error_is_told_apart_from_an_answer() {
        let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert!(ErrorBody::is_in(&value(r#"{"error":{"message":"x"}}"#)));
        assert!(ErrorBody::is_in(&value(r#"{"type":"error"}"#)));
        assert!(!ErrorBody::is_in(&value(r#"{"error":null,"choices":[]}"#)));
        assert!(!ErrorBody::is_in(&value(r#"{"choices":[]}"#)));
    }
}
