//! `unbroken explain`: who would be asked now, and who is skipped and why?

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use http::Method;
use serde_json::{Value, json};

use super::status::{ask, door, list, number, text};
use crate::config::Environment;
use crate::explain::{Question, explain};
use crate::routing::Routing;
use crate::terminal::{print, say};

/// What can be chosen.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// What a client would send as `model`
    #[arg(long)]
    model: String,
    /// A request as a client would send it: who cannot carry it is told
    request: Option<PathBuf>,
    /// The dialect of the request
    #[arg(long, default_value = "openai-chat")]
    dialect: String,
    /// No comparable model of another vendor
    #[arg(long)]
    no_substitute: bool,
    /// The configuration of the gateway; unbroken.toml if it is there
    #[arg(long)]
    config: Option<PathBuf>,
    /// The admin address, instead of the configuration's; the token is UNBROKEN_ADMIN_TOKEN then
    #[arg(long)]
    admin: Option<SocketAddr>,
    /// Print it as one JSON object
    #[arg(long)]
    json: bool,
}

/// Asks the gateway that runs, or the configuration if none does. Fails if nobody can be asked.
pub(crate) async fn run(options: Options) -> ExitCode {
    let told = match told(&options).await {
        Ok(told) => told,
        Err(error) => {
            say(&format!("unbroken: {error}"));
            return ExitCode::from(2);
        }
    };
    print(&if options.json { told.to_string() } else { render(&told) });
    let is_possible = list(&told, "candidates").iter().any(|one| !one["place"].is_null());
    if is_possible { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn told(options: &Options) -> Result<Value, String> {
    let question = question(options)?;
    let environment = Environment::of_process();
    let no_gateway = match door(options.config.clone(), options.admin, &environment) {
        Ok(admin) => match ask(&admin, Method::POST, "/admin/explain", &json!(question)).await {
            Ok(told) => return Ok(told),
            Err(fault) if options.admin.is_some() || !fault.is_absent => return Err(fault.words),
            Err(fault) => fault.words,
        },
        Err(error) if options.admin.is_some() => return Err(error),
        Err(error) => error,
    };
    let plan = super::serve::plan(options.config.clone(), &environment);
    let plan = plan.map_err(|errors| errors.to_string())?;
    say(&format!("{no_gateway}; this is what the configuration alone says:"));
    explain(&Routing::new(plan), None, &question).map(|told| json!(told))
}

fn question(options: &Options) -> Result<Question, String> {
    let request = match &options.request {
        None => None,
        Some(path) => {
            let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
            let text = std::fs::read_to_string(path).map_err(|error| told(&error))?;
            Some(serde_json::from_str(&text).map_err(|error| told(&error))?)
        }
    };
    Ok(Question {
        model: options.model.clone(),
        substitute: !options.no_substitute,
        dialect: Some(options.dialect.clone()),
        request,
    })
}

fn render(told: &Value) -> String {
    let mut out = format!("{}: {}\n", text(told, "model"), text(told, "words"));
    if let Some(tokens) = number(told, "input_tokens") {
        let _ = writeln!(out, "the request is about {tokens} tokens");
    }
    for candidate in list(told, "candidates") {
        let place = number(candidate, "place").map_or("-".to_owned(), |place| place.to_string());
        let (target, words) = (text(candidate, "target"), text(candidate, "words"));
        let _ = write!(out, "\n  {place:>2}  {target:<34} {words}");
    }
    out
}
