//! What does a path ask for? One tree of paths for all dialects, as their SDKs and their users'
//! base URLs write them: with or without a version and a vendor in front, once or twice, with
//! slashes too many.
//!
//! Source: wire-formats.md 1.1.

use http::{HeaderMap, Method};
use unbroken_wire::dialects::{
    ANTHROPIC_COUNT_TOKENS, ANTHROPIC_MESSAGES, Dialect, Framing, GEMINI, GEMINI_COUNT_TOKENS,
    OPENAI_CHAT, OPENAI_EMBEDDINGS, OPENAI_INPUT_TOKENS, OPENAI_RESPONSES,
};

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    /// An answer of a model, a count of tokens, or embeddings.
    Call(Wanted),
    /// The list of models.
    Models(&'static Dialect),
    /// One model.
    Model(&'static Dialect, String),
    /// Is the process alive?
    Live,
    /// May it be sent to?
    Ready,
    /// How are the targets?
    Health,
    /// Numbers for Prometheus.
    Metrics,
    /// The root, which some clients touch to warm up.
    Root,
    /// A socket instead of requests: not spoken here, and the client goes on without one.
    Socket(&'static Dialect),
    /// Something that a provider keeps for its client.
    Stored(&'static Dialect),
    /// Something that exists, but not with this method.
    WrongMethod(&'static Dialect),
    /// Nothing that exists.
    Unknown(&'static Dialect),
}

/// A call, as far as its path tells.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) dialect: &'static Dialect,
    /// The model, where the path names it.
    pub(super) model_in_path: Option<String>,
    pub(super) stream_in_path: bool,
    pub(super) framing: Framing,
    /// Fields of the body that only mean something at the place the path was made for.
    pub(super) foreign_fields: &'static [&'static str],
}

impl Wanted {
    const fn of(dialect: &'static Dialect) -> Self {
        Self {
            dialect,
            model_in_path: None,
            stream_in_path: false,
            framing: Framing::Sse,
            foreign_fields: &[],
        }
    }
}

/// Reads method, path and what tells the dialects apart.
pub(super) fn read(method: &Method, path: &str, query: &str, headers: &HeaderMap) -> Asked {
    let is_get = method == Method::GET || method == Method::HEAD;
    match path {
        "/livez" | "/healthz" if is_get => return Asked::Live,
        "/readyz" if is_get => return Asked::Ready,
        "/health" if is_get => return Asked::Health,
        "/metrics" if is_get => return Asked::Metrics,
        "/" | "" | "/api/hello" if is_get => return Asked::Root,
        _ => {}
    }
    let plain = without_empty_segments(path);
    let bare = bare(&plain);
    let found = verb_call(bare, query).or_else(|| call(bare));
    let guessed = guess(&plain, query, headers);
    match found {
        Some(wanted) if method == Method::POST => Asked::Call(wanted),
        Some(wanted) if headers.contains_key("upgrade") => Asked::Socket(wanted.dialect),
        Some(wanted) => Asked::WrongMethod(wanted.dialect),
        None if bare == "responses" || bare.starts_with("responses/") => {
            Asked::Stored(&OPENAI_RESPONSES)
        }
        None => match bare.strip_prefix("models") {
            Some("") if is_get => Asked::Models(guessed),
            Some("") => Asked::WrongMethod(guessed),
            Some(rest) if is_get && rest.starts_with('/') => {
                Asked::Model(guessed, percent_decode(rest.trim_start_matches('/')))
            }
            Some(_) | None => Asked::Unknown(guessed),
        },
    }
}

fn without_empty_segments(path: &str) -> String {
    path.split('/').filter(|segment| !segment.is_empty()).collect::<Vec<_>>().join("/")
}

/// Without the version and vendor prefixes that base URLs carry, once or twice.
fn bare(path: &str) -> &str {
    let mut rest = path;
    loop {
        let stripped = ["openai/", "anthropic/", "v1beta1/", "v1beta/", "v1alpha/", "v1/"]
            .iter()
            .find_map(|prefix| rest.strip_prefix(prefix));
        match stripped {
            Some(stripped) => rest = stripped,
            None => return rest,
        }
    }
}

/// Calls whose path is a fixed word, also below a deployment of Azure's.
fn call(bare: &str) -> Option<Wanted> {
    let (deployment, word) = match bare.strip_prefix("deployments/") {
        Some(rest) => {
            let (deployment, word) = rest.split_once('/')?;
            (Some(percent_decode(deployment)), word)
        }
        None => (None, bare),
    };
    let dialect = match word {
        "chat/completions" => &OPENAI_CHAT,
        "responses" => &OPENAI_RESPONSES,
        "responses/input_tokens" => &OPENAI_INPUT_TOKENS,
        "embeddings" => &OPENAI_EMBEDDINGS,
        "messages" => &ANTHROPIC_MESSAGES,
        "messages/count_tokens" => &ANTHROPIC_COUNT_TOKENS,
        _ => return None,
    };
    Some(Wanted { model_in_path: deployment, ..Wanted::of(dialect) })
}

/// `models/{model}:generateContent`, also below `publishers/google/` and a project; and Claude as
/// Vertex serves it, `publishers/anthropic/models/{model}:rawPredict`. A model's name may hold
/// slashes and colons: the verb is behind the last one.
fn verb_call(bare: &str, query: &str) -> Option<Wanted> {
    let (path, verb) = bare.rsplit_once(':')?;
    let (dialect, stream_in_path): (&'static Dialect, bool) = match verb {
        "generateContent" => (&GEMINI, false),
        "streamGenerateContent" => (&GEMINI, true),
        "countTokens" => (&GEMINI_COUNT_TOKENS, false),
        "rawPredict" => (&ANTHROPIC_MESSAGES, false),
        "streamRawPredict" => (&ANTHROPIC_MESSAGES, true),
        _ => return None,
    };
    let at = path.find("models/")?;
    let model = path.get(at + "models/".len()..).filter(|model| !model.is_empty())?;
    let is_gemini = dialect.name == GEMINI.name;
    let is_sse = query.split('&').any(|pair| pair == "alt=sse");
    let is_count = !is_gemini && model == "count-tokens";
    Some(Wanted {
        model_in_path: (!is_count).then(|| percent_decode(model)),
        stream_in_path,
        framing: match stream_in_path && is_gemini && !is_sse {
            true => Framing::JsonArray,
            false => Framing::Sse,
        },
        // Vertex names the API's version in the body.
        foreign_fields: if is_gemini { &[] } else { &["anthropic_version"] },
        ..Wanted::of(if is_count { &ANTHROPIC_COUNT_TOKENS } else { dialect })
    })
}

/// The dialect that a client speaks, from what only its SDKs send.
fn guess(path: &str, query: &str, headers: &HeaderMap) -> &'static Dialect {
    let has = |name: &str| headers.contains_key(name);
    let is_gemini = path.starts_with("v1beta")
        || has("x-goog-api-key")
        || has("x-goog-api-client")
        || query.split('&').any(|pair| pair.starts_with("key="));
    if is_gemini {
        &GEMINI
    } else if has("anthropic-version") || has("x-api-key") || path.starts_with("anthropic/") {
        &ANTHROPIC_MESSAGES
    } else {
        &OPENAI_CHAT
    }
}

pub(crate) fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &Method, path: &str, query: &str, headers: &[&'static str]) -> String {
        let headers = headers
            .iter()
            .map(|name| {
                let name = http::HeaderName::from_static(name);
                (name, http::HeaderValue::from_static("x"))
            })
            .collect();
        match read(method, path, query, &headers) {
            Asked::Call(Wanted { dialect, model_in_path, stream_in_path, framing, .. }) => {
                let model = model_in_path.unwrap_or_default();
                format!("{} {model} {stream_in_path} {framing:?}", dialect.name)
            }
            Asked::Models(dialect) => format!("models {}", dialect.name),
            Asked::Model(dialect, model) => format!("model {model} {}", dialect.name),
            Asked::WrongMethod(dialect) => format!("wrong method {}", dialect.name),
            Asked::Unknown(dialect) => format!("unknown {}", dialect.name),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn calls_are_found_however_the_base_url_was_written() {
        for (paths, expected) in [
            (
                &[
                    "/v1/chat/completions",
                    "/chat/completions",
                    "/v1/v1/chat/completions/",
                    "//v1//chat/completions",
                    "/openai/v1/chat/completions",
                ][..],
                "openai-chat  false Sse",
            ),
            (
                &["/v1/responses", "/responses", "/openai/v1/responses", "/openai/responses/"],
                "openai-responses  false Sse",
            ),
            (
                &["/v1/messages", "/v1/v1/messages", "/messages", "/anthropic/v1/messages"],
                "anthropic-messages  false Sse",
            ),
            (
                &["/v1/messages/count_tokens", "/anthropic/v1/messages/count_tokens/"],
                "anthropic-count-tokens  false Sse",
            ),
            (&["/v1/responses/input_tokens"], "openai-input-tokens  false Sse"),
            (&["/v1/embeddings", "/embeddings"], "openai-embeddings  false Sse"),
            (&["/openai/deployments/gpt%2D4o/chat/completions"], "openai-chat gpt-4o false Sse"),
        ] {
            for path in paths {
                assert_eq!(asked(&Method::POST, path, "beta=true", &[]), expected, "{path}");
            }
        }
    }

    #[test]
    fn verbs_stand_behind_the_models_name() {
        for (path, query, expected) in [
            ("/v1beta/models/m:generateContent", "", "gemini m false Sse"),
            ("/v1/models/a%2Fb:c:streamGenerateContent", "alt=sse", "gemini a/b:c true Sse"),
            ("/v1beta/models/m:streamGenerateContent", "key=k", "gemini m true JsonArray"),
            ("/v1beta1/publishers/google/models/m:generateContent", "", "gemini m false Sse"),
            ("/v1beta/models/m:countTokens", "", "gemini-count-tokens m false Sse"),
            (
                "/v1/projects/p/locations/l/publishers/google/models/m:streamGenerateContent",
                "alt=sse",
                "gemini m true Sse",
            ),
            (
                "/v1/projects/p/locations/l/publishers/anthropic/models/c@1:streamRawPredict",
                "",
                "anthropic-messages c@1 true Sse",
            ),
            (
                "/v1/projects/p/locations/l/publishers/anthropic/models/count-tokens:rawPredict",
                "",
                "anthropic-count-tokens  false Sse",
            ),
        ] {
            assert_eq!(asked(&Method::POST, path, query, &[]), expected, "{path}");
        }
    }

    #[test]
    fn the_list_of_models_speaks_the_callers_dialect() {
        let get = &Method::GET;
        assert_eq!(asked(get, "/v1/models", "", &[]), "models openai-chat");
        assert_eq!(
            asked(get, "/v1/models", "limit=1000", &["anthropic-version"]),
            "models anthropic-messages"
        );
        assert_eq!(asked(get, "/anthropic/v1/models", "", &[]), "models anthropic-messages");
        assert_eq!(asked(get, "/v1/models", "", &["x-goog-api-key"]), "models gemini");
        assert_eq!(asked(get, "/v1/models", "key=k", &[]), "models gemini");
        assert_eq!(asked(get, "/v1beta/models", "", &[]), "models gemini");
        assert_eq!(
            asked(get, "/v1/models/openai%2Fgpt-4o", "", &[]),
            "model openai/gpt-4o openai-chat"
        );
        assert_eq!(asked(get, "/v1beta/models/a/b", "", &[]), "model a/b gemini");
    }

    #[test]
    fn what_is_not_here_is_told_in_the_callers_dialect() {
        assert_eq!(asked(&Method::GET, "/v1/messages", "", &[]), "wrong method anthropic-messages");
        assert_eq!(asked(&Method::POST, "/v1/nonsense", "", &[]), "unknown openai-chat");
        assert_eq!(asked(&Method::GET, "/inference-profiles", "", &[]), "unknown openai-chat");
        assert_eq!(asked(&Method::HEAD, "/", "", &[]), "Root");
        assert_eq!(asked(&Method::HEAD, "/api/hello", "", &[]), "Root");
        let stored = asked(&Method::GET, "/v1/responses/resp_1", "", &[]);
        assert_eq!(stored, "Stored(openai-responses)");
        let socket = asked(&Method::GET, "/v1/responses", "", &["upgrade"]);
        assert_eq!(socket, "Socket(openai-responses)");
    }
}
