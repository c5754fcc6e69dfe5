//! Cases 44 to 54: content.

use serde_json::{Value, json};
use unbroken_wire::base64;
use unbroken_wire::dialects::{
    ANTHROPIC_MESSAGES, DIALECTS, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES,
};
use unbroken_wire::raw::without_lone_surrogates;

use super::{PLAIN, chat_to, read, responses_to, try_write, write};

fn with_part(part: &Value) -> Value {
    json!({ "messages": [{ "role": "user", "content": [part] }] })
}

fn claude_block(part: &Value) -> Value {
    chat_to(&ANTHROPIC_MESSAGES, &with_part(part))["messages"][0]["content"][0].clone()
}

#[test]
fn case_44_54_images_are_found_under_every_name_and_told_by_their_bytes() {
    let url = claude_block(&json!({ "type": "image_url", "image_url": "https://e.test/a.png" }));
    assert_eq!(url["source"], json!({ "type": "url", "url": "https://e.test/a.png" }));
    let media_type = |data_url: &str| {
        let part = json!({ "type": "image_url", "image_url": { "url": data_url } });
        claude_block(&part)["source"].clone()
    };
    assert_eq!(media_type("data:image/jpg;base64,AAAA")["media_type"], "image/jpeg");
    assert_eq!(media_type("data:image/png;base64,-_\n-_")["data"], "+/+/");
    let jpeg = base64::encode(b"\xff\xd8\xff\xe0 the rest of a picture");
    let source = media_type(&format!("data:image/png;base64,{jpeg}"));
    assert_eq!(source["media_type"], "image/jpeg");
}

#[test]
fn case_45_a_pdf_in_an_images_place_is_a_document() {
    let url = "data:application/pdf;base64,JVBERi0xLjcK";
    let part = json!({ "type": "image_url", "image_url": { "url": url } });
    let block = claude_block(&part);
    assert_eq!(
        (&block["type"], &block["source"]["media_type"]),
        (&json!("document"), &json!("application/pdf"))
    );
    let responses = chat_to(&OPENAI_RESPONSES, &with_part(&part));
    assert_eq!(responses["input"][0]["content"][0]["type"], "input_file");
}

#[test]
fn case_46_names_of_one_api_are_read_in_the_other() {
    let block =
        claude_block(&json!({ "type": "input_image", "image_url": "data:image/png;base64,AAAA" }));
    assert_eq!(block["type"], "image");
    let content = json!([
        { "type": "text", "text": "a" },
        { "type": "image_url", "image_url": { "url": "https://e.test/a.png" } },
    ]);
    let body = json!({ "input": [{ "role": "user", "content": content }] });
    let parts = responses_to(&OPENAI_CHAT, &body)["messages"][0]["content"].clone();
    assert_eq!((&parts[0]["type"], &parts[1]["type"]), (&json!("text"), &json!("image_url")));
}

#[test]
fn case_47_a_body_of_responses_is_read_on_the_path_of_chat() {
    let body = json!({
        "input": [{ "role": "user", "content": "a" }], "instructions": "s",
        "tools": [
            { "type": "function", "name": "flat" },
            { "type": "function", "function": { "name": "nested" } },
        ],
    });
    let chat = read(&OPENAI_CHAT, &body);
    assert_eq!(chat.origin, "openai-responses", "so that its bytes are not passed on as they are");
    let (claude, _) = write(&OPENAI_CHAT, &body, &ANTHROPIC_MESSAGES, PLAIN);
    assert_eq!(claude["system"], "s");
    let names: Vec<&Value> =
        claude["tools"].as_array().unwrap().iter().map(|t| &t["name"]).collect();
    assert_eq!(names, ["flat", "nested"]);
}

#[test]
fn case_48_marks_for_a_cache_reach_those_who_keep_one() {
    let part = json!({ "type": "text", "text": "a", "cache_control": { "type": "ephemeral" } });
    let claude = chat_to(&ANTHROPIC_MESSAGES, &with_part(&part));
    assert_eq!(claude["cache_control"], json!({ "type": "ephemeral" }));
    for dialect in [&OPENAI_CHAT, &OPENAI_RESPONSES, &GEMINI] {
        assert!(!chat_to(dialect, &with_part(&part)).to_string().contains("cache_control"));
    }
}

#[test]
fn case_49_texts_alone_are_one_text() {
    let parts = json!([{ "type": "text", "text": "a" }, { "type": "text", "text": "b" }]);
    let body = json!({ "messages": [{ "role": "user", "content": parts }] });
    assert_eq!(chat_to(&OPENAI_CHAT, &body)["messages"][0]["content"], "a\nb");
}

#[test]
fn case_50_half_a_character_does_not_spoil_the_body() {
    let body = br#"{"model":"m","messages":[{"role":"user","content":"x\ud83d"}]}"#;
    assert!(serde_json::from_slice::<Value>(body).is_err());
    let repaired = without_lone_surrogates(body).unwrap();
    let repaired: Value = serde_json::from_slice(&repaired).unwrap();
    assert_eq!(repaired["messages"][0]["content"], "x\u{fffd}");
}

#[test]
fn case_53_a_file_kept_at_a_provider_is_refused_elsewhere() {
    let body = with_part(&json!({ "type": "file", "file": { "file_id": "file-abc" } }));
    for dialect in DIALECTS.iter().filter(|dialect| dialect.name != OPENAI_CHAT.name) {
        let why = try_write(&OPENAI_CHAT, &body, dialect, PLAIN).unwrap_err();
        assert_eq!(why.reason, "a block of type 'file'", "{}", dialect.name);
    }
}
