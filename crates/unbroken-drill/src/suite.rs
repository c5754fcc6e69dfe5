//! The suite: the scenarios of `drills/suite/`, played in virtual time over many seeds, by the
//! engine and by what it is compared with.
//!
//! A drill shows one outage, live or in virtual time, in seconds. A scenario of the suite is half
//! an hour or a year of traffic from one or several gateways; it is measured, held against its pass
//! line, and every invariant is held after every step. The same seed gives the same run.
//!
//! Sources: engine.md sections 2, 5, 6 and 7.

mod arm;
mod canary;
pub mod evidence;
mod generator;
mod held;
mod invariants;
mod pairs;
mod provider;
mod script;
mod seeds;
mod shrink;
pub mod swarm;
mod tally;
mod world;

pub use arm::Arm;
pub use canary::Canary;
pub use held::{How, INVARIANTS};
pub use invariants::Violation;
pub use pairs::{PAIRS, Pair};
pub use script::{Act, Action, Ailment, Load, Pass, Script, TargetScript, Timed};
pub use seeds::{Failing, Shown, in_parallel, judge, play_seeds, read_folder, usual};
pub use shrink::{Shrunk, reproduce, shrink};
pub use tally::{Tally, Times, middle, ninth_tenth};
pub use world::{Play, Played, run};

#[cfg(test)]
mod tests;
