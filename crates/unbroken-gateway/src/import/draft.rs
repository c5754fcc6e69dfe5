//! A file in the making.

use std::collections::BTreeMap;

use super::provider::Provider;
use super::route::Route;

/// What was read so far.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) providers: Vec<Provider>,
    pub(super) routes: Vec<Route>,
    pub(super) limits: Vec<(&'static str, String)>,
    pub(super) breaker: Vec<(&'static str, String)>,
    pub(super) retry: Vec<(&'static str, String)>,
    /// What has no equivalent, or another one than people may think.
    pub(super) notes: Vec<String>,
    /// The variables that the file needs, and whether an address is in them.
    pub(super) variables: BTreeMap<String, bool>,
}

/// A file that was made from another.
#[derive(Debug)]
pub(crate) struct Imported {
    /// The `unbroken.toml`.
    pub(crate) text: String,
    /// How many routes it has.
    pub(crate) routes: usize,
    /// What has no equivalent, or another one than people may think.
    pub(crate) notes: Vec<String>,
    /// The variables that it needs, and whether an address is in them.
    pub(crate) variables: BTreeMap<String, bool>,
}

impl Draft {
    pub(super) fn note(&mut self, at: &str, what: &str) {
        let note = format!("{at}: {what}");
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// The file.
    pub(super) fn into_imported(self, from: &str) -> Imported {
        let text = super::write::file(&self, from);
        let Self { routes, notes, variables, .. } = self;
        Imported { text, routes: routes.len(), notes, variables }
    }
}

/// Seconds as a duration of our file.
pub(super) fn duration(seconds: f64) -> String {
    let millis = (seconds * 1_000.0).round().clamp(1.0, 86_400_000.0) as u64;
    if millis.is_multiple_of(1_000) {
        format!("{}s", millis / 1_000)
    } else {
        format!("{millis}ms")
    }
}
