//! The configuration, checked and resolved: nothing in it can be wrong any more.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use toml::Spanned;
use unbroken::FailoverConfig;
use unbroken::capabilities::{ModelRule, Need};
use unbroken::endpoint::Endpoint;
use unbroken::providers::{
    ANTHROPIC, Auth, GEMINI, OPENAI_COMPATIBLE, OPENAI_RESPONSES_COMPATIBLE, PROVIDERS, Provider,
};
use unbroken::route::{Choice, Route, Tier};
use unbroken_engine::deadline::Limits;
use unbroken_engine::target::TierOrder;

use super::error::{did_you_mean, explain};
use super::file::{File, ModelFile, OrderFile, PrefillFile, ProviderFile, RouteFile, WeightedFile};
use super::{ConfigErrors, Environment, zero};

mod admin;
mod alerts;
mod cloud;
mod ledger;
mod money;
mod settings;

pub(crate) use admin::AdminPlan;
pub(crate) use alerts::AlertsPlan;
pub(crate) use ledger::{LedgerPlan, read_age};
pub(crate) use money::{Price, Prices};

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
    /// The share of valid calls that clients are to see answered, where a route says nothing else.
    pub(crate) slo: f64,
    /// The same for routes that say so.
    pub(crate) slos: BTreeMap<String, f64>,
    /// What targets cost.
    pub(crate) prices: Prices,
    /// Where calls are written down.
    pub(crate) ledger: LedgerPlan,
    /// Who is told of what burns.
    pub(crate) alerts: AlertsPlan,
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
            slo: alerts::SLO,
            slos: BTreeMap::new(),
            prices: Prices::default(),
            ledger: LedgerPlan::without_a_file(environment),
            alerts: AlertsPlan::default(),
            files: Vec::new(),
        }
    }

    /// The share of valid calls that clients of a route are to see answered.
    pub(crate) fn slo_of(&self, route: &str) -> f64 {
        self.slos.get(route).copied().unwrap_or(self.slo)
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
        let plan = Checker { environment, errors: &mut errors }.check(&file, Path::new(name));
        if errors.is_empty() { Ok(plan) } else { Err(errors) }
    }
}

/// Enough for any share, and the sum of a tier's weights cannot run over.
const WEIGHT_MAX: u32 = 1_000_000;

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 4110))
}

struct Checker<'a> {
    environment: &'a Environment,
    errors: &'a mut ConfigErrors,
}

impl Checker<'_> {
    fn check(&mut self, file: &File, path: &Path) -> Plan {
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
        plan.prices = money::check(self, &file.provider);
        plan.ledger = ledger::check(self, &file.ledger, path);
        alerts::check(self, file, &mut plan);
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

    /// A number within its bounds.
    fn whole<T: Copy + PartialOrd + std::fmt::Display>(
        &mut self,
        typed: &Spanned<T>,
        bounds: RangeInclusive<T>,
    ) -> T {
        if !bounds.contains(typed.get_ref()) {
            let (least, most) = (bounds.start(), bounds.end());
            self.wrong(typed, &format!("expected a number from {least} to {most}"));
        }
        *typed.get_ref()
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
        endpoint.prefill = file.prefill.map(PrefillFile::meant);
        endpoint.status_url = file.status_url.as_ref().map(|url| url.get_ref().clone());
        let base_url = self.text(file.base_url.as_ref());
        let urls = base_url.iter().zip(&file.base_url);
        for (url, at) in urls.chain(endpoint.status_url.iter().zip(&file.status_url)) {
            if !is_address(url) {
                self.wrong(at, "expected an address such as https://host/v1 or http://host:8000");
            }
        }
        if let Some(url) = &base_url {
            endpoint = endpoint.at(url);
        } else if file.base_url.is_some() {
            // What is wrong with it was said.
        } else if endpoint.base_url.is_empty() {
            let names = provider.base_url_env.iter().map(|name| format!(" or {name}"));
            let names: String = names.collect();
            self.wrong(&file.name, &format!("this provider needs a `base_url`{names}"));
        }
        endpoint.api_version = self.text(file.api_version.as_ref()).or(endpoint.api_version);
        endpoint.models = file.models.iter().map(|model| self.model(model)).collect();
        endpoint = self.in_region(file, endpoint);
        cloud::check(self, file, &mut endpoint);
        self.credentials(file, &mut endpoint);
        Some(endpoint)
    }

    /// The key, or what there is instead of one.
    fn credentials(&mut self, file: &ProviderFile, endpoint: &mut Endpoint) {
        let provider = endpoint.provider;
        if endpoint.base_url.contains("{region}") {
            let names = provider.region_env.join(" or ");
            self.wrong(&file.name, &format!("no region: set `region` or {names}"));
        }
        if let Some(key) = self.key(file) {
            endpoint.key = Some(key);
            endpoint.key_name.clone_from(file.name.get_ref());
        } else if !endpoint.has_credentials()
            && (provider.auth == Auth::Google || !provider.key_env.is_empty())
            && file.base_url.is_none()
        {
            let names = match provider.auth {
                Auth::Google => "`credentials_file`, `metadata` or GOOGLE_APPLICATION_CREDENTIALS",
                _ => &provider.key_env.join(" or "),
            };
            self.wrong(&file.name, &format!("no key: set `key`, `key_file` or {names}"));
        }
    }

    /// At the address of a region, where a provider has one for each.
    fn in_region(&mut self, file: &ProviderFile, mut endpoint: Endpoint) -> Endpoint {
        let provider = endpoint.provider;
        if let Some(region) = self.text(file.region.as_ref()) {
            if file.base_url.is_none() {
                provider.base_url.clone_into(&mut endpoint.base_url);
            }
            return endpoint.in_region(&region);
        }
        endpoint
    }

    fn model(&mut self, file: &ModelFile) -> ModelRule {
        ModelRule {
            name: file.name.clone(),
            lacks: self.needs(&file.lacks),
            has: self.needs(&file.has),
            context: file.context.as_ref().map(|context| self.whole(context, 1..=1_000_000_000)),
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

    /// A text that is written down or named as `${VARIABLE}`.
    fn text(&mut self, typed: Option<&Spanned<String>>) -> Option<String> {
        let typed = typed?;
        let Some(variable) = variable(typed.get_ref()) else {
            return Some(typed.get_ref().clone());
        };
        let found = self.environment.get(variable).map(str::to_owned);
        if found.is_none() {
            self.wrong(typed, &format!("the environment variable {variable} is not set"));
        }
        found
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
            let Some(variable) = variable(text) else { return self.usable(text, key) };
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
        let stream = self.stream_options(&file.stream);
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
        } else if weighted.weight > WEIGHT_MAX {
            self.wrong(target, &format!("a weight is at most {WEIGHT_MAX}"));
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
}

/// The variable that a text names.
fn variable(text: &str) -> Option<&str> {
    text.strip_prefix("${").and_then(|text| text.strip_suffix('}'))
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

#[cfg(test)]
mod tests;
