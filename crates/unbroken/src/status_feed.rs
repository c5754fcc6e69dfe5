//! What do providers say about themselves? Their status pages are asked once a minute, where one is
//! configured; an open incident is a hint for the engine, never more.
//!
//! The page is read in the shape that most of them have: `/api/v2/summary.json` of Statuspage, with
//! `incidents` that are not resolved and an `indicator` over all. A page that cannot be read says
//! nothing. Which of a provider's models an incident is about is not told reliably, so it counts
//! for all of them. Source: engine.md 4.5.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::header::{ACCEPT, USER_AGENT};
use http::{HeaderValue, Method, Request};
use serde::Deserialize;
use unbroken_engine::time::Timestamp;

use crate::clock::Clock;
use crate::failover::Shared;
use crate::http::Progress;

/// Time between two looks at a page, moved by up to 10 %.
const EVERY: Duration = Duration::from_secs(60);
/// How often to see which pages are due.
const TICK: Duration = Duration::from_secs(1);
/// How long a page may take.
const LIMIT: Duration = Duration::from_secs(10);
/// A page is not longer.
const PAGE_MAX: usize = 1 << 20;

#[derive(Deserialize)]
struct Summary {
    #[serde(default)]
    status: Overall,
    #[serde(default)]
    incidents: Vec<Incident>,
}

#[derive(Default, Deserialize)]
struct Overall {
    #[serde(default)]
    indicator: String,
}

#[derive(Deserialize)]
struct Incident {
    #[serde(default)]
    status: String,
    #[serde(default)]
    impact: String,
}

/// Asks the pages for as long as the fleet lives.
pub(crate) async fn run(shared: Weak<Shared>) {
    let mut due: BTreeMap<String, Timestamp> = BTreeMap::new();
    let mut incidents = BTreeSet::new();
    loop {
        let Some(strong) = shared.upgrade() else { return };
        let now = strong.clock.now();
        let pages = strong.status_pages();
        due.retain(|page, _| pages.contains_key(page));
        let asked: Vec<&String> =
            pages.keys().filter(|page| due.get(*page).is_none_or(|at| now >= *at)).collect();
        let answers = join_all(asked.iter().map(|page| ask(&strong, page))).await;
        for (page, has_incident) in asked.into_iter().zip(answers) {
            due.insert(page.clone(), now + jittered(EVERY));
            let is_news =
                if has_incident { incidents.insert(page.clone()) } else { incidents.remove(page) };
            if is_news {
                tracing::info!(page, has_incident, "a provider's status page has changed");
            }
            for address in pages.get(page).into_iter().flatten() {
                strong.fleet().provider_reports(address, None, has_incident);
            }
        }
        drop(strong);
        tokio::time::sleep(TICK).await;
    }
}

fn jittered(around: Duration) -> Duration {
    let per_mille = u32::try_from(Clock::seed() % 200).unwrap_or_default();
    around * (900 + per_mille) / 1000
}

async fn ask(shared: &Shared, page: &str) -> bool {
    let body = tokio::time::timeout(LIMIT, read(shared, page)).await.ok().flatten();
    body.is_some_and(|body| tells_of_an_incident(&body))
}

async fn read(shared: &Shared, page: &str) -> Option<Vec<u8>> {
    let mut request = Request::builder().method(Method::GET).uri(page).body(Bytes::new()).ok()?;
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let agent = concat!("unbroken/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    let mut exchange = shared.http.send(request, false);
    let mut body = Vec::new();
    loop {
        match exchange.next().await {
            Progress::Connected { .. } => {}
            Progress::Head(head) if head.status.is_success() => {}
            Progress::Head(_) | Progress::Failed(_) => return None,
            Progress::Bytes(bytes) if body.len() + bytes.len() > PAGE_MAX => return None,
            Progress::Bytes(bytes) => body.extend_from_slice(&bytes),
            Progress::End => return Some(body),
        }
    }
}

fn tells_of_an_incident(body: &[u8]) -> bool {
    let Ok(summary) = serde_json::from_slice::<Summary>(body) else { return false };
    let is_open = |incident: &Incident| {
        !matches!(incident.status.as_str(), "resolved" | "postmortem" | "scheduled")
            && incident.impact != "none"
    };
    let is_marked = matches!(summary.status.indicator.as_str(), "minor" | "major" | "critical");
    is_marked || summary.incidents.iter().any(is_open)
}

/// Pages, and the addresses of the endpoints that they speak of.
pub(crate) type Pages = BTreeMap<String, Vec<Arc<str>>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_incident_is_told_from_a_quiet_page() {
        let tells = |body: &str| tells_of_an_incident(body.as_bytes());
        let incident = |status: &str, impact: &str| {
            format!(r#"{{"incidents":[{{"status":"{status}","impact":"{impact}"}}]}}"#)
        };
        for status in ["investigating", "identified", "monitoring"] {
            assert!(tells(&incident(status, "minor")), "{status}");
            assert!(!tells(&incident(status, "none")), "{status}");
        }
        for status in ["resolved", "postmortem", "scheduled"] {
            assert!(!tells(&incident(status, "major")), "{status}");
        }
        assert!(tells(r#"{"status":{"indicator":"major"},"incidents":[]}"#));
        let quiet = r#"{"page":{"id":"x"},"status":{"indicator":"none"},"incidents":[]}"#;
        assert!(!tells(quiet));
        assert!(
            !tells("<html>") && !tells("{}") && !tells("[]"),
            "what cannot be read says nothing"
        );
    }
}
