//! Who looks after endpoints that nobody calls? A task that asks the engine which is due, asks that
//! endpoint for its list of models, and reports what it saw.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use unbroken_engine::cause::FailureCause;
use unbroken_engine::event::Health;
use unbroken_engine::time::Timestamp;

use crate::clock::Clock;
use crate::endpoint::Endpoint;
use crate::failover::Shared;
use crate::http::Progress;

/// How long to sleep when there is nothing to check yet.
const IDLE: Duration = Duration::from_secs(1);

/// Checks endpoints for as long as the fleet lives.
pub(crate) async fn run(shared: Weak<Shared>) {
    loop {
        let Some(strong) = shared.upgrade() else { return };
        let due = next_due(&strong);
        match due {
            Ok(name) => check(&strong, &name).await,
            Err(at) => {
                let idle = strong.clock.now() + IDLE;
                let until = strong.clock.instant(at.map_or(idle, |at| at.min(idle)));
                drop(strong);
                tokio::time::sleep_until(until).await;
            }
        }
    }
}

fn next_due(shared: &Shared) -> Result<Arc<str>, Option<Timestamp>> {
    let now = shared.clock.now();
    shared.fleet().next_health_check(now)
}

/// Checks one endpoint and tells the engine.
pub(crate) async fn check(shared: &Arc<Shared>, name: &Arc<str>) {
    let endpoint = shared.endpoint(name);
    let health = match endpoint {
        Some(endpoint) => ask(shared, &endpoint).await,
        None => Health::Unclear,
    };
    let now = shared.clock.now();
    shared.fleet().health_checked(name, health, now);
    shared.observe();
}

async fn ask(shared: &Shared, endpoint: &Endpoint) -> Health {
    let limit = shared.fleet().config().health.timeout;
    let url = format!("{}{}", endpoint.base_url, endpoint.provider.health_path);
    let Ok(mut request) = Request::builder().method(Method::GET).uri(url).body(Bytes::new()) else {
        return Health::Unclear;
    };
    endpoint.authorize(&mut request, Clock::unix_seconds());
    let mut exchange = shared.http.send(request, endpoint.http2);
    let answer = async {
        loop {
            match exchange.next().await {
                Progress::Connected { .. } | Progress::Bytes(_) => {}
                Progress::Head(head) if head.status.is_server_error() => return Health::Unclear,
                // Whatever it says, it is there: a rejected key is the key's matter.
                Progress::Head(_) | Progress::End => return Health::Well,
                Progress::Failed(FailureCause::StaleConnection) => return Health::Unclear,
                Progress::Failed(_) => return Health::Ill,
            }
        }
    };
    tokio::time::timeout(limit, answer).await.unwrap_or(Health::Ill)
}
