use super::*;
use crate::dialects::{ANTHROPIC_MESSAGES, DIALECTS, GEMINI, OPENAI_CHAT};

fn chat() -> Chat {
    Chat { max_tokens: Some(100), stream: true, ..Chat::plain("m", "Count") }
}

fn body(written: Result<Written, Unsupported>) -> Value {
    serde_json::from_slice(&written.unwrap().body).unwrap()
}

#[test]
fn a_beginning_is_the_last_message_and_has_no_white_space_at_its_end() {
    let write =
        |dialect, prefill| body(write_beginning(dialect, &chat(), "m", "w1 w2 \n", prefill));
    let openai = write(&OPENAI_CHAT, Prefill::Trailing);
    let last = json!({ "role": "assistant", "content": "w1 w2" });
    assert_eq!(openai.pointer("/messages/1"), Some(&last));
    let flagged = write(&OPENAI_CHAT, Prefill::PrefixField);
    let last = json!({ "role": "assistant", "content": "w1 w2", "prefix": true });
    assert_eq!(flagged.pointer("/messages/1"), Some(&last));
    let partial = write(&OPENAI_CHAT, Prefill::PartialField);
    assert_eq!(partial.pointer("/messages/1/partial"), Some(&json!(true)));
    let continued = write(&OPENAI_CHAT, Prefill::ContinueField);
    assert_eq!(continued.get("continue_final_message"), Some(&json!(true)));
    assert_eq!(continued.get("add_generation_prompt"), Some(&json!(false)));
    let anthropic = write(&ANTHROPIC_MESSAGES, Prefill::Trailing);
    let last = json!({ "role": "assistant", "content": [{ "type": "text", "text": "w1 w2" }] });
    assert_eq!(anthropic.pointer("/messages/1"), Some(&last));
    let gemini = write(&GEMINI, Prefill::Trailing);
    let last = json!({ "role": "model", "parts": [{ "text": "w1 w2" }] });
    assert_eq!(gemini.pointer("/contents/1"), Some(&last));
}

#[test]
fn a_target_that_is_asked_to_go_on_hears_the_last_words() {
    let text = (1..=200).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ");
    for dialect in DIALECTS {
        let body = body(write_to_go_on(dialect, &chat(), "m", &text)).to_string();
        assert!(body.contains("cut off by a network failure"), "{}: {body}", dialect.name);
        assert!(body.contains("w198 w199 w200\\n\\n"), "{}: {body}", dialect.name);
    }
    let written = body(write_to_go_on(&OPENAI_CHAT, &chat(), "m", "日本語 text"));
    assert_eq!(written.pointer("/messages/1/content"), Some(&json!("日本語 text")));
    assert_eq!(written.pointer("/messages/2/role"), Some(&json!("user")));
}

#[test]
fn only_the_tokens_that_are_left_are_asked_for() {
    let limit = |max, used| shortened(&Chat { max_tokens: max, ..chat() }, used).max_tokens;
    assert_eq!(limit(Some(100), 40), Some(60));
    assert_eq!(limit(Some(45), 40), Some(16));
    assert_eq!(limit(Some(8), 40), Some(8));
    assert_eq!(limit(None, 40), None);
}
