//! When does a target want to be asked again? Headers, body and text, in every spelling seen.
//!
//! Source: wire-formats.md 5.2 and the recordings ("What the recordings teach", 1, 2, 7).

use std::time::Duration;

use unbroken_wire::error::read_duration;

use super::ErrorReply;

/// No wait is longer; what is said beyond it is not believed.
const LONGEST: Duration = Duration::from_secs(86_400);

/// The wait that an error reply asks for. Garbage and negative values count as none.
#[must_use]
pub fn retry_after(reply: &ErrorReply<'_>) -> Option<Duration> {
    let header = |name: &str| reply.headers.get(name)?.to_str().ok();
    let seconds = header("retry-after").and_then(read_duration);
    let millis = header("retry-after-ms")
        .and_then(|text| text.trim().parse::<f64>().ok())
        .and_then(|millis| Duration::try_from_secs_f64(millis / 1000.0).ok());
    // One that says 0 beside one that says 1 means 1 (recorded at Azure).
    let wait = seconds.max(millis).or(reply.body.retry_delay).or_else(|| {
        let text = &reply.body.message;
        ["try again in ", "retry in ", "retry after "]
            .iter()
            .find_map(|words| duration_after(text, words))
    });
    wait.map(|wait| wait.min(LONGEST))
}

/// The duration that follows `words`, such as `1.5s`, `20ms` or `10h17m5.7s`; a bare number and
/// `seconds` count as seconds.
fn duration_after(text: &str, words: &str) -> Option<Duration> {
    let lower = text.to_ascii_lowercase();
    let rest = lower.get(lower.find(words)? + words.len()..)?;
    let word: String = rest
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '.')
        .collect::<String>()
        .trim_end_matches('.')
        .to_owned();
    read_duration(&word)
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use unbroken_wire::error::ErrorBody;

    use super::*;
    use crate::providers::Phase;

    fn wait(headers: &[(&'static str, &'static str)], body: &str) -> Option<u128> {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                let name = http::HeaderName::from_static(name);
                (name, http::HeaderValue::from_static(value))
            })
            .collect();
        let body = ErrorBody::read(body.as_bytes());
        let reply = ErrorReply { status: 429, headers: &headers, body: &body, phase: Phase::Head };
        retry_after(&reply).map(|wait| wait.as_millis())
    }

    #[test]
    fn every_spelling_is_understood() {
        assert_eq!(wait(&[("retry-after", "7")], ""), Some(7_000));
        assert_eq!(wait(&[("retry-after", "1"), ("retry-after-ms", "0")], ""), Some(1_000));
        assert_eq!(wait(&[("retry-after-ms", "150.5")], ""), Some(150));
        let google = r#"{"error":{"details":[{"retryDelay":"46s"}]}}"#;
        assert_eq!(wait(&[], google), Some(46_000));
        let openai = r#"{"error":{"message":"Please try again in 1.5s. Visit"}}"#;
        assert_eq!(wait(&[], openai), Some(1_500));
        let long = r#"{"error":{"message":"Please retry in 10h17m5.7s."}}"#;
        assert_eq!(wait(&[], long), Some(37_025_700));
    }

    #[test]
    fn nonsense_is_not_believed() {
        assert_eq!(wait(&[("retry-after", "-1")], ""), None);
        assert_eq!(wait(&[("retry-after", "soon")], ""), None);
        assert_eq!(wait(&[("retry-after", "99999999")], ""), Some(86_400_000));
        assert_eq!(wait(&[], ""), None);
    }
}
