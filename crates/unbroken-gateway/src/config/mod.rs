//! What is configured: the file as typed, what it means, and what holds without one.

mod cloud;
mod environment;
mod error;
mod file;
mod plan;
mod reference;
#[cfg(test)]
mod reference_tests;
mod zero;

pub(crate) use environment::Environment;
pub(crate) use error::ConfigErrors;
pub(crate) use plan::{AdminPlan, LedgerPlan, Plan, Price, Prices, read_age};
pub(crate) use reference::{page, schema};
pub(crate) use zero::{Tiers, vendor_of};
