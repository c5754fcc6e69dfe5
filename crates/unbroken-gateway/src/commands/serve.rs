//! `unbroken serve`: the gateway.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use unbroken::{Clock, Failover};

use super::coverage;
use crate::admin::{Admin, Door};
use crate::alerts::Alerts;
use crate::config::{ConfigErrors, Environment, Plan};
use crate::journal::Journal;
use crate::ledger::Ledger;
use crate::log::{All, Log};
use crate::metrics::Metrics;
use crate::reload::Reloader;
use crate::routing::Routing;
use crate::server::{Current, Server, Stopped};
use crate::terminal::say;

/// Found without being named.
const DEFAULT_FILE: &str = "unbroken.toml";

/// The plan of a file, of `unbroken.toml` if it is there, or of the environment.
pub(crate) fn plan(
    config: Option<PathBuf>,
    environment: &Environment,
) -> Result<Plan, ConfigErrors> {
    match file(config) {
        Some(path) => Plan::load(&path, environment),
        None => Ok(Plan::zero(environment)),
    }
}

/// The file that is named, or the one that is found without being named.
fn file(config: Option<PathBuf>) -> Option<PathBuf> {
    config.or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists()))
}

/// Serves until SIGTERM or SIGINT.
pub(crate) async fn run(config: Option<PathBuf>, listen: Option<SocketAddr>) -> ExitCode {
    let environment = Environment::of_process();
    crate::log::start(&environment, "info,unbroken=debug");
    let path = file(config);
    let mut plan = match plan(path.clone(), &environment) {
        Ok(plan) => plan,
        Err(errors) => {
            say(&errors.to_string());
            return ExitCode::from(2);
        }
    };
    plan.listen = listen.unwrap_or(plan.listen);
    if let Some(told) = goes_round(&plan) {
        say(&told);
        return ExitCode::from(2);
    }
    let gateway = match Gateway::open(plan.clone(), path, environment).await {
        Ok(gateway) => gateway,
        Err(error) => {
            say(&format!("unbroken: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let Gateway { server, door, admin } = gateway;
    let ledger = admin.ledger.clone();
    let door_at = door.as_ref().map(Door::address);
    let told = banner(&plan, server.address(), door_at, ledger.as_ref().map(Ledger::path));
    say(&told);
    for (route, warning) in coverage::warnings(&plan) {
        tracing::warn!(route, "{warning}");
    }
    drop(unbroken::spawn("reloads", admin.reloader.clone().run()));
    drop(unbroken::spawn("incidents", admin.journal.clone().keep_incidents()));
    drop(unbroken::spawn("alerts", admin.alerts.clone().run()));
    let journal = admin.journal.clone();
    if let Some(door) = door {
        drop(unbroken::spawn("admin", door.serve(admin)));
    }
    match server.run(stop_signal()).await {
        Stopped::Drained => tracing::info!("stopped; every call was answered to its end"),
        Stopped::CutOff => tracing::warn!("stopped; calls were still open when the time was up"),
    }
    journal.note_incidents();
    if let Some(ledger) = ledger {
        ledger.close();
    }
    ExitCode::SUCCESS
}

/// What to tell if a provider's address is this gateway's own.
fn goes_round(plan: &Plan) -> Option<String> {
    let endpoint = plan.itself()?;
    let (name, url) = (&endpoint.name, &endpoint.base_url);
    let variables = endpoint.provider.base_url_env.join(", ");
    Some(format!(
        "unbroken: the provider `{name}` at {url} is this gateway itself: calls would go round \
         for ever; unset {variables} where the gateway runs, or set its `base_url`"
    ))
}

/// A gateway whose ports are open.
struct Gateway {
    server: Server,
    door: Option<Door>,
    admin: Arc<Admin>,
}

impl Gateway {
    /// Opens the ports and puts everything together.
    async fn open(
        plan: Plan,
        path: Option<PathBuf>,
        environment: Environment,
    ) -> Result<Self, String> {
        let door = match &plan.admin {
            Some(admin) => Some(
                Door::bind(admin)
                    .await
                    .map_err(|error| format!("cannot listen on {}: {error}", admin.listen))?,
            ),
            None => None,
        };
        let listen = plan.listen;
        let settings = plan.failover.clone();
        let current = Arc::new(Current::new(Routing::new(plan)));
        let metrics = Arc::new(Metrics::new());
        let started_ms = Clock::unix_millis();
        let ledger = open_ledger(current.get().plan(), started_ms, &metrics);
        let journal = Arc::new(Journal::new(current.clone(), ledger.clone()));
        let observer = Arc::new(All(vec![Arc::new(Log), metrics.clone(), journal.clone()]));
        let failover = Failover::new(settings, observer);
        let server = Server::bind(failover.clone(), current.clone(), metrics.clone())
            .await
            .map_err(|error| format!("cannot listen on {listen}: {error}"))?;
        let reloader =
            Reloader::new(path, environment, current.clone(), failover.clone(), metrics.clone());
        if let Some(ledger) = &ledger {
            journal.remember(ledger.minutes(started_ms));
        }
        let alerts =
            Alerts::new(current.clone(), journal.clone(), failover.clone(), metrics.clone());
        let admin = Admin {
            alerts: Arc::new(alerts),
            failover,
            current,
            journal,
            ledger,
            reloader: Arc::new(reloader),
            metrics,
            serves_at: server.address(),
            started_ms,
        };
        Ok(Self { server, door, admin: Arc::new(admin) })
    }
}

/// The ledger, if there is to be one. A gateway without it serves all the same.
fn open_ledger(plan: &Plan, started_ms: u64, metrics: &Arc<Metrics>) -> Option<Ledger> {
    match Ledger::open(&plan.ledger, started_ms, metrics.clone()) {
        Ok(ledger) => ledger,
        Err(error) => {
            tracing::error!(
                error,
                "no ledger: calls are answered, but there will be no reports; see `[ledger]`"
            );
            None
        }
    }
}

/// The first signal drains; the second ends the process at once.
pub(crate) async fn stop_signal() {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: no new calls, open ones go on to their end");
    drop(unbroken::spawn("second signal", async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::process::exit(130);
    }));
}

fn banner(
    plan: &Plan,
    address: SocketAddr,
    admin: Option<SocketAddr>,
    ledger: Option<&Path>,
) -> String {
    let mut text = format!("unbroken {} on http://{address}\n", env!("CARGO_PKG_VERSION"));
    if let Some(admin) = admin {
        let _ = writeln!(text, "  dashboard http://{admin}");
    }
    if let Some(ledger) = ledger {
        let _ = writeln!(text, "  ledger    {}", ledger.display());
    }
    if plan.endpoints.is_empty() {
        text.push_str(
            "\n  no provider key was found: set OPENAI_API_KEY, ANTHROPIC_API_KEY or\n  \
             GEMINI_API_KEY, or write an unbroken.toml. `unbroken demo` needs neither.\n",
        );
        return text;
    }
    for endpoint in plan.endpoints.values() {
        let (name, url) = (&endpoint.name, &endpoint.base_url);
        let key = if endpoint.has_credentials() { endpoint.key_name.as_str() } else { "no key" };
        let _ = writeln!(text, "  provider  {name:<12} {url}  ({key})");
    }
    for (name, route) in &plan.routes {
        let tiers = route.tiers.iter().map(|tier| {
            let labels: Vec<&str> = tier.choices.iter().map(|choice| choice.label()).collect();
            labels.join(" | ")
        });
        let _ =
            writeln!(text, "  route     {name:<12} {}", tiers.collect::<Vec<_>>().join(", then "));
    }
    let model = plan.routes.keys().next().map_or("unbroken/small", String::as_str);
    let _ = write!(
        text,
        "\n  try:  curl http://{address}/v1/chat/completions -H 'content-type: application/json' \\\n        \
         -d '{{\"model\": \"{model}\", \"messages\": [{{\"role\": \"user\", \"content\": \"Say hello\"}}]}}'\n"
    );
    text
}
