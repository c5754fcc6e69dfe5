//! `unbroken schema`: the JSON Schema of `unbroken.toml`, for editors.

use std::process::ExitCode;

use crate::config::{page, schema};
use crate::terminal::print;

/// Prints it, or the tables of the reference page, which are made from the same list.
pub(crate) fn run(is_page: bool) -> ExitCode {
    print(&if is_page { page() } else { text() });
    ExitCode::SUCCESS
}

/// The schema as a file.
pub(super) fn text() -> String {
    format!("{:#}", schema())
}
