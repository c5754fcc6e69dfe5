//! Which targets may answer a model name, and in which order.

use std::sync::Arc;

use unbroken_engine::deadline::Limits;
use unbroken_engine::target::{TargetSpec, TierOrder};

use crate::endpoint::Endpoint;

/// What clients address by one model name.
#[derive(Clone, Debug)]
pub struct Route {
    /// The name that clients send as `model`.
    pub name: String,
    /// Targets by preference: the second tier is asked when the first has nobody left.
    pub tiers: Vec<Tier>,
    /// Limits of time.
    pub limits: Limits,
}

/// Targets of equal preference.
#[derive(Clone, Debug)]
pub struct Tier {
    /// The targets.
    pub choices: Vec<Choice>,
    /// How to pick among them.
    pub order: TierOrder,
}

/// One target of a route.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Where it is and how to speak to it.
    pub endpoint: Arc<Endpoint>,
    /// The model's name there.
    pub model: String,
    /// How often it is picked, compared with its tier's others. Zero counts as one.
    pub weight: u32,
}

impl Choice {
    /// What people call it: `endpoint/model`.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}/{}", self.endpoint.name, self.model)
    }

    /// How the engine knows it.
    #[must_use]
    pub fn spec(&self) -> TargetSpec {
        TargetSpec {
            label: self.label().into(),
            endpoint: self.endpoint.base_url.as_str().into(),
            model: self.model.as_str().into(),
            key: self.endpoint.key_name.as_str().into(),
        }
    }
}

impl Route {
    /// A route that asks `choices` in their order.
    #[must_use]
    pub fn in_order(name: &str, choices: Vec<Choice>, limits: Limits) -> Self {
        let tier = |choice| Tier { choices: vec![choice], order: TierOrder::Weighted };
        Self { name: name.to_owned(), tiers: choices.into_iter().map(tier).collect(), limits }
    }
}
