//! A target of a Portkey config: a provider, a key, and perhaps a model.

use super::{Above, Reader};
use crate::config::vendor_of;
use crate::import::fields::Fields;
use crate::import::provider::{Key, Wanted, key, reference};
use crate::import::route::{Target, Tier};
use crate::import::vendors::{self, VENDORS, Vendor};

impl Reader<'_> {
    /// The one tier of a leaf; none if it cannot be served.
    pub(super) fn leaf(&mut self, node: &mut Fields, above: &Above) -> Vec<Tier> {
        let at = node.place().to_owned();
        let model = above.model.clone().or_else(|| self.asked.model.clone());
        let provider = node.text("provider");
        let slug = node.text("virtual_key");
        // `@slug` names what Portkey keeps of a provider, in front of a model or alone.
        let (slug, model) = match model.as_deref().and_then(|model| model.strip_prefix('@')) {
            Some(model) => match model.split_once('/') {
                Some((own, model)) => (Some(own.to_owned()), Some(model.to_owned())),
                None => (slug, None),
            },
            None => (slug, model),
        };
        let kept = provider.as_deref().and_then(|provider| provider.strip_prefix('@'));
        let slug = slug.or_else(|| kept.map(str::to_owned));
        let named = provider.as_deref().filter(|provider| !provider.starts_with('@'));
        let vendor = match (named, &slug) {
            (Some(named), _) => vendors::of_portkey(named).ok_or_else(|| vendors::unknown(named)),
            (None, Some(slug)) => guess(slug, model.as_deref())
                .ok_or_else(|| format!("it does not say whose `{slug}` is")),
            (None, None) => Err("it names no provider".to_owned()),
        };
        let wanted = self.wanted(node, slug.as_deref());
        let deployment = node.text("azure_deployment_id").or_else(|| node.text("deployment_id"));
        let (vendor, model) = match (vendor, model.or(deployment)) {
            (Ok(vendor), Some(model)) => (vendors::serving(vendor, &model), model),
            (Err(why), _) => {
                self.draft.note(&at, &why);
                return Vec::new();
            }
            (Ok(_), None) => {
                self.draft.note(&at, "it says no model: name with `--model` what clients send");
                return Vec::new();
            }
        };
        let provider = self.draft.provider(vendor, wanted, &at);
        vec![vec![Target { provider, model, weight: 1 }]]
    }

    /// What it says of the provider. A key that Portkey keeps is read from a variable that is named
    /// after it.
    fn wanted(&mut self, node: &mut Fields, slug: Option<&str>) -> Wanted {
        let at = node.place().to_owned();
        let own = key(node.text("api_key"));
        let key = match (own, slug) {
            (Key::Usual, Some(slug)) => {
                let name: String = slug
                    .chars()
                    .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
                    .collect();
                let variable = format!("{name}_KEY");
                let what = format!("the key `{slug}` is kept by Portkey: set {variable} to it");
                self.draft.note(&at, &what);
                Key::Variable(variable)
            }
            (own, _) => own,
        };
        let host = node.text("custom_host").map(|url| reference(&url));
        let resource = node.text("azure_resource_name").or_else(|| node.text("resource_name"));
        let azure = resource.map(|name| format!("https://{name}.openai.azure.com"));
        let version = node.text("azure_api_version").or_else(|| node.text("api_version"));
        Wanted {
            base_url: host.or(azure),
            key,
            api_version: version.map(|text| reference(&text)),
            region: node.text("aws_region").map(|text| reference(&text)),
        }
    }
}

/// The vendor that a slug is called after, or whose the model is.
fn guess(slug: &str, model: Option<&str>) -> Option<&'static Vendor> {
    let slug = slug.to_ascii_lowercase();
    // The longest name first: `azure-openai` is not `openai`.
    let mut names: Vec<(&str, &Vendor)> = VENDORS
        .iter()
        .flat_map(|vendor| vendor.portkey.iter().map(move |name| (*name, vendor)))
        .collect();
    names.push(("azure", vendors::named("azure")?));
    names.push(("gemini", vendors::named("gemini")?));
    names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    let by_slug = names.into_iter().find(|(name, _)| slug.contains(name));
    by_slug
        .map(|(_, vendor)| vendor)
        .or_else(|| vendors::named(vendor_of(model.unwrap_or_default())?))
}
