//! Where do calls go, second by second, and how quick are the answers?

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

/// Seconds that are remembered.
pub(crate) const SECONDS: usize = 60;
/// More targets, or routes with their targets, are not counted: clients may invent names.
const KEYS_MAX: usize = 10_000;
/// Samples of the time to the first content per target.
const SAMPLES_MAX: usize = 64;
/// The baseline follows each sample by this share; until so many have come, by their mean.
const FOLLOW: f64 = 0.02;

/// Counts of the last minute, the oldest second first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Seconds {
    counts: VecDeque<u32>,
    /// The second that the last count belongs to.
    #[serde(skip)]
    last: u64,
}

impl Seconds {
    fn new(second: u64) -> Self {
        Self { counts: std::iter::repeat_n(0, SECONDS).collect(), last: second }
    }

    /// Moves on to a second.
    fn advance(&mut self, second: u64) {
        let steps = second.saturating_sub(self.last).min(SECONDS as u64);
        for _ in 0..steps {
            self.counts.pop_front();
            self.counts.push_back(0);
        }
        self.last = self.last.max(second);
    }

    fn count(&mut self, second: u64) {
        self.advance(second);
        if let Some(count) = self.counts.back_mut() {
            *count = count.saturating_add(1);
        }
    }

    /// Everything together.
    pub(crate) fn total(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(*count)).sum()
    }

    /// The last second that is over.
    pub(crate) fn last_whole(&self) -> u32 {
        self.counts.iter().rev().nth(1).copied().unwrap_or(0)
    }
}

/// One target's last minute.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct TargetTraffic {
    /// Attempts that delivered.
    pub(crate) answered: Seconds,
    /// Attempts that failed.
    pub(crate) failed: Seconds,
    /// The middle time to the first content of the last minute, in milliseconds.
    pub(crate) first_token_ms: Option<u64>,
    /// What is usual.
    pub(crate) baseline_ms: Option<u64>,
}

#[derive(Debug)]
struct Cell {
    answered: Seconds,
    failed: Seconds,
    samples: VecDeque<(u64, u64)>,
    baseline: f64,
    seen: u32,
}

/// All targets and routes.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    targets: BTreeMap<Arc<str>, Cell>,
    flows: BTreeMap<(Arc<str>, Arc<str>), Seconds>,
}

impl Traffic {
    /// A target delivered its first content.
    pub(super) fn delivered(&mut self, target: &Arc<str>, after: Duration, now: u64) {
        let Some(cell) = self.cell(target, now) else { return };
        cell.answered.count(now / 1_000);
        let millis = super::call::millis(after);
        if cell.samples.len() >= SAMPLES_MAX {
            cell.samples.pop_front();
        }
        cell.samples.push_back((now, millis));
        cell.seen = cell.seen.saturating_add(1);
        let share = FOLLOW.max(1.0 / f64::from(cell.seen));
        cell.baseline += share * (millis as f64 - cell.baseline);
    }

    /// A target failed.
    pub(super) fn failed(&mut self, target: &Arc<str>, now: u64) {
        if let Some(cell) = self.cell(target, now) {
            cell.failed.count(now / 1_000);
        }
    }

    /// A target's answer reached its client.
    pub(super) fn answered(&mut self, route: &str, target: &Arc<str>, now: u64) {
        let key = (Arc::from(route), target.clone());
        if self.flows.len() >= KEYS_MAX && !self.flows.contains_key(&key) {
            return;
        }
        let second = now / 1_000;
        self.flows.entry(key).or_insert_with(|| Seconds::new(second)).count(second);
    }

    fn cell(&mut self, target: &Arc<str>, now: u64) -> Option<&mut Cell> {
        if self.targets.len() >= KEYS_MAX && !self.targets.contains_key(target) {
            return None;
        }
        let second = now / 1_000;
        Some(self.targets.entry(target.clone()).or_insert_with(|| Cell {
            answered: Seconds::new(second),
            failed: Seconds::new(second),
            samples: VecDeque::new(),
            baseline: 0.0,
            seen: 0,
        }))
    }

    /// The last minute of every target.
    pub(super) fn by_target(&mut self, now: u64) -> BTreeMap<Arc<str>, TargetTraffic> {
        let describe = |(target, cell): (&Arc<str>, &mut Cell)| {
            cell.answered.advance(now / 1_000);
            cell.failed.advance(now / 1_000);
            let since = now.saturating_sub(SECONDS as u64 * 1_000);
            let fresh = cell.samples.iter().filter(|(at, _)| *at >= since);
            let mut fresh: Vec<u64> = fresh.map(|(_, millis)| *millis).collect();
            fresh.sort_unstable();
            let traffic = TargetTraffic {
                answered: cell.answered.clone(),
                failed: cell.failed.clone(),
                first_token_ms: fresh.get(fresh.len() / 2).copied(),
                baseline_ms: (cell.seen > 0).then_some(cell.baseline.round() as u64),
            };
            (target.clone(), traffic)
        };
        self.targets.iter_mut().map(describe).collect()
    }

    /// The last minute of every route and target; those without an answer are forgotten.
    pub(super) fn flows(&mut self, now: u64) -> BTreeMap<(Arc<str>, Arc<str>), Seconds> {
        for seconds in self.flows.values_mut() {
            seconds.advance(now / 1_000);
        }
        self.flows.retain(|_, seconds| seconds.total() > 0);
        self.flows.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_counted_by_seconds_and_forgotten() {
        let mut traffic = Traffic::default();
        let a: Arc<str> = "a/m".into();
        traffic.answered("chat", &a, 100_000);
        traffic.answered("chat", &a, 100_900);
        traffic.answered("chat", &a, 103_000);
        let flow = traffic.flows(104_000).remove(&("chat".into(), a.clone())).unwrap();
        let tail: Vec<u32> = flow.counts.iter().rev().take(5).copied().collect();
        assert_eq!(
            (tail.as_slice(), flow.total(), flow.last_whole()),
            (&[0, 1, 0, 0, 2][..], 3, 1)
        );
        assert_eq!(traffic.flows(160_000).len(), 1, "one of them is 57 s old");
        assert!(traffic.flows(163_000).is_empty());
    }

    #[test]
    fn slow_answers_stand_out_against_what_is_usual() {
        let mut traffic = Traffic::default();
        let a: Arc<str> = "a/m".into();
        for second in 0..60 {
            traffic.delivered(&a, Duration::from_millis(100), second * 1_000);
        }
        for second in 100..110 {
            traffic.delivered(&a, Duration::from_secs(1), second * 1_000);
        }
        traffic.failed(&a, 110_000);
        let target = traffic.by_target(130_000).remove(&a).unwrap();
        assert_eq!(target.first_token_ms, Some(1_000));
        assert!(target.baseline_ms.unwrap() < 300, "{target:?}");
        assert_eq!((target.answered.total(), target.failed.total()), (10, 1));
    }
}
