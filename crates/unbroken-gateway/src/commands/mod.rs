//! What the program can do, one file each.

pub(crate) mod check;
mod coverage;
pub(crate) mod demo;
pub(crate) mod drill;
pub(crate) mod explain;
pub(crate) mod fake_provider;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod report;
pub(crate) mod schema;
pub(crate) mod serve;
pub(crate) mod status;
