//! What do operators see of the gateway, its routes and its targets?

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};
use unbroken::route::Route;
use unbroken::{Clock, TargetStatus};
use unbroken_engine::target::TierOrder;

use super::Admin;
use super::what_if::Shape;
use crate::journal::{self, Seconds, TargetTraffic};
use crate::routing::Routing;

/// Routes in one answer. More can only come from model names that clients invent.
const ROUTES_MAX: usize = 1_000;

/// One target.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct TargetView {
    pub(super) target: Arc<str>,
    /// `closed`, `open`, `half_open`, `ramp`, `forced_open`, `forced_closed` or `draining`.
    pub(super) state: &'static str,
    /// `well`, `slow`, `returning`, `shut`, `held` (by an operator) or `retired`.
    pub(super) health: &'static str,
    /// Whether calls may be sent to it.
    pub(super) usable: bool,
    /// Its state and the reason for it, for people.
    pub(super) words: String,
    /// When it is asked again, in milliseconds since 1970.
    pub(super) retry_at_ms: Option<u64>,
    /// The cell that refuses it.
    pub(super) blocked_by: Option<&'static str>,
    /// The evidence against it, as a share of what trips.
    pub(super) evidence: f64,
    /// The share of its traffic that it gets.
    pub(super) share: f64,
    /// Attempts under way.
    pub(super) under_way: u32,
    pub(super) last_failure: Option<String>,
    pub(super) first_token_ms: Option<u64>,
    pub(super) baseline_ms: Option<u64>,
    /// Attempts of the last minute.
    pub(super) answered: u64,
    pub(super) failed: u64,
}

/// Everything that the status page needs.
pub(super) fn status(admin: &Admin) -> Value {
    let minutes = admin.journal.traffic();
    let targets: Vec<Value> = target_views(admin, &minutes)
        .into_iter()
        .map(|view| {
            let minute = minutes.get(&view.target);
            let mut value = json!(view);
            if let (Some(object), Some(minute)) = (value.as_object_mut(), minute) {
                object.insert("minute".to_owned(), json!([minute.answered, minute.failed]));
            }
            value
        })
        .collect();
    let flows = admin.journal.flows();
    let flows: Vec<Value> = flows
        .iter()
        .map(|((route, target), seconds)| json!([route.as_ref(), target.as_ref(), seconds]))
        .collect();
    json!({
        "gateway": gateway(admin),
        "routes": routes(admin),
        "flows": flows,
        "targets": targets,
        "incidents": admin.journal.incidents().into_iter().take(50).collect::<Vec<_>>(),
        "now_ms": Clock::unix_millis(),
    })
}

/// The gateway itself.
pub(super) fn gateway(admin: &Admin) -> Value {
    let state = admin.reloader.state();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "listen": admin.serves_at.to_string(),
        "started_ms": admin.started_ms,
        "configuration": {
            "generation": state.generation,
            "loaded_unix": state.loaded_unix,
            "error": state.error,
            "after_restart": state.after_restart,
        },
    })
}

/// The targets alone.
pub(super) fn targets(admin: &Admin) -> Vec<TargetView> {
    target_views(admin, &admin.journal.traffic())
}

pub(super) fn target_views(
    admin: &Admin,
    minutes: &BTreeMap<Arc<str>, TargetTraffic>,
) -> Vec<TargetView> {
    let now = Clock::unix_millis();
    let statuses = admin.failover.status();
    statuses.iter().map(|status| view(status, minutes.get(&status.report.label), now)).collect()
}

fn view(status: &TargetStatus, minute: Option<&TargetTraffic>, now: u64) -> TargetView {
    let report = &status.report;
    let blocked =
        status.blocked_for.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    TargetView {
        target: report.label.clone(),
        state: report.state,
        health: health(status),
        usable: report.refusal.is_none() && !report.is_retired,
        words: words(status),
        // To 100 ms: it is told again only when it changes.
        retry_at_ms: blocked.map(|wait| now.saturating_add(wait).div_ceil(100) * 100),
        blocked_by: report.refusal.map(|refusal| refusal.cell.name()),
        evidence: (report.evidence * 100.0).round() / 100.0,
        share: match (report.refusal, report.share_per_mille) {
            (Some(_), _) => 0.0,
            (None, Some(share)) => f64::from(share) / 1_000.0,
            (None, None) => 1.0,
        },
        under_way: report.under_way,
        last_failure: report.last_failure.map(|cause| cause.to_string()),
        first_token_ms: minute.and_then(|minute| minute.first_token_ms),
        baseline_ms: minute.and_then(|minute| minute.baseline_ms),
        answered: minute.map_or(0, |minute| minute.answered.total()),
        failed: minute.map_or(0, |minute| minute.failed.total()),
    }
}

fn health(status: &TargetStatus) -> &'static str {
    let report = &status.report;
    let is_held = matches!(report.state, "forced_open" | "forced_closed" | "draining");
    if report.is_retired {
        "retired"
    } else if is_held {
        "held"
    } else if report.refusal.is_some() {
        "shut"
    } else if report.share_per_mille.is_some() || report.is_probing || report.state != "closed" {
        "returning"
    } else if report.is_degraded {
        "slow"
    } else {
        "well"
    }
}

/// The state and its reason, for people.
fn words(status: &TargetStatus) -> String {
    let report = &status.report;
    let because = report.last_failure.map(|cause| format!(": {cause}")).unwrap_or_default();
    if report.is_retired {
        return "it is not in the configuration any more".to_owned();
    }
    match report.state {
        "forced_open" => return "shut by an operator until it is released".to_owned(),
        "forced_closed" => {
            return "kept in use by an operator, whatever happens there".to_owned();
        }
        "draining" => return "drained by an operator: nothing new is sent to it".to_owned(),
        _ => {}
    }
    if let Some(refusal) = report.refusal {
        return format!("left alone because {}{because}", journal::refusal(refusal.cell));
    }
    if report.is_probing {
        return format!("one call tries it now{because}");
    }
    if let Some(share) = report.share_per_mille {
        return format!("it answers again: {} % of its traffic is back", share / 10);
    }
    if report.state != "closed" {
        return format!("the next call tries it{because}");
    }
    if report.is_degraded {
        return "slower than usual: others are preferred".to_owned();
    }
    match report.last_failure {
        Some(cause) => format!("well, though its last attempt failed: {cause}"),
        None => "well".to_owned(),
    }
}

/// The routes that are configured, and those that clients have made from model names.
pub(super) fn routes(admin: &Admin) -> Vec<Value> {
    let routing = admin.current.get();
    let flows = admin.journal.flows();
    known_routes(&routing, &flows)
        .iter()
        .map(|route| {
            let tiers = route.tiers.iter().map(|tier| {
                let choices = tier.choices.iter();
                let choice = choices.map(|c| json!({ "target": c.label(), "weight": c.weight }));
                let order = match tier.order {
                    TierOrder::Balanced => "balanced",
                    TierOrder::Weighted => "weighted",
                    TierOrder::Rotate => "rotate",
                };
                json!({ "order": order, "targets": choice.collect::<Vec<_>>() })
            });
            json!({
                "route": route.name,
                "configured": routing.plan().routes.contains_key(&route.name),
                "tiers": tiers.collect::<Vec<_>>(),
            })
        })
        .collect()
}

type Flows = BTreeMap<(Arc<str>, Arc<str>), Seconds>;

fn known_routes(routing: &Routing, flows: &Flows) -> Vec<Arc<Route>> {
    let plan = routing.plan();
    let mut routes: Vec<Arc<Route>> = plan.routes.values().cloned().collect();
    let mut last = None;
    for (name, _) in flows.keys() {
        if last.replace(name) == Some(name) || plan.routes.contains_key(name.as_ref()) {
            continue;
        }
        let made = routing.resolve(&[name.to_string()], plan.server.substitute);
        routes.extend(made);
    }
    routes.truncate(ROUTES_MAX);
    routes
}

/// The routes as a what-if needs them.
pub(super) fn shapes(admin: &Admin, target: &str) -> Vec<Shape> {
    let routing = admin.current.get();
    let flows = admin.journal.flows();
    let usable: BTreeMap<Arc<str>, bool> =
        targets(admin).into_iter().map(|view| (view.target.clone(), view.usable)).collect();
    let shape = |route: &Arc<Route>| {
        let tiers = route.tiers.iter().map(|tier| {
            let choices = tier.choices.iter().map(|choice| {
                let label = choice.label().to_owned();
                // A target that was never asked is as good as any.
                let is_usable = usable.get(label.as_str()).copied().unwrap_or(true);
                (label, choice.weight, is_usable)
            });
            choices.collect()
        });
        let key = (Arc::from(route.name.as_str()), Arc::from(target));
        let calls_per_minute = flows.get(&key).map_or(0, Seconds::total);
        Shape { route: route.name.clone(), tiers: tiers.collect(), calls_per_minute }
    };
    known_routes(&routing, &flows).iter().map(shape).collect()
}
