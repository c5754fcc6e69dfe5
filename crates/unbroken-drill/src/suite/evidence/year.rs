//! A year of outages: what clients of one provider see, and of four with failover in front.

use std::fmt::Write as _;
use std::time::Duration;

use crate::suite::arm::Arm;
use crate::suite::script::Script;
use crate::suite::seeds::in_parallel;
use crate::suite::world::{Play, run};

/// Calls per second: six hundred thousand in a year.
const RATE: f64 = 0.02;
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// Some years of one arm.
#[derive(Clone, Debug)]
pub struct Year {
    /// Who answers.
    pub name: String,
    /// By seed: the share of answered calls.
    pub answered: Vec<f64>,
    /// By seed: the same in the worst hour.
    pub worst_hour: Vec<f64>,
    /// Attempts beyond one per call.
    pub waste: f64,
    /// Of calls without an answer: those that broke off after their first content.
    pub broken_share: f64,
}

/// Plays the years of scenario 45.
#[must_use]
pub fn years(script: &Script, seeds: u64, threads: usize) -> Vec<Year> {
    let script = Script { length: YEAR, ..script.clone() };
    let mut plans: Vec<(String, Script, Arm)> = Vec::new();
    for target in &script.targets {
        let mut alone = script.clone();
        for other in alone.targets.iter_mut().filter(|other| other.name == target.name) {
            other.tier = Some(0);
        }
        plans.push((format!("{} alone", target.name), alone, Arm::NoFailover));
    }
    for arm in [Arm::Sequential, Arm::Seed, Arm::Simple, Arm::Engine, Arm::Oracle] {
        plans.push((format!("all four, {}", arm.name()), script.clone(), arm));
    }
    let jobs: Vec<(usize, u64)> =
        (0..plans.len()).flat_map(|plan| (0..seeds).map(move |seed| (plan, seed))).collect();
    let tallies = in_parallel(&jobs, threads, |(plan, seed)| {
        let (_, script, arm) = plans.get(*plan)?;
        run(script, Play::measured(*arm, RATE, *seed)).ok().map(|played| played.tally)
    });
    let mut years = Vec::new();
    for (place, (name, ..)) in plans.iter().enumerate() {
        let own = jobs.iter().zip(&tallies).filter(|((plan, _), _)| *plan == place);
        let own: Vec<_> = own.filter_map(|(_, tally)| tally.as_ref()).collect();
        let sum = |value: fn(&crate::suite::Tally) -> u64| {
            own.iter().map(|tally| value(tally)).sum::<u64>() as f64
        };
        let lost = sum(|tally| tally.calls - tally.answered);
        years.push(Year {
            name: name.clone(),
            answered: own.iter().map(|tally| tally.success()).collect(),
            worst_hour: own.iter().map(|tally| tally.worst_hour).collect(),
            waste: sum(|tally| tally.call_attempts) / sum(|tally| tally.calls).max(1.0) - 1.0,
            broken_share: sum(|tally| tally.broken) / lost.max(1.0),
        });
    }
    years
}

/// What the years were like.
pub(super) fn table(text: &mut String, years: &[Year]) {
    let seeds = years.first().map_or(0, |year| year.answered.len());
    // Writing into a string cannot fail.
    let _ = write!(
        text,
        "Scenario 45, whole: 365 days of four providers whose trouble is drawn as in engine.md \
         section 2, {RATE} calls per second, {seeds} years of each. *Lost* is the time that the \
         share of lost calls is of a year; *of it broken*: calls that broke off after their first \
         content, which only continuing them elsewhere can save; *worst hour*: the lowest share \
         of answered calls in any hour of the middle year, and of all years.\n\n\
         | who answers | answered % | from, to | lost in a year | of it broken | worst hour % | \
         attempts per call |\n|---|---|---|---|---|---|---|\n"
    );
    for year in years {
        let mean = year.answered.iter().sum::<f64>() / year.answered.len().max(1) as f64;
        let least = |values: &[f64]| values.iter().copied().fold(1.0, f64::min);
        let most = year.answered.iter().copied().fold(0.0, f64::max);
        let lost_min = (1.0 - mean) * YEAR.as_secs_f64() / 60.0;
        let lost = if lost_min >= 120.0 {
            format!("{:.1} h", lost_min / 60.0)
        } else {
            format!("{lost_min:.1} min")
        };
        let _ = writeln!(
            text,
            "| {} | {:.4} | {:.4}–{:.4} | {lost} | {:.0} % | {:.1}, {:.1} | {:.3} |",
            year.name,
            100.0 * mean,
            100.0 * least(&year.answered),
            100.0 * most,
            100.0 * year.broken_share,
            100.0 * crate::suite::middle(&year.worst_hour),
            100.0 * least(&year.worst_hour),
            1.0 + year.waste,
        );
    }
}
