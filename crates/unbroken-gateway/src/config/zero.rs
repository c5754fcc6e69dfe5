//! What holds without a configuration: keys from the environment, and models that stand in for
//! each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::SecretString;
use unbroken::endpoint::Endpoint;
use unbroken::providers::{PROVIDERS, Provider};

use super::Environment;

/// Which models are comparable: tier -> vendor -> models, the first of which stands in.
#[derive(Clone, Debug)]
pub(crate) struct Tiers(BTreeMap<String, BTreeMap<String, Vec<String>>>);

impl Tiers {
    /// The tiers that come with the program.
    pub(crate) fn built_in() -> Self {
        // A test reads the file, so it is never empty in a release.
        Self(toml::from_str(include_str!("tiers.toml")).unwrap_or_default())
    }

    /// The names of the tiers.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The models that stand for a tier, by vendor.
    pub(crate) fn standing_for(&self, tier: &str) -> Vec<(&str, &str)> {
        let vendors = self.0.get(tier).into_iter().flatten();
        vendors
            .filter_map(|(vendor, models)| Some((vendor.as_str(), models.first()?.as_str())))
            .collect()
    }

    /// The models of other vendors that are comparable with one of `vendor`.
    pub(crate) fn comparable(&self, vendor: &str, model: &str) -> Vec<(&str, &str)> {
        let mut others = self.standing_for(self.tier_of(vendor, model));
        others.retain(|(other, _)| *other != vendor);
        others
    }

    /// The tier of a model: where it is listed, or what its name says of its size.
    fn tier_of(&self, vendor: &str, model: &str) -> &'static str {
        let is_listed = |tier: &str| {
            let models = self.0.get(tier).and_then(|vendors| vendors.get(vendor));
            models.is_some_and(|models| models.iter().any(|listed| listed == model))
        };
        if is_listed("large") {
            return "large";
        }
        let small = ["mini", "nano", "haiku", "flash", "small", "lite", "8b"];
        if is_listed("small") || small.iter().any(|word| model.contains(word)) {
            "small"
        } else {
            "large"
        }
    }
}

/// The vendor of a bare model name, by how its names begin.
pub(crate) fn vendor_of(model: &str) -> Option<&'static str> {
    let prefixes = [
        ("gpt", "openai"),
        ("chatgpt", "openai"),
        ("o1", "openai"),
        ("o3", "openai"),
        ("o4", "openai"),
        ("claude", "anthropic"),
        ("gemini", "gemini"),
    ];
    prefixes.iter().find(|(prefix, _)| model.starts_with(prefix)).map(|(_, vendor)| *vendor)
}

/// An endpoint for every provider whose key is in the environment.
pub(crate) fn endpoints(environment: &Environment) -> Vec<Arc<Endpoint>> {
    let found = PROVIDERS.iter().filter_map(|provider| endpoint(provider, environment));
    found.map(Arc::new).collect()
}

/// A known provider with what its SDK would find in the environment; `None` without a key.
pub(crate) fn endpoint(provider: &'static Provider, environment: &Environment) -> Option<Endpoint> {
    let (variable, key) = environment.first(provider.key_env)?;
    let mut endpoint = Endpoint::new(provider, Some(SecretString::from(key)));
    variable.clone_into(&mut endpoint.key_name);
    let url = environment.first(provider.base_url_env);
    Some(match url {
        Some((_, url)) => endpoint.at(url),
        None => endpoint,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tier_has_a_model_of_every_vendor() {
        let tiers = Tiers::built_in();
        assert_eq!(tiers.names().collect::<Vec<_>>(), ["large", "small"]);
        for tier in ["large", "small"] {
            let vendors: Vec<&str> = tiers.standing_for(tier).iter().map(|(v, _)| *v).collect();
            assert_eq!(vendors, ["anthropic", "gemini", "openai"], "{tier}");
        }
    }

    #[test]
    fn a_model_is_replaced_by_its_equals_of_other_vendors() {
        let tiers = Tiers::built_in();
        let small = [("anthropic", "claude-haiku-4-5"), ("gemini", "gemini-2.5-flash")];
        assert_eq!(tiers.comparable("openai", "gpt-4o-mini"), small);
        assert_eq!(tiers.comparable("openai", "gpt-7-mini"), small, "by its name");
        assert_eq!(tiers.comparable("openai", "o4-mini")[0].1, "claude-sonnet-4-5", "listed");
    }
}
