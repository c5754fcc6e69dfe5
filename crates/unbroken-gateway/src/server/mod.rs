//! The HTTP server: who asks what, and how the answer goes out.

mod health;
mod listen;
mod paths;
mod respond;

pub(crate) use listen::{Server, Stopped};
