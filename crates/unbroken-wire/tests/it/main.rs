//! The dialects against recorded traffic of real providers.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests say so when something is wrong"
)]

mod adopted;
mod frames;
mod nasty;
mod natives;
mod of_targets;
mod recordings;
mod round_trips;
mod sequence;
mod traffic;
