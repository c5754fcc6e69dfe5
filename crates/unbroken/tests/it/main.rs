//! The library against recorded traffic and real sockets.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests say so when something is wrong"
)]

mod calls;
mod carried;
mod clouds;
mod cut_everywhere;
mod edges;
mod errors;
mod leaving;
mod mutated;
mod named;
mod probes;
mod repaired;
mod seams;
mod seams_kinds;
mod seams_manners;
mod seams_waits;
mod stored;
mod trail;
mod whole;
