//! What becomes of each concept in each dialect? Asked of the code: a small request with the
//! concept in it is written for a target of every dialect, and what the writer says is the table.

use std::fmt::Write as _;

use serde_json::Value;
use unbroken_wire::dialects::{
    ANTHROPIC_MESSAGES, DIALECTS, Dialect, GEMINI, OF_TARGETS, OPENAI_CHAT, OPENAI_RESPONSES,
    RequestHead,
};

/// The model that is asked for in each dialect: what is taken depends on it.
const MODELS: &[(&str, &str)] = &[
    ("openai-chat", "gpt-4o"),
    ("openai-responses", "gpt-5.1"),
    ("anthropic-messages", "claude-sonnet-4-5"),
    ("gemini", "gemini-3-pro"),
    ("bedrock-converse", "amazon.nova-2-lite-v1:0"),
    ("cohere-chat", "command-a-03-2025"),
];

/// A concept: its name, the dialect of a client that uses it, and the members of its request.
type Concept = (&'static str, &'static Dialect, &'static str);

const CONCEPTS: &[Concept] = &[
    (
        "system prompt",
        &OPENAI_CHAT,
        r#""messages":[{"role":"system","content":"s"},{"role":"user","content":"a"}]"#,
    ),
    (
        "system message in the middle",
        &OPENAI_CHAT,
        r#""messages":[{"role":"user","content":"a"},{"role":"system","content":"s"},{"role":"user","content":"b"}]"#,
    ),
    (
        "image in the body",
        &OPENAI_CHAT,
        r#""messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}]"#,
    ),
    (
        "image by URL",
        &OPENAI_CHAT,
        r#""messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://e.test/a.png"}}]}]"#,
    ),
    (
        "PDF in the body",
        &OPENAI_CHAT,
        r#""messages":[{"role":"user","content":[{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,AAAA"}}]}]"#,
    ),
    (
        "PDF by URL",
        &OPENAI_RESPONSES,
        r#""input":[{"role":"user","content":[{"type":"input_file","file_url":"https://e.test/a.pdf"}]}]"#,
    ),
    (
        "file kept at its provider",
        &OPENAI_CHAT,
        r#""messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"f"}}]}]"#,
    ),
    (
        "audio",
        &OPENAI_CHAT,
        r#""messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}]}]"#,
    ),
    (
        "tools",
        &OPENAI_CHAT,
        r#""messages":[{"role":"user","content":"a"}],"tools":[{"type":"function","function":{"name":"f"}}]"#,
    ),
    (
        "tool with a forbidden name",
        &OPENAI_CHAT,
        r#""messages":[{"role":"user","content":"a"}],"tools":[{"type":"function","function":{"name":"a/b"}}]"#,
    ),
    (
        "tool that takes free text",
        &OPENAI_RESPONSES,
        r#""input":"a","tools":[{"type":"custom","name":"f"}]"#,
    ),
    (
        "tool of its provider, beside own ones",
        &OPENAI_RESPONSES,
        r#""input":"a","tools":[{"type":"web_search"},{"type":"function","name":"f"}]"#,
    ),
    (
        "tool of its provider, alone",
        &OPENAI_RESPONSES,
        r#""input":"a","tools":[{"type":"web_search"}]"#,
    ),
    (
        "tool choice `required`",
        &OPENAI_CHAT,
        r#""messages":[{"role":"user","content":"a"}],"tool_choice":"required","tools":[{"type":"function","function":{"name":"f"}}]"#,
    ),
    (
        "tool choice among some",
        &OPENAI_CHAT,
        r#""messages":[{"role":"user","content":"a"}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}}]}},"tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}}]"#,
    ),
    (
        "no parallel calls",
        &OPENAI_CHAT,
        r#""messages":[{"role":"user","content":"a"}],"parallel_tool_calls":false,"tools":[{"type":"function","function":{"name":"f"}}]"#,
    ),
    (
        "image that a tool returned",
        &ANTHROPIC_MESSAGES,
        r#""messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]}]}],"tools":[{"name":"f"}]"#,
    ),
    (
        "signed thinking in the history",
        &ANTHROPIC_MESSAGES,
        r#""messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"},{"type":"text","text":"x"}]},{"role":"user","content":"b"}]"#,
    ),
    (
        "web search in the history",
        &ANTHROPIC_MESSAGES,
        r#""messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"web_search_tool_result","content":[{"title":"T","url":"https://e.test"}]},{"type":"text","text":"x"}]},{"role":"user","content":"b"}]"#,
    ),
    (
        "answer begun by the client",
        &ANTHROPIC_MESSAGES,
        r#""messages":[{"role":"user","content":"a"},{"role":"assistant","content":"It is"}]"#,
    ),
    (
        "JSON mode",
        &OPENAI_CHAT,
        r#""messages":[{"role":"user","content":"a"}],"response_format":{"type":"json_object"}"#,
    ),
    (
        "JSON schema",
        &OPENAI_CHAT,
        r#""messages":[{"role":"user","content":"a"}],"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object","properties":{}}}}"#,
    ),
    ("stop text", &OPENAI_CHAT, r#""messages":[{"role":"user","content":"a"}],"stop":["x"]"#),
    (
        "temperature",
        &OPENAI_CHAT,
        r#""messages":[{"role":"user","content":"a"}],"temperature":0.5"#,
    ),
    ("top_p", &OPENAI_CHAT, r#""messages":[{"role":"user","content":"a"}],"top_p":0.5"#),
    ("top_k", &ANTHROPIC_MESSAGES, r#""messages":[{"role":"user","content":"a"}],"top_k":5"#),
    ("seed", &OPENAI_CHAT, r#""messages":[{"role":"user","content":"a"}],"seed":1"#),
    (
        "penalties",
        &OPENAI_CHAT,
        r#""messages":[{"role":"user","content":"a"}],"presence_penalty":1"#,
    ),
    (
        "reasoning effort",
        &OPENAI_CHAT,
        r#""messages":[{"role":"user","content":"a"}],"reasoning_effort":"high""#,
    ),
    ("several answers (`n`)", &OPENAI_CHAT, r#""messages":[{"role":"user","content":"a"}],"n":2"#),
    ("logprobs", &OPENAI_CHAT, r#""messages":[{"role":"user","content":"a"}],"logprobs":true"#),
    (
        "logit_bias",
        &OPENAI_CHAT,
        r#""messages":[{"role":"user","content":"a"}],"logit_bias":{"1":1}"#,
    ),
    ("user id", &OPENAI_CHAT, r#""messages":[{"role":"user","content":"a"}],"user":"u""#),
    (
        "metadata",
        &OPENAI_CHAT,
        r#""messages":[{"role":"user","content":"a"}],"metadata":{"k":"v"}"#,
    ),
    (
        "service tier",
        &OPENAI_CHAT,
        r#""messages":[{"role":"user","content":"a"}],"service_tier":"flex""#,
    ),
    (
        "marks for a prompt cache",
        &OPENAI_CHAT,
        r#""messages":[{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]}]"#,
    ),
    (
        "cached content of Google's",
        &GEMINI,
        r#""contents":[{"parts":[{"text":"a"}]}],"cachedContent":"c""#,
    ),
    (
        "`previous_response_id`, `conversation`",
        &OPENAI_RESPONSES,
        r#""input":"a","previous_response_id":"r""#,
    ),
    ("`background`", &OPENAI_RESPONSES, r#""input":"a","background":true"#),
];

/// The table of `docs/dialects.md`.
pub(crate) fn table() -> String {
    let mut table = "| concept | asked in |".to_owned();
    let targets = || DIALECTS.iter().chain(OF_TARGETS);
    for dialect in targets() {
        let _ = write!(table, " {} |", dialect.name);
    }
    table.push_str("\n|---|---|");
    table.push_str(&"---|".repeat(targets().count()));
    table.push('\n');
    for (name, origin, members) in CONCEPTS {
        let _ = write!(table, "| {name} | {} |", origin.name);
        for dialect in targets() {
            let _ = write!(table, " {} |", verdict(origin, members, dialect));
        }
        table.push('\n');
    }
    table
}

/// What a dialect's writer says. In the client's own dialect, bytes are passed as they are.
fn verdict(origin: &Dialect, members: &str, target: &Dialect) -> &'static str {
    if origin.name == target.name {
        return "as it is";
    }
    let body = format!("{{\"model\":\"m\",\"max_tokens\":99,{members}}}");
    let body = if origin.name == ANTHROPIC_MESSAGES.name {
        body
    } else {
        body.replace("\"max_tokens\":99,", "")
    };
    debug_assert!(serde_json::from_str::<Value>(&body).is_ok(), "{body}");
    let head = RequestHead { model_in_path: Some("m"), stream_in_path: false, outline: None };
    let model =
        MODELS.iter().find(|(name, _)| *name == target.name).map_or("m", |(_, model)| model);
    let Ok(chat) = (origin.read_request)(&head, body.as_bytes()) else { return "unreadable" };
    match (target.write_request)(&chat, model) {
        Err(_) => "REFUSE",
        Ok(written) if written.warnings.iter().any(|w| w.starts_with("emulated:")) => "EMULATE",
        Ok(written) if !written.warnings.is_empty() => "DROP",
        Ok(_) => "yes",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_concept_can_be_read() {
        let table = table();
        assert!(!table.contains("unreadable"), "{table}");
        for word in ["yes", "DROP", "EMULATE", "REFUSE", "as it is"] {
            assert!(table.contains(word), "{word}");
        }
    }
}
