//! A Portkey config: a tree of strategies over targets.
//!
//! Source: portkey.ai/docs, "Config object", "Configs", "Conditional routing", "Circuit breaker",
//! read 2026-11-25.

use serde_json::{Map, Value};

use super::draft::{Draft, duration};
use super::fields::{Fields, NOTHING_LIKE_IT};
use super::route::{Route, Target, Tier, weights};
use super::write::quoted;

mod target;

/// What the config itself does not say.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// What clients are to send as `model`.
    pub(crate) route: String,
    /// The model of targets that do not say one: what clients send today.
    pub(crate) model: Option<String>,
}

/// A tree is not deeper.
const DEPTH_MAX: usize = 16;

/// The config.
///
/// # Errors
/// When it is not JSON.
pub(super) fn read(text: &str, asked: &Asked) -> Result<Draft, String> {
    let config: Value =
        serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
    let mut draft = Draft::default();
    let mut reader = Reader { draft: &mut draft, asked, answers: Vec::new() };
    let root = Fields::of("config", snake_case(config));
    let tiers = reader.node(root, &Above::default(), 0);
    let answer = reader.answers.iter().copied().reduce(f64::max);
    if !tiers.is_empty() {
        draft.routes.insert(0, Route::new(&asked.route, tiers, "weighted"));
    }
    if let Some(seconds) = answer {
        if seconds > 600.0 {
            draft.limits.push(("total", quoted(&duration(seconds))));
        }
        draft.limits.push(("answer", quoted(&duration(seconds))));
    }
    Ok(draft)
}

/// What a node takes from those above it.
#[derive(Clone, Debug, Default)]
struct Above {
    model: Option<String>,
}

struct Reader<'a> {
    draft: &'a mut Draft,
    asked: &'a Asked,
    /// Every `request_timeout`, in seconds.
    answers: Vec<f64>,
}

impl Reader<'_> {
    /// The tiers of a node and of everything below it.
    fn node(&mut self, mut node: Fields, above: &Above, depth: usize) -> Vec<Tier> {
        if depth > DEPTH_MAX {
            self.draft.note(node.place(), "the tree is too deep");
            return Vec::new();
        }
        let mut strategy = node.table("strategy");
        let targets = node.tables("targets");
        self.shared(&mut node);
        let mut below = above.clone();
        let mut overrides = node.table("override_params");
        below.model = overrides.text("model").or(below.model);
        overrides.rest(&mut self.draft.notes, NOTHING_LIKE_IT);
        let mode = strategy.text("mode");
        let is_leaf = targets.is_empty();
        let tiers = match mode.as_deref() {
            _ if is_leaf => self.leaf(&mut node, &below),
            Some("loadbalance") => self.spread(targets, &below, depth),
            Some("conditional") => self.conditional(&mut strategy, targets, &below, depth),
            Some("single") => {
                let first = targets.into_iter().next();
                first.map_or_else(Vec::new, |first| self.node(first, &below, depth + 1))
            }
            Some("fallback") | None => self.in_turn(targets, &below, depth),
            Some(other) => {
                let at = strategy.inside("mode");
                self.draft.note(&at, &format!("`{other}` became `fallback`"));
                self.in_turn(targets, &below, depth)
            }
        };
        if strategy.take("on_status_codes").is_some() {
            let at = strategy.inside("on_status_codes");
            self.draft.note(&at, "what fails over is decided by the cause, not by status alone");
        }
        self.breaker(strategy.table("cb_config"));
        self.breaker(node.table("cb_config"));
        drop((node.take("name"), node.take("weight")));
        for part in [strategy, node] {
            part.rest(&mut self.draft.notes, NOTHING_LIKE_IT);
        }
        tiers
    }

    /// `fallback`: one after the other.
    fn in_turn(&mut self, targets: Vec<Fields>, above: &Above, depth: usize) -> Vec<Tier> {
        targets.into_iter().flat_map(|target| self.node(target, above, depth + 1)).collect()
    }

    /// `loadbalance`: the first tier of each, side by side.
    fn spread(&mut self, targets: Vec<Fields>, above: &Above, depth: usize) -> Vec<Tier> {
        let mut shares = Vec::new();
        let mut heads: Vec<Tier> = Vec::new();
        let mut others = Vec::new();
        for mut target in targets {
            let at = target.place().to_owned();
            let share = target.number("weight").unwrap_or(1.0);
            if share <= 0.0 {
                self.draft.note(&at, "its weight is 0: it is left out");
                continue;
            }
            let mut tiers = self.node(target, above, depth + 1);
            if tiers.is_empty() {
                continue;
            }
            if tiers.len() > 1 {
                let what = "what it falls back to is asked after all that share the load with it";
                self.draft.note(&at, what);
            }
            heads.push(tiers.remove(0));
            shares.push(share);
            others.extend(tiers);
        }
        let mut tier = Tier::new();
        for (head, weight) in heads.into_iter().zip(weights(&shares)) {
            let weight = |own: u32| own.saturating_mul(weight).clamp(1, 1_000_000);
            tier.extend(head.into_iter().map(|t| Target { weight: weight(t.weight), ..t }));
        }
        std::iter::once(tier).filter(|tier| !tier.is_empty()).chain(others).collect()
    }

    /// `conditional`: a route for each target that a condition leads to; the default's here.
    fn conditional(
        &mut self,
        strategy: &mut Fields,
        targets: Vec<Fields>,
        above: &Above,
        depth: usize,
    ) -> Vec<Tier> {
        let default = strategy.text("default");
        let conditions = strategy.tables("conditions");
        let mut named: Vec<(String, Vec<Tier>)> = Vec::new();
        for mut target in targets {
            let name = target.text("name").unwrap_or_default();
            let tiers = self.node(target, above, depth + 1);
            named.push((name, tiers));
        }
        for mut condition in conditions {
            let at = condition.place().to_owned();
            let then = condition.text("then").unwrap_or_default();
            let query = condition.take("query").unwrap_or(Value::Null);
            let Some((_, tiers)) = named.iter().find(|(name, _)| *name == then) else {
                self.draft.note(&at, "it leads to a target that is not there");
                continue;
            };
            if tiers.is_empty() {
                self.draft.note(&at, &format!("`{then}` cannot be served here"));
                continue;
            }
            self.condition(&at, &then, &query, tiers.clone());
            condition.rest(&mut self.draft.notes, NOTHING_LIKE_IT);
        }
        let found = named.iter().find(|(name, _)| Some(name) == default.as_ref());
        found.map(|(_, tiers)| tiers.clone()).unwrap_or_default()
    }

    /// A condition on the model is a route of that name; any other is for the client to choose.
    fn condition(&mut self, at: &str, then: &str, query: &Value, tiers: Vec<Tier>) {
        let model = query.get("params.model").map(|model| model.get("$eq").unwrap_or(model));
        let is_alone = query.as_object().is_some_and(|query| query.len() == 1);
        let (name, remark) = match model.and_then(Value::as_str).filter(|_| is_alone) {
            Some(model) => (model.to_owned(), String::new()),
            None => {
                let what = format!(
                    "requests are not looked at here: a client that is meant sends the model `{then}`"
                );
                self.draft.note(at, &what);
                (then.to_owned(), format!("for whom the condition held: {query}"))
            }
        };
        if name == self.asked.route || self.draft.routes.iter().any(|route| route.name == name) {
            self.draft.note(at, &format!("there is a route `{name}` already"));
            return;
        }
        let route = Route::new(&name, tiers, "weighted");
        self.draft.routes.push(Route { remark, ..route });
    }

    /// What may stand at every node.
    fn shared(&mut self, node: &mut Fields) {
        if let Some(millis) = node.number("request_timeout") {
            self.answers.push(millis / 1_000.0);
            if self.answers.len() == 2 {
                let at = node.inside("request_timeout");
                self.draft.note(&at, "the longest of all became `[limits] answer`");
            }
        }
        let mut retry = node.table("retry");
        if let Some(attempts) = retry.number("attempts") {
            let revisits = attempts.clamp(0.0, 16.0) as u32;
            let before = self.draft.retry.iter().find(|(name, _)| *name == "revisits");
            let before = before.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
            self.draft.retry.clear();
            self.draft.retry.push(("revisits", revisits.max(before).to_string()));
        }
        if retry.take("on_status_codes").is_some() {
            let at = retry.inside("on_status_codes");
            self.draft.note(&at, "what is tried again is decided by the cause");
        }
        // It is always so here.
        drop(retry.take("use_retry_after_headers"));
        retry.rest(&mut self.draft.notes, NOTHING_LIKE_IT);
    }

    fn breaker(&mut self, mut breaker: Fields) {
        if breaker.is_empty() {
            return;
        }
        self.draft.breaker.clear();
        if let Some(threshold) = breaker.number("failure_threshold") {
            let threshold = (threshold as u64).clamp(1, 1_000);
            self.draft.breaker.push(("failure_threshold", threshold.to_string()));
        }
        if let Some(millis) = breaker.number("cooldown_interval").filter(|millis| *millis > 0.0) {
            let seconds = millis / 1_000.0;
            let longest = (seconds * 4.0).min(86_400.0);
            self.draft.breaker.push(("recovery", quoted(&duration(seconds))));
            self.draft.breaker.push(("recovery_max", quoted(&duration(longest))));
        }
        breaker.rest(&mut self.draft.notes, NOTHING_LIKE_IT);
    }
}

/// Names are written in two ways. What stands inside `override_params`, `query` and `metadata` is
/// the user's own.
fn snake_case(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let renamed = map.into_iter().map(|(name, value)| {
                let name = snake(&name);
                let is_own = ["override_params", "query", "metadata"].contains(&name.as_str());
                let value = if is_own { value } else { snake_case(value) };
                (name, value)
            });
            Value::Object(renamed.collect::<Map<String, Value>>())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(snake_case).collect()),
        other => other,
    }
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}
