//! The failover engine: decides, does no I/O.
#![no_std]

extern crate alloc;

pub mod cause;
pub mod time;
