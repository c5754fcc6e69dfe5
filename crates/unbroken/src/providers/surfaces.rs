//! Which further dialects does a provider speak, besides the one it is translated to? A client
//! that speaks one of them is served in it, so that nothing is lost.
//!
//! Source: wire-formats.md 1, read 2026-11-22; recorded answers of these providers under
//! `responses/`.

use unbroken_wire::dialects::{
    ANTHROPIC_COUNT_TOKENS, ANTHROPIC_MESSAGES, Dialect, GEMINI, GEMINI_COUNT_TOKENS, OPENAI_CHAT,
    OPENAI_EMBEDDINGS, OPENAI_INPUT_TOKENS, OPENAI_RESPONSES,
};

use super::Provider;

/// A further dialect of some providers.
struct Surface {
    dialect: &'static Dialect,
    spoken: By,
    /// The path below their address, for a model.
    path: fn(&str) -> String,
}

/// Whose surface it is.
enum By {
    /// These providers', by name.
    Names(&'static [&'static str]),
    /// Everybody's who speaks this dialect.
    Dialect(&'static Dialect),
}

const SURFACES: &[Surface] = &[
    Surface {
        dialect: &OPENAI_RESPONSES,
        spoken: By::Names(&["openai", "xai", "groq", "openrouter", "fireworks"]),
        path: |_| "/responses".to_owned(),
    },
    Surface {
        dialect: &OPENAI_EMBEDDINGS,
        spoken: By::Dialect(&OPENAI_CHAT),
        path: |_| "/embeddings".to_owned(),
    },
    Surface {
        dialect: &OPENAI_INPUT_TOKENS,
        spoken: By::Names(&["openai"]),
        path: |_| "/responses/input_tokens".to_owned(),
    },
    Surface {
        dialect: &ANTHROPIC_COUNT_TOKENS,
        spoken: By::Dialect(&ANTHROPIC_MESSAGES),
        path: |_| "/v1/messages/count_tokens".to_owned(),
    },
    Surface {
        dialect: &GEMINI_COUNT_TOKENS,
        spoken: By::Dialect(&GEMINI),
        path: |model| {
            let model = model.strip_prefix("models/").unwrap_or(model);
            format!("/v1beta/models/{model}:countTokens")
        },
    },
];

/// The dialect in which a client's own is served: the same one, if the provider speaks it. With
/// the path, if it is not the provider's usual one.
#[must_use]
pub(crate) fn served_in(
    provider: &Provider,
    client: &Dialect,
    model: &str,
) -> (&'static Dialect, Option<String>) {
    let is_spoken = |surface: &&Surface| {
        surface.dialect.name == client.name
            && match surface.spoken {
                By::Names(names) => names.contains(&provider.name),
                By::Dialect(dialect) => dialect.name == provider.dialect.name,
            }
    };
    match SURFACES.iter().find(is_spoken) {
        Some(surface) => (surface.dialect, Some((surface.path)(model))),
        None => (provider.dialect, None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ANTHROPIC, GEMINI as GOOGLE, OPENAI, OPENAI_COMPATIBLE};
    use super::*;

    #[test]
    fn a_client_is_served_in_its_own_dialect_where_that_is_spoken() {
        for (provider, client, dialect, path) in [
            (&OPENAI, &OPENAI_RESPONSES, "openai-responses", Some("/responses")),
            (&OPENAI, &OPENAI_CHAT, "openai-chat", None),
            (&OPENAI, &ANTHROPIC_MESSAGES, "openai-chat", None),
            (&OPENAI_COMPATIBLE, &OPENAI_RESPONSES, "openai-chat", None),
            (&ANTHROPIC, &OPENAI_RESPONSES, "anthropic-messages", None),
            (&OPENAI_COMPATIBLE, &OPENAI_EMBEDDINGS, "openai-embeddings", Some("/embeddings")),
            (&ANTHROPIC, &OPENAI_EMBEDDINGS, "anthropic-messages", None),
            (
                &ANTHROPIC,
                &ANTHROPIC_COUNT_TOKENS,
                "anthropic-count-tokens",
                Some("/v1/messages/count_tokens"),
            ),
            (
                &GOOGLE,
                &GEMINI_COUNT_TOKENS,
                "gemini-count-tokens",
                Some("/v1beta/models/m:countTokens"),
            ),
        ] {
            let (served, below) = served_in(provider, client, "m");
            assert_eq!(
                (served.name, below.as_deref()),
                (dialect, path),
                "{} {}",
                provider.name,
                client.name
            );
        }
    }
}
