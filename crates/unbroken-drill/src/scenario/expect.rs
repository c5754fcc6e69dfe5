//! What must hold at the end of a scenario?

use serde::Deserialize;

/// What must hold at the end. Lost and repeated words are never expected.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "named as the fields of the scorecard, which says what they are")]
pub struct Expect {
    pub calls_min: Option<f64>,
    pub failed_calls_max: Option<f64>,
    pub failed_calls_min: Option<f64>,
    pub rescued_calls_min: Option<f64>,
    pub broken_streams_max: Option<f64>,
    pub broken_streams_min: Option<f64>,
    pub attempts_per_call_max: Option<f64>,
    pub lost_words_max: Option<f64>,
    pub repeated_words_max: Option<f64>,
    pub detect_ms_max: Option<f64>,
    pub recover_ms_max: Option<f64>,
    pub first_token_p99_ms_max: Option<f64>,
    pub done_ms_max: Option<f64>,
    /// The models that answers name, each at least once, in this order and no others.
    pub models: Option<Vec<String>>,
    /// What every refusal says, status first: `400`, and a part of its message.
    pub refused: Option<(u16, String)>,
    /// How often and how quickly targets are asked.
    #[serde(default)]
    pub attempts: Vec<AttemptsExpect>,
}

/// How often a target may be asked.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptsExpect {
    /// Whom: 0 is the first target.
    #[serde(default)]
    pub target: usize,
    /// Counted from its first attempt, for so many milliseconds; to the end if absent.
    pub within_ms: Option<u64>,
    /// At least.
    pub min: Option<usize>,
    /// At most.
    pub max: Option<usize>,
    /// Milliseconds between two attempts, at least.
    pub gap_ms_min: Option<u64>,
}

impl AttemptsExpect {
    /// What is not as expected of attempts at these times.
    pub(crate) fn failures(&self, attempts: &[Vec<u64>]) -> Vec<String> {
        let all = attempts.get(self.target).map_or(&[][..], Vec::as_slice);
        let first = all.first().copied().unwrap_or_default();
        let counts = |at: &&u64| self.within_ms.is_none_or(|within| **at <= first + within);
        let count = all.iter().filter(counts).count();
        let place = self.within_ms.map_or(String::new(), |ms| format!(" in {ms} ms"));
        let told = format!("attempts at target {}{place}: {count}", self.target);
        let mut failures = Vec::new();
        if self.max.is_some_and(|max| count > max) || self.min.is_some_and(|min| count < min) {
            failures.push(format!("{told}, {:?} to {:?} were expected", self.min, self.max));
        }
        let gap = all.windows(2).map(|pair| pair.iter().rev().copied().reduce(|a, b| a - b)).min();
        if let (Some(Some(gap)), Some(least)) = (gap, self.gap_ms_min)
            && gap < least
        {
            failures.push(format!("{told}, {gap} ms apart; at least {least} were expected"));
        }
        failures
    }
}
