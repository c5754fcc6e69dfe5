use super::*;
use crate::scenario::DRILLS;

/// Seeds per drill. All of them together run in seconds.
const SEEDS: u64 = 100;

#[test]
fn every_drill_passes_in_virtual_time() {
    let mut broken = Vec::new();
    for (name, _) in DRILLS {
        let scenario = Scenario::built_in(name).unwrap();
        for scenario in scenario.whole().iter().chain([&scenario]) {
            let failed = (0..SEEDS).find_map(|seed| {
                let failures = match simulate(scenario, seed) {
                    Ok(card) if card.passed => return None,
                    Ok(card) => card.failures.join(", "),
                    Err(what) => what,
                };
                let kind = if scenario.stream { "stream" } else { "whole" };
                Some(format!("{name}, {kind}, seed {seed}: {failures}"))
            });
            broken.extend(failed);
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let scenario = Scenario::built_in("partial-30").unwrap();
    let run = |seed| simulate(&scenario, seed).unwrap();
    assert_eq!(run(7), run(7));
    assert!((0..20).any(|seed| run(seed) != run(7)), "and another seed another one");
}

#[test]
fn a_drill_can_fail() {
    let source = "title='t'\nproves='p'\nlength='2s'\n[[fault]]\nat='0s'\nfor='1s'\ndo='invalid_request'\n\
                  [expect]\nfailed_calls_max=0\n";
    let card = simulate(&Scenario::read("canary", source).unwrap(), 1).unwrap();
    assert!(!card.passed && card.failures[0].starts_with("failed_calls is"), "{:?}", card.failures);
}

#[test]
fn settings_that_the_simulator_does_not_know_are_refused() {
    let source = "title='t'\nproves='p'\nlength='1s'\n[settings.breaker]\nnonsense=1\n";
    let error = simulate(&Scenario::read("x", source).unwrap(), 1).unwrap_err();
    assert!(error.contains("settings.breaker.nonsense"), "{error}");
}
