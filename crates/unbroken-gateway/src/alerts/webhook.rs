//! Sends alerts as JSON to one address, in their order. It tries four times, within half a minute;
//! what does not arrive is counted and logged. The address may be a secret: it is never shown.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use secrecy::ExposeSecret as _;
use serde_json::json;
use tokio::sync::mpsc::Receiver;
use unbroken::http::{HttpClient, HttpConfig, Progress};

use super::Alert;
use crate::metrics::Metrics;
use crate::server::Current;

/// An answer takes no longer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Waits between the tries.
const WAITS: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(16)];

/// Sends what comes, for ever.
pub(super) async fn run(mut alerts: Receiver<Alert>, current: Arc<Current>, metrics: Arc<Metrics>) {
    let http = HttpClient::new(&HttpConfig::default());
    while let Some(alert) = alerts.recv().await {
        let webhook = current.get().plan().alerts.webhook.clone();
        let Some(url) = webhook else { continue };
        let mut result = send(&http, url.expose_secret(), &alert).await;
        for wait in WAITS {
            if result.is_ok() {
                break;
            }
            tokio::time::sleep(wait).await;
            result = send(&http, url.expose_secret(), &alert).await;
        }
        match result {
            Ok(()) => metrics.webhook_sent("sent"),
            Err(error) => {
                metrics.webhook_sent("failed");
                tracing::error!(alert = alert.alert, error, "the webhook did not take an alert");
            }
        }
    }
}

async fn send(http: &HttpClient, url: &str, alert: &Alert) -> Result<(), String> {
    let state = if alert.resolved_ms.is_some() { "resolved" } else { "raised" };
    let text = format!("unbroken, route {}, {state}: {}", alert.route, alert.words);
    let mut body = json!(alert);
    if let Some(body) = body.as_object_mut() {
        body.insert("state".to_owned(), json!(state));
        // What chat services show of a message.
        body.insert("text".to_owned(), json!(text));
    }
    let request = Request::post(url)
        .header("content-type", "application/json")
        .body(Bytes::from(body.to_string()))
        .map_err(|_| "its address cannot be asked".to_owned())?;
    let mut exchange = http.send(request, false);
    let status = async {
        loop {
            match exchange.next().await {
                Progress::Connected { .. } | Progress::Bytes(_) => {}
                Progress::Head(head) => return Ok(head.status),
                Progress::End => return Err("it answers nothing".to_owned()),
                Progress::Failed(cause) => return Err(cause.to_string()),
            }
        }
    };
    let status = tokio::time::timeout(PATIENCE, status).await;
    let status = status.unwrap_or_else(|_| Err("it does not answer".to_owned()))?;
    if status.is_success() { Ok(()) } else { Err(format!("it answers {}", status.as_u16())) }
}
