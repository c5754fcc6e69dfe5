//! The dialects against recorded traffic of real providers.

mod recordings;
mod traffic;
