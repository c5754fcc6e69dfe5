//! Which further dialects does a provider speak, besides the one it is translated to? A client
//! that speaks one of them is served in it, so that nothing is lost.
//!
//! Source: wire-formats.md 1, read 2026-11-22; recorded answers of these providers under
//! `responses/`.

use unbroken_wire::dialects::{
    ANTHROPIC_COUNT_TOKENS, ANTHROPIC_MESSAGES, Dialect, GEMINI, GEMINI_COUNT_TOKENS, OPENAI_CHAT,
    OPENAI_EMBEDDINGS, OPENAI_INPUT_TOKENS, OPENAI_RESPONSES,
};

use crate::endpoint::Endpoint;

/// A further dialect of some providers.
struct Surface {
    dialect: &'static Dialect,
    spoken: By,
    /// Where it is, from where the provider's usual dialect is.
    place: fn(&str) -> String,
}

/// Whose surface it is.
enum By {
    /// These providers', by name.
    Names(&'static [&'static str]),
    /// Everybody's who speaks this dialect.
    Dialect(&'static Dialect),
}

/// The end of every address of Chat Completions.
const CHAT: &str = "/chat/completions";

const SURFACES: &[Surface] = &[
    Surface {
        dialect: &OPENAI_RESPONSES,
        spoken: By::Names(&["openai", "azure", "xai", "groq", "openrouter", "fireworks"]),
        place: |chat| without_deployment(chat).replacen(CHAT, "/responses", 1),
    },
    Surface {
        dialect: &OPENAI_EMBEDDINGS,
        spoken: By::Dialect(&OPENAI_CHAT),
        place: |chat| chat.replacen(CHAT, "/embeddings", 1),
    },
    // Beside its own chat, Cohere has an address that is compatible with OpenAI's.
    Surface {
        dialect: &OPENAI_EMBEDDINGS,
        spoken: By::Names(&["cohere"]),
        place: |chat| chat.replacen("/v2/chat", "/compatibility/v1/embeddings", 1),
    },
    Surface {
        dialect: &OPENAI_INPUT_TOKENS,
        spoken: By::Names(&["openai"]),
        place: |chat| chat.replacen(CHAT, "/responses/input_tokens", 1),
    },
    Surface {
        dialect: &ANTHROPIC_COUNT_TOKENS,
        spoken: By::Dialect(&ANTHROPIC_MESSAGES),
        place: |chat| format!("{chat}/count_tokens"),
    },
    Surface {
        dialect: &GEMINI_COUNT_TOKENS,
        spoken: By::Dialect(&GEMINI),
        place: |chat| chat.replacen(":generateContent", ":countTokens", 1),
    },
];

/// Azure serves Responses beside its deployments, not below them.
fn without_deployment(chat: &str) -> String {
    match chat.split_once("/deployments/") {
        Some((before, rest)) => {
            let after = rest.split_once('/').map_or("", |(_, after)| after);
            format!("{before}/{after}")
        }
        None => chat.to_owned(),
    }
}

/// The dialect in which a client's own is served: the same one, if the endpoint's provider speaks
/// it. With the address, if it is not the usual one.
#[must_use]
pub(crate) fn served_in(
    endpoint: &Endpoint,
    client: &Dialect,
    model: &str,
) -> (&'static Dialect, Option<String>) {
    let provider = endpoint.provider;
    let is_spoken = |surface: &&Surface| {
        surface.dialect.name == client.name
            && match surface.spoken {
                By::Names(names) => names.contains(&provider.name),
                // Inside of another API the rest of it is elsewhere, or not at all.
                By::Dialect(dialect) => {
                    dialect.name == provider.dialect.name && provider.envelope.is_none()
                }
            }
    };
    match SURFACES.iter().find(is_spoken) {
        Some(surface) => (surface.dialect, Some((surface.place)(&endpoint.chat_url(model, false)))),
        None => (provider.dialect, None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ANTHROPIC, AZURE, COHERE, GEMINI as GOOGLE, OPENAI, OPENAI_COMPATIBLE};
    use super::*;

    fn served(endpoint: &Endpoint, client: &Dialect) -> (&'static str, Option<String>) {
        let (dialect, url) = served_in(endpoint, client, "m");
        (dialect.name, url)
    }

    #[test]
    fn a_client_is_served_in_its_own_dialect_where_that_is_spoken() {
        for (provider, client, dialect, place) in [
            (&OPENAI, &OPENAI_RESPONSES, "openai-responses", Some("/v1/responses")),
            (&OPENAI, &OPENAI_CHAT, "openai-chat", None),
            (&OPENAI, &ANTHROPIC_MESSAGES, "openai-chat", None),
            (&OPENAI_COMPATIBLE, &OPENAI_RESPONSES, "openai-chat", None),
            (&ANTHROPIC, &OPENAI_RESPONSES, "anthropic-messages", None),
            (&OPENAI_COMPATIBLE, &OPENAI_EMBEDDINGS, "openai-embeddings", Some("/v1/embeddings")),
            (&ANTHROPIC, &OPENAI_EMBEDDINGS, "anthropic-messages", None),
            (
                &COHERE,
                &OPENAI_EMBEDDINGS,
                "openai-embeddings",
                Some("/v1/compatibility/v1/embeddings"),
            ),
            (&COHERE, &OPENAI_CHAT, "cohere-chat", None),
            (
                &OPENAI,
                &OPENAI_INPUT_TOKENS,
                "openai-input-tokens",
                Some("/v1/responses/input_tokens"),
            ),
            (
                &ANTHROPIC,
                &ANTHROPIC_COUNT_TOKENS,
                "anthropic-count-tokens",
                Some("/v1/v1/messages/count_tokens"),
            ),
            (
                &GOOGLE,
                &GEMINI_COUNT_TOKENS,
                "gemini-count-tokens",
                Some("/v1/v1beta/models/m:countTokens"),
            ),
        ] {
            let endpoint = Endpoint::new(provider, None).at("http://host/v1");
            let expected = place.map(|place| format!("http://host{place}"));
            let told = format!("{} {}", provider.name, client.name);
            assert_eq!(served(&endpoint, client), (dialect, expected), "{told}");
        }
    }

    #[test]
    fn azure_serves_responses_beside_its_deployments_and_embeddings_below_them() {
        let mut azure = Endpoint::new(&AZURE, None).at("https://r.openai.azure.com");
        let url = |azure: &Endpoint, client| served(azure, client).1.unwrap();
        let root = "https://r.openai.azure.com/openai";
        assert_eq!(url(&azure, &OPENAI_RESPONSES), format!("{root}/v1/responses"));
        azure.api_version = Some("2025-04-01-preview".to_owned());
        let query = "?api-version=2025-04-01-preview";
        assert_eq!(url(&azure, &OPENAI_RESPONSES), format!("{root}/responses{query}"));
        let below = format!("{root}/deployments/m/embeddings{query}");
        assert_eq!(url(&azure, &OPENAI_EMBEDDINGS), below);
    }
}
