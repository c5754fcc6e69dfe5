//! Azure OpenAI, deployments with an `api-version` and the newer v1 address.
//!
//! Source: learn.microsoft.com/azure/ai-foundry/openai/reference and wire-formats.md 1, 5.1; engine.md 3.2,
//! read 2026-11-22. Recorded replies: `fixtures/recordings/azure/`.
//!
//! The address is the resource's, `https://NAME.openai.azure.com`. With an `api_version` the model is
//! the name of a deployment in the path; without one, v1 takes it in the body.

use unbroken_engine::cause::FailureCause;

use super::{
    Auth, COMPATIBLE, ErrorReply, Place, Provider, classify_by_status, encode, retry_after,
};

/// Azure OpenAI, deployments with an `api-version` and the newer v1 address.
pub static PROVIDER: Provider = Provider {
    name: "azure",
    base_url: "",
    key_env: &["AZURE_OPENAI_API_KEY"],
    base_url_env: &["AZURE_OPENAI_ENDPOINT"],
    api_version_env: &["OPENAI_API_VERSION"],
    auth: Auth::Header("api-key"),
    chat_path,
    health_path: "/openai/models?api-version=2024-10-21",
    classify,
    ..COMPATIBLE
};

fn chat_path(place: &Place<'_>) -> String {
    match place.api_version {
        Some(version) => {
            let deployment = encode(place.model);
            format!("/openai/deployments/{deployment}/chat/completions?api-version={version}")
        }
        // The address was copied with its path.
        None if place.base_url.ends_with("/openai/v1") => "/chat/completions".to_owned(),
        None => "/openai/v1/chat/completions".to_owned(),
    }
}

fn classify(reply: &ErrorReply<'_>) -> FailureCause {
    let body = reply.body;
    match reply.effective_status() {
        // The resource has no room; its limit is not used up.
        429 if body.mentions("high demand") => {
            FailureCause::Overloaded { retry_after: retry_after(reply) }
        }
        // "Temporarily blocked" for too many refused prompts: the resource rests.
        403 if body.mentions("temporarily blocked") => {
            FailureCause::QuotaExhausted { retry_after: retry_after(reply) }
        }
        404 if body.mentions("deploymentnotfound") || body.mentions("deployment") => {
            FailureCause::ModelGone
        }
        _ => classify_by_status(reply),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(base_url: &str, api_version: Option<&str>) -> String {
        let model = "my gpt";
        chat_path(&Place { base_url, model, stream: true, api_version, ..Place::default() })
    }

    #[test]
    fn both_generations_are_reached() {
        assert_eq!(
            path("https://r.openai.azure.com", Some("2024-10-21")),
            "/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21"
        );
        assert_eq!(path("https://r.openai.azure.com", None), "/openai/v1/chat/completions");
        assert_eq!(path("https://r.openai.azure.com/openai/v1", None), "/chat/completions");
    }
}
