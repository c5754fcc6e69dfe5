//! Everybody plays every scenario: the runs behind the page.

use crate::suite::arm::Arm;
use crate::suite::evidence::{COMPARED, WITHOUT};
use crate::suite::script::Script;
use crate::suite::seeds::in_parallel;
use crate::suite::tally::{Tally, middle};
use crate::suite::world::{Play, run};

/// How many seeds are played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seeds {
    /// At rates below one call per second.
    pub low: u64,
    /// At higher ones.
    pub high: u64,
    /// Years.
    pub years: u64,
}

impl Seeds {
    /// For the page.
    pub const FULL: Self = Self { low: 12, high: 2, years: 20 };
    /// For a first look.
    pub const QUICK: Self = Self { low: 4, high: 1, years: 1 };

    const fn at(self, rate: f64) -> u64 {
        if rate < 1.0 { self.low } else { self.high }
    }
}

/// What one arm showed in one scenario at one rate.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The scenario's place in the list.
    pub script: usize,
    /// Calls per second.
    pub rate: f64,
    /// Who played.
    pub arm: Arm,
    /// What it showed.
    pub tally: Tally,
    /// Added to the first token, median and 99th percentile, in seconds.
    pub added_s: (f64, f64),
    /// The composite of engine.md section 6, from 0 to 100.
    pub score: f64,
}

struct Job {
    script: usize,
    rate: f64,
    /// `None`: the engine, with nothing wrong.
    arm: Option<Arm>,
}

/// Plays everything.
pub fn measure(scripts: &[Script], seeds: Seeds, threads: usize) -> Vec<Measured> {
    let mut jobs = Vec::new();
    for (place, script) in scripts.iter().enumerate().filter(|(_, s)| s.needs.is_none()) {
        for rate in &script.rates {
            let arms = COMPARED.into_iter().chain(WITHOUT).map(Some);
            jobs.extend(arms.chain([None]).map(|arm| Job { script: place, rate: *rate, arm }));
        }
    }
    let tallies = in_parallel(&jobs, threads, |job| {
        let mut sum = Tally::default();
        let Some(script) = scripts.get(job.script) else { return sum };
        for seed in 0..seeds.at(job.rate) {
            let arm = job.arm.unwrap_or(Arm::Engine);
            let quiet = job.arm.is_none();
            let play = Play { quiet, ..Play::measured(arm, job.rate, seed) };
            if let Ok(played) = run(script, play) {
                sum.merge(&played.tally);
            }
        }
        sum
    });
    let of = |job: &Job, arm: Option<Arm>| {
        let same = |other: &&(&Job, &Tally)| {
            other.0.script == job.script
                && other.0.rate.to_bits() == job.rate.to_bits()
                && other.0.arm == arm
        };
        let all: Vec<(&Job, &Tally)> = jobs.iter().zip(&tallies).collect();
        all.iter().find(same).map(|(_, tally)| (*tally).clone()).unwrap_or_default()
    };
    let judged = jobs.iter().zip(&tallies).filter_map(|(job, tally)| {
        let arm = job.arm?;
        let quiet = of(job, None);
        let (oracle, none) = (of(job, Some(Arm::Oracle)), of(job, Some(Arm::NoFailover)));
        let added = |share: f64| {
            (tally.first.quantile(share) - quiet.first.quantile(share)).max(0.0) / 1000.0
        };
        let added_s = (added(0.5), added(0.99));
        let reach = (none.success(), oracle.success());
        let score = score(tally, reach, added_s.1, quiet.usual_waste());
        Some(Measured {
            script: job.script,
            rate: job.rate,
            arm,
            tally: tally.clone(),
            added_s,
            score,
        })
    });
    judged.collect()
}

/// Where oracle and no failover differ by less, all that counts is to be as good as the oracle.
const NOTHING_TO_WIN: f64 = 0.001;

/// The composite of engine.md section 6. Its last condition, no corrupt and no falsely ended
/// answer, is held as an invariant (I21): a run that breaks it shows nothing at all.
fn score(tally: &Tally, (none, oracle): (f64, f64), added_p99_s: f64, usual_waste: f64) -> f64 {
    let reach = (oracle - none).max(NOTHING_TO_WIN);
    let won = (1.0 - (oracle - tally.success()) / reach).clamp(0.0, 1.0);
    // Hedges cost the same on any day, and a run without calls in its window wastes nothing.
    let waste = if tally.window_calls == 0 { 0.0 } else { tally.waste() - usual_waste };
    let recover_min = middle(&tally.recover_s) / 60.0;
    100.0
        * (0.5 * won
            + 0.2 * tally.goodput()
            + 0.1 * libm::exp(-added_p99_s / 10.0)
            + 0.1 * libm::exp(-waste.max(0.0) / 0.2)
            + 0.1 * libm::exp(-recover_min / 5.0))
}
