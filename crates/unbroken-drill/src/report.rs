//! What did a rehearsal show? One scorecard, for people and programs.

use std::fmt;

use serde::Serialize;

use crate::scenario::Expect;

/// The result of one rehearsal.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Scorecard {
    /// Calls made by clients.
    pub calls: u64,
    /// Calls whose client saw a failure.
    pub failed_calls: u64,
    /// Calls that only failover saved.
    pub rescued_calls: u64,
    /// Streams that ended in an honest error after their first content.
    pub broken_streams: u64,
    /// Attempts at providers per call.
    pub attempts_per_call: f64,
    /// Words that were missing from answers that claimed to be whole.
    pub lost_words: u64,
    /// Words that came twice.
    pub repeated_words: u64,
    /// Answers that broke the rules of their dialect.
    pub corrupt: u64,
    /// From the first fault to the decision that keeps traffic off its target, in milliseconds.
    pub detect_ms: Option<u64>,
    /// From the last fault's end to the first answer of its target, in milliseconds.
    pub recover_ms: Option<u64>,
    /// Median time to the first content that a client saw, in milliseconds.
    pub first_token_p50_ms: u64,
    /// The same for the slowest in a hundred.
    pub first_token_p99_ms: u64,
    /// The slowest answer to its end, in milliseconds.
    pub done_ms: u64,
    /// The models that answers named, in the order of their first answer.
    pub models: Vec<String>,
    /// What clients were told instead of an answer, status first; each once.
    pub refusals: Vec<(u16, String)>,
    /// When each target was asked, in milliseconds.
    pub attempts: Vec<Vec<u64>>,
    /// Whether every line of the scenario's `[expect]` held.
    pub passed: bool,
    /// The lines that did not hold.
    pub failures: Vec<String>,
}

impl Scorecard {
    /// Holds the results against what was expected.
    pub fn judge(&mut self, expect: &Expect) {
        let mut failures = Vec::new();
        let mut at_most = |name: &str, value: f64, limit: Option<f64>| {
            if let Some(limit) = limit.filter(|limit| value > *limit) {
                failures.push(format!("{name} is {value}, at most {limit} was expected"));
            }
        };
        let ms = |value: Option<u64>| value.map_or(f64::INFINITY, |ms| ms as f64);
        at_most("failed_calls", self.failed_calls as f64, expect.failed_calls_max);
        at_most("broken_streams", self.broken_streams as f64, expect.broken_streams_max);
        at_most("attempts_per_call", self.attempts_per_call, expect.attempts_per_call_max);
        at_most("lost_words", self.lost_words as f64, Some(expect.lost_words_max.unwrap_or(0.0)));
        let repeated = Some(expect.repeated_words_max.unwrap_or(0.0));
        at_most("repeated_words", self.repeated_words as f64, repeated);
        at_most("corrupt", self.corrupt as f64, Some(0.0));
        at_most("detect_ms", ms(self.detect_ms), expect.detect_ms_max);
        at_most("done_ms", self.done_ms as f64, expect.done_ms_max);
        at_most("recover_ms", ms(self.recover_ms), expect.recover_ms_max);
        at_most(
            "first_token_p99_ms",
            self.first_token_p99_ms as f64,
            expect.first_token_p99_ms_max,
        );
        let mut at_least = |name: &str, value: f64, limit: Option<f64>| {
            if let Some(limit) = limit.filter(|limit| value < *limit) {
                failures.push(format!("{name} is {value}, at least {limit} was expected"));
            }
        };
        at_least("calls", self.calls as f64, Some(expect.calls_min.unwrap_or(1.0)));
        at_least("failed_calls", self.failed_calls as f64, expect.failed_calls_min);
        at_least("rescued_calls", self.rescued_calls as f64, expect.rescued_calls_min);
        at_least("broken_streams", self.broken_streams as f64, expect.broken_streams_min);
        if let Some(models) = expect.models.as_ref().filter(|models| **models != self.models) {
            failures.push(format!("models are {:?}, {models:?} were expected", self.models));
        }
        if let Some((status, part)) = &expect.refused {
            let is_right =
                |told: &(u16, String)| told.0 == *status && told.1.contains(part.as_str());
            if self.refusals.is_empty() || !self.refusals.iter().all(is_right) {
                let told = format!("refusals are {:?}", self.refusals);
                failures.push(format!("{told}, {status} with \"{part}\" was expected"));
            }
        }
        let attempts = expect.attempts.iter().flat_map(|expect| expect.failures(&self.attempts));
        failures.extend(attempts);
        self.passed = failures.is_empty();
        self.failures = failures;
    }
}

impl fmt::Display for Scorecard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |value: Option<u64>| value.map_or("-".to_owned(), |ms| format!("{ms} ms"));
        let rows = [
            ("calls", self.calls.to_string()),
            ("client-visible failures", self.failed_calls.to_string()),
            ("rescued by failover", self.rescued_calls.to_string()),
            ("streams broken off, honestly", self.broken_streams.to_string()),
            ("words lost / repeated", format!("{} / {}", self.lost_words, self.repeated_words)),
            ("attempts per call", format!("{:.3}", self.attempts_per_call)),
            ("time to detect", ms(self.detect_ms)),
            ("time to recover", ms(self.recover_ms)),
            (
                "first token, median / p99",
                format!("{} / {} ms", self.first_token_p50_ms, self.first_token_p99_ms),
            ),
            ("slowest answer", format!("{} ms", self.done_ms)),
        ];
        for (name, value) in rows {
            writeln!(f, "  {name:<30} {value:>14}")?;
        }
        for failure in &self.failures {
            writeln!(f, "  not as expected: {failure}")?;
        }
        Ok(())
    }
}
