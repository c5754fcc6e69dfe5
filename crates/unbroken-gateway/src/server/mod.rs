//! The HTTP server: who asks what, and how the answer goes out.

mod current;
mod encoding;
mod health;
mod listen;
mod paths;
mod respond;
mod side;
mod socket;

pub(crate) use current::Current;
pub(crate) use listen::{Server, Stopped};
pub(crate) use paths::percent_decode;

#[cfg(test)]
mod tests;
