//! Failover for AI models: one unbroken answer as long as any target can give it.

mod background;
mod clock;
mod driver;
pub mod endpoint;
pub mod failover;
pub mod http;
pub mod observer;
mod prober;
pub mod providers;
mod relay;
pub mod reply;
pub mod route;
mod upstream;

pub use background::spawn;
pub use clock::Clock;
pub use failover::{Failover, FailoverConfig, TargetStatus};
