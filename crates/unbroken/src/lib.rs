//! Failover for AI models: one unbroken answer as long as any target can give it.
//!
//! [`Failover::builder`] is the classic way: name targets, `generate`. [`Failover::over`] does the
//! same for clients of your own. [`Failover::call`] is what the gateway uses: a request in a
//! client's own dialect in, a reply in the same dialect out.

mod asked;
mod background;
pub mod builder;
pub mod capabilities;
mod carried;
mod clock;
pub mod cloud;
mod delivered;
mod driver;
pub mod endpoint;
pub mod failover;
pub mod generate;
pub mod http;
mod named;
pub mod observer;
pub mod over;
mod prober;
pub mod providers;
mod relay;
pub mod reply;
pub mod route;
mod screen;
mod status_feed;
mod synthetic;
mod upstream;

pub use background::spawn;
pub use clock::Clock;
pub use failover::{Failover, FailoverConfig, Reload, TargetStatus};

/// The README's example is compiled like any other.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
#[derive(Debug)]
pub struct Readme;
