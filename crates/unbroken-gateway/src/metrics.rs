//! Numbers for Prometheus, from the events of the engine.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicI64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use unbroken::observer::{Observer, Seen};
use unbroken_engine::event::Event;

/// Every counter, and the page that shows them.
pub(crate) struct Metrics {
    registry: Registry,
    names: Names,
    calls: Family<CallLabels, Counter>,
    attempts: Family<AttemptLabels, Counter>,
    starts: Family<StartLabels, Counter>,
    first_token: Family<TargetLabels, Histogram, fn() -> Histogram>,
    call_seconds: Family<CallLabels, Histogram, fn() -> Histogram>,
    waits: Counter,
    retries_refused: Counter,
    breaker_changes: Family<BreakerLabels, Counter>,
    breaker_state: Family<CellLabels, Gauge<i64, AtomicI64>>,
    blocks: Family<BlockLabels, Counter>,
    health_checks: Family<HealthLabels, Counter>,
    degraded: Family<TargetLabels, Gauge<i64, AtomicI64>>,
    hedges: Family<HedgeLabels, Counter>,
    alerts: Family<AlertLabels, Counter>,
    local_fault: Gauge<i64, AtomicI64>,
    throttled: Counter,
    stream_breaks: Family<BreakLabels, Counter>,
    stream_seams: Family<SeamLabels, Counter>,
    seam_gap: Family<SeamLabels, Histogram, fn() -> Histogram>,
    reloads: Family<ReloadLabels, Counter>,
    generation: Gauge<i64, AtomicI64>,
    is_refused: Gauge<i64, AtomicI64>,
    alert_open: Family<OpenAlertLabels, Gauge<i64, AtomicI64>>,
    webhooks: Family<LedgerLabels, Counter>,
    ledger_entries: Family<LedgerLabels, Counter>,
    ledger_open: Gauge<i64, AtomicI64>,
    ledger_bytes: Gauge<i64, AtomicI64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OpenAlertLabels {
    alert: &'static str,
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LedgerLabels {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BreakLabels {
    target: String,
    cause: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SeamLabels {
    how: &'static str,
}

/// What became of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReloadResult {
    /// It holds.
    Loaded,
    /// It is wrong; the one before goes on.
    Refused,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HedgeLabels {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AlertLabels {
    alert: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    target: String,
    result: &'static str,
    phase: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StartLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TargetLabels {
    target: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BreakerLabels {
    cell: &'static str,
    name: String,
    to: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CellLabels {
    cell: &'static str,
    name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BlockLabels {
    cell: &'static str,
    cause: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HealthLabels {
    endpoint: String,
    health: &'static str,
}

/// 10 ms to 82 s, doubling: the buckets of the `GenAI` conventions. Source: ecosystem.md 4.
fn histogram() -> Histogram {
    Histogram::new((0..14).map(|n| 0.01 * f64::from(1 << n)))
}

/// Labels have at most this many characters.
const LABEL_MAX: usize = 120;
/// This many names have numbers of their own, the others are `other`: clients may invent models,
/// and each name costs some kilobytes and a place in Prometheus.
const NAMES_MAX: usize = 500;

/// The names that have numbers of their own.
#[derive(Default)]
struct Names(Mutex<BTreeSet<String>>);

impl Names {
    fn label(&self, text: &str) -> String {
        let name: String = text.chars().take(LABEL_MAX).collect();
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if names.contains(&name) {
            return name;
        }
        if names.len() >= NAMES_MAX {
            return "other".to_owned();
        }
        names.insert(name.clone());
        name
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("unbroken"),
            names: Names::default(),
            calls: Family::default(),
            attempts: Family::default(),
            starts: Family::default(),
            first_token: Family::new_with_constructor(histogram),
            call_seconds: Family::new_with_constructor(histogram),
            waits: Counter::default(),
            retries_refused: Counter::default(),
            breaker_changes: Family::default(),
            breaker_state: Family::default(),
            blocks: Family::default(),
            health_checks: Family::default(),
            degraded: Family::default(),
            hedges: Family::default(),
            alerts: Family::default(),
            local_fault: Gauge::default(),
            throttled: Counter::default(),
            reloads: Family::default(),
            generation: Gauge::default(),
            is_refused: Gauge::default(),
            stream_breaks: Family::default(),
            stream_seams: Family::default(),
            seam_gap: Family::new_with_constructor(histogram),
            alert_open: Family::default(),
            webhooks: Family::default(),
            ledger_entries: Family::default(),
            ledger_open: Gauge::default(),
            ledger_bytes: Gauge::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let r = &mut self.registry;
        r.register("calls", "Calls by how they ended", self.calls.clone());
        r.register("attempts", "Attempts by how they ended", self.attempts.clone());
        r.register("attempt_starts", "Attempts by why they began", self.starts.clone());
        r.register(
            "time_to_first_token_seconds",
            "Time from an attempt's start to its first content",
            self.first_token.clone(),
        );
        r.register("call_duration_seconds", "Duration of calls", self.call_seconds.clone());
        r.register("call_waits", "Waits of calls for a target", self.waits.clone());
        r.register(
            "retries_refused",
            "Attempts that the retry budget refused",
            self.retries_refused.clone(),
        );
        r.register("breaker_changes", "Changes of breakers", self.breaker_changes.clone());
        r.register(
            "breaker_state",
            "0 closed, 1 ramp, 2 half open, 3 open",
            self.breaker_state.clone(),
        );
        r.register("blocks", "Cells blocked until a known time", self.blocks.clone());
        r.register("health_checks", "Active health checks", self.health_checks.clone());
        r.register("degraded", "1 while a target is slow", self.degraded.clone());
        r.register("hedges", "Second attempts beside late ones", self.hedges.clone());
        r.register("alerts", "What someone should look at", self.alerts.clone());
        r.register("local_fault", "1 while our own network fails", self.local_fault.clone());
        r.register("config_reloads", "Configurations by what became of them", self.reloads.clone());
        r.register(
            "config_generation",
            "Counts the configurations that have held",
            self.generation.clone(),
        );
        r.register(
            "config_refused",
            "1 while the files say something wrong and an older configuration holds",
            self.is_refused.clone(),
        );
        r.register("throttled", "Calls turned away in a total outage", self.throttled.clone());
        let breaks = "Answers that broke after their first content, by whose they were";
        r.register("stream_breaks", breaks, self.stream_breaks.clone());
        let seams = "Broken answers that another attempt went on with";
        r.register("stream_seams", seams, self.stream_seams.clone());
        let gap = "From a break to the first content after it";
        r.register("stream_seam_gap_seconds", gap, self.seam_gap.clone());
        let open = "1 while a route burns its error budget or has too few targets left";
        r.register("alert_open", open, self.alert_open.clone());
        r.register("webhooks", "Alerts by what became of them", self.webhooks.clone());
        let entries = "Entries of the ledger: written, or left out because it was too slow";
        r.register("ledger_entries", entries, self.ledger_entries.clone());
        r.register("ledger_open", "1 while there is a ledger", self.ledger_open.clone());
        r.register("ledger_bytes", "What the ledger takes on disk", self.ledger_bytes.clone());
    }

    /// An alert was raised or resolved.
    pub(crate) fn alert_is_open(&self, alert: &'static str, route: &str, is_open: bool) {
        let labels = OpenAlertLabels { alert, route: self.names.label(route) };
        self.alert_open.get_or_create(&labels).set(i64::from(is_open));
        if is_open {
            self.alert(alert);
        }
    }

    /// What became of an alert on its way to the webhook.
    pub(crate) fn webhook_sent(&self, result: &'static str) {
        self.webhooks.get_or_create(&LedgerLabels { result }).inc();
    }

    /// Whether there is a ledger.
    pub(crate) fn ledger_is_open(&self, is_open: bool) {
        self.ledger_open.set(i64::from(is_open));
    }

    /// What the ledger takes.
    pub(crate) fn ledger_bytes(&self, bytes: u64) {
        self.ledger_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Entries went into the ledger.
    pub(crate) fn ledger_written(&self, count: u64) {
        self.ledger_entries.get_or_create(&LedgerLabels { result: "written" }).inc_by(count);
    }

    /// Entries did not get into the ledger.
    pub(crate) fn ledger_left_out(&self, count: u64) {
        self.ledger_entries.get_or_create(&LedgerLabels { result: "left_out" }).inc_by(count);
    }

    /// How many did not, so far.
    pub(crate) fn ledger_left_out_so_far(&self) -> u64 {
        self.ledger_entries.get_or_create(&LedgerLabels { result: "left_out" }).get()
    }

    fn alert(&self, alert: &'static str) {
        self.alerts.get_or_create(&AlertLabels { alert }).inc();
    }

    /// A configuration was loaded or refused; neither, at the start.
    pub(crate) fn reloaded(&self, result: Option<ReloadResult>, generation: u64) {
        self.generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
        self.is_refused.set(i64::from(result == Some(ReloadResult::Refused)));
        let result = match result {
            Some(ReloadResult::Loaded) => "loaded",
            Some(ReloadResult::Refused) => "refused",
            None => return,
        };
        self.reloads.get_or_create(&ReloadLabels { result }).inc();
    }

    fn broke(&self, target: &str, cause: &'static str) {
        let labels = BreakLabels { target: self.names.label(target), cause };
        self.stream_breaks.get_or_create(&labels).inc();
    }

    fn continued(&self, how: &'static str, gap: Duration) {
        let labels = SeamLabels { how };
        self.stream_seams.get_or_create(&labels).inc();
        self.seam_gap.get_or_create(&labels).observe(gap.as_secs_f64());
    }

    /// The page for Prometheus.
    pub(crate) fn page(&self) -> String {
        let mut page = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut page, &self.registry);
        page
    }
}

impl Observer for Metrics {
    fn observe(&self, seen: &Seen<'_>) {
        match seen.event {
            Event::AttemptStarted { why, .. } => {
                self.starts.get_or_create(&StartLabels { reason: why.name() }).inc();
            }
            Event::AttemptDelivered { target, after, .. } => {
                let labels = TargetLabels { target: self.names.label(target) };
                self.first_token.get_or_create(&labels).observe(after.as_secs_f64());
            }
            Event::AttemptEnded { target, result, phase, .. } => {
                let (result, phase) = (result.name(), phase.name());
                let labels = AttemptLabels { target: self.names.label(target), result, phase };
                self.attempts.get_or_create(&labels).inc();
            }
            Event::StreamBroke { target, cause, .. } => self.broke(target, cause.name()),
            Event::StreamContinued { how, gap, .. } => self.continued(how.name(), *gap),
            Event::CallWaits { .. } => {
                self.waits.inc();
            }
            Event::RetryRefused { .. } => {
                self.retries_refused.inc();
            }
            Event::BreakerChanged { cell, name, change, reason } => {
                let (cell, name) = (cell.name(), self.names.label(name));
                let state = match change.to {
                    "closed" => 0,
                    "ramp" => 1,
                    "half_open" => 2,
                    _ => 3,
                };
                let labels = CellLabels { cell, name: name.clone() };
                self.breaker_state.get_or_create(&labels).set(state);
                let labels = BreakerLabels { cell, name, to: change.to, reason: reason.name() };
                self.breaker_changes.get_or_create(&labels).inc();
            }
            Event::CellBlocked { cell, cause, .. } => {
                let labels = BlockLabels { cell: cell.name(), cause: cause.name() };
                self.blocks.get_or_create(&labels).inc();
            }
            Event::SlownessChanged { name, is_degraded } => {
                let labels = TargetLabels { target: self.names.label(name) };
                self.degraded.get_or_create(&labels).set(i64::from(*is_degraded));
            }
            Event::HedgeDecided { won, .. } => {
                let result = if *won { "won" } else { "lost" };
                self.hedges.get_or_create(&HedgeLabels { result }).inc();
            }
            Event::LocalFault { begins } => {
                self.local_fault.set(i64::from(*begins));
            }
            Event::KeysCleared { .. } => self.alert("keys_cleared"),
            Event::KeyDead { .. } => self.alert("key_dead"),
            Event::TargetBlamed { .. } => self.alert("target_blamed"),
            Event::ModelWithdrawn { .. } => self.alert("model_withdrawn"),
            Event::CallThrottled { .. } => {
                self.throttled.inc();
            }
            Event::HealthChecked { endpoint, health } => {
                let labels =
                    HealthLabels { endpoint: self.names.label(endpoint), health: health.name() };
                self.health_checks.get_or_create(&labels).inc();
            }
            Event::CallEnded { outcome, took, .. } => {
                let labels = CallLabels { outcome: outcome.name() };
                self.call_seconds.get_or_create(&labels).observe(took.as_secs_f64());
                self.calls.get_or_create(&labels).inc();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn models_that_clients_invent_do_not_grow_the_page_for_ever() {
        let metrics = Metrics::new();
        for number in 0..2 * NAMES_MAX {
            let target = format!("openai/{number}").into();
            let event =
                Event::AttemptDelivered { call: 1, attempt: 1, target, after: Duration::ZERO };
            metrics.observe(&Seen { event: &event, call: None });
        }
        let page = metrics.page();
        let count = |what: &str| page.matches(what).count();
        assert_eq!(count("token_seconds_count{target=\"openai/"), NAMES_MAX);
        assert_eq!(count("token_seconds_count{target=\"other\"} 500"), 1);
    }
}
