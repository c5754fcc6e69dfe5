//! `unbroken check`: is the configuration right, and what does it say? What would an outage cost?

use std::path::PathBuf;
use std::process::ExitCode;

use super::coverage;
use super::serve::plan;
use crate::config::Environment;
use crate::terminal::{print, say};

/// Validates the configuration and prints its providers, its routes, and what each target carries.
pub(crate) fn run(config: Option<PathBuf>) -> ExitCode {
    let plan = match plan(config, &Environment::of_process()) {
        Ok(plan) => plan,
        Err(errors) => {
            say(&errors.to_string());
            return ExitCode::from(2);
        }
    };
    for endpoint in plan.endpoints.values() {
        let key = if endpoint.has_credentials() { endpoint.key_name.as_str() } else { "no key" };
        let (name, dialect) = (&endpoint.name, endpoint.provider.dialect.name);
        print(&format!("provider {name}: {dialect} at {} ({key})", endpoint.base_url));
    }
    for (name, route) in &plan.routes {
        print("");
        print(&coverage::describe(name, route));
    }
    if plan.endpoints.is_empty() {
        say(
            "no provider: set OPENAI_API_KEY, ANTHROPIC_API_KEY or GEMINI_API_KEY, or configure one",
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
