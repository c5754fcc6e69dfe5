//! Which targets may answer a model name, and in which order.

use std::sync::Arc;
use std::time::Duration;

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
    /// How streams are delivered.
    pub stream: StreamOptions,
}

/// How streams are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamOptions {
    /// Whether a stream that breaks after its first content goes on at another target. Default: yes.
    ///
    /// It costs the input once more for each break, twice at most.
    pub continues: bool,
    /// Whether tool calls are kept back until they are whole. Default: yes.
    ///
    /// Without, they pass as they come, and a stream that breaks after the first of them ends in an
    /// error.
    pub hold_tool_calls: bool,
    /// How long the first content is kept back, so that a break meanwhile is a fresh start and no
    /// seam. Default: zero.
    ///
    /// It costs that much time to the first token of every stream.
    pub commit_hold: Duration,
    /// A stream that has begun gets a sign of life after this long without anything. Default: 10 s.
    pub keep_alive: Duration,
    /// A stream that has not begun gets its head and signs of life after this long. Default: 12 s;
    /// zero for never.
    ///
    /// It costs the status and the headers of what happens later: a failure is then an error event
    /// inside a 200.
    pub early_keep_alive: Duration,
    /// Whether a stream that has a seam says so in a comment before its end. Default: yes.
    pub trail: bool,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            continues: true,
            hold_tool_calls: true,
            commit_hold: Duration::ZERO,
            keep_alive: Duration::from_secs(10),
            early_keep_alive: Duration::from_secs(12),
            trail: true,
        }
    }
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
        Self {
            name: name.to_owned(),
            tiers: choices.into_iter().map(tier).collect(),
            limits,
            stream: StreamOptions::default(),
        }
    }
}
