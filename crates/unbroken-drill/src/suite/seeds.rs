//! What do many seeds show? Runs spread over threads, added up in an order of their own, so that
//! the number of threads changes nothing.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::arm::Arm;
use super::invariants::Violation;
use super::script::Script;
use super::tally::Tally;
use super::world::{Play, run};

/// One seed in so many plays the highest rate of its scenario: it costs as much as all others.
const ONE_IN: u64 = 16;
/// Of long runs, beyond the first thousand seeds, one in so many.
const ONE_IN_LATER: u64 = 100;
/// Seeds that are played in one go.
const CHUNK: u64 = 25;

impl Script {
    /// The rate that a seed plays.
    #[must_use]
    pub fn rate_of(&self, seed: u64) -> f64 {
        let (last, others) = match self.rates.as_slice() {
            [] => (1.0, [].as_slice()),
            [others @ .., last] => (*last, others),
        };
        let place = (seed % others.len().max(1) as u64) as usize;
        let one_in = if seed < 1000 { ONE_IN } else { ONE_IN_LATER };
        if seed % one_in == one_in - 1 { last } else { others.get(place).copied().unwrap_or(last) }
    }
}

/// A seed at which an invariant did not hold.
#[derive(Clone, Debug)]
pub struct Failing {
    /// The scenario's place in the list.
    pub script: usize,
    /// How it was played.
    pub play: Play,
    /// What did not hold.
    pub violation: Violation,
}

/// What the seeds of one scenario showed.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// By rate.
    pub tallies: Vec<(f64, Tally)>,
    /// Seeds at which something did not hold; their other numbers are missing.
    pub failing: Vec<Failing>,
}

impl Shown {
    /// Adds a run at this rate.
    pub fn add(&mut self, rate: f64, tally: &Tally) {
        match self.tallies.iter_mut().find(|(known, _)| known.to_bits() == rate.to_bits()) {
            Some((_, sum)) => sum.merge(tally),
            None => self.tallies.push((rate, tally.clone())),
        }
    }

    fn merge(&mut self, other: Self) {
        for (rate, tally) in &other.tallies {
            self.add(*rate, tally);
        }
        self.failing.extend(other.failing);
    }
}

/// Plays seeds of each scenario; `change` says how. `told` hears of every chunk that is done, and
/// of how many there are.
pub fn play_seeds(
    scripts: &[Script],
    seeds: Range<u64>,
    threads: usize,
    change: impl Fn(Play) -> Play + Sync,
    told: impl Fn(usize, usize) + Sync,
) -> Vec<Shown> {
    let mut jobs = Vec::new();
    for script in 0..scripts.len() {
        let mut first = seeds.start;
        while first < seeds.end {
            jobs.push((script, first..seeds.end.min(first + CHUNK)));
            first += CHUNK;
        }
    }
    let done = AtomicUsize::new(0);
    let shown = in_parallel(&jobs, threads, |(script, seeds)| {
        let shown = play_chunk(scripts, *script, seeds.clone(), &change);
        told(done.fetch_add(1, Ordering::Relaxed) + 1, jobs.len());
        shown
    });
    let mut all = vec![Shown::default(); scripts.len()];
    for ((script, _), shown) in jobs.iter().zip(shown) {
        if let Some(sum) = all.get_mut(*script) {
            sum.merge(shown);
        }
    }
    all
}

/// The same worlds with nothing wrong: what is usual. Scenarios of one world share their runs.
pub fn usual(scripts: &[Script], seeds: Range<u64>, threads: usize) -> Vec<Shown> {
    let mut worlds: Vec<Script> = Vec::new();
    let mut places = Vec::new();
    for script in scripts {
        let place = worlds.iter().position(|known| is_same_world(known, script));
        places.push(place.unwrap_or(worlds.len()));
        if place.is_none() {
            worlds.push(script.clone());
        }
    }
    let quiet =
        |play: Play| Play { quiet: true, ..Play::measured(Arm::Engine, play.rate, play.seed) };
    let shown = play_seeds(&worlds, seeds, threads, quiet, |_, _| {});
    places.into_iter().filter_map(|place| shown.get(place).cloned()).collect()
}

fn is_same_world(one: &Script, other: &Script) -> bool {
    one.targets == other.targets
        && one.load == other.load
        && one.rates == other.rates
        && one.length == other.length
        && (one.replicas, one.sharing) == (other.replicas, other.sharing)
        && one.settings == other.settings
}

/// The pass lines that a scenario missed, at each of its rates.
#[must_use]
pub fn judge(script: &Script, shown: &Shown, usual: &Shown) -> Vec<String> {
    let mut missed = Vec::new();
    for (rate, tally) in &shown.tallies {
        let quiet = usual.tallies.iter().find(|(known, _)| known.to_bits() == rate.to_bits());
        match quiet {
            Some((_, quiet)) => {
                let lines = tally.judge(&script.pass, quiet, *rate);
                missed.extend(lines.into_iter().map(|line| format!("at {rate}/s {line}")));
            }
            None => missed.push(format!("at {rate}/s: nothing to compare with")),
        }
    }
    missed
}

fn play_chunk(
    scripts: &[Script],
    place: usize,
    seeds: Range<u64>,
    change: &(impl Fn(Play) -> Play + Sync),
) -> Shown {
    let mut shown = Shown::default();
    let Some(script) = scripts.get(place) else { return shown };
    for seed in seeds {
        let rate = script.rate_of(seed);
        let play = change(Play::of(rate, seed));
        match run(script, play) {
            Ok(played) => shown.add(rate, &played.tally),
            Err(violation) => shown.failing.push(Failing { script: place, play, violation }),
        }
    }
    shown
}

/// Works on all jobs; the results are in the order of the jobs.
pub fn in_parallel<T: Sync, R: Send>(
    jobs: &[T],
    threads: usize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::with_capacity(jobs.len()));
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(place) else { break };
                    let result = work(job);
                    results.lock().unwrap_or_else(PoisonError::into_inner).push((place, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(place, _)| *place);
    results.into_iter().map(|(_, result)| result).collect()
}

/// The scenarios of a folder, in the order of their numbers.
///
/// # Errors
/// A file that cannot be read, or what is wrong with it.
pub fn read_folder(folder: &Path) -> Result<Vec<Script>, String> {
    let wrong = |error: std::io::Error| format!("{}: {error}", folder.display());
    let entries = std::fs::read_dir(folder).map_err(wrong)?;
    let mut files = Vec::new();
    for entry in entries {
        files.push(entry.map_err(wrong)?.path());
    }
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Script::read(&name, &std::fs::read_to_string(path).map_err(wrong)?)
    };
    files.iter().map(read).collect()
}
