use super::*;
use crate::suite::world::{Play, run};

/// The scenarios, in the order of their numbers.
fn scripts() -> Vec<Script> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../drills/suite");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        Script::read(&name, &std::fs::read_to_string(path).unwrap()).unwrap()
    };
    files.iter().map(read).collect()
}

const PLAY: Play = Play {
    arm: Arm::Engine,
    rate: 0.2,
    seed: 0,
    quiet: false,
    checked: true,
    liveness: false,
    canary: None,
};

/// Every invariant holds at every step of every scenario, at each of its rates.
#[test]
fn the_invariants_hold_in_every_scenario() {
    for script in scripts().iter().filter(|script| script.needs.is_none()) {
        for rate in &script.rates {
            for seed in 0..3 {
                let play = Play { rate: *rate, seed, liveness: seed == 0, ..PLAY };
                if let Err(violation) = run(script, play) {
                    panic!("{} at {rate}/s, seed {seed}: {violation}", script.name);
                }
            }
        }
    }
}
