//! Rehearsals: faults, scenarios, simulator, fake provider, scorekeeper.

mod background;
pub mod fake_provider;
pub mod fault;
