//! How is a draft written down?

use std::fmt::Write as _;

use super::draft::Draft;
use super::provider::Provider;
use super::route::{Route, Target};

/// The file. Writing to a string does not fail.
pub(super) fn file(draft: &Draft, from: &str) -> String {
    let mut text =
        format!("#:schema ./unbroken.schema.json\n# Made from a configuration of {from}.\n");
    if !draft.notes.is_empty() {
        text.push_str("#\n# What is not, or not quite, the same here:\n");
        for note in &draft.notes {
            let _ = writeln!(text, "# - {}", note.replace('\n', " "));
        }
    }
    if !draft.variables.is_empty() {
        let variables: Vec<&str> = draft.variables.keys().map(String::as_str).collect();
        let _ = writeln!(text, "#\n# Needs in the environment: {}", variables.join(", "));
    }
    for provider in &draft.providers {
        write_provider(&mut text, provider);
    }
    for route in &draft.routes {
        write_route(&mut text, route);
    }
    let tables = [("limits", &draft.limits), ("breaker", &draft.breaker), ("retry", &draft.retry)];
    for (name, settings) in tables.into_iter().filter(|(_, settings)| !settings.is_empty()) {
        let _ = writeln!(text, "\n[{name}]");
        for (name, value) in settings {
            let _ = writeln!(text, "{name} = {value}");
        }
    }
    text
}

fn write_provider(text: &mut String, provider: &Provider) {
    let _ = writeln!(text, "\n[[provider]]\nname = {}", quoted(&provider.name));
    match provider.known {
        Some(known) if known == provider.name => {}
        Some(known) => {
            let _ = writeln!(text, "provider = {}", quoted(known));
        }
        None => text.push_str("dialect = \"openai-chat\"\n"),
    }
    let fields = [
        ("base_url", &provider.base_url),
        ("api_version", &provider.api_version),
        ("region", &provider.region),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            let _ = writeln!(text, "{name} = {}", quoted(value));
        }
    }
    if let Some(variable) = &provider.variable {
        let _ = writeln!(text, "key = {}", quoted(&format!("${{{variable}}}")));
    }
    if !provider.models.is_empty() {
        let _ = writeln!(text, "models = [{}]", provider.models.join(", "));
    }
}

fn write_route(text: &mut String, route: &Route) {
    text.push_str("\n[[route]]\n");
    if !route.remark.is_empty() {
        let _ = writeln!(text, "# {}", route.remark.replace('\n', " "));
    }
    let _ = writeln!(text, "name = {}", quoted(&route.name));
    let is_plain = route.tiers.iter().all(|tier| tier.len() == 1);
    if is_plain {
        let targets: Vec<String> = route.tiers.iter().flatten().map(label).collect();
        let _ = writeln!(text, "targets = [{}]", targets.join(", "));
    } else {
        text.push_str("tiers = [\n");
        for tier in &route.tiers {
            let is_even = tier.iter().all(|target| target.weight == 1);
            let targets: Vec<String> = tier
                .iter()
                .map(|target| match is_even {
                    true => label(target),
                    false => {
                        format!("{{ target = {}, weight = {} }}", label(target), target.weight)
                    }
                })
                .collect();
            let _ = writeln!(text, "    [{}],", targets.join(", "));
        }
        let _ = writeln!(text, "]\norder = {}", quoted(route.order));
    }
    if !route.limits.is_empty() {
        let limits: Vec<String> =
            route.limits.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        let _ = writeln!(text, "limits = {{ {} }}", limits.join(", "));
    }
}

fn label(target: &Target) -> String {
    quoted(&format!("{}/{}", target.provider, target.model))
}

/// A text as TOML writes it.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
