//! Cases 1 to 43: messages and roles.

use serde_json::{Value, json};
use unbroken_wire::chat::{Block, Role};
use unbroken_wire::dialects::{
    ANTHROPIC_MESSAGES, DIALECTS, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES, StreamHead,
};

use super::{PLAIN, chat_to, claude_to, gemini_to, read, responses_to, try_write, write};

fn call(id: &str) -> Value {
    json!({ "id": id, "type": "function", "function": { "name": "f", "arguments": "{\"a\":1}" } })
}

fn user(text: &str) -> Value {
    json!({ "role": "user", "content": text })
}

fn result(id: &str, content: &str) -> Value {
    json!({ "role": "tool", "tool_call_id": id, "content": content })
}

fn messages(messages: &[Value]) -> Value {
    json!({ "messages": messages })
}

fn tools() -> Value {
    json!([{ "type": "function", "function": { "name": "f" } }])
}

#[test]
fn case_01_02_calls_without_text_have_no_text_block() {
    let contents = [Some(Value::Null), None, Some(json!(""))];
    for content in contents {
        let mut assistant = json!({ "role": "assistant", "tool_calls": [call("c")] });
        if let Some(content) = content {
            assistant["content"] = content;
        }
        let body = messages(&[user("a"), assistant, result("c", "r")]);
        let claude = chat_to(&ANTHROPIC_MESSAGES, &body);
        let kinds: Vec<&Value> = claude["messages"][1]["content"]
            .as_array()
            .unwrap()
            .iter()
            .map(|b| &b["type"])
            .collect();
        assert_eq!(kinds, ["tool_use"]);
    }
}

#[test]
fn case_03_04_empty_assistants_vanish_and_users_are_merged() {
    let empty = json!({ "role": "assistant", "content": "" });
    for body in [messages(&[user("a"), empty, user("b")]), messages(&[user("a"), user("b")])] {
        let claude = chat_to(&ANTHROPIC_MESSAGES, &body);
        assert_eq!(claude["messages"].as_array().unwrap().len(), 1);
        assert_eq!(claude["messages"][0]["content"].as_array().unwrap().len(), 2);
        let gemini = chat_to(&GEMINI, &body);
        assert_eq!(gemini["contents"][0]["parts"], json!([{ "text": "a" }, { "text": "b" }]));
        assert_eq!(chat_to(&OPENAI_CHAT, &body)["messages"], json!([user("a\nb")]));
    }
}

#[test]
fn case_05_an_assistant_at_the_beginning_gets_a_user_before_it() {
    let body = messages(&[json!({ "role": "assistant", "content": "hi" }), user("a")]);
    for (dialect, key) in [(&ANTHROPIC_MESSAGES, "messages"), (&GEMINI, "contents")] {
        let (body, written) = write(&OPENAI_CHAT, &body, dialect, PLAIN);
        assert_eq!(body[key][0]["role"], "user");
        assert!(written.warnings.contains(&"emulated:messages".to_owned()));
    }
}

#[test]
fn case_06_a_system_message_in_the_middle_stays_there() {
    let middle = json!({ "role": "system", "content": "now be brief" });
    let body = messages(&[
        json!({ "role": "system", "content": "s" }),
        user("a"),
        middle.clone(),
        user("b"),
    ]);
    assert_eq!(chat_to(&OPENAI_CHAT, &body)["messages"][2], middle);
    let (claude, written) = write(&OPENAI_CHAT, &body, &ANTHROPIC_MESSAGES, PLAIN);
    assert_eq!(claude["system"], "s");
    let texts: Vec<&Value> =
        claude["messages"][0]["content"].as_array().unwrap().iter().map(|b| &b["text"]).collect();
    assert_eq!(texts, ["a", "<system>now be brief</system>", "b"]);
    assert!(written.warnings.contains(&"emulated:system".to_owned()));
}

#[test]
fn case_07_a_system_message_alone_is_said_by_the_user() {
    let body = messages(&[json!({ "role": "system", "content": "s" })]);
    for dialect in DIALECTS.iter().filter(|dialect| dialect.name != OPENAI_CHAT.name) {
        let written = chat_to(dialect, &body);
        let turn =
            ["messages", "contents", "input"].iter().find_map(|key| written.get(key)).unwrap();
        assert_eq!(turn[0]["role"], "user", "{}", dialect.name);
        assert!(turn.to_string().contains("\"s\""), "{}", dialect.name);
    }
}

#[test]
fn case_08_developers_are_systems_elsewhere() {
    let body = messages(&[json!({ "role": "developer", "content": "s" }), user("a")]);
    assert_eq!(chat_to(&OPENAI_CHAT, &body)["messages"][0]["role"], "system");
    assert_eq!(chat_to(&GEMINI, &body)["systemInstruction"]["parts"][0]["text"], "s");
}

#[test]
fn case_09_a_result_without_its_call_is_not_invented_a_call() {
    let claude = chat_to(&ANTHROPIC_MESSAGES, &messages(&[user("a"), result("x", "r")]));
    let blocks = claude["messages"][0]["content"].as_array().unwrap();
    assert!(blocks.iter().any(|block| block["tool_use_id"] == "x"));
    assert!(!claude.to_string().contains("\"tool_use\""));
}

#[test]
fn case_10_11_results_stand_in_the_order_of_their_calls_and_missing_ones_are_told() {
    let assistant = json!({ "role": "assistant", "tool_calls": [call("1"), call("2"), call("3")] });
    let body = messages(&[user("a"), assistant, result("3", "r3"), user("b"), result("1", "r1")]);
    let (claude, written) = write(&OPENAI_CHAT, &body, &ANTHROPIC_MESSAGES, PLAIN);
    let turn = claude["messages"][2]["content"].as_array().unwrap();
    let ids: Vec<&Value> = turn.iter().map(|block| &block["tool_use_id"]).collect();
    assert_eq!(ids, [&json!("1"), &json!("2"), &json!("3"), &Value::Null]);
    assert_eq!((&turn[1]["is_error"], &turn[1]["content"]), (&json!(true), &json!("(no result)")));
    assert_eq!(turn[3]["text"], "b");
    assert!(written.warnings.contains(&"emulated:tool_result".to_owned()));
}

#[test]
fn case_12_13_results_are_texts_here_and_objects_there() {
    let of = |content: Value| {
        let assistant = json!({ "role": "assistant", "tool_calls": [call("c")] });
        let result = json!({ "role": "tool", "tool_call_id": "c", "content": content });
        messages(&[user("a"), assistant, result])
    };
    let parts = of(json!([{ "type": "text", "text": "a" }, { "type": "text", "text": "b" }]));
    let claude = chat_to(&ANTHROPIC_MESSAGES, &parts);
    assert_eq!(claude["messages"][2]["content"][0]["content"].as_array().unwrap().len(), 2);
    let response = |body: &Value| {
        chat_to(&GEMINI, body)["contents"][2]["parts"][0]["functionResponse"]["response"].clone()
    };
    assert_eq!(response(&parts), json!({ "result": "a\nb" }));
    assert_eq!(response(&of(json!("{\"t\":1}"))), json!({ "t": 1 }));
    assert_eq!(response(&of(json!("[1]"))), json!({ "result": "[1]" }));
    assert_eq!(response(&of(json!("7"))), json!({ "result": "7" }));
}

#[test]
fn case_14_15_16_arguments_of_every_kind_become_an_object() {
    for (arguments, input, is_told) in [
        (json!("{\"a\":1"), json!({ "_raw": "{\"a\":1" }), true),
        (json!(""), json!({}), false),
        (json!("null"), json!({}), false),
        (json!({ "a": 1 }), json!({ "a": 1 }), false),
        (json!("[1,2]"), json!({ "value": [1, 2] }), false),
        (json!("\"x\""), json!({ "value": "x" }), false),
    ] {
        let mut call = call("c");
        call["function"]["arguments"] = arguments.clone();
        let assistant = json!({ "role": "assistant", "tool_calls": [call] });
        let body = messages(&[user("a"), assistant, result("c", "r")]);
        let (claude, written) = write(&OPENAI_CHAT, &body, &ANTHROPIC_MESSAGES, PLAIN);
        assert_eq!(claude["messages"][1]["content"][0]["input"], input, "{arguments}");
        let gemini = chat_to(&GEMINI, &body);
        assert_eq!(gemini["contents"][1]["parts"][0]["functionCall"]["args"], input);
        let told = written.warnings.contains(&"emulated:tool_calls.arguments".to_owned());
        assert_eq!(told, is_told, "{arguments}");
    }
}

#[test]
fn case_17_calls_without_their_own_ids_get_some() {
    for given in ["", "same"] {
        let assistant = json!({ "role": "assistant", "tool_calls": [call(given), call(given)] });
        let body = messages(&[user("a"), assistant, result(given, "r1"), result(given, "r2")]);
        let claude = chat_to(&ANTHROPIC_MESSAGES, &body);
        let calls = claude["messages"][1]["content"].as_array().unwrap();
        let results = claude["messages"][2]["content"].as_array().unwrap();
        assert_ne!(calls[0]["id"], calls[1]["id"]);
        for n in [0, 1] {
            assert_eq!(calls[n]["id"], results[n]["tool_use_id"], "{given}");
            assert_eq!(results[n]["content"][0]["text"], format!("r{}", n + 1));
        }
    }
}

#[test]
fn case_18_an_empty_list_of_calls_is_none() {
    let assistant = json!({ "role": "assistant", "content": "x", "tool_calls": [] });
    let body = chat_to(&OPENAI_CHAT, &messages(&[user("a"), assistant, user("b")]));
    assert_eq!(body["messages"][1], json!({ "role": "assistant", "content": "x" }));
}

#[test]
fn case_19_functions_from_before_tools_are_paired_and_answered_in_kind() {
    let old = json!({ "role": "assistant", "function_call": { "name": "f", "arguments": "{}" } });
    let body = json!({
        "functions": [{ "name": "f", "parameters": { "type": "object" } }],
        "messages": [user("a"), old, { "role": "function", "name": "f", "content": "1" }],
    });
    let claude = chat_to(&ANTHROPIC_MESSAGES, &body);
    assert_eq!(claude["tools"][0]["name"], "f");
    let id = &claude["messages"][1]["content"][0]["id"];
    assert!(id.as_str().unwrap().starts_with("call_legacy_"));
    assert_eq!(&claude["messages"][2]["content"][0]["tool_use_id"], id);
    let head = StreamHead::of(&read(&OPENAI_CHAT, &body), "1", 1, Default::default());
    let answer = (ANTHROPIC_MESSAGES.read_answer)(
        br#"{"content":[{"type":"tool_use","id":"t","name":"f","input":{"a":1}}],"stop_reason":"tool_use"}"#,
    );
    let written = (OPENAI_CHAT.write_answer)(&answer.unwrap(), &head);
    let written: Value = serde_json::from_slice(&written).unwrap();
    assert_eq!(written["choices"][0]["finish_reason"], "function_call");
    assert_eq!(written["choices"][0]["message"]["function_call"]["name"], "f");
}

#[test]
fn case_20_names_of_users_are_left_out_and_told() {
    let body = messages(&[json!({ "role": "user", "name": "ann", "content": "a" })]);
    let (claude, written) = write(&OPENAI_CHAT, &body, &ANTHROPIC_MESSAGES, PLAIN);
    assert!(!claude.to_string().contains("ann"));
    assert!(written.warnings.contains(&"dropped:messages.name".to_owned()));
}

fn claude_result(result: &Value) -> Value {
    let call = json!({ "type": "tool_use", "id": "t1", "name": "f", "input": {} });
    messages(&[
        user("a"),
        json!({ "role": "assistant", "content": [call] }),
        json!({ "role": "user", "content": [result] }),
    ])
}

#[test]
fn case_21_an_image_that_a_tool_returned_follows_its_result() {
    let source = json!({ "type": "base64", "media_type": "image/png", "data": "AAAA" });
    let body = claude_result(&json!({
        "type": "tool_result", "tool_use_id": "t1",
        "content": [{ "type": "image", "source": source }],
    }));
    let chat = claude_to(&OPENAI_CHAT, &body);
    assert_eq!(chat["messages"][2]["content"], "[see the next message]");
    assert_eq!(chat["messages"][3]["content"][1]["type"], "image_url");
    let responses = claude_to(&OPENAI_RESPONSES, &body);
    assert_eq!(responses["input"][2]["output"][0]["type"], "input_image");
    let gemini = claude_to(&GEMINI, &body);
    assert_eq!(gemini["contents"][2]["parts"][2]["inlineData"]["mimeType"], "image/png");
}

#[test]
fn case_22_23_errors_and_empty_results_are_told_from_each_other() {
    let failed =
        json!({ "type": "tool_result", "tool_use_id": "t1", "is_error": true, "content": "" });
    let body = claude_result(&failed);
    assert_eq!(claude_to(&OPENAI_CHAT, &body)["messages"][2]["content"], "Error: (empty)");
    assert_eq!(claude_to(&OPENAI_RESPONSES, &body)["input"][2]["output"], "Error: (empty)");
    let response = &claude_to(&GEMINI, &body)["contents"][2]["parts"][0]["functionResponse"];
    assert_eq!(response["response"], json!({ "error": "" }));
    let empty = claude_result(&json!({ "type": "tool_result", "tool_use_id": "t1" }));
    assert_eq!(claude_to(&OPENAI_CHAT, &empty)["messages"][2]["content"], "");
}

#[test]
fn case_24_51_a_begun_answer_is_gone_on_with() {
    let begun = json!({ "role": "assistant", "content": [{ "type": "text", "text": "It is ( " }] });
    let body = messages(&[user("a"), begun]);
    for dialect in [&OPENAI_CHAT, &OPENAI_RESPONSES] {
        let (written, details) = write(&ANTHROPIC_MESSAGES, &body, dialect, PLAIN);
        let turns = written.get("messages").or_else(|| written.get("input")).unwrap();
        let last = turns.as_array().unwrap().last().unwrap();
        assert_eq!(last["role"], "user", "{}", dialect.name);
        assert!(last["content"].as_str().unwrap().contains("<<<It is ( >>>"));
        assert!(details.warnings.contains(&"emulated:prefill".to_owned()));
    }
    let chat = messages(&[user("a"), json!({ "role": "assistant", "content": "It is ( " })]);
    let (old, _) = write(&OPENAI_CHAT, &chat, &ANTHROPIC_MESSAGES, "claude-sonnet-4-5");
    assert_eq!(old["messages"][1]["content"][0]["text"], "It is (");
    let (new, _) = write(&OPENAI_CHAT, &chat, &ANTHROPIC_MESSAGES, "claude-opus-4-6");
    assert_eq!(new["messages"][2]["role"], "user");
}

#[test]
fn case_25_whom_to_bill_is_told_to_nobody_else() {
    let body = json!({
        "system": [
            { "type": "text", "text": "x-anthropic-billing-header: cc_version=2; cch=1f" },
            { "type": "text", "text": "be brief" },
        ],
        "messages": [user("a")],
    });
    assert_eq!(claude_to(&OPENAI_CHAT, &body)["messages"][0]["content"], "be brief");
    let native =
        (ANTHROPIC_MESSAGES.replace_model)(body.to_string().as_bytes(), None, "n").unwrap();
    let native: Value = serde_json::from_slice(&native).unwrap();
    assert_eq!(native["system"], body["system"]);
}

#[test]
fn case_26_27_turns_of_the_system_and_empty_ones_are_kept() {
    let body = messages(&[user("a"), json!({ "role": "system", "content": "s" })]);
    assert_eq!(read(&ANTHROPIC_MESSAGES, &body).turns[1].role, Role::System);
    let empty = json!({ "role": "user", "content": [{ "type": "text", "text": "" }] });
    assert_eq!(claude_to(&OPENAI_CHAT, &messages(&[empty]))["messages"], json!([user(".")]));
}

/// Thinking of Claude's, as its API wants it back.
fn thoughts() -> Value {
    json!([
        { "type": "thinking", "thinking": "", "signature": "Eo8BCkYI+/=" },
        { "type": "redacted_thinking", "data": "EmwKAhgB" },
        { "type": "text", "text": "x" },
    ])
}

#[test]
fn case_28_29_signed_thinking_returns_to_its_maker_through_any_client() {
    let answer = json!({ "content": thoughts(), "stop_reason": "end_turn" }).to_string();
    let answer = (ANTHROPIC_MESSAGES.read_answer)(answer.as_bytes()).unwrap();
    for client in DIALECTS {
        let head = StreamHead { id: "1".to_owned(), ..StreamHead::default() };
        let shown = (client.write_answer)(&answer, &head);
        let shown: Value = serde_json::from_slice(&shown).unwrap();
        let history = match client.name {
            "openai-chat" => {
                messages(&[user("a"), shown["choices"][0]["message"].clone(), user("b")])
            }
            "openai-responses" => {
                let mut items = vec![user("a")];
                items.extend(shown["output"].as_array().unwrap().iter().cloned());
                items.push(user("b"));
                json!({ "input": items })
            }
            "anthropic-messages" => messages(&[
                user("a"),
                json!({ "role": "assistant", "content": shown["content"] }),
                user("b"),
            ]),
            _ => json!({ "contents": [
                { "role": "user", "parts": [{ "text": "a" }] },
                shown["candidates"][0]["content"],
                { "role": "user", "parts": [{ "text": "b" }] },
            ]}),
        };
        let back = write(client, &history, &ANTHROPIC_MESSAGES, PLAIN).0;
        assert_eq!(back["messages"][1]["content"], thoughts(), "through {}", client.name);
        let elsewhere = write(client, &history, &GEMINI, PLAIN).0.to_string();
        assert!(!elsewhere.contains("Eo8BCkYI"), "through {}", client.name);
    }
}

#[test]
fn case_30_31_what_the_provider_did_is_left_out_or_said_in_words() {
    let assistant = json!({ "role": "assistant", "content": [
        { "type": "fallback", "from": "a", "to": "b" },
        { "type": "server_tool_use", "id": "s1", "name": "web_search", "input": { "query": "q" } },
        { "type": "web_search_tool_result", "tool_use_id": "s1", "content": [{
            "type": "web_search_result", "title": "T", "url": "https://e.test",
            "encrypted_content": "SECRETBLOB",
        }]},
        { "type": "text", "text": "x" },
    ]});
    let body = messages(&[user("a"), assistant.clone(), user("b")]);
    for dialect in [&OPENAI_CHAT, &OPENAI_RESPONSES, &GEMINI] {
        let text = claude_to(dialect, &body).to_string();
        assert!(text.contains("https://e.test") && text.contains('T'), "{}: {text}", dialect.name);
        assert!(!text.contains("SECRETBLOB") && !text.contains("fallback"), "{}", dialect.name);
    }
    let native =
        (ANTHROPIC_MESSAGES.replace_model)(body.to_string().as_bytes(), None, "n").unwrap();
    let native: Value = serde_json::from_slice(&native).unwrap();
    assert_eq!(native["messages"][1], assistant);
}

#[test]
fn case_32_33_items_are_messages_with_and_without_a_type() {
    let body = json!({ "input": [
        user("hi"),
        { "role": "assistant", "content": [{ "type": "output_text", "text": "yo", "annotations": [] }] },
        { "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "b" }] },
    ]});
    let expected = json!([user("hi"), { "role": "assistant", "content": "yo" }, user("b")]);
    assert_eq!(responses_to(&OPENAI_CHAT, &body)["messages"], expected);
    let chat = messages(&[user("hi"), json!({ "role": "assistant", "content": "yo" }), user("b")]);
    let input = &chat_to(&OPENAI_RESPONSES, &chat)["input"];
    assert_eq!(input[1]["content"][0]["type"], "output_text");
    assert_eq!(input[2]["content"][0]["type"], "input_text");
}

#[test]
fn case_34_35_reasoning_stays_behind_and_calls_are_one_message() {
    let item = |n: u8| json!({ "type": "function_call", "call_id": format!("c{n}"), "name": "f", "arguments": "{}" });
    let output = |n: u8| json!({ "type": "function_call_output", "call_id": format!("c{n}"), "output": "r" });
    let body = json!({ "input": [
        user("a"), { "type": "reasoning", "id": "rs_1", "summary": [] },
        item(1), item(2), user("meanwhile"), output(1), output(2),
    ]});
    let chat = responses_to(&OPENAI_CHAT, &body);
    let roles: Vec<&Value> =
        chat["messages"].as_array().unwrap().iter().map(|m| &m["role"]).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "tool", "user"]);
    assert_eq!(chat["messages"][1]["tool_calls"].as_array().unwrap().len(), 2);
    assert!(!chat.to_string().contains("rs_1"));
}

#[test]
fn case_36_39_what_is_kept_at_a_provider_is_refused_elsewhere() {
    let reference = json!({ "input": [{ "type": "item_reference", "id": "msg_1" }, user("a")] });
    let continued = json!({ "input": "go on", "previous_response_id": "resp_x" });
    for (body, field) in [(reference, "messages"), (continued, "previous_response_id")] {
        for dialect in [&OPENAI_CHAT, &ANTHROPIC_MESSAGES, &GEMINI] {
            let why = try_write(&OPENAI_RESPONSES, &body, dialect, PLAIN).unwrap_err();
            assert_eq!(why.field, field, "{}", dialect.name);
        }
    }
}

#[test]
fn case_37_tools_that_others_lack_are_left_out_and_free_text_becomes_an_argument() {
    let body = json!({
        "input": [
            user("a"),
            { "type": "custom_tool_call", "call_id": "c", "name": "apply_patch", "input": "*** Begin" },
            { "type": "custom_tool_call_output", "call_id": "c", "output": "done" },
        ],
        "tools": [
            { "type": "custom", "name": "apply_patch", "format": { "type": "grammar" } },
            { "type": "local_shell" },
            { "type": "namespace", "name": "n" },
        ],
        "tool_choice": { "type": "local_shell" },
    });
    let (chat, written) = write(&OPENAI_RESPONSES, &body, &OPENAI_CHAT, PLAIN);
    assert_eq!(chat["tools"].as_array().unwrap().len(), 1);
    assert_eq!(chat["tools"][0]["function"]["name"], "apply_patch");
    assert_eq!(chat.get("tool_choice"), None);
    let arguments = chat["messages"][1]["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
    assert_eq!(arguments, "{\"input\":\"*** Begin\"}");
    for told in ["dropped:tools.local_shell", "dropped:tools.namespace", "emulated:tools.custom"] {
        assert!(written.warnings.contains(&told.to_owned()), "{:?}", written.warnings);
    }
    let answer = (OPENAI_CHAT.read_answer)(
        br#"{"choices":[{"message":{"role":"assistant","tool_calls":[{"id":"c2","type":"function",
            "function":{"name":"apply_patch","arguments":"{\"input\":\"*** End\"}"}}]},
            "finish_reason":"tool_calls"}]}"#,
    );
    let head = StreamHead::of(&read(&OPENAI_RESPONSES, &body), "1", 1, Default::default());
    let answer = (OPENAI_RESPONSES.write_answer)(&answer.unwrap(), &head);
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["output"][0]["type"], "custom_tool_call");
    assert_eq!(answer["output"][0]["input"], "*** End");
}

/// The proof of another provider stands in the place where this dialect keeps its own.
#[test]
fn case_38_reasoning_of_others_is_sealed_for_clients_of_responses() {
    let answer = json!({ "content": thoughts(), "stop_reason": "end_turn" }).to_string();
    let answer = (ANTHROPIC_MESSAGES.read_answer)(answer.as_bytes()).unwrap();
    let written = (OPENAI_RESPONSES.write_answer)(&answer, &StreamHead::default());
    let written: Value = serde_json::from_slice(&written).unwrap();
    let sealed = written["output"][0]["encrypted_content"].as_str().unwrap();
    assert!(unbroken_wire::seal::is_sealed(sealed));
    let items = json!({ "model": "m", "input": written["output"] }).to_string();
    let native = (OPENAI_RESPONSES.replace_model)(items.as_bytes(), None, "n").unwrap();
    let native: Value = serde_json::from_slice(&native).unwrap();
    let kinds: Vec<&Value> =
        native["input"].as_array().unwrap().iter().map(|i| &i["type"]).collect();
    assert_eq!(kinds, ["message"], "OpenAI is spared what it did not encrypt");
    assert_eq!(native["input"][0].get("id"), None, "and ids that it did not give");
}

#[test]
fn case_40_42_google_is_read_as_loosely_as_it_is_written() {
    for body in [
        json!({ "contents": [{ "parts": [{ "text": "hi" }] }], "systemInstruction": "s" }),
        json!({ "contents": { "parts": [{ "text": "hi" }] },
                "system_instruction": { "role": "x", "parts": [{ "text": "s" }] } }),
    ] {
        let expected = json!([{ "role": "system", "content": "s" }, user("hi")]);
        assert_eq!(gemini_to(&OPENAI_CHAT, &body)["messages"], expected);
    }
}

#[test]
fn case_41_results_without_ids_belong_to_the_calls_in_order() {
    let call = json!({ "functionCall": { "name": "f", "args": {} } });
    let result = |n: u8| json!({ "functionResponse": { "name": "f", "response": { "n": n } } });
    let body = json!({ "contents": [
        { "parts": [{ "text": "a" }] },
        { "role": "model", "parts": [call, call] },
        { "role": "user", "parts": [result(1), result(2)] },
    ]});
    let chat = gemini_to(&OPENAI_CHAT, &body);
    let calls = chat["messages"][1]["tool_calls"].as_array().unwrap();
    assert_ne!(calls[0]["id"], calls[1]["id"]);
    for n in [0, 1] {
        assert_eq!(chat["messages"][2 + n]["tool_call_id"], calls[n]["id"]);
        assert_eq!(chat["messages"][2 + n]["content"], format!("{{\"n\":{}}}", n + 1));
    }
}

#[test]
fn case_43_googles_schemas_become_plain_ones() {
    let schema = json!({
        "type": "OBJECT", "propertyOrdering": ["a"],
        "properties": { "a": { "type": "STRING", "nullable": true } },
    });
    let body = json!({
        "contents": [{ "parts": [{ "text": "a" }] }],
        "tools": [{ "functionDeclarations": [{ "name": "f", "parameters": schema }] }],
    });
    let expected = json!({
        "type": "object", "properties": { "a": { "type": ["string", "null"] } },
    });
    assert_eq!(gemini_to(&OPENAI_CHAT, &body)["tools"][0]["function"]["parameters"], expected);
}

/// Tool calls of Gemini's carry a proof that is due with the call.
#[test]
fn case_28_a_signed_call_returns_signed() {
    let signed = json!({ "functionCall": { "id": "g1", "name": "f", "args": {} }, "thoughtSignature": "AbC=" });
    let answer =
        json!({ "candidates": [{ "content": { "parts": [signed] }, "finishReason": "STOP" }] });
    let answer = (GEMINI.read_answer)(answer.to_string().as_bytes()).unwrap();
    assert!(answer.blocks.iter().any(|block| matches!(block, Block::ToolCall(_))));
    let shown = (OPENAI_CHAT.write_answer)(&answer, &StreamHead::default());
    let shown: Value = serde_json::from_slice(&shown).unwrap();
    let mut message = shown["choices"][0]["message"].clone();
    let google = &message["tool_calls"][0]["extra_content"]["google"];
    assert_eq!(google["thought_signature"], "AbC=");
    for strips_details in [false, true] {
        if strips_details {
            message.as_object_mut().unwrap().remove("reasoning_details");
        }
        let mut body = messages(&[user("a"), message.clone(), result("g1", "r")]);
        body["tools"] = tools();
        let back = chat_to(&GEMINI, &body);
        assert_eq!(back["contents"][1]["parts"][0]["thoughtSignature"], "AbC=");
    }
}
