//! Rehearsals: faults, scenarios, the simulator, the fake provider and the scorekeeper.

mod background;
pub mod fake_provider;
pub mod fault;
pub mod report;
pub mod scenario;
pub mod scorekeeper;
pub mod simulator;
pub mod suite;
