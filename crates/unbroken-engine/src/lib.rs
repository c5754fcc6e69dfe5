//! The failover engine: decides, does no I/O.
//!
//! One [`fleet::Fleet`] knows all targets; one [`call::Call`] per client request decides which of
//! them are asked, in which order, for how long, and what the client gets. Time and randomness are
//! arguments, so that the same inputs give the same decisions: on a server, in a simulator, in a
//! browser.
//!
//! # Example
//!
//! ```
//! use unbroken_engine::call::{Ask, Command, Input};
//! use unbroken_engine::cause::FailureCause;
//! use unbroken_engine::deadline::{Kind, Limits};
//! use unbroken_engine::fleet::{Fleet, FleetConfig};
//! use unbroken_engine::target::{TargetSpec, Tier, TierOrder};
//! use unbroken_engine::time::Timestamp;
//!
//! let now = Timestamp::ZERO;
//! let mut fleet = Fleet::new(FleetConfig::default(), 42);
//! let tiers = ["first", "second"].map(|name| {
//!     let spec = TargetSpec {
//!         label: name.into(),
//!         endpoint: name.into(),
//!         model: "same-model".into(),
//!         key: name.into(),
//!     };
//!     Tier { targets: vec![(fleet.target(&spec, now), 1)], order: TierOrder::Weighted }
//! });
//! let ask = Ask::new("chat", tiers.to_vec(), Limits::default(), Kind::Stream);
//! let mut call = fleet.begin(&ask, now);
//! let Some(Command::Start { attempt, .. }) = call.next_command() else { panic!() };
//! let cause = FailureCause::TargetError { status: 500 };
//! call.handle(&mut fleet, Input::Failed { attempt, cause }, now);
//! let Some(Command::Start { target, .. }) = call.next_command() else { panic!() };
//! assert_eq!(target, tiers[1].targets[0].0, "the second target is asked at once");
//! ```
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod backoff;
pub mod breaker;
pub mod call;
pub mod cause;
pub mod choose;
pub mod cooldown;
pub mod deadline;
pub mod detector;
pub mod doubt;
pub mod event;
pub mod fleet;
pub mod headroom;
pub mod health;
pub mod hedge;
pub mod idempotency;
pub mod latency;
pub mod pace;
pub mod peers;
pub mod random;
pub mod receiver;
pub mod resume;
pub mod retry_budget;
pub mod slowness;
pub mod stall;
pub mod target;
pub mod throttle;
pub mod time;
