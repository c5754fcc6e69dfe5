//! Who is told when clients suffer, or are about to? Looks every two seconds; what it finds goes to
//! the log, the metrics, the admin API, and a webhook.
//!
//! What is wrong is decided by [`burn`] and [`redundancy`], from counts and times alone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc;
use unbroken::{Clock, Failover};

use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::server::Current;

pub(crate) mod burn;
mod redundancy;
mod webhook;

use burn::{Burning, burning};
use redundancy::Watch;

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Alerts that are over are remembered up to this number.
const PAST_MAX: usize = 200;
/// Alerts that wait to be sent; what comes beyond is left out and counted.
const WAITING_MAX: usize = 100;

/// How urgent it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Severity {
    /// Somebody must act now.
    Page,
    /// Somebody should look, within days.
    Ticket,
}

/// One alert.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Alert {
    pub(crate) alert: &'static str,
    pub(crate) severity: Severity,
    pub(crate) route: Arc<str>,
    /// What is wrong, in words.
    pub(crate) words: String,
    /// In milliseconds since 1970.
    pub(crate) raised_ms: u64,
    /// Absent while it goes on.
    pub(crate) resolved_ms: Option<u64>,
}

/// What goes on and what is over: changes are told once.
#[derive(Debug, Default)]
struct Book {
    open: BTreeMap<(Arc<str>, &'static str), Alert>,
    past: VecDeque<Alert>,
}

impl Book {
    /// What is wrong at a moment; gives back what has changed.
    fn look(&mut self, found: Vec<(Arc<str>, Burning)>, now_ms: u64) -> Vec<Alert> {
        let mut changed = Vec::new();
        let mut seen = BTreeSet::new();
        for (route, Burning { name, severity, words }) in found {
            let key = (route.clone(), name);
            seen.insert(key.clone());
            if let Some(open) = self.open.get_mut(&key) {
                open.words = words;
                continue;
            }
            let alert =
                Alert { alert: name, severity, route, words, raised_ms: now_ms, resolved_ms: None };
            changed.push(alert.clone());
            self.open.insert(key, alert);
        }
        let is_over = |key: &(Arc<str>, &'static str)| !seen.contains(key);
        let over: Vec<_> = self.open.keys().filter(|key| is_over(key)).cloned().collect();
        for key in over {
            let Some(mut alert) = self.open.remove(&key) else { continue };
            alert.resolved_ms = Some(now_ms);
            if self.past.len() >= PAST_MAX {
                self.past.pop_front();
            }
            self.past.push_back(alert.clone());
            changed.push(alert);
        }
        changed
    }
}

/// Looks after all routes.
pub(crate) struct Alerts {
    current: Arc<Current>,
    journal: Arc<Journal>,
    failover: Failover,
    metrics: Arc<Metrics>,
    book: Mutex<Book>,
}

impl Alerts {
    pub(crate) fn new(
        current: Arc<Current>,
        journal: Arc<Journal>,
        failover: Failover,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { current, journal, failover, metrics, book: Mutex::default() }
    }

    /// What goes on, the most urgent first, and what is over, the newest first.
    pub(crate) fn all(&self) -> (Vec<Alert>, Vec<Alert>) {
        let book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let mut open: Vec<Alert> = book.open.values().cloned().collect();
        open.sort_by_key(|alert| (alert.severity == Severity::Ticket, alert.raised_ms));
        (open, book.past.iter().rev().cloned().collect())
    }

    /// Looks, for ever.
    pub(crate) async fn run(self: Arc<Self>) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let sending = webhook::run(receiver, self.current.clone(), self.metrics.clone());
        drop(unbroken::spawn("webhook", sending));
        let mut watches = BTreeMap::new();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            for alert in self.look(&mut watches) {
                self.tell(&alert);
                if sender.try_send(alert).is_err() {
                    self.metrics.webhook_sent("left_out");
                }
            }
        }
    }

    fn look(&self, watches: &mut BTreeMap<String, Watch>) -> Vec<Alert> {
        let now_ms = Clock::unix_millis();
        let routing = self.current.get();
        let plan = routing.plan();
        let mut found = Vec::new();
        for (route, minutes) in self.journal.minutes() {
            let burning = burning(&minutes, plan.slo_of(&route), now_ms / 60_000);
            found.extend(burning.map(|burning| (route, burning)));
        }
        let refused: BTreeSet<Arc<str>> = self
            .failover
            .status()
            .into_iter()
            .filter(|status| status.report.refusal.is_some() || status.report.is_retired)
            .map(|status| status.report.label)
            .collect();
        watches.retain(|route, _| plan.routes.contains_key(route));
        for (name, route) in &plan.routes {
            let choices = route.tiers.iter().flat_map(|tier| &tier.choices);
            let targets: Vec<(&str, bool)> =
                choices.map(|c| (c.label(), !refused.contains(c.label()))).collect();
            let watch = watches.entry(name.clone()).or_default();
            let burning = watch.look(&targets, now_ms, plan.alerts.redundancy_after);
            found.extend(burning.map(|burning| (Arc::from(name.as_str()), burning)));
        }
        self.book.lock().unwrap_or_else(PoisonError::into_inner).look(found, now_ms)
    }

    fn tell(&self, alert: &Alert) {
        let Alert { alert: name, severity, route, words, resolved_ms, .. } = alert;
        self.metrics.alert_is_open(name, route, resolved_ms.is_none());
        match (resolved_ms, severity) {
            (Some(_), _) => tracing::info!(alert = name, %route, "resolved: {words}"),
            (None, Severity::Page) => tracing::error!(alert = name, %route, "{words}"),
            (None, Severity::Ticket) => tracing::warn!(alert = name, %route, "{words}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(name: &'static str, words: &str) -> (Arc<str>, Burning) {
        let words = words.to_owned();
        ("chat".into(), Burning { name, severity: Severity::Page, words })
    }

    #[test]
    fn an_alert_is_told_when_it_comes_and_when_it_goes() {
        let mut book = Book::default();
        let raised = book.look(vec![wrong("nobody_left", "at first")], 1_000);
        assert_eq!((raised.len(), raised[0].raised_ms, raised[0].resolved_ms), (1, 1_000, None));
        assert_eq!(book.look(vec![wrong("nobody_left", "later")], 2_000), []);
        assert_eq!(book.open.values().next().unwrap().words, "later");
        let changed = book.look(vec![wrong("one_left", "")], 3_000);
        let told: Vec<_> = changed.iter().map(|alert| (alert.alert, alert.resolved_ms)).collect();
        assert_eq!(told, [("one_left", None), ("nobody_left", Some(3_000))]);
        assert_eq!(book.past.len(), 1);
        for now in 0..2 * PAST_MAX as u64 {
            book.look(vec![wrong("nobody_left", "")], 2 * now);
            book.look(Vec::new(), 2 * now + 1);
        }
        assert_eq!((book.past.len(), book.open.len()), (PAST_MAX, 0));
    }
}
