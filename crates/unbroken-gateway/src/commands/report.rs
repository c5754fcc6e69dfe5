//! `unbroken report`: how available was it, and what did failover do?

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use unbroken::Clock;

use super::serve::plan;
use crate::config::{Environment, Plan, read_age};
use crate::ledger;
use crate::report::{Report, Window, gather, html, text};
use crate::terminal::{print, say};

/// What can be chosen.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// The configuration of the gateway; unbroken.toml if it is there
    #[arg(long)]
    config: Option<PathBuf>,
    /// The ledger, instead of the configuration's
    #[arg(long)]
    ledger: Option<PathBuf>,
    /// How far back: 90m, 12h, 30d
    #[arg(long, default_value = "30d", value_parser = age)]
    since: Duration,
    /// For people in a terminal, for programs, or as one page for a browser
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
    Html,
}

fn age(text: &str) -> Result<Duration, String> {
    read_age(text).ok_or_else(|| "expected an age such as 90m, 12h or 30d".to_owned())
}

/// Prints the report; a gateway may be running or not.
pub(crate) fn run(options: &Options) -> ExitCode {
    let environment = Environment::of_process();
    match report(options, &environment) {
        Ok(report) => {
            print(&match options.format {
                Format::Json => serde_json::to_string(&report).unwrap_or_default(),
                Format::Html => html::render(&report),
                Format::Text => {
                    let is_terminal = std::io::stdout().is_terminal();
                    let has_colour = is_terminal && environment.get("NO_COLOR").is_none();
                    text::render(&report, has_colour).trim_end().to_owned()
                }
            });
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&format!("unbroken: {error}"));
            ExitCode::from(2)
        }
    }
}

fn report(options: &Options, environment: &Environment) -> Result<Report, String> {
    let plan = match (plan(options.config.clone(), environment), &options.ledger) {
        (Ok(plan), _) => Some(plan),
        // A ledger that is named can be read without the configuration that it was written under.
        (Err(_), Some(_)) if options.config.is_none() => None,
        (Err(errors), _) => return Err(errors.to_string()),
    };
    let path = options.ledger.clone().or_else(|| of_plan(plan.as_ref()));
    let path = path.ok_or("the ledger is off in this configuration: `--ledger` names another")?;
    let database = ledger::open_to_read(&path)?;
    let until_ms = Clock::unix_millis();
    let span = u64::try_from(options.since.as_millis()).unwrap_or(u64::MAX);
    let window = Window { since_ms: until_ms.saturating_sub(span), until_ms };
    gather(&database, plan.as_ref(), window).map_err(|fault| format!("{}: {fault}", path.display()))
}

fn of_plan(plan: Option<&Plan>) -> Option<PathBuf> {
    let ledger = &plan?.ledger;
    ledger.path.clone().filter(|_| ledger.enabled)
}
