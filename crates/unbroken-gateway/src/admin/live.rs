//! The status as it changes: first everything, then each second what is different.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc::Sender;
use unbroken::Clock;

use super::view::{self, TargetView};
use super::{Admin, view::target_views};
use crate::journal::Incident;

/// Time between two messages.
const TICK: Duration = Duration::from_secs(1);

/// Sends until nobody listens.
pub(super) async fn run(admin: Arc<Admin>, sender: Sender<Bytes>) {
    let mut told = Told::default();
    let status = view::status(&admin);
    told.learn(&admin);
    if sender.send(message("status", &status)).await.is_err() {
        return;
    }
    loop {
        tokio::time::sleep(TICK).await;
        let change = told.change(&admin);
        if sender.send(message("change", &change)).await.is_err() {
            return;
        }
    }
}

fn message(name: &str, value: &Value) -> Bytes {
    format!("event: {name}\ndata: {value}\n\n").into()
}

/// What the listener knows.
#[derive(Default)]
struct Told {
    targets: BTreeMap<Arc<str>, TargetView>,
    incidents: BTreeMap<u64, Incident>,
    gateway: Value,
    routes: BTreeMap<String, Value>,
}

impl Told {
    fn learn(&mut self, admin: &Admin) {
        drop(self.change(admin));
    }

    /// What is different from what was told, and the counts of the second that has ended.
    fn change(&mut self, admin: &Admin) -> Value {
        let minutes = admin.journal.traffic();
        let mut targets = Vec::new();
        for view in target_views(admin, &minutes) {
            if self.targets.get(&view.target) != Some(&view) {
                self.targets.insert(view.target.clone(), view.clone());
                targets.push(view);
            }
        }
        let seconds: Vec<Value> = minutes
            .iter()
            .map(|(target, minute)| {
                (target, minute.answered.last_whole(), minute.failed.last_whole())
            })
            .filter(|(_, answered, failed)| answered + failed > 0)
            .map(|(target, answered, failed)| json!([target.as_ref(), answered, failed]))
            .collect();
        let mut incidents = Vec::new();
        for incident in admin.journal.incidents().into_iter().take(50) {
            if self.incidents.get(&incident.number) != Some(&incident) {
                self.incidents.insert(incident.number, incident.clone());
                incidents.push(incident);
            }
        }
        let mut routes = Vec::new();
        for route in view::routes(admin) {
            let name = route.get("route").and_then(Value::as_str).unwrap_or_default().to_owned();
            if self.routes.get(&name) != Some(&route) {
                self.routes.insert(name, route.clone());
                routes.push(route);
            }
        }
        let flows: Vec<Value> = admin
            .journal
            .flows()
            .iter()
            .filter(|(_, seconds)| seconds.last_whole() > 0)
            .map(|((route, target), seconds)| {
                json!([route.as_ref(), target.as_ref(), seconds.last_whole()])
            })
            .collect();
        let gateway = view::gateway(admin);
        let changed = (gateway != self.gateway).then(|| gateway.clone());
        self.gateway = gateway;
        json!({
            "now_ms": Clock::unix_millis(),
            "targets": targets,
            "seconds": seconds,
            "flows": flows,
            "incidents": incidents,
            "routes": routes,
            "gateway": changed,
        })
    }
}
