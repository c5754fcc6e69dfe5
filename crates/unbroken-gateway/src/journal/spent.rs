//! Tokens and money, as they are told.

use serde::{Serialize, Serializer};
use unbroken_engine::event::Spent;

/// What was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Tokens {
    /// Prompt, cached parts included.
    pub(crate) input: u64,
    /// Of these, read from a cache.
    pub(crate) cached: u64,
    /// Answer, thinking included.
    pub(crate) output: u64,
    /// Whether some of it is an estimate, because a target did not say.
    pub(crate) estimated: bool,
}

impl From<Spent> for Tokens {
    fn from(spent: Spent) -> Self {
        let Spent { input, cached, output, is_estimated } = spent;
        Self { input, cached, output, estimated: is_estimated }
    }
}

impl Tokens {
    pub(crate) fn add(&mut self, other: Self) {
        self.input = self.input.saturating_add(other.input);
        self.cached = self.cached.saturating_add(other.cached);
        self.output = self.output.saturating_add(other.output);
        self.estimated |= other.estimated;
    }
}

/// Billionths of a dollar as dollars.
#[expect(clippy::ref_option, reason = "serde asks so")]
pub(crate) fn dollars<S: Serializer>(nanos: &Option<i64>, to: S) -> Result<S::Ok, S::Error> {
    nanos.map(|nanos| nanos as f64 / 1e9).serialize(to)
}
