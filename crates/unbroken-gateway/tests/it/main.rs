//! The program as it ships: real processes, real sockets, fake providers.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests say so when something is wrong"
)]

mod admin;
mod documents;
mod ledger;
mod reload;
mod stage;
