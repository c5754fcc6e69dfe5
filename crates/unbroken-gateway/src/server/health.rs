//! What do the gateway's own health pages say?

use serde_json::{Value, json};
use unbroken::{Failover, TargetStatus};

/// The targets, their states and what ails them.
pub(super) fn page(failover: &Failover, is_draining: bool) -> Value {
    let targets: Vec<Value> = failover.status().iter().map(target).collect();
    json!({ "status": if is_draining { "draining" } else { "ok" }, "targets": targets })
}

fn target(status: &TargetStatus) -> Value {
    let report = &status.report;
    json!({
        "target": report.label.as_ref(),
        "breaker": report.state,
        "usable": report.refusal.is_none(),
        "blocked_by": report.refusal.map(|refusal| refusal.cell.name()),
        "blocked_for_ms": status
            .blocked_for
            .map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        "last_failure": report.last_failure.map(|cause| cause.to_string()),
    })
}
