//! Which route answers a model name? A configured one, or one made from the name itself.

use std::sync::Arc;

use unbroken::endpoint::Endpoint;
use unbroken::route::{Choice, Route};

use crate::config::{Plan, Tiers};

/// A client may name this many models in one list.
pub(crate) const LIST_MAX: usize = 16;

/// Turns model names into routes.
#[derive(Debug)]
pub(crate) struct Routing {
    plan: Plan,
    tiers: Tiers,
}

impl Routing {
    pub(crate) fn new(plan: Plan) -> Self {
        Self { plan, tiers: Tiers::built_in() }
    }

    pub(crate) const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The route of a list of models, most preferred first. `may_substitute`: comparable models of
    /// other vendors may stand in for a single one.
    ///
    /// # Errors
    /// What to tell the client, when a name stands for nothing here.
    pub(crate) fn resolve(
        &self,
        models: &[String],
        may_substitute: bool,
    ) -> Result<Arc<Route>, String> {
        let [first, rest @ ..] = models else { return Err("no model was named".to_owned()) };
        if models.len() > LIST_MAX {
            return Err(format!("a list of models has at most {LIST_MAX} names"));
        }
        if let (Some(route), true) = (self.plan.routes.get(first), rest.is_empty()) {
            return Ok(route.clone());
        }
        let mut choices: Vec<Choice> = Vec::new();
        for name in models {
            let found = self.choices(name, may_substitute && rest.is_empty())?;
            for choice in found {
                if choices.iter().all(|other| other.label() != choice.label()) {
                    choices.push(choice);
                }
            }
        }
        Ok(Arc::new(Route::in_order(first, choices, self.plan.limits)))
    }

    /// What clients may name, for lists of models.
    pub(crate) fn model_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.plan.routes.keys().cloned().collect();
        for tier in self.tiers.names() {
            let standing = self.tiers.standing_for(tier);
            let ours = standing.iter().filter(|(v, _)| self.plan.endpoints.contains_key(*v));
            let ours: Vec<String> =
                ours.map(|(vendor, model)| format!("{vendor}/{model}")).collect();
            if !ours.is_empty() {
                names.push(format!("unbroken/{tier}"));
                names.extend(ours);
            }
        }
        names
    }

    fn choices(&self, name: &str, may_substitute: bool) -> Result<Vec<Choice>, String> {
        if let Some(route) = self.plan.routes.get(name) {
            return Ok(route.tiers.iter().flat_map(|tier| tier.choices.clone()).collect());
        }
        if let Some(tier) = name.strip_prefix("unbroken/") {
            let choices = self.available(&self.tiers.standing_for(tier));
            return if choices.is_empty() { Err(self.unknown(name)) } else { Ok(choices) };
        }
        let (endpoint, model) = self.endpoint_of(name).ok_or_else(|| self.unknown(name))?;
        let vendor = endpoint.provider.name;
        let mut choices = vec![choice(endpoint, model)];
        if may_substitute {
            choices.extend(self.available(&self.tiers.comparable(vendor, model)));
        }
        Ok(choices)
    }

    /// `endpoint/model`, or a bare model whose vendor its name tells.
    fn endpoint_of<'a>(&self, name: &'a str) -> Option<(&Arc<Endpoint>, &'a str)> {
        if let Some((endpoint, model)) = name.split_once('/')
            && let Some(endpoint) = self.plan.endpoints.get(endpoint)
        {
            return (!model.is_empty()).then_some((endpoint, model));
        }
        let bare = name.strip_prefix("models/").unwrap_or(name);
        let endpoint = self.plan.endpoints.get(crate::config::vendor_of(bare)?)?;
        Some((endpoint, bare))
    }

    fn available(&self, models: &[(&str, &str)]) -> Vec<Choice> {
        let of = |(vendor, model): &(&str, &str)| {
            self.plan.endpoints.get(*vendor).map(|endpoint| choice(endpoint, model))
        };
        models.iter().filter_map(of).collect()
    }

    fn unknown(&self, name: &str) -> String {
        let names = self.model_names();
        let works = if names.is_empty() {
            "no provider key was found: set OPENAI_API_KEY, ANTHROPIC_API_KEY or GEMINI_API_KEY, \
             or write an unbroken.toml"
                .to_owned()
        } else {
            format!("these would work: {}", names.join(", "))
        };
        format!("the model `{name}` is not known here; {works}")
    }
}

fn choice(endpoint: &Arc<Endpoint>, model: &str) -> Choice {
    Choice::new(endpoint.clone(), model.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    fn routing(keys: &[&str]) -> Routing {
        let environment: Environment =
            keys.iter().map(|key| ((*key).to_owned(), "k".to_owned())).collect();
        Routing::new(Plan::zero(&environment))
    }

    fn labels(routing: &Routing, models: &[&str], substitute: bool) -> Vec<String> {
        let models: Vec<String> = models.iter().map(|model| (*model).to_owned()).collect();
        match routing.resolve(&models, substitute) {
            Ok(route) => {
                route.tiers.iter().map(|tier| tier.choices[0].label().to_owned()).collect()
            }
            Err(error) => vec![error],
        }
    }

    const ALL: &[&str] = &["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"];

    #[test]
    fn a_bare_model_falls_back_to_its_equals_whose_keys_are_there() {
        let expected = ["openai/gpt-4o", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-pro"];
        assert_eq!(labels(&routing(ALL), &["gpt-4o"], true), expected);
        assert_eq!(labels(&routing(ALL), &["openai/gpt-4o"], true), expected);
        assert_eq!(labels(&routing(&ALL[..1]), &["gpt-4o"], true), expected[..1]);
    }

    #[test]
    fn substitution_can_be_forbidden_and_a_list_is_taken_as_it_is() {
        assert_eq!(labels(&routing(ALL), &["gpt-4o"], false), ["openai/gpt-4o"]);
        let list = ["claude-opus-4-5", "openai/o3"];
        assert_eq!(labels(&routing(ALL), &list, true), ["anthropic/claude-opus-4-5", "openai/o3"]);
    }

    #[test]
    fn a_tier_is_a_model_of_every_vendor() {
        let expected =
            ["anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash", "openai/gpt-5-mini"];
        assert_eq!(labels(&routing(ALL), &["unbroken/small"], true), expected);
    }

    #[test]
    fn an_unknown_model_is_told_what_would_work() {
        let told = &labels(&routing(&ALL[..1]), &["llama"], true)[0];
        assert!(
            told.contains("`llama` is not known here") && told.contains("openai/gpt-5.1"),
            "{told}"
        );
        assert!(labels(&routing(&[]), &["gpt-4o"], true)[0].contains("OPENAI_API_KEY"));
        assert!(labels(&routing(ALL), &["gpt-4o"; 17], true)[0].contains("at most 16"));
    }
}
