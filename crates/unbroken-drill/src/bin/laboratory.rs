//! The laboratory at the terminal; `cargo xtask simulate` and `cargo xtask evidence` call it.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use unbroken_drill::suite::evidence::{self, Seeds};
use unbroken_drill::suite::{
    Play, Script, Shown, judge, play_seeds, read_folder, reproduce, run, shrink, swarm, usual,
};

const USAGE: &str = "\
usage: cargo xtask simulate [--seeds N] [--first-seed S] [--scenario NAME] [--threads N]
       cargo xtask simulate --scenario NAME --seed S [--rate R] [--strict yes]
       cargo xtask evidence [--quick yes] [--threads N]

  plays every scenario of drills/suite/ (or one, or `swarm`) in virtual time for N seeds each,
  and holds every invariant after every step; with --seed, one run, and what it showed; --strict
  takes a call without an answer for a violation, to see why

  evidence writes docs/evidence.md and its pictures; --quick a rough copy in target/evidence/";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.split_first() {
        Some((command, rest)) if command == "simulate" => simulate(rest),
        Some((command, rest)) if command == "evidence" => write_evidence(rest),
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// What was asked for.
struct Asked {
    seeds: u64,
    first_seed: u64,
    scenario: Option<String>,
    threads: usize,
    seed: Option<u64>,
    rate: Option<f64>,
    strict: bool,
    quick: bool,
}

impl Asked {
    fn read(arguments: &[String]) -> Result<Self, String> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let (seeds, first_seed) = (200, 0);
        let mut asked = Self {
            seeds,
            first_seed,
            scenario: None,
            threads,
            seed: None,
            rate: None,
            strict: false,
            quick: false,
        };
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            let value = rest.next().ok_or_else(|| format!("{name} needs a value\n\n{USAGE}"))?;
            let wrong = || format!("{name} {value}: expected a number");
            match name.as_str() {
                "--seeds" => asked.seeds = value.parse().map_err(|_| wrong())?,
                "--first-seed" => asked.first_seed = value.parse().map_err(|_| wrong())?,
                "--threads" => asked.threads = value.parse().map_err(|_| wrong())?,
                "--seed" => asked.seed = Some(value.parse().map_err(|_| wrong())?),
                "--rate" => asked.rate = Some(value.parse().map_err(|_| wrong())?),
                "--strict" => asked.strict = value == "yes",
                "--quick" => asked.quick = value == "yes",
                "--scenario" => asked.scenario = Some(value.clone()),
                _ => return Err(USAGE.to_owned()),
            }
        }
        Ok(asked)
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../drills/suite")
}

fn simulate(arguments: &[String]) -> Result<(), String> {
    let asked = Asked::read(arguments)?;
    if asked.scenario.as_deref() == Some(swarm::NAME) {
        return simulate_swarm(&asked);
    }
    let mut scripts = read_folder(&folder())?;
    if let Some(name) = &asked.scenario {
        scripts.retain(|script| script.name == *name);
        if scripts.is_empty() {
            return Err(format!("{name}: there is no such scenario in drills/suite/"));
        }
    }
    if let (Some(seed), [script]) = (asked.seed, scripts.as_slice()) {
        let rate = asked.rate.unwrap_or_else(|| script.rate_of(seed));
        let strict = asked.strict;
        return play_once(script, Play { liveness: true, strict, ..Play::of(rate, seed) });
    }
    scripts.retain(|script| script.needs.is_none());
    let seeds = asked.first_seed..asked.first_seed + asked.seeds;
    let tell = |done: usize, all: usize| {
        if done.is_multiple_of((all / 100).max(1)) {
            eprintln!("{done} of {all} chunks");
        }
    };
    let liveness = |play: Play| Play { liveness: play.seed.is_multiple_of(5), ..play };
    let shown = play_seeds(&scripts, seeds.clone(), asked.threads, liveness, tell);
    let usual_seeds = seeds.start..seeds.end.max(seeds.start + 12).min(seeds.start + 200);
    let usual = usual(&scripts, usual_seeds, asked.threads);
    report(&scripts, &shown, &usual)
}

/// Writes the page and its pictures.
fn write_evidence(arguments: &[String]) -> Result<(), String> {
    let asked = Asked::read(arguments)?;
    let scripts = read_folder(&folder())?;
    let seeds = if asked.quick { Seeds::QUICK } else { Seeds::FULL };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let out = root.join(if asked.quick { "target/evidence" } else { "docs" });
    let measured = evidence::measure(&scripts, seeds, asked.threads);
    eprintln!("every scenario is played; now the years");
    let year = scripts.iter().find(|script| script.is_traced).ok_or("there is no year")?;
    let years = evidence::years(year, seeds.years, asked.threads);
    let page = evidence::page(&scripts, &measured, &years, seeds);
    let write = |name: &str, text: &str| {
        let path = out.join(name);
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    };
    std::fs::create_dir_all(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    write("evidence.md", &page.text)?;
    for (name, picture) in &page.pictures {
        write(name, picture)?;
    }
    Ok(())
}

fn simulate_swarm(asked: &Asked) -> Result<(), String> {
    if let Some(seed) = asked.seed {
        let script = swarm::script(seed);
        return play_once(&script, swarm::play(&script, seed));
    }
    let seeds: Vec<u64> = (asked.first_seed..asked.first_seed + asked.seeds).collect();
    let failing = swarm::failing(&seeds, asked.threads);
    for (script, play, violation) in &failing {
        println!("{}\n  {violation}", reproduce(script, *play));
    }
    if let Some((script, play, violation)) = failing.first() {
        println!("\n{}", shrink(script, *play, violation.clone()).tell());
        return Err(format!("{} of {} seeds failed", failing.len(), seeds.len()));
    }
    println!("swarm: {} seeds, every invariant held", seeds.len());
    Ok(())
}

/// One run, and what it showed.
fn play_once(script: &Script, play: Play) -> Result<(), String> {
    match run(script, play) {
        Ok(played) => {
            println!("{}: every invariant held\n{}", script.name, played.tally.brief());
            Ok(())
        }
        Err(violation) if play.strict => {
            Err(format!("{violation}\n{}", violation.trace.join("\n")))
        }
        Err(violation) => Err(shrink(script, play, violation).tell()),
    }
}

/// One line per scenario and rate; what failed, and how to see it again.
fn report(scripts: &[Script], shown: &[Shown], usual: &[Shown]) -> Result<(), String> {
    let (mut runs, mut failed, mut first) = (0, 0, None);
    for ((script, shown), usual) in scripts.iter().zip(shown).zip(usual) {
        for (rate, tally) in &shown.tallies {
            runs += tally.runs;
            println!("{:<26} {rate:>5}/s  {}", script.name, tally.brief());
        }
        for line in judge(script, shown, usual) {
            println!("    missed: {line}");
            failed += 1;
        }
        for failing in &shown.failing {
            println!("{}\n    {}", reproduce(script, failing.play), failing.violation);
            runs += 1;
            failed += 1;
            first.get_or_insert((script, failing));
        }
    }
    if let Some((script, failing)) = first {
        let shrunk = shrink(script, failing.play, failing.violation.clone());
        println!("\nthe first one:\n{}", shrunk.tell());
    }
    println!("{runs} runs");
    if failed == 0 { Ok(()) } else { Err(format!("{failed} lines were missed")) }
}
