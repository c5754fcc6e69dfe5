//! The failover of a program: everything that its calls share.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use unbroken_engine::fleet::{Fleet, FleetConfig, TargetReport};
use unbroken_wire::dialects::{ClientError, ErrorKind, RequestHead};

use crate::background;
use crate::clock::Clock;
use crate::driver::Driver;
use crate::endpoint::Endpoint;
use crate::http::{HttpClient, HttpConfig};
use crate::observer::{Observer, Seen};
use crate::prober;
use crate::reply::{CallRequest, Reply};
use crate::route::{Choice, Route};

/// More endpoints than this are not looked after by health checks.
const ENDPOINTS_MAX: usize = 1_000;

/// Settings of a [`Failover`].
#[derive(Clone, Debug, Default)]
pub struct FailoverConfig {
    /// The engine's settings.
    pub fleet: FleetConfig,
    /// Connections to targets.
    pub http: HttpConfig,
    /// Seeds the engine's choices. Default: from the clock.
    pub seed: Option<u64>,
}

/// Everything that calls share. Cheap to clone; must be made inside a tokio runtime.
#[derive(Clone)]
pub struct Failover {
    shared: Arc<Shared>,
    route: Option<Arc<Route>>,
}

impl fmt::Debug for Failover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failover").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

pub(crate) struct Shared {
    pub(crate) config: FailoverConfig,
    pub(crate) clock: Clock,
    pub(crate) http: HttpClient,
    fleet: Mutex<Fleet>,
    endpoints: Mutex<BTreeMap<Arc<str>, Arc<Endpoint>>>,
    observer: Arc<dyn Observer>,
}

impl Failover {
    /// Starts with nothing known about any target, and looks after endpoints in the background.
    #[must_use]
    pub fn new(config: FailoverConfig, observer: Arc<dyn Observer>) -> Self {
        let seed = config.seed.unwrap_or_else(Clock::seed);
        let shared = Arc::new(Shared {
            clock: Clock::start(),
            http: HttpClient::new(&config.http),
            fleet: Mutex::new(Fleet::new(config.fleet, seed)),
            endpoints: Mutex::default(),
            observer,
            config,
        });
        if shared.config.fleet.health.enabled {
            drop(background::spawn("prober", prober::run(Arc::downgrade(&shared))));
        }
        Self { shared, route: None }
    }

    /// With a route of its own, for `generate`.
    pub(crate) fn with_route(mut self, route: Arc<Route>) -> Self {
        self.know(&route);
        self.route = Some(route);
        self
    }

    pub(crate) const fn route(&self) -> Option<&Arc<Route>> {
        self.route.as_ref()
    }

    /// Makes the targets of a route known, so that they are looked after before their first call.
    pub fn know(&self, route: &Route) {
        let now = self.shared.clock.now();
        let choices = || route.tiers.iter().flat_map(|tier| &tier.choices);
        let mut fleet = self.shared.fleet();
        for choice in choices() {
            fleet.target(&choice.spec(), now);
        }
        drop(fleet);
        self.shared.remember_endpoints(choices());
    }

    /// Answers one call. Failures are replies, too, in the client's dialect.
    pub async fn call(&self, request: CallRequest) -> Reply {
        let head = RequestHead {
            model_in_path: request.model_in_path.as_deref(),
            stream_in_path: request.stream_in_path,
        };
        let chat = match (request.dialect.read_request)(&head, &request.body) {
            Ok(chat) => chat,
            Err(error) => {
                let error = ClientError {
                    status: 400,
                    kind: ErrorKind::InvalidRequest,
                    message: error.message,
                    code: None,
                    param: error.param,
                };
                return Reply::error(request.dialect, &error);
            }
        };
        Driver::begin(self.shared.clone(), request, chat).reply().await
    }

    /// What is known about every target.
    #[must_use]
    pub fn status(&self) -> Vec<TargetStatus> {
        let now = self.shared.clock.now();
        let reports = self.shared.fleet().report(now);
        let status = |report: TargetReport| TargetStatus {
            blocked_for: report.refusal.map(|refusal| refusal.retry_at.since(now)),
            report,
        };
        reports.into_iter().map(status).collect()
    }

    /// Checks the health of every known endpoint now.
    pub async fn check_health(&self) {
        let names: Vec<Arc<str>> = self.shared.endpoints().keys().cloned().collect();
        for name in names {
            prober::check(&self.shared, &name).await;
        }
    }
}

/// What is known about one target.
#[derive(Clone, Debug)]
pub struct TargetStatus {
    /// The engine's report.
    pub report: TargetReport,
    /// How long it will be refused; `None` if it is not.
    pub blocked_for: Option<std::time::Duration>,
}

impl fmt::Display for TargetStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.report.label, self.report.state)?;
        if let (Some(refusal), Some(wait)) = (self.report.refusal, self.blocked_for) {
            write!(f, ", {} blocked for {:.1} s", refusal.cell.name(), wait.as_secs_f32())?;
        }
        if let Some(cause) = self.report.last_failure {
            write!(f, ", last failure: {cause}")?;
        }
        Ok(())
    }
}

impl Shared {
    /// The fleet, for one short moment. A panic while it was held cannot leave it half-changed in
    /// a way that matters more than serving on.
    pub(crate) fn fleet(&self) -> MutexGuard<'_, Fleet> {
        self.fleet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows the observer what has happened.
    pub(crate) fn observe(&self, request: Option<&str>) {
        loop {
            let Some(event) = self.fleet().next_event() else { return };
            self.observer.observe(&Seen { event: &event, request });
        }
    }

    pub(crate) fn remember_endpoints<'a>(&self, choices: impl Iterator<Item = &'a Choice>) {
        let mut endpoints = self.endpoints();
        for choice in choices {
            if endpoints.len() < ENDPOINTS_MAX
                && !endpoints.contains_key(choice.endpoint.base_url.as_str())
            {
                let name: Arc<str> = choice.endpoint.base_url.as_str().into();
                endpoints.insert(name, choice.endpoint.clone());
            }
        }
    }

    pub(crate) fn endpoint(&self, name: &Arc<str>) -> Option<Arc<Endpoint>> {
        self.endpoints().get(name).cloned()
    }

    fn endpoints(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Arc<Endpoint>>> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
