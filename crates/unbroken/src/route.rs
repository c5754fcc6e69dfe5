//! Which targets may answer a model name, and in which order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use unbroken_engine::deadline::Limits;
use unbroken_engine::target::{TargetSpec, TierOrder};

use crate::capabilities::{self, Abilities};
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
    /// What follows from the above, made on first use: every call needs it.
    known: OnceLock<Arc<Known>>,
}

#[derive(Debug)]
struct Known {
    spec: TargetSpec,
    abilities: Abilities,
    /// Who has heard of it last, by number.
    heard_by: AtomicUsize,
}

impl Choice {
    /// A model at an endpoint, of weight 1.
    #[must_use]
    pub const fn new(endpoint: Arc<Endpoint>, model: String) -> Self {
        Self { endpoint, model, weight: 1, known: OnceLock::new() }
    }

    /// The same with another weight.
    #[must_use]
    pub fn weighing(self, weight: u32) -> Self {
        Self { weight, ..self }
    }

    /// What people call it: `endpoint/model`.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.spec().label
    }

    /// How the engine knows it.
    #[must_use]
    pub fn spec(&self) -> &TargetSpec {
        &self.known().spec
    }

    /// What is known of it, the operator's word included.
    #[must_use]
    pub fn abilities(&self) -> &Abilities {
        &self.known().abilities
    }

    /// Whether somebody of this number, which is never zero, hears of it for the first time.
    pub(crate) fn is_new_to(&self, number: usize) -> bool {
        let heard_by = &self.known().heard_by;
        // Every call asks; nearly none changes it.
        heard_by.load(Ordering::Relaxed) != number
            && heard_by.swap(number, Ordering::Relaxed) != number
    }

    fn known(&self) -> &Known {
        self.known.get_or_init(|| {
            let spec = TargetSpec {
                label: format!("{}/{}", self.endpoint.name, self.model).into(),
                endpoint: self.endpoint.base_url.as_str().into(),
                model: self.model.as_str().into(),
                key: self.endpoint.key_name.as_str().into(),
            };
            let heard_by = AtomicUsize::new(0);
            Arc::new(Known { spec, abilities: capabilities::abilities(self), heard_by })
        })
    }
}

impl Route {
    /// Its targets, in the order of its tiers.
    pub fn choices(&self) -> impl Iterator<Item = &Choice> {
        self.tiers.iter().flat_map(|tier| &tier.choices)
    }

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
