//! What did a run show? Numbers that add up over seeds, and the line they are held against.

use super::script::Pass;

/// Buckets of the histogram of times: 2 % wide, from 1 ms.
const BUCKETS: usize = 760;
const STEP: f64 = 1.02;

/// Counts of times, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Times {
    counts: Vec<u32>,
    total: u64,
}

impl Default for Times {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0 }
    }
}

impl Times {
    pub(super) fn add(&mut self, millis: f64) {
        let bucket = (libm::log(millis.max(1.0)) / libm::log(STEP)) as usize;
        if let Some(count) = self.counts.get_mut(bucket.min(BUCKETS - 1)) {
            *count += 1;
            self.total += 1;
        }
    }

    /// The time that this share does not exceed, in milliseconds.
    #[must_use]
    pub fn quantile(&self, share: f64) -> f64 {
        let wanted = (share * self.total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted {
                return libm::pow(STEP, bucket as f64 + 0.5);
            }
        }
        0.0
    }

    fn merge(&mut self, other: &Self) {
        for (own, other) in self.counts.iter_mut().zip(&other.counts) {
            *own += other;
        }
        self.total += other.total;
    }
}

/// What runs of one scenario, rate and arm have shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Runs that were added up.
    pub runs: u64,
    /// Calls that any target could have answered, of clients that stayed.
    pub calls: u64,
    /// Of these, answered whole.
    pub answered: u64,
    /// Of these, answered, and with their first content in time, if they wanted a stream.
    pub good: u64,
    /// Of these, broken off after their first content.
    pub broken: u64,
    /// Of these, told that they were wrong.
    pub refused: u64,
    /// Requests that are wrong, and upstream attempts for them.
    pub bad_calls: u64,
    /// Attempts for them.
    pub bad_attempts: u64,
    /// Attempts for `calls`.
    pub call_attempts: u64,
    /// Calls that were spent on a probe of a shut target.
    pub probes: u64,
    /// Calls whose first attempt was struck by what goes wrong, probes apart, in all runs.
    pub victims: u64,
    /// Calls begun while something was wrong, and attempts for them.
    pub window_calls: u64,
    /// Attempts for them.
    pub window_attempts: u64,
    /// Attempts in the window at targets that are ill.
    pub window_ailing: u64,
    /// First content of streams begun in the window, in milliseconds.
    pub first: Times,
    /// Failures told to clients: how long they took, in milliseconds.
    pub error_after: Times,
    /// Hedges started.
    pub hedges: u64,
    /// Attempts in all.
    pub attempts: u64,
    /// Attempts that a rate limit refused.
    pub limited: u64,
    /// Trips of serving breakers.
    pub trips: u64,
    /// Trips of them while nothing was wrong.
    pub false_trips: u64,
    /// Time while nothing was wrong, in hours.
    pub quiet_hours: f64,
    /// Requests of probes that no call needed.
    pub synthetic: u64,
    /// Calls of the last route that were not answered by their first choice.
    pub moved: u64,
    /// Calls of the last route.
    pub last_route: u64,
    /// Per run: calls from the first trouble to the decision that keeps traffic off.
    pub detect_calls: Vec<f64>,
    /// Per run: the share of failing attempts at that moment (for what grows slowly).
    pub detect_share: Vec<f64>,
    /// Per run: seconds from the end of the trouble to a primary that is used as before.
    pub recover_s: Vec<f64>,
    /// Per run: the share of answered calls.
    pub successes: Vec<f64>,
    /// Per run: the 99th percentile of first contents, in milliseconds.
    pub first_p99s: Vec<f64>,
    /// Per run: attempts beyond one per call while something was wrong.
    pub wastes: Vec<f64>,
    /// The worst hour's share of answered calls, over all runs.
    pub worst_hour: f64,
}

impl Tally {
    /// Adds another run.
    pub fn merge(&mut self, other: &Self) {
        if self.runs == 0 {
            *self = other.clone();
            return;
        }
        self.runs += other.runs;
        self.calls += other.calls;
        self.answered += other.answered;
        self.good += other.good;
        self.broken += other.broken;
        self.refused += other.refused;
        self.bad_calls += other.bad_calls;
        self.bad_attempts += other.bad_attempts;
        self.call_attempts += other.call_attempts;
        self.probes += other.probes;
        self.victims += other.victims;
        self.window_calls += other.window_calls;
        self.window_attempts += other.window_attempts;
        self.window_ailing += other.window_ailing;
        self.first.merge(&other.first);
        self.error_after.merge(&other.error_after);
        self.hedges += other.hedges;
        self.attempts += other.attempts;
        self.limited += other.limited;
        self.trips += other.trips;
        self.false_trips += other.false_trips;
        self.quiet_hours += other.quiet_hours;
        self.synthetic += other.synthetic;
        self.moved += other.moved;
        self.last_route += other.last_route;
        self.detect_calls.extend(&other.detect_calls);
        self.detect_share.extend(&other.detect_share);
        self.recover_s.extend(&other.recover_s);
        self.successes.extend(&other.successes);
        self.first_p99s.extend(&other.first_p99s);
        self.wastes.extend(&other.wastes);
        self.worst_hour = self.worst_hour.min(other.worst_hour);
    }

    /// The share of calls that were answered.
    #[must_use]
    pub fn success(&self) -> f64 {
        self.answered as f64 / self.calls.max(1) as f64
    }

    /// The share of calls that were answered, and began to be answered in time.
    #[must_use]
    pub fn goodput(&self) -> f64 {
        self.good as f64 / self.calls.max(1) as f64
    }

    /// Attempts beyond one per call, while something was wrong.
    #[must_use]
    pub fn waste(&self) -> f64 {
        self.window_attempts as f64 / self.window_calls.max(1) as f64 - 1.0
    }

    /// Attempts beyond one per call, over everything.
    #[must_use]
    pub fn usual_waste(&self) -> f64 {
        self.call_attempts as f64 / self.calls.max(1) as f64 - 1.0
    }

    /// Per run: calls whose first attempt was struck.
    #[must_use]
    pub fn victims_per_run(&self) -> f64 {
        self.victims as f64 / self.runs.max(1) as f64
    }

    /// The most telling numbers, in one line.
    #[must_use]
    pub fn brief(&self) -> String {
        format!(
            "{} runs, {} calls, success {:.5} ({} broken, {} refused), first p50 {:.0} ms, p99 {:.0} ms, waste {:.3}, \
             victims {:.1}, detected in {:.0} calls, recovered in {:.0} s, trips {:.2}, \
             false {:.4}/h, ailing {:.3}, limited {:.4}",
            self.runs,
            self.calls,
            self.success(),
            self.broken,
            self.refused,
            self.first.quantile(0.5),
            self.first.quantile(0.99),
            self.waste(),
            self.victims_per_run(),
            middle(&self.detect_calls),
            middle(&self.recover_s),
            self.trips as f64 / self.runs.max(1) as f64,
            self.false_trips as f64 / self.quiet_hours.max(1e-9),
            self.window_ailing as f64 / self.window_calls.max(1) as f64,
            self.limited as f64 / self.attempts.max(1) as f64,
        )
    }

    /// The lines that do not hold. `quiet` is the same without anything wrong.
    #[must_use]
    pub fn judge(&self, pass: &Pass, quiet: &Self, rate: f64) -> Vec<String> {
        let runs = self.runs.max(1) as f64;
        let mut wrong = Vec::new();
        let mut at_most = |name: &str, value: f64, limit: Option<f64>| {
            if let Some(limit) = limit.filter(|limit| value.is_nan() || value > *limit) {
                wrong.push(format!("{name} is {value:.4}, at most {limit} was expected"));
            }
        };
        let per = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        let added =
            |share: f64| (self.first.quantile(share) - quiet.first.quantile(share)).max(0.0);
        at_most("victims", self.victims_per_run(), pass.victims_max);
        let slow = |of_slow: Option<f64>, usual| if rate < 1.0 { of_slow.or(usual) } else { usual };
        let line = slow(pass.first_p50_added_slow_ms_max, pass.first_p50_added_ms_max);
        at_most("first_p50_added_ms", added(0.5), line);
        at_most("first_p99_added_ms", added(0.99), pass.first_p99_added_ms_max);
        // Hedges cost the same on any day.
        at_most(
            "waste",
            self.waste() - quiet.usual_waste(),
            slow(pass.waste_slow_max, pass.waste_max),
        );
        at_most(
            "recover_s",
            middle(&self.recover_s),
            slow(pass.recover_slow_s_max, pass.recover_s_max),
        );
        at_most("detect_calls", middle(&self.detect_calls), pass.detect_calls_max);
        at_most("detect_share", middle(&self.detect_share), pass.detect_share_max);
        at_most("moved", per(self.moved, self.last_route), pass.moved_max);
        at_most("transitions", self.trips as f64 / runs, pass.transitions_max);
        at_most("limited_share", per(self.limited, self.attempts), pass.limited_share_max);
        let false_trips = self.false_trips as f64 / self.quiet_hours.max(1e-9);
        at_most("false_trips_per_h", false_trips, pass.false_trips_per_h_max);
        at_most("broken", per(self.broken, self.calls), pass.broken_max);
        at_most("told", per(self.bad_attempts, self.bad_calls), pass.told_max);
        at_most("error_after_ms", self.error_after.quantile(0.99), pass.error_after_ms_max);
        at_most("probes", self.synthetic as f64 / runs, pass.probes_max);
        let ailing = per(self.window_ailing, self.window_calls);
        at_most("attempts_on_ailing", ailing, pass.attempts_on_ailing_max);
        let success_min =
            if rate < 1.0 { pass.success_slow_min.or(pass.success_min) } else { pass.success_min };
        if let Some(limit) = success_min.filter(|limit| self.success() < *limit) {
            let value = self.success();
            wrong.push(format!("success is {value:.5}, at least {limit} was expected"));
        }
        wrong
    }
}

/// The median; 0 of nothing.
#[must_use]
pub fn middle(values: &[f64]) -> f64 {
    at_share(values, 0.5)
}

/// The value that nine in ten do not exceed; 0 of nothing.
#[must_use]
pub fn ninth_tenth(values: &[f64]) -> f64 {
    at_share(values, 0.9)
}

pub(super) fn at_share(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(place).copied().unwrap_or_default()
}
