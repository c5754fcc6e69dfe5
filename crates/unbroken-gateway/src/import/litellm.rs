//! LiteLLM's `config.yaml`.
//!
//! Source: docs.litellm.ai, "Configuration and defaults", "Retries, fallbacks and cooldowns", "All
//! settings", read 2026-11-25.

use std::collections::BTreeMap;

use serde_json::Value;

use super::draft::{Draft, duration};
use super::fields::{Fields, NOTHING_LIKE_IT};
use super::route::{Route, Target, Tier, weights};

mod deployment;

/// Names that say nothing that would be different here.
const HARMLESS: &[&str] = &[
    "drop_params",
    "enable_pre_call_checks",
    "json_logs",
    "modify_params",
    "set_verbose",
    "store_model_in_db",
];

/// Where it is wrong, and nothing of what stands there: it may be a key.
fn not_yaml(error: &serde_saphyr::Error) -> String {
    match error.location() {
        Some(at) => format!("it is not YAML: look at line {}, column {}", at.line(), at.column()),
        None => "it is not YAML".to_owned(),
    }
}

/// The file.
///
/// # Errors
/// When it is not YAML.
pub(super) fn read(text: &str) -> Result<Draft, String> {
    let file: Value = serde_saphyr::from_str(text).map_err(|error| not_yaml(&error))?;
    let mut file = Fields::of("", file);
    let mut draft = Draft::default();
    let mut router = file.table("router_settings");
    let mut settings = file.table("litellm_settings");
    let order = order(&mut draft, &mut router);
    let mut groups = Groups::default();
    for entry in file.tables("model_list") {
        deployment::read(&mut draft, &mut groups, entry);
    }
    for (name, deployments) in groups.0 {
        draft.routes.push(route(&name, deployments, order));
    }
    let groups = draft.routes.clone();
    for from in [&mut router, &mut settings] {
        fallbacks(&mut draft, &groups, from);
        numbers(&mut draft, from);
    }
    aliases(&mut draft, &mut router);
    general(&mut draft, file.table("general_settings"));
    for name in HARMLESS {
        drop((router.take(name), settings.take(name)));
    }
    for part in [router, settings, file] {
        part.rest(&mut draft.notes, NOTHING_LIKE_IT);
    }
    Ok(draft)
}

/// Deployments of one name, in the order of the file.
#[derive(Debug, Default)]
struct Groups(Vec<(String, Vec<Deployment>)>);

impl Groups {
    fn push(&mut self, name: &str, deployment: Deployment) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, group)) => group.push(deployment),
            None => self.0.push((name.to_owned(), vec![deployment])),
        }
    }
}

/// One deployment of a group.
#[derive(Debug)]
struct Deployment {
    target: Target,
    /// What it is weighted by, the strongest first: `weight`, `rpm`, `tpm`.
    shares: [Option<f64>; 3],
    /// `order`: the lowest is asked first.
    order: u64,
    timeout: Option<f64>,
    stream_timeout: Option<f64>,
}

/// The route of a model group, which is never empty: a tier for every `order`.
fn route(name: &str, deployments: Vec<Deployment>, order: &'static str) -> Route {
    let longest =
        |of: fn(&Deployment) -> Option<f64>| deployments.iter().filter_map(of).reduce(f64::max);
    let answer = longest(|deployment| deployment.timeout);
    let first_token = longest(|deployment| deployment.stream_timeout);
    let mut by_order: BTreeMap<u64, Vec<Deployment>> = BTreeMap::new();
    for deployment in deployments {
        by_order.entry(deployment.order).or_default().push(deployment);
    }
    let mut route = Route::new(name, by_order.into_values().map(tier).collect(), order);
    // No limit may be longer than `total`.
    if let Some(longest) = answer.into_iter().chain(first_token).reduce(f64::max)
        && longest > 600.0
    {
        route.limits.push(("total", quoted(longest)));
    }
    route.limits.extend(answer.map(|seconds| ("answer", quoted(seconds))));
    route.limits.extend(first_token.map(|seconds| ("first_token", quoted(seconds))));
    route
}

/// Weighted by the first of the numbers that every deployment has.
fn tier(deployments: Vec<Deployment>) -> Tier {
    let shares = (0..3).find_map(|at| {
        let shares = deployments.iter().map(|d| d.shares.get(at).copied().flatten());
        shares.collect::<Option<Vec<f64>>>()
    });
    let even = || vec![1; deployments.len()];
    let weights = shares.filter(|shares| shares.iter().all(|s| *s > 0.0)).map(|s| weights(&s));
    let weights = weights.unwrap_or_else(even);
    let weighted = deployments.into_iter().zip(weights);
    weighted.map(|(deployment, weight)| Target { weight, ..deployment.target }).collect()
}

fn quoted(seconds: f64) -> String {
    super::write::quoted(&duration(seconds))
}

/// How a group is spread.
fn order(draft: &mut Draft, router: &mut Fields) -> &'static str {
    let strategy = router.text("routing_strategy").unwrap_or_else(|| "simple-shuffle".to_owned());
    let at = router.inside("routing_strategy");
    match strategy.as_str() {
        "simple-shuffle" => "weighted",
        "latency-based-routing" => "balanced",
        "least-busy" => {
            draft.note(&at, "`least-busy` became `balanced`: the quicker one of two");
            "balanced"
        }
        other => {
            draft.note(&at, &format!("`{other}` became `weighted`: there is nothing like it here"));
            "weighted"
        }
    }
}

/// The four lists of fallbacks.
fn fallbacks(draft: &mut Draft, groups: &[Route], from: &mut Fields) {
    let at = from.inside("fallbacks");
    let mut has_own = Vec::new();
    for (group, others) in pairs(from.take("fallbacks")) {
        has_own.push(group.clone());
        append(draft, groups, &at, &group, &others);
    }
    let narrow = [
        ("context_window_fallbacks", "a prompt that is too long"),
        ("content_policy_fallbacks", "a refusal by a content policy"),
    ];
    for (name, what) in narrow {
        let at = from.inside(name);
        for (group, others) in pairs(from.take(name)) {
            append(draft, groups, &at, &group, &others);
            let others = others.join(", ");
            draft.note(
                &at,
                &format!(
                    "{others} are asked last for {group} whatever failed, not only after {what}"
                ),
            );
        }
    }
    let at = from.inside("default_fallbacks");
    let others = list(from.take("default_fallbacks"));
    for group in groups.iter().filter(|group| !has_own.contains(&group.name)) {
        let others: Vec<String> =
            others.iter().filter(|other| **other != group.name).cloned().collect();
        append(draft, groups, &at, &group.name, &others);
    }
}

/// Appends the tiers of other groups to a route.
fn append(draft: &mut Draft, groups: &[Route], at: &str, group: &str, others: &[String]) {
    for other in others {
        let found = groups.iter().find(|known| known.name == *other);
        let route = draft.routes.iter_mut().find(|route| route.name == group);
        match (route, found) {
            (Some(route), Some(found)) => {
                for tier in &found.tiers {
                    route.then(tier.clone());
                }
            }
            _ => draft.note(at, &format!("{group} to {other}: one of them is not there")),
        }
    }
}

/// `[{"a": ["b", "c"]}]`, or the same as a table.
fn pairs(value: Option<Value>) -> Vec<(String, Vec<String>)> {
    let tables = match value {
        Some(Value::Array(tables)) => tables,
        Some(table) => vec![table],
        None => Vec::new(),
    };
    let all = tables.into_iter().flat_map(|table| Fields::of("", table).all());
    all.map(|(group, others)| (group, list(Some(others)))).collect()
}

fn list(value: Option<Value>) -> Vec<String> {
    let name = |value: Value| value.as_str().map(str::to_owned);
    match value {
        Some(Value::Array(values)) => values.into_iter().filter_map(name).collect(),
        Some(value) => name(value).into_iter().collect(),
        None => Vec::new(),
    }
}

/// Numbers that stand in the router's settings or in LiteLLM's.
fn numbers(draft: &mut Draft, from: &mut Fields) {
    if let Some(retries) = from.number("num_retries") {
        let at = from.inside("num_retries");
        let revisits = retries.clamp(0.0, 16.0) as u32;
        let longest = draft.routes.iter().map(|route| route.tiers.iter().flatten().count()).max();
        let longest = u32::try_from(longest.unwrap_or(1)).unwrap_or(16);
        let attempts = (revisits + longest).clamp(1, 16);
        draft.retry.retain(|(name, _)| !["revisits", "max_attempts"].contains(name));
        draft.retry.push(("revisits", revisits.to_string()));
        draft.retry.push(("max_attempts", attempts.to_string()));
        let what = "became `revisits` of one target; every other target is asked before one is \
                    asked again";
        draft.note(&at, what);
    }
    for name in ["timeout", "request_timeout"] {
        if let Some(seconds) = from.number(name) {
            draft.limits.retain(|(name, _)| !["answer", "total"].contains(name));
            draft.limits.push(("answer", quoted(seconds)));
            if seconds > 600.0 {
                draft.limits.push(("total", quoted(seconds)));
            }
        }
    }
    if let Some(seconds) = from.number("stream_timeout") {
        draft.limits.retain(|(name, _)| *name != "first_token");
        draft.limits.push(("first_token", quoted(seconds.min(600.0))));
    }
    if let Some(fails) = from.number("allowed_fails") {
        let at = from.inside("allowed_fails");
        draft.breaker.retain(|(name, _)| *name != "failure_threshold");
        let threshold = (fails as u64 + 1).clamp(1, 1_000);
        draft.breaker.push(("failure_threshold", threshold.to_string()));
        draft.note(&at, "became `failure_threshold`: failures in a row, not within a minute");
    }
    if let Some(seconds) = from.number("cooldown_time").filter(|seconds| *seconds > 0.0) {
        draft.breaker.retain(|(name, _)| !["recovery", "recovery_max"].contains(name));
        draft.breaker.push(("recovery", quoted(seconds)));
        draft.breaker.push(("recovery_max", quoted((seconds * 4.0).min(86_400.0))));
    }
}

/// Other names of groups.
fn aliases(draft: &mut Draft, router: &mut Fields) {
    let at = router.inside("model_group_alias");
    for (alias, group) in router.table("model_group_alias").all() {
        let group = match group {
            Value::String(group) => group,
            table => Fields::of("", table).text("model").unwrap_or_default(),
        };
        match draft.routes.iter().find(|route| route.name == group).cloned() {
            Some(route) if draft.routes.iter().all(|route| route.name != alias) => {
                let remark = format!("the same as {group}");
                draft.routes.push(Route { name: alias, remark, ..route });
            }
            _ => draft.note(&at, &format!("{alias}: there is no group {group} that it could name")),
        }
    }
}

/// Keys of clients, databases and the like.
fn general(draft: &mut Draft, mut general: Fields) {
    if general.take("master_key").is_some() {
        draft.note(
            "general_settings.master_key",
            "clients are not asked for a key here: whoever reaches the port may use it",
        );
    }
    for name in HARMLESS {
        drop(general.take(name));
    }
    general.rest(&mut draft.notes, NOTHING_LIKE_IT);
}
