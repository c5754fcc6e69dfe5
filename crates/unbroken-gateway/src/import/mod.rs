//! What do the configurations of other gateways say? Read into a draft of an `unbroken.toml`, with
//! everything that has no equivalent noted: nothing is left out silently.

use crate::config::{Environment, Plan};

mod draft;
mod fields;
mod litellm;
mod portkey;
mod provider;
mod route;
mod vendors;
mod write;

pub(crate) use draft::Imported;
pub(crate) use portkey::Asked as PortkeyAsked;

/// A LiteLLM `config.yaml`.
///
/// # Errors
/// When it is not YAML, or nothing in it can be served.
pub(crate) fn litellm(text: &str) -> Result<Imported, String> {
    held(litellm::read(text)?.into_imported("LiteLLM"))
}

/// A Portkey config.
///
/// # Errors
/// When it is not JSON, or nothing in it can be served.
pub(crate) fn portkey(text: &str, asked: &PortkeyAsked) -> Result<Imported, String> {
    held(portkey::read(text, asked)?.into_imported("Portkey"))
}

/// What was written, if `unbroken check` takes it once its variables are set.
fn held(imported: Imported) -> Result<Imported, String> {
    if imported.routes == 0 {
        let notes = imported.notes.join("\n  ");
        return Err(format!("nothing in it can be served here:\n  {notes}"));
    }
    let value = |(name, is_address): (&String, &bool)| {
        let value = if *is_address { "http://127.0.0.1:1/v1" } else { "set" };
        (name.clone(), value.to_owned())
    };
    let environment: Environment = imported.variables.iter().map(value).collect();
    match Plan::read("what was written", &imported.text, &environment) {
        Ok(_) => Ok(imported),
        Err(errors) => Err(format!("what it says cannot hold here:\n{errors}")),
    }
}

#[cfg(test)]
mod tests;
