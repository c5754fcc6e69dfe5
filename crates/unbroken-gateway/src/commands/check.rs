//! `unbroken check`: is the configuration right, and what does it say? What would an outage cost?

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use unbroken::route::Route;

use super::coverage;
use super::serve::plan;
use crate::config::{Environment, Plan};
use crate::routing::Routing;
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
    for (name, route) in &routes(&plan) {
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

/// The configured routes; without any, those that are there without a configuration.
fn routes(plan: &Plan) -> BTreeMap<String, Arc<Route>> {
    if !plan.routes.is_empty() {
        return plan.routes.clone();
    }
    let routing = Routing::new(plan.clone());
    let names = routing.model_names().into_iter().filter(|name| name.starts_with("unbroken/"));
    let route = |name: String| {
        let route = routing.resolve(std::slice::from_ref(&name), true).ok()?;
        Some((name, route))
    };
    names.filter_map(route).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_routes_those_of_the_sizes_of_models_are_shown() {
        let environment: Environment = [("OPENAI_API_KEY", "k"), ("ANTHROPIC_API_KEY", "k")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into_iter()
            .collect();
        let routes = routes(&Plan::zero(&environment));
        let names: Vec<&str> = routes.keys().map(String::as_str).collect();
        assert_eq!(names, ["unbroken/large", "unbroken/small"]);
        let told = coverage::describe("unbroken/large", &routes["unbroken/large"]);
        assert!(told.contains("anthropic/") && told.contains("openai/"), "{told}");
        assert!(told.contains("json schema"), "{told}");
    }
}
