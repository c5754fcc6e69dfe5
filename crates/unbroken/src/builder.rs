//! The classic way in: name the targets, build, generate.

use std::fmt;
use std::sync::Arc;

use secrecy::SecretString;
use unbroken_engine::breaker::BreakerConfig;
use unbroken_engine::deadline::Limits;
use unbroken_engine::fleet::RetryConfig;
use unbroken_engine::health::{HealthConfig, SyntheticConfig};

use crate::endpoint::Endpoint;
use crate::failover::{Failover, FailoverConfig};
use crate::http::HttpConfig;
use crate::observer::{Observer, Unobserved};
use crate::providers::Provider;
use crate::route::{Choice, Route};

/// A model at a provider, on its way to become a target.
#[derive(Clone, Debug)]
pub struct TargetBuilder {
    endpoint: Endpoint,
    model: String,
}

impl Provider {
    /// A model of this provider, as a target of [`Failover::builder`].
    #[must_use]
    pub fn model(&'static self, model: &str) -> TargetBuilder {
        TargetBuilder { endpoint: Endpoint::new(self, None), model: model.to_owned() }
    }
}

impl TargetBuilder {
    /// The key to send. Default: none.
    #[must_use]
    pub fn key(mut self, key: &str) -> Self {
        self.endpoint.key = Some(SecretString::from(key));
        self
    }

    /// The address, without a slash at the end. Default: the provider's own.
    #[must_use]
    pub fn at(mut self, base_url: &str) -> Self {
        self.endpoint = self.endpoint.at(base_url);
        self
    }

    /// Whether HTTP/2 may be used, where the target offers it. Default: no, as in the official SDKs.
    #[must_use]
    pub const fn http2(mut self, allowed: bool) -> Self {
        self.endpoint.http2 = allowed;
        self
    }

    /// The provider's status page: `…/api/v2/summary.json`. While it tells of an incident, half of
    /// the usual evidence shuts the target. Default: none.
    #[must_use]
    pub fn status_url(mut self, url: &str) -> Self {
        self.endpoint.status_url = Some(url.to_owned());
        self
    }

    /// What the target's endpoint is called in reports. Default: the provider's name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.endpoint.name);
        name.clone_into(&mut self.endpoint.key_name);
        self
    }
}

/// Makes a [`Failover`] with one route of its own.
#[derive(Default)]
pub struct FailoverBuilder {
    targets: Vec<TargetBuilder>,
    limits: Limits,
    config: FailoverConfig,
    observer: Option<Arc<dyn Observer>>,
}

impl fmt::Debug for FailoverBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailoverBuilder").field("targets", &self.targets).finish_non_exhaustive()
    }
}

/// Why nothing could be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// There is nobody to ask.
    #[error("a failover needs at least one target")]
    NoTargets,
    /// A target has no address.
    #[error("the target {0} needs an address: call `.at(\"https://…\")` on it")]
    NoAddress(String),
}

impl Failover {
    /// Begins with no targets and the defaults of every setting.
    #[must_use]
    pub fn builder() -> FailoverBuilder {
        FailoverBuilder::default()
    }
}

impl FailoverBuilder {
    /// Adds a target; the first one is preferred, the others stand in, in their order.
    #[must_use]
    pub fn target(mut self, target: TargetBuilder) -> Self {
        self.targets.push(target);
        self
    }

    /// When a target is left alone, and how it comes back.
    #[must_use]
    pub const fn breaker(mut self, breaker: BreakerConfig) -> Self {
        self.config.fleet.breaker = breaker;
        self
    }

    /// Retries within one call.
    #[must_use]
    pub const fn retry(mut self, retry: RetryConfig) -> Self {
        self.config.fleet.retry = retry;
        self
    }

    /// Active health checks.
    #[must_use]
    pub const fn health(mut self, health: HealthConfig) -> Self {
        self.config.fleet.health = health;
        self
    }

    /// Probes of shut targets with a tiny request, where no call comes by.
    #[must_use]
    pub const fn synthetic(mut self, synthetic: SyntheticConfig) -> Self {
        self.config.fleet.synthetic = synthetic;
        self
    }

    /// Connections to targets.
    #[must_use]
    pub fn http(mut self, http: HttpConfig) -> Self {
        self.config.http = http;
        self
    }

    /// Limits of time.
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Who watches. Default: nobody.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Builds; inside a tokio runtime.
    ///
    /// # Errors
    /// When there is no target, or one has no address.
    pub fn build(self) -> Result<Failover, BuildError> {
        if self.targets.is_empty() {
            return Err(BuildError::NoTargets);
        }
        let mut choices = Vec::new();
        for TargetBuilder { endpoint, model } in self.targets {
            let choice = Choice::new(Arc::new(endpoint), model);
            if choice.endpoint.base_url.is_empty() {
                return Err(BuildError::NoAddress(choice.label().to_owned()));
            }
            choices.push(choice);
        }
        let route = Arc::new(Route::in_order("default", choices, self.limits));
        let observer = self.observer.unwrap_or_else(|| Arc::new(Unobserved));
        Ok(Failover::new(self.config, observer).with_route(route))
    }
}
