//! Which requests can each target of a route carry? Asked before an outage, when there is still
//! time to add a target: what nobody else can carry is lost while its target is down.
//!
//! A sample request of each kind is translated for each target as a call would be; what the
//! table of models says comes on top.

use serde_json::{Value, json};
use unbroken_wire::dialects::{OPENAI_CHAT, RequestHead};

use super::{Abilities, Need, abilities};
use crate::providers::{Fitted, fit};
use crate::route::{Choice, Route};

/// How a target carries a kind of request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cover {
    /// Whole.
    Yes,
    /// As far as anybody knows: the model is not in the table.
    Untold,
    /// With something left out or done another way; says what.
    Partly(String),
    /// Not at all; says why.
    No(String),
}

/// What one target carries.
#[derive(Clone, Debug)]
pub struct Coverage {
    /// The target.
    pub label: String,
    /// How it carries each need, in the order of [`Need::ALL`].
    pub needs: Vec<(Need, Cover)>,
    /// The most tokens that fit into it, if known.
    pub context: Option<u64>,
}

/// What each target of a route carries, in the order in which they are asked.
#[must_use]
pub fn of_route(route: &Route) -> Vec<Coverage> {
    let choices = route.tiers.iter().flat_map(|tier| &tier.choices);
    choices.map(of_choice).collect()
}

fn of_choice(choice: &Choice) -> Coverage {
    let abilities = abilities(choice);
    let needs = Need::ALL.map(|need| (need, cover(choice, &abilities, need)));
    Coverage { label: choice.label().to_owned(), needs: needs.to_vec(), context: abilities.context }
}

/// What would be lost in an outage: for each target, what it carries and none of the others does.
#[must_use]
pub fn failing_edges(route: &[Coverage]) -> Vec<String> {
    let carries = |target: &Coverage, need: Need| {
        target.needs.iter().any(|(n, cover)| *n == need && !matches!(cover, Cover::No(_)))
    };
    let mut edges = Vec::new();
    for (index, target) in route.iter().enumerate() {
        let others = || route.iter().enumerate().filter(move |(other, _)| *other != index);
        if others().next().is_none() {
            edges.push(format!("if {} is down, nobody answers", target.label));
            continue;
        }
        let lost: Vec<&str> = Need::ALL
            .into_iter()
            .filter(|need| carries(target, *need))
            .filter(|need| !others().any(|(_, other)| carries(other, *need)))
            .map(Need::name)
            .collect();
        if !lost.is_empty() {
            let (label, lost) = (&target.label, lost.join(", "));
            edges.push(format!("if {label} is down, nobody carries {lost}"));
        }
        let largest = others().filter_map(|(_, other)| other.context).max();
        let all_known = others().all(|(_, other)| other.context.is_some());
        if let (Some(own), Some(largest), true) = (target.context, largest, all_known)
            && largest < own
        {
            edges.push(format!(
                "if {} is down, prompts above {} tokens have nobody ({} carries {})",
                target.label,
                tokens(largest),
                target.label,
                tokens(own)
            ));
        }
    }
    edges
}

/// A number of tokens, as people write it: `128k`, `1.0M`.
#[must_use]
pub fn tokens(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        1_000..1_000_000 => format!("{}k", number / 1_000),
        _ => format!("{}.{}M", number / 1_000_000, number % 1_000_000 / 100_000),
    }
}

fn cover(choice: &Choice, abilities: &Abilities, need: Need) -> Cover {
    if abilities.lacks.contains(&need) {
        return match need.is_strict() {
            true => Cover::No(format!("{} does not take it", choice.model)),
            false => Cover::Partly(format!("dropped:{}", need.name())),
        };
    }
    let warnings = match translated(choice, need) {
        Ok(warnings) => warnings,
        Err(reason) => return Cover::No(reason),
    };
    match warnings.as_slice() {
        [] if abilities.is_known => Cover::Yes,
        [] => Cover::Untold,
        warnings => Cover::Partly(warnings.join(", ")),
    }
}

/// Writes a sample for the target, as a call would.
fn translated(choice: &Choice, need: Need) -> Result<Vec<String>, String> {
    let provider = choice.endpoint.provider;
    let body = sample(need).to_string();
    let chat = (OPENAI_CHAT.read_request)(&RequestHead::default(), body.as_bytes())
        .map_err(|error| error.message)?;
    let written = (provider.dialect.write_request)(&chat, &choice.model)
        .map_err(|unsupported| unsupported.reason)?;
    let mut warnings = written.warnings;
    match fit(written.body, provider.fits) {
        Ok(Fitted::Body(_, dropped)) => warnings.extend(dropped),
        Ok(Fitted::Refused(field)) => return Err(format!("{} takes no {field}", provider.name)),
        Err(error) => return Err(error.to_string()),
    }
    Ok(warnings)
}

/// A request of one kind.
fn sample(need: Need) -> Value {
    let schema = json!({
        "type": "object",
        "properties": { "city": { "type": "string" } },
        "required": ["city"],
        "additionalProperties": false,
    });
    let mut content = vec![json!({ "type": "text", "text": "What is this?" })];
    let mut request = vec![("model", json!("sample")), ("stream", true.into())];
    match need {
        Need::Tools => {
            let function = json!({ "name": "weather", "description": "Now", "parameters": schema });
            request.push(("tools", json!([{ "type": "function", "function": function }])));
        }
        Need::Images => {
            let url = "data:image/png;base64,iVBORw0KGgo=";
            content.push(json!({ "type": "image_url", "image_url": { "url": url } }));
        }
        Need::Pdfs => {
            let data = "data:application/pdf;base64,JVBERi0xLjQK";
            let file = json!({ "file_data": data, "filename": "a.pdf" });
            content.push(json!({ "type": "file", "file": file }));
        }
        Need::JsonSchema => {
            let schema = json!({ "name": "city", "schema": schema, "strict": true });
            let format = json!({ "type": "json_schema", "json_schema": schema });
            request.push(("response_format", format));
        }
        Need::Reasoning => request.push(("reasoning_effort", "medium".into())),
    }
    request.push(("messages", json!([{ "role": "user", "content": content }])));
    request.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
