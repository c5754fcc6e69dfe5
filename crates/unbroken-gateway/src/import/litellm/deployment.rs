//! One entry of `model_list`.

use super::{Deployment, Groups};
use crate::config::vendor_of;
use crate::import::draft::Draft;
use crate::import::fields::{Fields, NOTHING_LIKE_IT};
use crate::import::provider::{Wanted, key, reference};
use crate::import::route::Target;
use crate::import::vendors::{self, Vendor};
use crate::import::write::quoted;

/// Kinds of models that are served here.
const MODES: &[&str] = &["chat", "completion", "responses", "embedding"];

/// Reads one deployment into its group.
pub(super) fn read(draft: &mut Draft, groups: &mut Groups, mut entry: Fields) {
    let at = entry.place().to_owned();
    let Some(name) = entry.text("model_name") else {
        draft.note(&at, "it has no `model_name`");
        return;
    };
    let mut params = entry.table("litellm_params");
    let mut info = entry.table("model_info");
    let vendor = params.text("custom_llm_provider");
    let Some(model) = params.text("model") else {
        draft.note(&at, "it has no `litellm_params.model`");
        return;
    };
    let mode = info.text("mode").unwrap_or_else(|| "chat".to_owned());
    let found = vendor_and_model(vendor.as_deref(), &model);
    let (vendor, model) = match found {
        Ok(found) if MODES.contains(&mode.as_str()) => found,
        Ok(_) => {
            draft.note(&at, &format!("{name}: models of the mode `{mode}` are not served here"));
            return;
        }
        Err(why) => {
            draft.note(&at, &format!("{name}: {why}"));
            return;
        }
    };
    let wanted = wanted(draft, vendor, &mut params, &at);
    let provider = draft.provider(vendor, wanted, &at);
    ability(draft, &provider, &model, &mut info);
    let shares = ["weight", "rpm", "tpm"].map(|name| {
        let inside = params.number(name);
        entry.number(name).or(inside)
    });
    let [_, rpm, tpm] = shares;
    if rpm.is_some() || tpm.is_some() {
        draft.note(
            "model_list",
            "`rpm` and `tpm` are weights here; limits are learned from what providers say",
        );
    }
    let order = params.number("order").unwrap_or(0.0) as u64;
    let (timeout, stream_timeout) = (params.number("timeout"), params.number("stream_timeout"));
    for part in [params, info, entry] {
        part.rest(&mut draft.notes, NOTHING_LIKE_IT);
    }
    if name.contains('*') || model.contains('*') {
        let what = format!(
            "{name}: names with `*` need no route: clients say `{provider}/…`, the model behind it"
        );
        draft.note(&at, &what);
        return;
    }
    let target = Target { provider, model, weight: 1 };
    groups.push(&name, Deployment { target, shares, order, timeout, stream_timeout });
}

/// `vendor/model`, or a model that tells its vendor.
fn vendor_and_model(said: Option<&str>, model: &str) -> Result<(&'static Vendor, String), String> {
    let (prefix, rest) = match (said, model.split_once('/')) {
        (Some(said), Some((prefix, rest))) if prefix == said => (said, rest),
        (Some(said), _) => (said, model),
        (None, Some((prefix, rest))) if vendors::of_litellm(prefix).is_some() => (prefix, rest),
        (None, Some((prefix, _))) => return Err(vendors::unknown(prefix)),
        (None, None) if model.starts_with("gemini") => {
            return Err(vendors::unknown("vertex_ai"));
        }
        (None, None) if model == "*" => return Err("write a route for each model".to_owned()),
        (None, None) => match vendor_of(model) {
            Some(vendor) => (vendor, model),
            None => return Err(format!("it does not say whose model `{model}` is")),
        },
    };
    let vendor = vendors::of_litellm(prefix).or_else(|| vendors::named(prefix));
    let vendor = vendor.ok_or_else(|| vendors::unknown(prefix))?;
    let mut rest = rest;
    // LiteLLM's words for which of a provider's APIs it uses.
    for word in ["responses/", "converse/", "invoke/", "o_series/", "chat/"] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    Ok((vendors::serving(vendor, rest), rest.to_owned()))
}

/// What the parameters say of the provider.
fn wanted(draft: &mut Draft, vendor: &Vendor, params: &mut Fields, at: &str) -> Wanted {
    let api_base = params.text("base_url");
    let base_url = params.text("api_base").or(api_base).map(|url| address(vendor, &url));
    for name in ["aws_access_key_id", "aws_secret_access_key", "aws_session_token"] {
        if params.take(name).is_some() {
            draft.note(at, &format!("`{name}` is read from the environment, as AWS's SDKs do"));
        }
    }
    Wanted {
        base_url,
        key: key(params.text("api_key")),
        api_version: params.text("api_version").map(|text| reference(&text)),
        region: params.text("aws_region_name").map(|text| reference(&text)),
    }
}

/// Where LiteLLM and we write an address in different ways.
fn address(vendor: &Vendor, url: &str) -> String {
    let url = reference(url);
    let plain = url.trim_end_matches('/');
    match vendor.name {
        _ if plain.starts_with("${") => plain.to_owned(),
        "ollama" if !plain.ends_with("/v1") => format!("{plain}/v1"),
        "anthropic" => {
            let plain = plain.strip_suffix("/messages").unwrap_or(plain);
            plain.strip_suffix("/v1").unwrap_or(plain).to_owned()
        }
        _ => plain.to_owned(),
    }
}

/// What `model_info` says that a model can carry.
fn ability(draft: &mut Draft, provider: &str, model: &str, info: &mut Fields) {
    let mut has = Vec::new();
    let mut lacks = Vec::new();
    let words = [
        ("supports_function_calling", "tools"),
        ("supports_vision", "images"),
        ("supports_pdf_input", "pdfs"),
        ("supports_response_schema", "json_schema"),
        ("supports_reasoning", "reasoning"),
    ];
    for (name, need) in words {
        match info.text(name).as_deref() {
            Some("true") => has.push(quoted(need)),
            Some("false") => lacks.push(quoted(need)),
            Some(_) | None => {}
        }
    }
    let context = info.number("max_input_tokens").filter(|tokens| *tokens >= 1.0);
    // What describes the model to LiteLLM's own pages.
    for name in ["id", "base_model", "max_tokens", "max_output_tokens", "description"] {
        drop(info.take(name));
    }
    let mut rule = format!("{{ name = {}", quoted(model));
    if !has.is_empty() {
        rule.push_str(&format!(", has = [{}]", has.join(", ")));
    }
    if !lacks.is_empty() {
        rule.push_str(&format!(", lacks = [{}]", lacks.join(", ")));
    }
    if let Some(context) = context {
        rule.push_str(&format!(", context = {}", context.min(1e9) as u64));
    }
    rule.push_str(" }");
    let is_silent = has.is_empty() && lacks.is_empty() && context.is_none();
    let found = draft.providers.iter_mut().find(|known| known.name == provider);
    if let Some(found) = found.filter(|found| !is_silent && !found.models.contains(&rule)) {
        found.models.push(rule);
    }
}
