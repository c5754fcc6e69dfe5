//! `unbroken drill`: an outage, rehearsed.

use std::path::Path;
use std::process::ExitCode;

use futures_util::future::join_all;
use unbroken_drill::scenario::{DRILLS, Scenario};

use crate::commands::demo::play;
use crate::config::Environment;
use crate::rehearsal::rehearse;
use crate::terminal::{print, say};

/// Plays a scenario; the exit status says whether it went as it should.
pub(crate) async fn run(name: Option<String>, list: bool, json: bool) -> ExitCode {
    let Some(name) = name.filter(|_| !list) else {
        for (name, source) in DRILLS {
            let title = Scenario::read(name, source).map(|scenario| scenario.title);
            print(&format!("{name:<20} {}", title.unwrap_or_default()));
        }
        return ExitCode::SUCCESS;
    };
    if let Some(set) = set(&name) {
        return run_set(set, json).await;
    }
    let scenario = match read(&name) {
        Ok(scenario) => scenario,
        Err(error) => {
            say(&format!("unbroken: {error}"));
            return ExitCode::from(2);
        }
    };
    let (stage, card) = match play(&scenario, json).await {
        Ok(played) => played,
        Err(error) => {
            say(&format!("unbroken: {error}"));
            return ExitCode::FAILURE;
        }
    };
    if !json {
        let verdict = if card.passed { "passed" } else { "FAILED" };
        print(&format!("\n{card}\n  {verdict}: {}", scenario.proves));
    }
    stage.strike().await;
    if card.passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The drills whose names begin with `name-`, each with its twin of whole answers; `None` if there
/// are none, or a drill of that very name.
fn set(name: &str) -> Option<Vec<(String, Scenario)>> {
    let mut set = Vec::new();
    for (drill, source) in DRILLS {
        let Some(short) = drill.strip_prefix(name).and_then(|rest| rest.strip_prefix('-')) else {
            continue;
        };
        let scenario = Scenario::read(drill, source).ok()?;
        let whole = scenario.whole().map(|whole| (format!("{short}, whole"), whole));
        set.push((short.to_owned(), scenario));
        set.extend(whole);
    }
    let is_drill = DRILLS.iter().any(|(drill, _)| *drill == name);
    (!is_drill && !set.is_empty()).then_some(set)
}

/// Plays drills at the same time, each on a stage of its own.
async fn run_set(set: Vec<(String, Scenario)>, json: bool) -> ExitCode {
    crate::log::start(&Environment::of_process(), "error");
    let played = set.into_iter().map(|(name, scenario)| async move {
        let card = rehearse(&scenario).await;
        (name, scenario, card)
    });
    let played = join_all(played).await;
    let passed = played.iter().filter(|(_, _, card)| card.passed).count();
    if json {
        let cards: Vec<_> = played.iter().map(|(name, _, card)| (name, card)).collect();
        print(&serde_json::to_string(&cards).unwrap_or_default());
    } else {
        for (name, scenario, card) in &played {
            let verdict = if card.passed { "passed" } else { "FAILED" };
            print(&format!("{verdict}  {name:<28} {:>6} ms  {}", card.done_ms, scenario.proves));
            for failure in &card.failures {
                print(&format!("        not as expected: {failure}"));
            }
        }
        print(&format!("\n{passed} of {} passed", played.len()));
    }
    if passed == played.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn read(name: &str) -> Result<Scenario, String> {
    let is_file = Path::new(name).extension().is_some_and(|extension| extension == "toml");
    if !is_file {
        return Scenario::built_in(name).map_err(|error| error.to_string());
    }
    let source = std::fs::read_to_string(name).map_err(|error| format!("{name}: {error}"))?;
    Scenario::read(name, &source).map_err(|error| error.to_string())
}
