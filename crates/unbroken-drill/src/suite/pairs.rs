//! Which runs must be alike? Invariants that no single run can show: two runs, or two histories,
//! are compared. Each has its own planted bug.

use std::time::Duration;

use unbroken_engine::breaker::{Breaker, BreakerConfig, Standing};
use unbroken_engine::detector::{DetectorConfig, WHOLE};
use unbroken_engine::fleet::{Fleet, FleetConfig};
use unbroken_engine::peers::{Board, Hint};
use unbroken_engine::random::Random;
use unbroken_engine::target::TargetSpec;
use unbroken_engine::time::Timestamp;

use super::arm::Arm;
use super::canary::Canary;
use super::script::{Act, Action, Script, TargetScript};
use super::tally::Tally;
use super::world::{Play, Played, run};

/// Something that holds between runs.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// The invariant's number, as in engine.md section 5.
    pub invariant: u32,
    /// What is compared.
    pub says: &'static str,
    /// The planted bug that it must see.
    pub canary: Canary,
    /// Compares; with a planted bug, if there is one.
    holds: fn(Option<Canary>) -> Result<bool, String>,
}

/// Everything that is held by comparing.
pub const PAIRS: &[Pair] = &[
    Pair {
        invariant: 30,
        says: "with a store that is down, replicas decide as if there had never been one",
        canary: Canary::WaitsForStore,
        holds: a_store_that_is_down_is_no_store,
    },
    Pair {
        invariant: 31,
        says: "hints merge to the same board in any order, any number of times",
        canary: Canary::LastHintWins,
        holds: hints_merge_in_any_order,
    },
    Pair {
        invariant: 32,
        says: "a store that is down makes no answer later",
        canary: Canary::WaitsForStore,
        holds: a_store_that_is_down_is_no_store,
    },
    Pair {
        invariant: 33,
        says: "reading the same configuration again changes no decision",
        canary: Canary::ReloadForgets,
        holds: a_reload_of_the_same_changes_nothing,
    },
    Pair {
        invariant: 36,
        says: "the same seed gives the same run, command for command",
        canary: Canary::OwnChance,
        holds: a_seed_is_a_run,
    },
    Pair {
        invariant: 37,
        says: "one more healthy target never lowers the share of answered calls",
        canary: Canary::PunishesHelp,
        holds: more_help_is_no_harm,
    },
    Pair {
        invariant: 37,
        says: "a higher threshold never detects sooner",
        canary: Canary::HairTrigger,
        holds: a_higher_threshold_is_later,
    },
    Pair {
        invariant: 36,
        says: "other names for the same targets give the same run",
        canary: Canary::NamesMatter,
        holds: names_do_not_matter,
    },
    Pair {
        invariant: 36,
        says: "a breaker in a world that is slower by any factor does the same, later",
        canary: Canary::HurriedClock,
        holds: time_scales,
    },
];

impl Pair {
    /// Whether it holds.
    ///
    /// # Errors
    /// A scenario that cannot be read or played.
    pub fn holds(&self, canary: Option<Canary>) -> Result<bool, String> {
        (self.holds)(canary)
    }
}

const RATE: f64 = 2.0;
const SEEDS: u64 = 5;

/// Scenarios in which much is decided.
fn scripts() -> Result<[Script; 3], String> {
    let one = include_str!("../../../../drills/suite/01-hard-5xx.toml");
    let two = include_str!("../../../../drills/suite/09-half-hang.toml");
    let three = include_str!("../../../../drills/suite/05-partial-30.toml");
    Ok([
        Script::read("01-hard-5xx", one)?,
        Script::read("09-half-hang", two)?,
        Script::read("05-partial-30", three)?,
    ])
}

fn play(script: &Script, seed: u64, canary: Option<Canary>) -> Result<Played, String> {
    let play = Play { canary, ..Play::measured(Arm::Engine, RATE, seed) };
    run(script, play).map_err(|violation| violation.to_string())
}

/// Whether both scripts give the same run, for a few seeds each; the bug is in the second one.
fn are_alike(one: &Script, other: &Script, canary: Option<Canary>) -> Result<bool, String> {
    for seed in 0..SEEDS {
        if play(one, seed, None)?.hash != play(other, seed, canary)?.hash {
            return Ok(false);
        }
    }
    Ok(true)
}

fn a_store_that_is_down_is_no_store(canary: Option<Canary>) -> Result<bool, String> {
    let mut all = true;
    for mut without in scripts()? {
        without.replicas = 3;
        let down = Action { at: Duration::ZERO, what: Act::Store { up: false } };
        let with = Script { sharing: true, actions: vec![down], ..without.clone() };
        all &= are_alike(&without, &with, canary)?;
    }
    Ok(all)
}

fn a_reload_of_the_same_changes_nothing(canary: Option<Canary>) -> Result<bool, String> {
    let mut all = true;
    for without in scripts()? {
        let reload = |at| Action { at: Duration::from_secs(at), what: Act::Reload };
        let actions = [100, 302, 310, 600, 903].map(reload).to_vec();
        let with = Script { actions, ..without.clone() };
        all &= are_alike(&without, &with, canary)?;
    }
    Ok(all)
}

fn a_seed_is_a_run(canary: Option<Canary>) -> Result<bool, String> {
    let mut all = true;
    for script in scripts()? {
        all &= are_alike(&script, &script, canary)?;
        all &= play(&script, 1, canary)?.tally == play(&script, 1, None)?.tally;
    }
    Ok(all)
}

fn names_do_not_matter(canary: Option<Canary>) -> Result<bool, String> {
    let mut all = true;
    for script in scripts()? {
        let rename = |name: &str| format!("{}-renamed", name.to_lowercase());
        let mut renamed = script.clone();
        for target in &mut renamed.targets {
            target.model = target.model.as_deref().map(rename);
            target.name = rename(&target.name);
        }
        for timed in &mut renamed.ailments {
            timed.targets = timed.targets.iter().map(|name| rename(name)).collect();
        }
        all &= are_alike(&script, &renamed, canary)?;
    }
    Ok(all)
}

fn more_help_is_no_harm(canary: Option<Canary>) -> Result<bool, String> {
    let mut all = true;
    for script in scripts()? {
        let few = Script { targets: script.targets.iter().take(2).cloned().collect(), ..script };
        let mut more = few.clone();
        more.targets.push(help(&few));
        let sum = |script: &Script| {
            let mut sum = Tally::default();
            for seed in 0..4 * SEEDS {
                sum.merge(&play(script, seed, canary)?.tally);
            }
            Ok::<_, String>(sum)
        };
        // One call in ten thousand is noise.
        all &= sum(&more)?.success() >= sum(&few)?.success() - 0.0001;
    }
    Ok(all)
}

fn help(script: &Script) -> TargetScript {
    let model = script.targets.first().and_then(|first| first.model.clone());
    TargetScript { model, ..TargetScript::plain("more") }
}

/// By seed: the calls until the decision, at a low, the usual and a high threshold.
fn a_higher_threshold_is_later(canary: Option<Canary>) -> Result<bool, String> {
    let mut all = true;
    let [_, _, script] = scripts()?;
    for seed in 0..4 * SEEDS {
        let mut before = 0.0;
        for threshold in [5, 7, 9] {
            let settings = format!("[breaker]\nevidence = {threshold}\n");
            let script = Script { settings, ..script.clone() };
            // The bug is in the highest one only.
            let canary = canary.filter(|_| threshold == 9);
            let tally = play(&script, seed, canary)?.tally;
            let calls = tally.detect_calls.first().copied().unwrap_or(f64::MAX);
            all &= calls >= before;
            before = calls;
        }
    }
    Ok(all)
}

fn hints_merge_in_any_order(canary: Option<Canary>) -> Result<bool, String> {
    let mut random = Random::seeded(31);
    let mut all = true;
    for _ in 0..50 {
        let hints = hints(&mut random);
        let mut shuffled = hints.clone();
        for place in (1..shuffled.len()).rev() {
            shuffled.swap(place, random.below(place as u64 + 1) as usize);
        }
        // Some come twice, some late.
        shuffled.extend(hints.iter().take(hints.len() / 2).cloned());
        let board = |hints: &[Hint]| {
            let mut board = Board::default();
            for (place, hint) in hints.iter().enumerate() {
                let mut hint = hint.clone();
                if canary == Some(Canary::LastHintWins) {
                    hint.version = place as u64;
                }
                board.hear(hint, Duration::ZERO, Timestamp::ZERO);
            }
            board
        };
        let (one, other) = (board(&hints), board(&shuffled));
        let mut both = one.clone();
        both.merge(&other);
        all &= one == other && both == one;
    }
    Ok(all)
}

/// What three replicas have to say about three services, twice each.
fn hints(random: &mut Random) -> Vec<Hint> {
    let mut hints = Vec::new();
    for replica in 0..3_u64 {
        let mut fleet = Fleet::new(FleetConfig::default(), replica);
        for name in ["a", "b", "c"] {
            let spec = TargetSpec {
                label: name.into(),
                endpoint: name.into(),
                model: name.into(),
                key: name.into(),
            };
            fleet.target(&spec, Timestamp::ZERO);
        }
        for version in 0..2 {
            let mut told = fleet.hints(replica, version, Timestamp::ZERO);
            for hint in &mut told {
                hint.level = random.below(100) as f64 / 100.0;
            }
            hints.extend(told);
        }
    }
    hints
}

/// Random histories of one breaker, at the usual pace and slower: the same states.
fn time_scales(canary: Option<Canary>) -> Result<bool, String> {
    let mut all = true;
    for seed in 0..200 {
        let usual = history(seed, 1, 1);
        for slower in [2, 3, 7] {
            let waits = if canary == Some(Canary::HurriedClock) { 1 } else { slower };
            all &= history(seed, slower, waits) == usual;
        }
    }
    Ok(all)
}

/// The states of a breaker over fifty steps; pauses and waits are so many times longer. Nothing in
/// it takes long enough to be forgiven.
fn history(seed: u64, pauses: u32, waits: u32) -> Vec<&'static str> {
    let usual = BreakerConfig::default();
    let config = BreakerConfig {
        detector: DetectorConfig::consecutive(3),
        recovery: Duration::from_secs(4) * waits,
        recovery_max: Duration::from_secs(8) * waits,
        probe_timeout: Duration::from_secs(4) * waits,
        ramp_step: Duration::from_secs(2) * waits,
        ..usual
    };
    let mut now = Timestamp::after_start(Duration::from_secs(100) * pauses);
    let mut breaker = Breaker::new(config, now);
    let (mut random, mut chance) = (Random::seeded(seed), Random::seeded(seed));
    let mut states = Vec::new();
    for _ in 0..50 {
        now += Duration::from_secs(random.below(4)) * pauses;
        let (fails, draw) = (random.chance(400), random.below(1000) as u32);
        let is_let = match breaker.standing(now) {
            Standing::Ready | Standing::Probe => true,
            Standing::Share(share) => draw < share,
            Standing::Refused { .. } => false,
        };
        if is_let {
            let (permit, _) = breaker.admit(now);
            if fails {
                let _ = breaker.failed(permit, WHOLE, None, now, &mut chance);
            } else {
                let _ = breaker.succeeded(permit, now);
            }
        }
        states.push(breaker.state_name());
    }
    states
}
