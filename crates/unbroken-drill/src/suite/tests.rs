use super::*;

/// Seeds of each scenario, spread over its rates.
const SEEDS: u64 = 200;
/// Seeds of the same without anything wrong: what is usual.
const USUAL_SEEDS: u64 = 48;
/// Scripts that nobody wrote.
const SWARM: u64 = 400;

fn scripts() -> Vec<Script> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../drills/suite");
    read_folder(folder.as_ref()).unwrap()
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Every scenario passes its line, and every invariant holds at every step of it.
#[test]
fn every_scenario_passes_and_the_invariants_hold() {
    let mut scripts = scripts();
    assert!(scripts.iter().map(|script| script.number).eq(1..=45), "one file per scenario");
    scripts.retain(|script| script.needs.is_none());
    let lively = |play: Play| Play { liveness: play.seed.is_multiple_of(5), ..play };
    let shown = play_seeds(&scripts, 0..SEEDS, threads(), lively, |_, _| {});
    let usual = usual(&scripts, 0..USUAL_SEEDS, threads());
    let mut missed = Vec::new();
    for ((script, shown), usual) in scripts.iter().zip(&shown).zip(&usual) {
        for failing in &shown.failing {
            missed.push(format!("{}\n  {}", reproduce(script, failing.play), failing.violation));
        }
        for line in judge(script, shown, usual) {
            missed.push(format!("{}: {line}", script.name));
        }
    }
    let first = shown.iter().flat_map(|shown| &shown.failing).next();
    let least = first.map(|failing| {
        let script = &scripts[failing.script];
        shrink(script, failing.play, failing.violation.clone()).tell()
    });
    assert!(missed.is_empty(), "\n{}\n{}", missed.join("\n"), least.unwrap_or_default());
}

#[test]
fn whatever_is_played_the_invariants_hold() {
    let seeds: Vec<u64> = (0..SWARM).collect();
    let failing = swarm::failing(&seeds, threads());
    if let Some((script, play, violation)) = failing.first() {
        let least = shrink(script, *play, violation.clone()).tell();
        panic!("{} seeds; {}\n{least}", failing.len(), reproduce(script, *play));
    }
}

/// Where each planted bug shows: scenario and rate.
fn where_it_shows(canary: Canary) -> (&'static str, f64) {
    match canary {
        Canary::WrongEdge | Canary::OpenForHours | Canary::NoNumber => ("01-hard-5xx", 0.2),
        Canary::Leak => ("41-probe-leak", 5.0),
        Canary::LeavingCounts => ("39-client-gone-storm", 0.2),
        Canary::LimitsCount => ("16-rpm-limit", 5.0),
        Canary::HairTrigger => ("06-partial-10", 0.2),
        Canary::FailureIsCheap => ("01-hard-5xx", 0.2),
        Canary::NoWord | Canary::EndsTwice => ("01-hard-5xx", 0.2),
        Canary::Endless | Canary::TooLong => ("21-total-outage", 0.2),
        Canary::AsksBlocked => ("18-daily-quota", 0.2),
        Canary::AsksShut => ("01-hard-5xx", 5.0),
        Canary::TwoAnswers | Canary::LoserGoesOn => ("02-blackhole", 5.0),
        Canary::HedgesEverything => ("09-half-hang", 5.0),
        Canary::EffectsTwice => ("effects", 0.2),
        Canary::RichBudget => ("01-hard-5xx", 5.0),
        Canary::FalseEnd => ("32-malformed-sse", 0.2),
        Canary::StormyRamp => ("01-hard-5xx", 5.0),
        Canary::NoRoom => ("22-metastable", 5.0),
        Canary::Wanders => ("12-auth-outage", 5.0),
        Canary::ReloadChangesCalls => ("38-hot-reload", 5.0),
        Canary::WaitsForStore
        | Canary::LastHintWins
        | Canary::ReloadForgets
        | Canary::OwnChance
        | Canary::NamesMatter
        | Canary::HurriedClock
        | Canary::PunishesHelp => unreachable!("seen by comparing runs"),
    }
}

/// An invariant that does not see its planted bug proves nothing.
#[test]
fn every_planted_bug_is_seen_by_its_invariant() {
    let scripts = scripts();
    let unseen = in_parallel(Canary::ALL, threads(), |(canary, invariant)| {
        let (name, rate) = where_it_shows(*canary);
        let found = scripts.iter().find(|script| script.name == name);
        let script = found.cloned().unwrap_or_else(|| effects(&scripts));
        let mut seen = Vec::new();
        for seed in 0..10 {
            let canary = Some(*canary);
            let play = Play { liveness: true, canary, ..Play::of(rate, seed) };
            match run(&script, play) {
                Err(violation) if violation.invariant == *invariant => return None,
                Err(violation) => seen.push(violation.to_string()),
                Ok(_) => seen.push("nothing".to_owned()),
            }
        }
        Some(format!("{canary:?}: {invariant} saw nothing in {name}, but {}", seen.join("; ")))
    });
    let unseen: Vec<String> = unseen.into_iter().flatten().collect();
    assert!(unseen.is_empty(), "\n{}", unseen.join("\n"));
}

/// Requests with effects of their own, while half of the answers fail.
fn effects(scripts: &[Script]) -> Script {
    let mut script = scripts[4].clone();
    script.load.effectful = 1.0;
    script
}

#[test]
fn what_takes_two_runs_holds_and_sees_its_planted_bug() {
    let wrong = in_parallel(PAIRS, threads(), |pair| {
        let (holds, sees) = (pair.holds(None).unwrap(), !pair.holds(Some(pair.canary)).unwrap());
        (!holds || !sees).then(|| format!("I{}: {}: {holds}, {sees}", pair.invariant, pair.says))
    });
    let wrong: Vec<String> = wrong.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "holds, sees its bug:\n{}", wrong.join("\n"));
}

#[test]
fn every_invariant_is_held_somewhere_or_says_why_not() {
    assert!(INVARIANTS.iter().map(|(number, ..)| *number).eq(1..=37));
    for (number, says, how) in INVARIANTS {
        let name = format!("I{number}");
        let by_step = Canary::ALL.iter().any(|(_, invariant)| *invariant == name);
        let by_pairs = PAIRS.iter().any(|pair| pair.invariant == *number);
        match how {
            How::EveryStep => assert!(by_step, "{name} ({says}) has no canary"),
            How::Pairs => assert!(by_pairs, "{name} ({says}) has no pair"),
            How::Elsewhere(why) | How::NotYet(why) => {
                assert!(!by_step && !by_pairs && !why.is_empty(), "{name} is held after all");
            }
        }
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let scripts: Vec<Script> = scripts().into_iter().take(2).collect();
    let play = |threads| {
        let measured = |play: Play| Play::measured(Arm::Engine, play.rate, play.seed);
        play_seeds(&scripts, 0..60, threads, measured, |_, _| {})
            .into_iter()
            .map(|shown| shown.tallies)
            .collect::<Vec<_>>()
    };
    assert_eq!(play(1), play(3));
}

#[test]
fn a_violation_is_made_small() {
    let scripts = scripts();
    let script = &scripts[37];
    let play = Play { canary: Some(Canary::NoNumber), ..Play::of(0.2, 1) };
    let violation = run(script, play).unwrap_err();
    let shrunk = shrink(script, play, violation);
    assert_eq!(shrunk.violation.invariant, "I4");
    assert!(shrunk.script.ailments.is_empty() && shrunk.script.actions.is_empty());
    assert!(shrunk.script.targets.len() <= 1, "{:?}", shrunk.script.targets);
    assert!(shrunk.tell().contains("I4 at"), "{}", shrunk.tell());
}
