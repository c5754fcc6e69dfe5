//! The failover of a program: everything that its calls share.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use secrecy::ExposeSecret as _;

use unbroken_engine::breaker::Forced;
use unbroken_engine::fleet::{Fleet, FleetConfig, TargetReport, Unknown};
use unbroken_engine::target::TargetSpec;
use unbroken_wire::dialects::{ClientError, ErrorKind, RequestHead};

use crate::background;
use crate::capabilities::Needs;
use crate::capabilities::lessons::Lessons;
use crate::carried;
use crate::clock::Clock;
use crate::driver::Driver;
use crate::endpoint::Endpoint;
use crate::http::{HttpClient, HttpConfig};
use crate::named::{NamedCalls, Running};
use crate::observer::{CallFacts, Observer};
use crate::prober;
use crate::reply::{CallRequest, Reply};
use crate::route::{Choice, Route};
use crate::screen::Screen;
use crate::status_feed::{self, Pages};
use crate::synthetic;

/// Counts those that were made, from 1.
static MADE: AtomicUsize = AtomicUsize::new(1);
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
        f.debug_struct("Failover").field("route", &self.route).finish_non_exhaustive()
    }
}

type Endpoints = BTreeMap<(Arc<str>, Arc<str>), Arc<Endpoint>>;

pub(crate) struct Shared {
    /// No other of this process has it, before or after.
    number: usize,
    pub(crate) clock: Clock,
    pub(crate) http: HttpClient,
    fleet: Mutex<Fleet>,
    seen: Screen,
    has_prober: AtomicBool,
    /// By address and name of the key.
    endpoints: Mutex<Endpoints>,
    named: Arc<NamedCalls>,
    lessons: Mutex<Lessons>,
}

impl Failover {
    /// Starts with nothing known about any target, and looks after endpoints in the background.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "settings are given away")]
    pub fn new(config: FailoverConfig, observer: Arc<dyn Observer>) -> Self {
        let seed = config.seed.unwrap_or_else(Clock::seed);
        let clock = Clock::start();
        let shared = Arc::new(Shared {
            number: MADE.fetch_add(1, Ordering::Relaxed),
            clock,
            named: Arc::new(NamedCalls::new(clock)),
            http: HttpClient::new(&config.http),
            fleet: Mutex::new(Fleet::new(config.fleet, seed)),
            seen: Screen::new(observer),
            has_prober: AtomicBool::new(false),
            endpoints: Mutex::default(),
            lessons: Mutex::default(),
        });
        if config.fleet.health.enabled {
            shared.look_after_endpoints();
        }
        drop(background::spawn("probes", synthetic::run(Arc::downgrade(&shared))));
        drop(background::spawn("status feeds", status_feed::run(Arc::downgrade(&shared))));
        Self { shared, route: None }
    }

    /// Goes on with other settings, endpoints and routes. What is known about targets is kept;
    /// calls that have begun end as they began; a target that is configured no longer ends what is
    /// under way and gets nothing new.
    pub fn reload(&self, reload: &Reload<'_>) {
        let now = self.shared.clock.now();
        let mut kept: Vec<TargetSpec> = self.shared.fleet().specs().cloned().collect();
        kept.retain(|spec| reload.keeps(spec));
        let mut fleet = self.shared.fleet();
        fleet.reconfigure(reload.fleet);
        for key in reload.replaced_keys() {
            fleet.key_replaced(&key.into(), now);
        }
        fleet.keep_only(&kept, now);
        drop(fleet);
        let endpoints = reload.endpoints.iter();
        let name = |e: &Endpoint| (e.base_url.as_str().into(), e.key_name.as_str().into());
        let endpoints = endpoints.map(|e| (name(e), e.clone()));
        *self.shared.endpoints() = endpoints.take(ENDPOINTS_MAX).collect();
        for route in reload.routes {
            self.know(route);
        }
        if reload.fleet.health.enabled {
            self.shared.look_after_endpoints();
        }
        self.shared.observe();
    }

    /// Forces a target's breaker open or closed, drains the target, or lets it go again.
    ///
    /// # Errors
    /// When there is no target of that label.
    pub fn force(&self, label: &str, forced: Option<Forced>) -> Result<(), Unknown> {
        let now = self.shared.clock.now();
        self.shared.fleet().force(label, forced, now)?;
        self.shared.observe();
        Ok(())
    }

    /// Forgets what speaks against a target; its traffic comes back in steps.
    ///
    /// # Errors
    /// When there is no target of that label.
    pub fn reset(&self, label: &str) -> Result<(), Unknown> {
        let now = self.shared.clock.now();
        self.shared.fleet().reset(label, now)?;
        self.shared.observe();
        Ok(())
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
            fleet.target(choice.spec(), now);
        }
        drop(fleet);
        self.shared.remember_endpoints(choices());
    }

    /// Answers one call. Failures are replies, too, in the client's dialect. Requests with the same
    /// `idempotency-key` are one call.
    pub async fn call(&self, request: CallRequest) -> Reply {
        if !NamedCalls::is_named(&request) {
            return self.run(request).await;
        }
        let failover = self.clone();
        let run = |request| -> Running { Box::pin(async move { failover.run(request).await }) };
        self.shared.named.call(request, run).await
    }

    async fn run(&self, request: CallRequest) -> Reply {
        let head = RequestHead {
            model_in_path: request.model_in_path.as_deref(),
            stream_in_path: request.stream_in_path,
            outline: request.outline.as_ref(),
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
        let needs = Needs::of(&chat);
        match carried::by_somebody(&self.shared, request, needs) {
            Ok(request) => Driver::begin(self.shared.clone(), request, chat, needs).reply().await,
            Err(reply) => *reply,
        }
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
        let mut names: Vec<Arc<str>> =
            self.shared.endpoints().keys().map(|(address, _)| address.clone()).collect();
        names.dedup();
        for name in names {
            prober::check(&self.shared, &name).await;
        }
    }
}

/// What a [`Failover`] goes on with.
#[derive(Clone, Copy, Debug)]
pub struct Reload<'a> {
    /// The engine's settings.
    pub fleet: FleetConfig,
    /// The endpoints that hold from now on.
    pub endpoints: &'a [Arc<Endpoint>],
    /// The routes that hold from now on.
    pub routes: &'a [Arc<Route>],
    /// The endpoints that held so far.
    pub endpoints_before: &'a [Arc<Endpoint>],
    /// The routes that held so far.
    pub routes_before: &'a [Arc<Route>],
}

impl Reload<'_> {
    /// Names of keys that have another value now.
    fn replaced_keys(&self) -> impl Iterator<Item = &str> {
        let value =
            |endpoint: &Endpoint| endpoint.key.as_ref().map(|k| k.expose_secret().to_owned());
        self.endpoints.iter().filter_map(move |endpoint| {
            let mut before = self.endpoints_before.iter();
            let before = before.find(|before| before.key_name == endpoint.key_name)?;
            (value(before) != value(endpoint)).then_some(endpoint.key_name.as_str())
        })
    }

    /// A target stays if its endpoint and key stay, unless it was taken out of the routes.
    fn keeps(&self, spec: &TargetSpec) -> bool {
        let is_there = self.endpoints.iter().any(|endpoint| {
            *endpoint.base_url == *spec.endpoint && *endpoint.key_name == *spec.key
        });
        is_there && (is_in(self.routes, spec) || !is_in(self.routes_before, spec))
    }
}

fn is_in(routes: &[Arc<Route>], spec: &TargetSpec) -> bool {
    let mut choices = routes.iter().flat_map(|r| &r.tiers).flat_map(|tier| &tier.choices);
    choices.any(|choice| {
        let endpoint = &choice.endpoint;
        *endpoint.base_url == *spec.endpoint
            && *endpoint.key_name == *spec.key
            && *choice.model == *spec.model
    })
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

    /// Shows the observer what has happened, unless somebody is doing so, who then goes on with it.
    pub(crate) fn observe(&self) {
        self.note_events(&mut self.fleet(), None);
        self.seen.show();
    }

    /// Takes note of what has just happened, for [`Screen::show`] to show; `call` is whose doing
    /// it is. While the fleet is held, so that everything is shown in its order.
    pub(crate) fn note_events(&self, fleet: &mut Fleet, call: Option<&Arc<CallFacts>>) {
        self.seen.note(std::iter::from_fn(|| fleet.next_event()), call);
    }

    /// Shows what was taken note of.
    pub(crate) fn show(&self) {
        self.seen.show();
    }

    /// Starts the prober, unless it runs.
    fn look_after_endpoints(self: &Arc<Self>) {
        if !self.has_prober.swap(true, Ordering::Relaxed) {
            drop(background::spawn("prober", prober::run(Arc::downgrade(self))));
        }
    }

    /// Looks after the endpoints of these from now on.
    pub(crate) fn remember_endpoints<'a>(&self, choices: impl Iterator<Item = &'a Choice>) {
        for choice in choices.filter(|choice| choice.is_new_to(self.number)) {
            let mut endpoints = self.endpoints();
            let spec = choice.spec();
            if endpoints.len() < ENDPOINTS_MAX {
                let name = (spec.endpoint.clone(), spec.key.clone());
                endpoints.entry(name).or_insert_with(|| choice.endpoint.clone());
            }
        }
    }

    /// What refusals have taught, for one short moment.
    pub(crate) fn lessons(&self) -> MutexGuard<'_, Lessons> {
        self.lessons.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The endpoint at this address, with whatever key it is known by.
    pub(crate) fn endpoint(&self, address: &Arc<str>) -> Option<Arc<Endpoint>> {
        let endpoints = self.endpoints();
        let mut from_here = endpoints.range((address.clone(), "".into())..);
        from_here.next().filter(|((at, _), _)| at == address).map(|(_, found)| found.clone())
    }

    /// The endpoint at this address with the key of this name.
    pub(crate) fn endpoint_with_key(
        &self,
        address: &Arc<str>,
        key: &Arc<str>,
    ) -> Option<Arc<Endpoint>> {
        self.endpoints().get(&(address.clone(), key.clone())).cloned()
    }

    /// The status pages that are configured.
    pub(crate) fn status_pages(&self) -> Pages {
        let mut pages = Pages::new();
        for ((address, _), endpoint) in self.endpoints().iter() {
            if let Some(page) = &endpoint.status_url {
                pages.entry(page.clone()).or_default().push(address.clone());
            }
        }
        pages
    }

    fn endpoints(&self) -> MutexGuard<'_, Endpoints> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
