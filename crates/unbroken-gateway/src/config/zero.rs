//! What holds without a configuration: keys from the environment, and models that stand in for
//! each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::SecretString;
use unbroken::endpoint::Endpoint;
use unbroken::providers::{PROVIDERS, Provider};

use super::{Environment, cloud};

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
        ("mistral", "mistral"),
        ("codestral", "mistral"),
        ("magistral", "mistral"),
        ("ministral", "mistral"),
        ("deepseek-", "deepseek"),
        ("grok-", "xai"),
    ];
    prefixes.iter().find(|(prefix, _)| model.starts_with(prefix)).map(|(_, vendor)| *vendor)
}

/// An endpoint for every provider whose key is in the environment.
pub(crate) fn endpoints(environment: &Environment) -> Vec<Arc<Endpoint>> {
    let found = PROVIDERS.iter().filter_map(|provider| endpoint(provider, environment));
    found.map(Arc::new).collect()
}

/// A known provider with what its SDK would find in the environment, whatever is missing.
pub(crate) fn configured(provider: &'static Provider, environment: &Environment) -> Endpoint {
    let key = environment.first(provider.key_env);
    let mut endpoint = Endpoint::new(provider, key.map(|(_, key)| SecretString::from(key)));
    if let Some((variable, _)) = key {
        variable.clone_into(&mut endpoint.key_name);
    }
    let version = environment.first(provider.api_version_env);
    endpoint.api_version = version.map(|(_, version)| version.to_owned());
    if let Some((_, region)) = environment.first(provider.region_env) {
        endpoint = endpoint.in_region(region);
    }
    cloud::equip(&mut endpoint, environment);
    match environment.first(provider.base_url_env) {
        Some((_, url)) => endpoint.at(url),
        None => endpoint,
    }
}

/// The same, if its key and its address are known.
fn endpoint(provider: &'static Provider, environment: &Environment) -> Option<Endpoint> {
    let endpoint = configured(provider, environment);
    let is_placed = !endpoint.base_url.is_empty() && !endpoint.base_url.contains('{');
    (endpoint.has_credentials() && is_placed).then_some(endpoint)
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

    fn names(variables: &[(&str, &str)]) -> Vec<String> {
        let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        endpoints(&variables.collect()).iter().map(|endpoint| endpoint.name.clone()).collect()
    }

    #[test]
    fn a_provider_is_there_when_its_key_and_its_address_are() {
        assert_eq!(names(&[("GROQ_API_KEY", "k"), ("OPENAI_API_KEY", "k")]), ["openai", "groq"]);
        assert_eq!(names(&[("AZURE_OPENAI_API_KEY", "k")]), [""; 0], "nobody knows where it is");
        let azure = [
            ("AZURE_OPENAI_API_KEY", "k"),
            ("AZURE_OPENAI_ENDPOINT", "https://r.openai.azure.com/"),
            ("OPENAI_API_VERSION", "2024-10-21"),
        ];
        assert_eq!(names(&azure), ["azure"]);
        let aws = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "s")];
        assert_eq!(names(&aws), [""; 0], "nobody knows the region");
        let aws = [aws[0], aws[1], ("AWS_REGION", "eu-west-1")];
        assert_eq!(names(&aws), ["bedrock-anthropic", "bedrock"]);
        assert_eq!(names(&[("OPENAI_API_KEY", " ")]), [""; 0], "an empty key is none");
    }

    #[test]
    fn a_stray_key_gets_no_traffic_that_did_not_name_its_provider() {
        // Only the vendors of the tiers stand in for others.
        let tiers = Tiers::built_in();
        for tier in tiers.names() {
            for (vendor, _) in tiers.standing_for(tier) {
                assert!(["openai", "anthropic", "gemini"].contains(&vendor), "{vendor}");
            }
        }
        assert_eq!(vendor_of("mistral-large-latest"), Some("mistral"));
        assert_eq!(vendor_of("llama-3.3-70b"), None, "dozens host it: say whose");
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
