//! `unbroken drill`: an outage, rehearsed.

use std::path::Path;
use std::process::ExitCode;

use unbroken_drill::scenario::{DRILLS, Scenario};

use crate::commands::demo::play;
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

fn read(name: &str) -> Result<Scenario, String> {
    let is_file = Path::new(name).extension().is_some_and(|extension| extension == "toml");
    if !is_file {
        return Scenario::built_in(name).map_err(|error| error.to_string());
    }
    let source = std::fs::read_to_string(name).map_err(|error| format!("{name}: {error}"))?;
    Scenario::read(name, &source).map_err(|error| error.to_string())
}
