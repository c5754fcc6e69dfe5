//! Does a route fail so many calls that its error budget will not last? Pure: counts and minutes in,
//! a verdict out.
//!
//! Source: engine.md 8.2; The Site Reliability Workbook, chapter 5, "Alerting on SLOs".

use std::collections::VecDeque;

use super::Severity;

/// Counts are kept for three days.
const MINUTES_MAX: u64 = 3 * 24 * 60;
/// With fewer failures in the long window a rate says nothing.
const BAD_MIN: u64 = 10;
/// With fewer calls in an hour, failures are counted instead.
const LOW_TRAFFIC: u64 = 60;
/// So many failures in an hour of low traffic are told.
const LOW_TRAFFIC_BAD: u64 = 3;

/// Valid calls by how they ended for their clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) good: u64,
    pub(crate) bad: u64,
}

/// Counts of a route by the minute, of minutes with calls only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Minutes(VecDeque<(u64, Count)>);

impl Minutes {
    /// Adds to a minute; minutes come in their order, nearly.
    pub(crate) fn add(&mut self, minute: u64, more: Count) {
        match self.0.back_mut() {
            Some((last, count)) if *last >= minute => {
                count.good += more.good;
                count.bad += more.bad;
            }
            Some(_) | None => self.0.push_back((minute, more)),
        }
        let oldest = minute.saturating_sub(MINUTES_MAX);
        while self.0.front().is_some_and(|(minute, _)| *minute < oldest) {
            self.0.pop_front();
        }
    }

    /// Everything of the last minutes, this one included.
    fn last(&self, minutes: u64, now: u64) -> Count {
        let recent = self.0.iter().rev().take_while(|(at, _)| at + minutes > now);
        recent.fold(Count::default(), |sum, (_, count)| Count {
            good: sum.good + count.good,
            bad: sum.bad + count.bad,
        })
    }
}

impl Count {
    /// How many times faster than allowed the budget burns.
    fn rate(self, slo: f64) -> f64 {
        let all = self.good + self.bad;
        if all == 0 { 0.0 } else { self.bad as f64 / all as f64 / (1.0 - slo) }
    }
}

impl Count {
    /// Whether it burns so many times as fast as allowed, or faster. `1 - slo` is not exact.
    fn burns(self, slo: f64, times: f64) -> bool {
        self.rate(slo) >= times * (1.0 - 1e-9)
    }
}

struct Rule {
    name: &'static str,
    severity: Severity,
    times: f64,
    /// Both windows must burn: the long one says that it matters, the short one that it goes on.
    long: u64,
    short: u64,
    /// What is used up at this rate in the long window, of a month's budget.
    words: &'static str,
}

const RULES: [Rule; 3] = [
    Rule {
        name: "budget_burns_fast",
        severity: Severity::Page,
        times: 14.4,
        long: 60,
        short: 5,
        words: "2 % of a month's error budget in an hour",
    },
    Rule {
        name: "budget_burns",
        severity: Severity::Page,
        times: 6.0,
        long: 6 * 60,
        short: 30,
        words: "5 % of a month's error budget in six hours",
    },
    Rule {
        name: "budget_burns_slowly",
        severity: Severity::Ticket,
        times: 1.0,
        long: 3 * 24 * 60,
        short: 6 * 60,
        words: "10 % of a month's error budget in three days",
    },
];

/// What is wrong.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Burning {
    pub(crate) name: &'static str,
    pub(crate) severity: Severity,
    pub(crate) words: String,
}

/// The worst of what the counts say at a minute; nothing, if all is well.
pub(crate) fn burning(minutes: &Minutes, slo: f64, now: u64) -> Option<Burning> {
    let hour = minutes.last(60, now);
    if hour.good + hour.bad < LOW_TRAFFIC && hour.bad >= LOW_TRAFFIC_BAD {
        return Some(Burning {
            name: "clients_saw_failures",
            severity: Severity::Ticket,
            words: format!(
                "{} of {} calls failed in the last hour",
                hour.bad,
                hour.good + hour.bad
            ),
        });
    }
    let rule = RULES.iter().find(|rule| {
        let (long, short) = (minutes.last(rule.long, now), minutes.last(rule.short, now));
        long.bad >= BAD_MIN && long.burns(slo, rule.times) && short.burns(slo, rule.times)
    })?;
    let (long, rate) = (minutes.last(rule.long, now), minutes.last(rule.short, now).rate(slo));
    let all = long.good + long.bad;
    let words = format!(
        "{} of {all} calls failed: at least {}; it burns {rate:.1} times as fast as allowed now",
        long.bad, rule.words
    );
    Some(Burning { name: rule.name, severity: rule.severity, words })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts per minute, the last one at minute 10,000.
    fn minutes(of: impl Iterator<Item = (u64, u64)>) -> Minutes {
        let counts: Vec<(u64, u64)> = of.collect();
        let mut minutes = Minutes::default();
        let first = NOW + 1 - counts.len() as u64;
        for (index, (good, bad)) in counts.into_iter().enumerate() {
            minutes.add(first + index as u64, Count { good, bad });
        }
        minutes
    }

    const NOW: u64 = 10_000;

    fn name(minutes: &Minutes, slo: f64) -> Option<&'static str> {
        burning(minutes, slo, NOW).map(|burning| burning.name)
    }

    #[test]
    fn each_rule_fires_at_its_rate_and_not_below() {
        // Of 1,000 calls a minute: 14.4, 6 and 1 times what 99.9 % allows, and just below.
        for (length, bad, expected) in [
            (60, 15, Some("budget_burns_fast")),
            (60, 14, Some("budget_burns")),
            (60, 5, Some("budget_burns_slowly")),
            (60, 1, Some("budget_burns_slowly")),
            (4_320, 1, Some("budget_burns_slowly")),
            (4_320, 0, None),
        ] {
            let counts = minutes((0..length).map(|_| (1_000 - bad, bad)));
            assert_eq!(name(&counts, 0.999), expected, "{bad} in each of {length} minutes");
        }
        let half = minutes((0..4_320).map(|n| (1_000 - n % 2, n % 2)));
        assert_eq!(name(&half, 0.999), None, "half of what is allowed");
    }

    #[test]
    fn what_is_over_is_not_told_any_more() {
        let over = (0..60).map(|n| if n < 50 { (900, 100) } else { (1_000, 0) });
        assert_eq!(name(&minutes(over), 0.999), Some("budget_burns"), "the last half hour is bad");
        let over = (0..120).map(|n| if n < 60 { (900, 100) } else { (1_000, 0) });
        assert_eq!(name(&minutes(over), 0.999), Some("budget_burns_slowly"));
        let now = (0..60).map(|n| if n < 59 { (1_000, 0) } else { (990, 10) });
        assert_eq!(name(&minutes(now), 0.999), None, "one bad minute of an hour costs little");
    }

    #[test]
    fn few_failures_are_counted_and_not_rated() {
        let few = minutes((0..60).map(|n| (1, u64::from(n >= 51))));
        assert_eq!(name(&few, 0.999), None, "9 failures are too few for a rate");
        let rare = minutes([(5, 0), (5, 2)].into_iter());
        assert_eq!(name(&rare, 0.999), None);
        let rare = minutes([(5, 1), (5, 2)].into_iter());
        assert_eq!(name(&rare, 0.999), Some("clients_saw_failures"));
        assert_eq!(name(&Minutes::default(), 0.999), None);
    }

    #[test]
    fn three_days_are_remembered() {
        let mut long = Minutes::default();
        for minute in 0..10_000 {
            long.add(minute, Count { good: 1, bad: 0 });
        }
        assert_eq!(long.0.len() as u64, MINUTES_MAX + 1);
        assert_eq!(long.last(5, 9_999), Count { good: 5, bad: 0 });
    }
}
