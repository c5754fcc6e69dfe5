//! What does a path ask for? One tree of paths for three dialects, as their SDKs and their users'
//! base URLs write them.
//!
//! Source: wire-formats.md 1.1.

use http::{HeaderMap, Method};
use unbroken_wire::dialects::{ANTHROPIC_MESSAGES, Dialect, Framing, GEMINI, OPENAI_CHAT};

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    /// An answer of a model.
    Chat {
        dialect: &'static Dialect,
        model_in_path: Option<String>,
        stream_in_path: bool,
        framing: Framing,
    },
    /// The list of models.
    Models(&'static Dialect),
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
    /// Something that exists, but not with this method.
    WrongMethod(&'static Dialect),
    /// Nothing that exists.
    Unknown(&'static Dialect),
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
    let bare = bare(path);
    if let Some(asked) = gemini_call(bare, query) {
        return if method == Method::POST { asked } else { Asked::WrongMethod(&GEMINI) };
    }
    let guessed = guess(path, query, headers);
    let (dialect, is_chat) = match bare {
        "chat/completions" => (&OPENAI_CHAT, true),
        "messages" => (&ANTHROPIC_MESSAGES, true),
        "models" => (guessed, false),
        _ => return Asked::Unknown(guessed),
    };
    match (is_chat, method == Method::POST, is_get) {
        (true, true, _) => Asked::Chat {
            dialect,
            model_in_path: None,
            stream_in_path: false,
            framing: Framing::Sse,
        },
        (false, _, true) => Asked::Models(dialect),
        _ => Asked::WrongMethod(dialect),
    }
}

/// Without the version and vendor prefixes that base URLs carry, once or twice.
fn bare(path: &str) -> &str {
    let mut rest = path.trim_matches('/');
    loop {
        let stripped = ["openai/", "anthropic/", "v1beta1/", "v1beta/", "v1/"]
            .iter()
            .find_map(|prefix| rest.strip_prefix(prefix));
        match stripped {
            Some(stripped) => rest = stripped,
            None => return rest,
        }
    }
}

/// `models/{model}:generateContent`, also below `publishers/google/` and a project.
fn gemini_call(bare: &str, query: &str) -> Option<Asked> {
    let (path, verb) = bare.rsplit_once(':')?;
    let stream_in_path = match verb {
        "generateContent" => false,
        "streamGenerateContent" => true,
        _ => return None,
    };
    let at = path.find("models/")?;
    let model = path.get(at + "models/".len()..).filter(|model| !model.is_empty())?;
    let is_sse = query.split('&').any(|pair| pair == "alt=sse");
    Some(Asked::Chat {
        dialect: &GEMINI,
        model_in_path: Some(percent_decode(model)),
        stream_in_path,
        framing: if stream_in_path && !is_sse { Framing::JsonArray } else { Framing::Sse },
    })
}

/// The dialect that a client speaks, from what only its SDKs send.
fn guess(path: &str, query: &str, headers: &HeaderMap) -> &'static Dialect {
    let has = |name: &str| headers.contains_key(name);
    let is_gemini = path.contains("/v1beta")
        || has("x-goog-api-key")
        || has("x-goog-api-client")
        || query.split('&').any(|pair| pair.starts_with("key="));
    if is_gemini {
        &GEMINI
    } else if has("anthropic-version") || has("x-api-key") || path.ends_with("/messages") {
        &ANTHROPIC_MESSAGES
    } else {
        &OPENAI_CHAT
    }
}

fn percent_decode(text: &str) -> String {
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
            Asked::Chat { dialect, model_in_path, stream_in_path, framing } => {
                let model = model_in_path.unwrap_or_default();
                format!("{} {model} {stream_in_path} {framing:?}", dialect.name)
            }
            Asked::Models(dialect) => format!("models {}", dialect.name),
            Asked::WrongMethod(dialect) => format!("wrong method {}", dialect.name),
            Asked::Unknown(dialect) => format!("unknown {}", dialect.name),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn chat_paths_are_found_however_the_base_url_was_written() {
        for path in [
            "/v1/chat/completions",
            "/chat/completions",
            "/v1/v1/chat/completions/",
            "/openai/v1/chat/completions",
        ] {
            assert_eq!(asked(&Method::POST, path, "", &[]), "openai-chat  false Sse", "{path}");
        }
        for path in ["/v1/messages", "/v1/v1/messages", "/messages", "/anthropic/v1/messages"] {
            let asked = asked(&Method::POST, path, "beta=true", &[]);
            assert_eq!(asked, "anthropic-messages  false Sse", "{path}");
        }
    }

    #[test]
    fn gemini_paths_carry_model_and_verb() {
        for (path, query, expected) in [
            ("/v1beta/models/m:generateContent", "", "gemini m false Sse"),
            ("/v1/models/a%2Fb:c:streamGenerateContent", "alt=sse", "gemini a/b:c true Sse"),
            ("/v1beta/models/m:streamGenerateContent", "key=k", "gemini m true JsonArray"),
            ("/v1beta1/publishers/google/models/m:generateContent", "", "gemini m false Sse"),
        ] {
            assert_eq!(asked(&Method::POST, path, query, &[]), expected, "{path}");
        }
    }

    #[test]
    fn the_list_of_models_speaks_the_callers_dialect() {
        let get = &Method::GET;
        assert_eq!(asked(get, "/v1/models", "", &[]), "models openai-chat");
        assert_eq!(
            asked(get, "/v1/models", "", &["anthropic-version"]),
            "models anthropic-messages"
        );
        assert_eq!(asked(get, "/v1/models", "", &["x-goog-api-key"]), "models gemini");
        assert_eq!(asked(get, "/v1beta/models", "", &[]), "models gemini");
    }

    #[test]
    fn wrong_methods_and_unknown_paths_are_told_in_the_callers_dialect() {
        assert_eq!(asked(&Method::GET, "/v1/messages", "", &[]), "wrong method anthropic-messages");
        assert_eq!(asked(&Method::POST, "/v1/nonsense", "", &[]), "unknown openai-chat");
        assert_eq!(asked(&Method::HEAD, "/", "", &[]), "Root");
    }
}
