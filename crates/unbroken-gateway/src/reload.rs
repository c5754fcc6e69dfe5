//! How does a running gateway get another configuration? Read, checked and applied as a whole; a
//! bad one changes nothing and is told everywhere.
//!
//! Source: engine.md 4.13; ecosystem.md 2.11.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::ExposeSecret as _;
use tokio::signal::unix::{SignalKind, signal};
use unbroken::endpoint::Endpoint;
use unbroken::route::Route;
use unbroken::{Clock, Failover, Reload};

use crate::config::{Environment, Plan};
use crate::metrics::{Metrics, ReloadResult};
use crate::routing::Routing;
use crate::server::Current;

/// Files are looked at so often. Contents are compared, not times: network file systems and
/// Kubernetes' links change files in ways that no notification tells.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Loads configurations into a running gateway.
pub(crate) struct Reloader {
    path: Option<PathBuf>,
    environment: Environment,
    current: Arc<Current>,
    failover: Failover,
    metrics: Arc<Metrics>,
    state: Mutex<State>,
}

/// What is loaded, and whether it is what the files say.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    /// Counts the configurations that have held, from 1.
    pub(crate) generation: u64,
    /// When this one was loaded, in seconds since 1970.
    pub(crate) loaded_unix: u64,
    /// What is wrong with the files as they are now; `None` if they are what is loaded.
    pub(crate) error: Option<String>,
    /// Settings that differ and hold only after a restart.
    pub(crate) after_restart: Vec<&'static str>,
    seen: u64,
}

impl Reloader {
    /// Over what was loaded at the start, from `path` if it was a file.
    pub(crate) fn new(
        path: Option<PathBuf>,
        environment: Environment,
        current: Arc<Current>,
        failover: Failover,
        metrics: Arc<Metrics>,
    ) -> Self {
        let seen = fingerprint(path.as_ref(), &current.get().plan().files);
        metrics.reloaded(None, 1);
        let loaded_unix = Clock::unix_seconds();
        let state = Mutex::new(State { generation: 1, loaded_unix, seen, ..State::default() });
        Self { path, environment, current, failover, metrics, state }
    }

    /// What is loaded.
    pub(crate) fn state(&self) -> State {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reloads on SIGHUP and when a file has changed, for ever.
    pub(crate) async fn run(self: Arc<Self>) {
        let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
        loop {
            tokio::select! {
                _ = hangup.recv() => drop(self.reload()),
                () = tokio::time::sleep(LOOK_EVERY) => {
                    if self.has_changed() {
                        drop(self.reload());
                    }
                }
            }
        }
    }

    fn has_changed(&self) -> bool {
        let files = self.current.get().plan().files.clone();
        self.path.is_some() && fingerprint(self.path.as_ref(), &files) != self.lock().seen
    }

    /// Loads the files as they are now. One at a time.
    ///
    /// # Errors
    /// What is wrong with them; then nothing has changed.
    pub(crate) fn reload(&self) -> Result<State, String> {
        let mut state = self.lock();
        let Some(path) = &self.path else {
            let message = "there is no configuration file: keys come from the environment, which \
                           changes at a restart only";
            tracing::warn!("{message}");
            return Err(message.to_owned());
        };
        let before = self.current.get();
        state.seen = fingerprint(Some(path), &before.plan().files);
        let mut plan = match self.read(path, before.plan()) {
            Ok(plan) => plan,
            Err(message) => {
                tracing::error!(
                    generation = state.generation,
                    error = message,
                    "the configuration was refused; the one before goes on"
                );
                self.metrics.reloaded(Some(ReloadResult::Refused), state.generation);
                state.error = Some(message.clone());
                return Err(message);
            }
        };
        state.after_restart = after_restart(before.plan(), &plan);
        plan.listen = before.plan().listen;
        state.seen = fingerprint(Some(path), &plan.files);
        self.apply(before.plan(), plan);
        state.generation += 1;
        state.loaded_unix = Clock::unix_seconds();
        state.error = None;
        self.metrics.reloaded(Some(ReloadResult::Loaded), state.generation);
        let generation = state.generation;
        tracing::info!(generation, "the configuration was loaded");
        for name in &state.after_restart {
            tracing::warn!(setting = name, "this setting has changed and needs a restart");
        }
        Ok(state.clone())
    }

    /// The plan of a file, if it is right and does not lead back to this gateway.
    fn read(&self, path: &Path, before: &Plan) -> Result<Plan, String> {
        let plan = Plan::load(path, &self.environment).map_err(|errors| errors.to_string())?;
        // Where it listens cannot change; it was said on the command line, perhaps.
        let listening = Plan { listen: before.listen, ..plan.clone() };
        match listening.itself() {
            Some(endpoint) => {
                Err(format!("the provider `{}` is this gateway itself", endpoint.name))
            }
            None => Ok(plan),
        }
    }

    fn apply(&self, before: &Plan, plan: Plan) {
        let endpoints = |plan: &Plan| plan.endpoints.values().cloned().collect::<Vec<_>>();
        let routes = |plan: &Plan| plan.routes.values().cloned().collect::<Vec<_>>();
        let (endpoints_before, routes_before): (Vec<Arc<Endpoint>>, Vec<Arc<Route>>) =
            (endpoints(before), routes(before));
        let fleet = plan.failover.fleet;
        let (endpoints, routes) = (endpoints(&plan), routes(&plan));
        self.current.set(Routing::new(plan));
        self.failover.reload(&Reload {
            fleet,
            endpoints: &endpoints,
            routes: &routes,
            endpoints_before: &endpoints_before,
            routes_before: &routes_before,
        });
    }
}

/// Settings that are read once, at the start.
fn after_restart(before: &Plan, plan: &Plan) -> Vec<&'static str> {
    let mut names = Vec::new();
    if plan.listen != before.listen {
        names.push("listen");
    }
    if plan.server.connections_max != before.server.connections_max {
        names.push("server.connections_max");
    }
    if plan.ledger != before.ledger {
        names.push("ledger");
    }
    let admin =
        |plan: &Plan| plan.admin.as_ref().map(|a| (a.listen, a.token.expose_secret().to_owned()));
    if admin(plan) != admin(before) {
        names.push("admin");
    }
    names
}

/// Tells one state of the files from another; a file that cannot be read is a state, too.
fn fingerprint(path: Option<&PathBuf>, files: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in path.into_iter().chain(files) {
        std::fs::read(file).ok().hash(&mut hasher);
    }
    hasher.finish()
}
