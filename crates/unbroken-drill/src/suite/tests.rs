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

/// Seeds per scenario; each plays one of its rates.
fn seeds() -> u64 {
    std::env::var("UNBROKEN_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(20)
}

#[test]
fn look() {
    let only = std::env::var("ONLY").ok();
    for script in scripts().iter().filter(|s| s.needs.is_none()) {
        if only.as_ref().is_some_and(|only| !script.name.starts_with(only.as_str())) {
            continue;
        }
        for rate in &script.rates {
            let (mut tally, mut quiet) = (Tally::default(), Tally::default());
            let start = std::time::Instant::now();
            let mut broken = None;
            for seed in 0..seeds() {
                let play = Play { rate: *rate, seed, liveness: seed % 10 == 0, ..PLAY };
                match run(script, play) {
                    Ok(played) => tally.merge(&played.tally),
                    Err(violation) => {
                        broken.get_or_insert((seed, violation));
                    }
                }
                let play = Play { quiet: true, checked: false, ..play };
                quiet.merge(&run(script, play).unwrap().tally);
            }
            println!(
                "{:<26} {rate:<4} S {:.5} victims {:.1} waste {:.3}-{:.3} p50 {:.0}/{:.0} p99 {:.0}/{:.0} recover {:.0} detect {:.0} trips {:.2} hedges {} broken {} probes {} | {:?} {:?} {:?}",
                script.name,
                tally.success(),
                tally.victims_per_run(),
                tally.waste(),
                quiet.usual_waste(),
                tally.first.quantile(0.5),
                quiet.first.quantile(0.5),
                tally.first.quantile(0.99),
                quiet.first.quantile(0.99),
                ninth_tenth(&tally.recover_s),
                middle(&tally.detect_calls),
                tally.trips as f64 / tally.runs.max(1) as f64,
                tally.hedges,
                tally.broken,
                tally.probes,
                start.elapsed(),
                tally.judge(&script.pass, &quiet, *rate),
                broken.map(|(seed, violation)| format!("seed {seed}: {violation}")),
            );
        }
    }
}
