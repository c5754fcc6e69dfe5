//! The configuration, checked and resolved: nothing in it can be wrong any more.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use toml::Spanned;
use unbroken::FailoverConfig;
use unbroken::capabilities::{ModelRule, Need};
use unbroken::endpoint::Endpoint;
use unbroken::providers::{
    ANTHROPIC, GEMINI, OPENAI_COMPATIBLE, OPENAI_RESPONSES_COMPATIBLE, PROVIDERS, Provider,
};
use unbroken::route::{Choice, Route, StreamOptions, Tier};
use unbroken_engine::deadline::Limits;
use unbroken_engine::detector::DetectorConfig;
use unbroken_engine::target::TierOrder;

use super::error::{did_you_mean, explain};
use super::file::{
    File, LimitsFile, ModelFile, OrderFile, ProviderFile, RouteFile, Span, WeightedFile,
};
use super::{ConfigErrors, Environment, zero};

mod admin;

pub(crate) use admin::AdminPlan;

/// What the gateway does.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// Endpoints by name.
    pub(crate) endpoints: BTreeMap<String, Arc<Endpoint>>,
    /// Routes by name.
    pub(crate) routes: BTreeMap<String, Arc<Route>>,
    /// Limits of routes that are not configured.
    pub(crate) limits: Limits,
    /// The library's settings.
    pub(crate) failover: FailoverConfig,
    /// The server's settings.
    pub(crate) server: ServerPlan,
    /// The admin API; off if absent.
    pub(crate) admin: Option<AdminPlan>,
    /// The files with keys that it was read from, beside the configuration's own.
    pub(crate) files: Vec<PathBuf>,
}

/// The server's settings.
#[derive(Clone, Debug)]
pub(crate) struct ServerPlan {
    /// The largest request body, in bytes. Default: 32 MiB.
    pub(crate) body_max: usize,
    /// How long open streams may go on after SIGTERM. Default: 120 s.
    pub(crate) drain: Duration,
    /// Whether a comparable model of another vendor may stand in. Default: true.
    pub(crate) substitute: bool,
    /// The most connections at once. Default: 10,000.
    pub(crate) connections_max: u32,
}

impl Default for ServerPlan {
    fn default() -> Self {
        Self {
            body_max: 32 << 20,
            drain: Duration::from_secs(120),
            substitute: true,
            connections_max: 10_000,
        }
    }
}

impl Plan {
    /// The plan without a file: endpoints from the environment, no named routes.
    pub(crate) fn zero(environment: &Environment) -> Self {
        let endpoints = zero::endpoints(environment);
        Self {
            listen: default_listen(),
            endpoints: endpoints.into_iter().map(|e| (e.name.clone(), e)).collect(),
            routes: BTreeMap::new(),
            limits: Limits::default(),
            failover: FailoverConfig::default(),
            server: ServerPlan::default(),
            admin: None,
            files: Vec::new(),
        }
    }

    /// The provider whose address is this gateway's own: its calls would go round for ever. It
    /// happens when `OPENAI_BASE_URL`, meant for programs, is set where the gateway runs.
    pub(crate) fn itself(&self) -> Option<&Arc<Endpoint>> {
        self.endpoints.values().find(|endpoint| leads_to(&endpoint.base_url, self.listen))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(crate) fn load(path: &Path, environment: &Environment) -> Result<Self, ConfigErrors> {
        let name = path.display().to_string();
        let source = std::fs::read_to_string(path).map_err(|error| {
            let mut errors = ConfigErrors::new(&name, "");
            errors.add(None, format!("cannot be read: {error}"));
            errors
        })?;
        Self::read(&name, &source, environment)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(crate) fn read(
        name: &str,
        source: &str,
        environment: &Environment,
    ) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new(name, source);
        let file: File = match toml::from_str(source) {
            Ok(file) => file,
            Err(error) => {
                errors.add(error.span(), explain(&error));
                return Err(errors);
            }
        };
        let plan = Checker { environment, errors: &mut errors }.check(&file);
        if errors.is_empty() { Ok(plan) } else { Err(errors) }
    }
}

/// How a route's streams are delivered.
fn stream_options(file: &RouteFile) -> StreamOptions {
    let (typed, base) = (&file.stream, StreamOptions::default());
    let is_early = typed.early_keep_alive.unwrap_or(!base.early_keep_alive.is_zero());
    StreamOptions {
        continues: typed.continues.unwrap_or(base.continues),
        hold_tool_calls: typed.hold_tool_calls.unwrap_or(base.hold_tool_calls),
        commit_hold: typed.commit_hold.map_or(base.commit_hold, |span| span.0).min(COMMIT_HOLD_MAX),
        keep_alive: typed.keep_alive.map_or(base.keep_alive, |span| span.0),
        early_keep_alive: if is_early { base.early_keep_alive } else { Duration::ZERO },
        trail: typed.trail.unwrap_or(base.trail),
    }
}

/// Nobody waits longer for a first token that is there.
const COMMIT_HOLD_MAX: Duration = Duration::from_secs(10);

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 4110))
}

struct Checker<'a> {
    environment: &'a Environment,
    errors: &'a mut ConfigErrors,
}

impl Checker<'_> {
    fn check(&mut self, file: &File) -> Plan {
        let mut plan = Plan::zero(self.environment);
        if !file.provider.is_empty() {
            plan.endpoints.clear();
        }
        for provider in &file.provider {
            if let Some(endpoint) = self.endpoint(provider)
                && plan.endpoints.insert(endpoint.name.clone(), Arc::new(endpoint)).is_some()
            {
                self.wrong(&provider.name, "this provider is there twice");
            }
        }
        if let Some(listen) = &file.listen {
            match listen.get_ref().parse() {
                Ok(address) => plan.listen = address,
                Err(_) => self.wrong(listen, "expected an address such as 127.0.0.1:4110"),
            }
        }
        let key_files = file.provider.iter().filter_map(|provider| provider.key_file.as_ref());
        plan.files = key_files.map(|path| PathBuf::from(path.get_ref())).collect();
        plan.limits = self.limits(&file.limits, Limits::default(), None);
        self.settings(file, &mut plan);
        plan.admin = file.admin.as_ref().and_then(|admin| admin::check(self, admin));
        for route in &file.route {
            let checked = Arc::new(self.route(route, &plan));
            if plan.routes.insert(checked.name.clone(), checked).is_some() {
                self.wrong(&route.name, "this route is there twice");
            }
        }
        plan
    }

    fn wrong<T>(&mut self, at: &Spanned<T>, message: &str) {
        self.errors.add(Some(at.span()), message);
    }

    fn endpoint(&mut self, file: &ProviderFile) -> Option<Endpoint> {
        let name = file.name.get_ref();
        if name.is_empty() || name.contains('/') || name == "unbroken" {
            self.wrong(
                &file.name,
                "a provider's name is not empty, has no `/` and is not `unbroken`",
            );
            return None;
        }
        let provider = self.provider(file)?;
        let mut endpoint = match provider.name == name || file.provider.is_some() {
            true => zero::configured(provider, self.environment),
            false => Endpoint::new(provider, None),
        };
        endpoint.name.clone_from(name);
        endpoint.http2 = file.http2;
        endpoint.status_url = file.status_url.as_ref().map(|url| url.get_ref().clone());
        for url in file.base_url.iter().chain(&file.status_url) {
            if !is_address(url.get_ref()) {
                self.wrong(url, "expected an address such as https://host/v1 or http://host:8000");
            }
        }
        if let Some(url) = &file.base_url {
            endpoint = endpoint.at(url.get_ref());
        } else if endpoint.base_url.is_empty() {
            let names = provider.base_url_env.iter().map(|name| format!(" or {name}"));
            let names: String = names.collect();
            self.wrong(&file.name, &format!("this provider needs a `base_url`{names}"));
        }
        endpoint.api_version = file.api_version.clone().or(endpoint.api_version);
        endpoint.models = file.models.iter().map(|model| self.model(model)).collect();
        if let Some(region) = &file.region {
            if file.base_url.is_none() {
                provider.base_url.clone_into(&mut endpoint.base_url);
            }
            endpoint = endpoint.in_region(region);
        } else if endpoint.base_url.contains("{region}") {
            let names = provider.region_env.join(" or ");
            self.wrong(&file.name, &format!("no region: set `region` or {names}"));
        }
        if let Some(key) = self.key(file) {
            endpoint.key = Some(key);
            endpoint.key_name.clone_from(name);
        } else if !endpoint.has_credentials()
            && !provider.key_env.is_empty()
            && file.base_url.is_none()
        {
            let names = provider.key_env.join(" or ");
            self.wrong(&file.name, &format!("no key: set `key`, `key_file` or {names}"));
        }
        Some(endpoint)
    }

    fn model(&mut self, file: &ModelFile) -> ModelRule {
        ModelRule {
            name: file.name.clone(),
            lacks: self.needs(&file.lacks),
            has: self.needs(&file.has),
            context: file.context,
        }
    }

    fn needs(&mut self, names: &[Spanned<String>]) -> Vec<Need> {
        let mut needs = Vec::new();
        for name in names {
            match Need::ALL.into_iter().find(|need| need.name() == name.get_ref()) {
                Some(need) => needs.push(need),
                None => {
                    let valid = Need::ALL.map(Need::name);
                    let hint = did_you_mean(name.get_ref(), valid);
                    let valid = valid.join(", ");
                    self.wrong(name, &format!("expected one of {valid}{hint}"));
                }
            }
        }
        needs
    }

    /// The provider of this name, or the one that speaks the dialect.
    fn provider(&mut self, file: &ProviderFile) -> Option<&'static Provider> {
        let named = file.provider.as_ref().unwrap_or(&file.name);
        let known = PROVIDERS.iter().copied().find(|p| p.name == named.get_ref());
        if let (Some(named), None) = (&file.provider, known) {
            let hint = did_you_mean(named.get_ref(), PROVIDERS.iter().map(|p| p.name));
            self.wrong(named, &format!("there is no provider of this name{hint}"));
            return None;
        }
        let Some(dialect) = &file.dialect else {
            if known.is_none() {
                let names = PROVIDERS.iter().map(|p| p.name);
                let hint = did_you_mean(file.name.get_ref(), names);
                let message =
                    format!("an unknown provider needs a `dialect` and a `base_url`{hint}");
                self.wrong(&file.name, &message);
            }
            return known;
        };
        let by_dialect = [&OPENAI_COMPATIBLE, &OPENAI_RESPONSES_COMPATIBLE, &ANTHROPIC, &GEMINI];
        let found = by_dialect.into_iter().find(|p| p.dialect.name == dialect.get_ref());
        if found.is_none() {
            let names: Vec<&str> = by_dialect.iter().map(|p| p.dialect.name).collect();
            let hint = did_you_mean(dialect.get_ref(), names.iter().copied());
            let expected = names.join(", ");
            self.wrong(dialect, &format!("unknown dialect, expected one of {expected}{hint}"));
        }
        known.filter(|p| p.dialect.name == dialect.get_ref()).or(found)
    }

    fn key(&mut self, file: &ProviderFile) -> Option<SecretString> {
        self.secret(file.key.as_ref(), file.key_file.as_ref())
    }

    /// A secret that is written down, named as `${VARIABLE}`, or in a file of its own.
    fn secret(
        &mut self,
        key: Option<&Spanned<String>>,
        file: Option<&Spanned<String>>,
    ) -> Option<SecretString> {
        if let Some(key) = key {
            let text = key.get_ref();
            let Some(variable) = text.strip_prefix("${").and_then(|t| t.strip_suffix('}')) else {
                return self.usable(text, key);
            };
            let Some(found) = self.environment.get(variable) else {
                self.wrong(key, &format!("the environment variable {variable} is not set"));
                return None;
            };
            return self.usable(found, key);
        }
        let path = file?;
        match std::fs::read_to_string(path.get_ref()) {
            Ok(key) => self.usable(key.trim(), path),
            Err(error) => {
                self.wrong(path, &format!("the key file cannot be read: {error}"));
                None
            }
        }
    }

    /// A key that can be sent: without this it would be left out, and the target would refuse us.
    fn usable<T>(&mut self, key: &str, at: &Spanned<T>) -> Option<SecretString> {
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.wrong(at, "a key is not empty and has only visible ASCII characters");
            return None;
        }
        Some(SecretString::from(key))
    }

    fn route(&mut self, file: &RouteFile, plan: &Plan) -> Route {
        let order = match file.order {
            OrderFile::Balanced => TierOrder::Balanced,
            OrderFile::Weighted => TierOrder::Weighted,
            OrderFile::Rotate => TierOrder::Rotate,
        };
        let mut tiers = Vec::new();
        for target in &file.targets {
            let choices: Vec<Choice> = self.choice(target, 1, plan).into_iter().collect();
            tiers.push(Tier { choices, order });
        }
        for tier in &file.tiers {
            let mut choices = Vec::new();
            for target in tier {
                let Some(weighted) = self.weighted(target) else { continue };
                let name = Spanned::new(target.span(), weighted.target);
                choices.extend(self.choice(&name, weighted.weight, plan));
            }
            tiers.push(Tier { choices, order });
        }
        let has_an_empty_tier = file.tiers.iter().any(Vec::is_empty);
        if file.targets.is_empty() == file.tiers.is_empty() || has_an_empty_tier {
            self.wrong(&file.name, "a route has either `targets` or `tiers`, with a target in it");
        }
        let limits = self.limits(&file.limits, plan.limits, Some(&file.name.span()));
        let stream = stream_options(file);
        Route { name: file.name.get_ref().clone(), tiers, limits, stream }
    }

    fn weighted(&mut self, target: &Spanned<toml::Value>) -> Option<WeightedFile> {
        let weighted = match target.get_ref() {
            toml::Value::String(name) => WeightedFile { target: name.clone(), weight: 1 },
            value => match value.clone().try_into::<WeightedFile>() {
                Ok(weighted) => weighted,
                Err(error) => {
                    self.wrong(target, &explain(&error));
                    return None;
                }
            },
        };
        if weighted.weight == 0 {
            self.wrong(target, "a weight of 0 never sends anything: leave the target out");
        }
        Some(weighted)
    }

    fn choice(&mut self, target: &Spanned<String>, weight: u32, plan: &Plan) -> Option<Choice> {
        let Some((name, model)) = target.get_ref().split_once('/').filter(|(_, m)| !m.is_empty())
        else {
            self.wrong(target, "expected `provider/model`");
            return None;
        };
        let Some(endpoint) = plan.endpoints.get(name) else {
            let hint = did_you_mean(name, plan.endpoints.keys().map(String::as_str));
            let message = format!("there is no provider `{name}` with a key{hint}");
            self.wrong(target, &message);
            return None;
        };
        Some(Choice::new(endpoint.clone(), model.to_owned()).weighing(weight))
    }

    fn limits(&mut self, file: &LimitsFile, base: Limits, at: Option<&Range<usize>>) -> Limits {
        let or = |typed: Option<Span>, default: Duration| typed.map_or(default, |span| span.0);
        let limits = Limits {
            connect: or(file.connect, base.connect),
            first_token: or(file.first_token, base.first_token),
            first_token_reasoning: or(file.first_token_reasoning, base.first_token_reasoning),
            answer: or(file.answer, base.answer),
            silence: or(file.silence, base.silence),
            between_tokens: or(file.between_tokens, base.between_tokens),
            stall: or(file.stall, base.stall),
            total: or(file.total, base.total),
        };
        for (name, limit) in [("connect", limits.connect), ("first_token", limits.first_token)] {
            if limit > limits.total {
                let (limit, total) = (limit.as_secs_f32(), limits.total.as_secs_f32());
                let message = format!("`{name}` ({limit} s) is longer than `total` ({total} s)");
                self.errors.add(at.cloned(), message);
            }
        }
        limits
    }

    fn settings(&mut self, file: &File, plan: &mut Plan) {
        let set = |value: &mut Duration, typed: Option<Span>| {
            if let Some(span) = typed {
                *value = span.0;
            }
        };
        let breaker = &mut plan.failover.fleet.breaker;
        if let Some(threshold) = file.breaker.failure_threshold {
            breaker.detector = DetectorConfig::Consecutive { failure_threshold: threshold };
        }
        set(&mut breaker.recovery, file.breaker.recovery);
        match &file.breaker.recovery_max {
            Some(longest) if longest.get_ref().0 < breaker.recovery => {
                let message = "expected a duration that is not below `recovery`";
                self.errors.add(Some(longest.span()), message);
            }
            typed => set(&mut breaker.recovery_max, typed.as_ref().map(|typed| *typed.get_ref())),
        }
        set(&mut breaker.probe_timeout, file.breaker.probe_timeout);
        set(&mut breaker.ramp_step, file.breaker.ramp_step);
        breaker.recovery_max = breaker.recovery_max.max(breaker.recovery);
        if let Some(share) = &file.breaker.ramp_start {
            breaker.ramp_start_per_mille = (share.get_ref().clamp(0.001, 1.0) * 1000.0) as u32;
            if !(0.001..=1.0).contains(share.get_ref()) {
                self.errors.add(Some(share.span()), "expected a number from 0.001 to 1");
            }
        }
        breaker.ramp_successes = file.breaker.ramp_successes.unwrap_or(breaker.ramp_successes);
        let retry = &mut plan.failover.fleet.retry;
        if let Some(attempts) = &file.retry.max_attempts {
            retry.max_attempts = *attempts.get_ref();
            if !(1..=16).contains(attempts.get_ref()) {
                self.errors.add(Some(attempts.span()), "expected a number from 1 to 16");
            }
        }
        retry.revisits = file.retry.revisits.unwrap_or(retry.revisits);
        retry.patience = file.retry.patience.map_or(retry.patience, |span| span.0);
        set(&mut retry.backoff.base, file.retry.backoff);
        set(&mut retry.backoff.cap, file.retry.backoff_max);
        retry.budget.capacity = file.retry.budget.unwrap_or(retry.budget.capacity);
        let health = &mut plan.failover.fleet.health;
        health.enabled = file.health.enabled.unwrap_or(health.enabled);
        set(&mut health.interval, file.health.interval);
        health.interval_when_ill = health.interval_when_ill.min(health.interval);
        set(&mut health.timeout, file.health.timeout);
        let synthetic = &mut plan.failover.fleet.synthetic;
        synthetic.enabled = file.health.probes.unwrap_or(synthetic.enabled);
        synthetic.daily_max = file.health.probes_per_day.unwrap_or(synthetic.daily_max);
        synthetic.exercise = file.health.exercise.map(|span| span.0);
        set(&mut plan.server.drain, file.server.drain);
        plan.server.substitute = file.server.substitute.unwrap_or(plan.server.substitute);
        if let Some(connections) = &file.server.connections_max {
            plan.server.connections_max = *connections.get_ref();
            if *connections.get_ref() == 0 {
                self.errors.add(Some(connections.span()), "expected a number above 0");
            }
        }
        if let Some(size) = &file.server.body_max {
            match read_size(size.get_ref()) {
                Some(bytes) => plan.server.body_max = bytes,
                None => self.wrong(size, "expected a size such as \"32MiB\", up to \"1GiB\""),
            }
        }
    }
}

/// Whether a URL leads to where we listen, as far as can be told without asking for names.
fn leads_to(url: &str, listen: SocketAddr) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host == "localhost"
        || host
            .parse()
            .is_ok_and(|ip: IpAddr| ip.is_loopback() || ip.is_unspecified() || ip == listen.ip());
    let is_reachable = listen.ip().is_loopback() || listen.ip().is_unspecified();
    let is_listening = is_reachable || host == listen.ip().to_string();
    is_here && is_listening && uri.port_u16().unwrap_or(80) == listen.port()
}

/// Whether it is a URL with a host.
fn is_address(url: &str) -> bool {
    let parsed = url.parse::<http::Uri>().ok();
    parsed.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.query().is_none()
    })
}

/// `64KiB`, `32MiB`, `1GiB`.
fn read_size(text: &str) -> Option<usize> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let (number, unit) =
        units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))?;
    let bytes = number.trim().parse::<usize>().ok()?.checked_mul(unit)?;
    (1..=1 << 30).contains(&bytes).then_some(bytes)
}

#[cfg(test)]
mod tests;
