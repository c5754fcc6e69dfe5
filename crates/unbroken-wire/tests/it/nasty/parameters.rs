//! Cases 56 to 80: parameters.

use serde_json::{Value, json};
use unbroken_wire::chat::StreamEvent;
use unbroken_wire::dialects::{
    ANTHROPIC_MESSAGES, DIALECTS, Dialect, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES, Written,
};
use unbroken_wire::undo::Undo;

use super::{PLAIN, chat_to, claude_to, try_write, write};

const OLD_CLAUDE: &str = "claude-sonnet-4-5";

fn asked(fields: Value) -> Value {
    let mut body = json!({ "messages": [{ "role": "user", "content": "a" }] });
    if let (Value::Object(body), Value::Object(fields)) = (&mut body, fields) {
        body.extend(fields);
    }
    body
}

fn written(fields: Value, to: &Dialect, model: &str) -> (Value, Written) {
    write(&OPENAI_CHAT, &asked(fields), to, model)
}

fn warns(written: &Written, warning: &str) -> bool {
    written.warnings.iter().any(|told| told == warning)
}

fn function(name: &str) -> Value {
    json!({ "type": "function", "function": { "name": name } })
}

#[test]
fn case_56_57_58_what_is_drawn_is_clamped_or_left_out_by_model() {
    let (body, details) = written(json!({ "temperature": 1.7 }), &ANTHROPIC_MESSAGES, OLD_CLAUDE);
    assert_eq!(body["temperature"], 1.0);
    assert!(warns(&details, "dropped:temperature>1"));
    let fields = json!({ "temperature": 0.2, "top_p": 0.9 });
    let (body, details) = written(fields.clone(), &ANTHROPIC_MESSAGES, OLD_CLAUDE);
    assert_eq!((&body["temperature"], body.get("top_p")), (&json!(0.2), None));
    assert!(warns(&details, "dropped:top_p"));
    let (body, details) = written(fields, &ANTHROPIC_MESSAGES, "claude-opus-5");
    assert_eq!((body.get("temperature"), body.get("top_p")), (None, None));
    assert!(warns(&details, "dropped:temperature") && warns(&details, "dropped:top_p"));
    for dialect in DIALECTS {
        let nulls = json!({ "temperature": null, "stop": null, "tools": null, "user": null });
        let text = written(nulls, dialect, OLD_CLAUDE).0.to_string();
        assert!(!text.contains("null"), "{}: {text}", dialect.name);
    }
}

#[test]
fn case_59_60_61_limits_are_named_and_bounded_as_the_target_wants() {
    let limit = |fields: Value, model: &str| {
        written(fields, &ANTHROPIC_MESSAGES, model).0["max_tokens"].clone()
    };
    assert_eq!(limit(json!({ "max_tokens": null }), OLD_CLAUDE), 32_000);
    assert_eq!(limit(json!({ "max_tokens": 100_000 }), OLD_CLAUDE), 64_000);
    assert_eq!(limit(json!({ "max_tokens": 100_000 }), "claude-opus-5"), 100_000);
    assert_eq!(limit(json!({ "max_completion_tokens": 7 }), OLD_CLAUDE), 7);
    let (body, _) = written(json!({ "max_tokens": 9 }), &OPENAI_CHAT, "gpt-5.1");
    assert_eq!((&body["max_completion_tokens"], body.get("max_tokens")), (&json!(9), None));
    let (body, _) = written(json!({ "max_completion_tokens": 9 }), &OPENAI_CHAT, "llama");
    assert_eq!((&body["max_tokens"], body.get("max_completion_tokens")), (&json!(9), None));
    let (body, details) = written(json!({ "max_tokens": 1 }), &OPENAI_RESPONSES, PLAIN);
    assert_eq!(body["max_output_tokens"], 16);
    assert!(warns(&details, "emulated:max_tokens"));
    assert_eq!(limit(json!({ "max_tokens": 1 }), OLD_CLAUDE), 1);
}

#[test]
fn case_62_filling_a_cache_is_refused_elsewhere() {
    let body = asked(json!({ "max_tokens": 0 }));
    for dialect in [&OPENAI_CHAT, &OPENAI_RESPONSES, &GEMINI] {
        let why = try_write(&ANTHROPIC_MESSAGES, &body, dialect, PLAIN).unwrap_err();
        assert_eq!(why.field, "max_tokens", "{}", dialect.name);
    }
}

/// Stop texts are never lost: what the target does not take is done in its answer.
#[test]
fn case_63_stop_texts_that_a_target_lacks_end_the_answer_all_the_same() {
    let six = json!({ "stop": ["a", "", "b", "c", "d", "e", "f"] });
    for (dialect, model, taken, ours) in [
        (&OPENAI_CHAT, PLAIN, json!(["a", "b", "c", "d"]), vec!["e", "f"]),
        (&OPENAI_CHAT, "o3", Value::Null, vec!["a", "b", "c", "d", "e", "f"]),
        (&GEMINI, PLAIN, json!(["a", "b", "c", "d", "e"]), vec!["f"]),
        (&OPENAI_RESPONSES, PLAIN, Value::Null, vec!["a", "b", "c", "d", "e", "f"]),
    ] {
        let (body, details) = written(six.clone(), dialect, model);
        let stops = body.get("stop").or_else(|| body["generationConfig"].get("stopSequences"));
        assert_eq!(stops.cloned().unwrap_or_default(), taken, "{} {model}", dialect.name);
        assert_eq!(details.stop, ours, "{} {model}", dialect.name);
        assert!(warns(&details, "emulated:stop"));
    }
    let (body, details) = written(json!({ "stop": "\n" }), &ANTHROPIC_MESSAGES, PLAIN);
    assert_eq!(
        (body.get("stop_sequences"), details.stop.as_slice()),
        (None, &["\n".to_owned()][..])
    );
    let mut undo = Undo::of(&details);
    let mut seen = Vec::new();
    undo.event(StreamEvent::Text("one\ntwo".to_owned()), &mut seen);
    assert_eq!(seen, [StreamEvent::Text("one".to_owned())]);
    assert!(undo.ended().is_some());
}

#[test]
fn case_64_several_answers_are_refused_where_there_is_one() {
    let body = asked(json!({ "n": 2, "stream": true }));
    for dialect in [&ANTHROPIC_MESSAGES, &OPENAI_RESPONSES] {
        assert_eq!(try_write(&OPENAI_CHAT, &body, dialect, PLAIN).unwrap_err().field, "n");
    }
    assert!(!chat_to(&OPENAI_CHAT, &asked(json!({ "n": 1 }))).to_string().contains("\"n\""));
}

#[test]
fn case_65_66_68_fields_without_what_they_are_about_are_left_out() {
    let fields = json!({
        "stream_options": { "include_usage": true }, "parallel_tool_calls": false, "tools": [],
        "tool_choice": "auto",
    });
    for dialect in DIALECTS {
        let text = written(fields.clone(), dialect, PLAIN).0.to_string();
        for field in ["stream_options", "parallel_tool", "tools", "tool_choice", "toolConfig"] {
            assert!(!text.contains(field), "{}: {text}", dialect.name);
        }
    }
    let forced = asked(json!({ "tool_choice": "required" }));
    assert!(try_write(&OPENAI_CHAT, &forced, &ANTHROPIC_MESSAGES, PLAIN).is_err());
}

#[test]
fn case_67_a_forced_tool_comes_before_thinking() {
    let fields = json!({
        "tools": [function("f")], "tool_choice": "required", "reasoning_effort": "high",
    });
    let (body, details) = written(fields, &ANTHROPIC_MESSAGES, OLD_CLAUDE);
    assert_eq!((&body["tool_choice"]["type"], body.get("thinking")), (&json!("any"), None));
    assert!(warns(&details, "dropped:reasoning_effort=high"));
}

#[test]
fn case_68_tools_of_the_history_are_declared() {
    let call =
        json!({ "id": "c", "type": "function", "function": { "name": "f", "arguments": "{}" } });
    let body = json!({ "messages": [
        { "role": "user", "content": "a" },
        { "role": "assistant", "tool_calls": [call] },
        { "role": "tool", "tool_call_id": "c", "content": "r" },
    ]});
    let (claude, details) = write(&OPENAI_CHAT, &body, &ANTHROPIC_MESSAGES, PLAIN);
    assert_eq!(claude["tools"], json!([{ "name": "f", "input_schema": { "type": "object" } }]));
    assert_eq!(claude["tool_choice"]["type"], "none");
    assert!(warns(&details, "emulated:tools"));
}

#[test]
fn case_69_every_schema_has_an_object_at_its_root() {
    for parameters in [json!({}), Value::Null, json!({ "type": "object" })] {
        let mut tool = function("f");
        tool["function"]["parameters"] = parameters.clone();
        let (body, _) = written(json!({ "tools": [tool] }), &ANTHROPIC_MESSAGES, PLAIN);
        let expected = json!({ "type": "object", "properties": {} });
        assert_eq!(body["tools"][0]["input_schema"], expected, "{parameters}");
    }
    // A schema that OpenAI's strict mode would refuse is not called strict.
    let loose = json!({ "type": "object", "properties": { "a": { "type": "string" } } });
    let body = json!({
        "messages": [{ "role": "user", "content": "a" }],
        "tools": [{ "name": "f", "input_schema": loose, "strict": true }],
    });
    assert_eq!(claude_to(&OPENAI_CHAT, &body)["tools"][0]["function"]["strict"], false);
    assert_eq!(claude_to(&OPENAI_RESPONSES, &body)["tools"][0]["strict"], false);
}

#[test]
fn case_70_names_that_are_forbidden_travel_under_others_and_come_back() {
    let name = "mcp__server__tool.with.dots/slash";
    let call =
        json!({ "id": "c", "type": "function", "function": { "name": name, "arguments": "{}" } });
    let mut body = asked(json!({
        "tools": [function(name), function("plain")],
        "tool_choice": { "type": "function", "function": { "name": name } },
    }));
    let history = [
        json!({ "role": "assistant", "tool_calls": [call] }),
        json!({ "role": "tool", "tool_call_id": "c", "content": "r" }),
    ];
    body["messages"].as_array_mut().unwrap().extend(history);
    let (claude, details) = write(&OPENAI_CHAT, &body, &ANTHROPIC_MESSAGES, PLAIN);
    let sent = claude["tools"][0]["name"].as_str().unwrap();
    assert!(sent.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)), "{sent}");
    assert_eq!(claude["tools"][1]["name"], "plain");
    assert_eq!(claude["tool_choice"]["name"], sent);
    assert_eq!(claude["messages"][1]["content"][0]["name"], sent);
    assert!(warns(&details, "emulated:tools.name"));
    let start =
        |name: &str| StreamEvent::ToolStart { index: 0, id: "i".to_owned(), name: name.to_owned() };
    let mut seen = Vec::new();
    Undo::of(&details).event(start(sent), &mut seen);
    assert_eq!(seen, [start(name)]);
}

#[test]
fn case_71_the_same_tool_twice_is_one_and_two_of_one_name_are_refused() {
    let twice = json!({ "tools": [function("f"), function("f")] });
    let (body, _) = written(twice, &ANTHROPIC_MESSAGES, PLAIN);
    assert_eq!(body["tools"].as_array().unwrap().len(), 1);
    let mut other = function("f");
    other["function"]["description"] = "another".into();
    let body = asked(json!({ "tools": [function("f"), other] }));
    assert_eq!(
        try_write(&OPENAI_CHAT, &body, &ANTHROPIC_MESSAGES, PLAIN).unwrap_err().field,
        "tools"
    );
}

#[test]
fn case_72_json_is_asked_for_in_words_where_there_is_no_mode() {
    let fields = json!({ "response_format": { "type": "json_object" } });
    let (body, details) = written(fields, &ANTHROPIC_MESSAGES, PLAIN);
    assert!(body["system"].as_str().unwrap().contains("JSON"));
    assert!(warns(&details, "emulated:response_format"));
}

#[test]
fn case_73_constraints_that_are_refused_are_said_in_words() {
    let schema = json!({
        "type": "object", "properties": { "n": { "type": "integer", "minimum": 1 } },
        "required": ["n"],
    });
    let format = json!({ "type": "json_schema", "json_schema": { "name": "x", "schema": schema } });
    let (body, details) =
        written(json!({ "response_format": format }), &ANTHROPIC_MESSAGES, OLD_CLAUDE);
    let written = &body["output_config"]["format"]["schema"];
    assert_eq!(written["additionalProperties"], false);
    assert_eq!(
        written["properties"]["n"],
        json!({ "type": "integer", "description": "(minimum: 1)" })
    );
    assert!(warns(&details, "emulated:response_format.schema"));
}

#[test]
fn case_74_the_nearest_effort_is_asked_for() {
    let effort = |effort: &str, model: &str| {
        let fields = json!({ "reasoning_effort": effort });
        written(fields, &OPENAI_CHAT, model).0.get("reasoning_effort").cloned()
    };
    assert_eq!(effort("minimal", "gpt-5.1"), Some("low".into()));
    assert_eq!(effort("none", "gpt-5"), Some("minimal".into()));
    assert_eq!(effort("high", "gpt-4o"), None);
    let fields = json!({ "reasoning_effort": "xhigh" });
    let (body, details) = written(fields, &ANTHROPIC_MESSAGES, "claude-opus-4-6");
    assert_eq!(body["output_config"]["effort"], "high");
    assert!(warns(&details, "emulated:reasoning_effort"));
}

#[test]
fn case_75_76_users_are_opaque_and_those_that_are_stay_as_they_are() {
    let user = |user: &str| {
        let (body, _) = written(json!({ "user": user }), &ANTHROPIC_MESSAGES, PLAIN);
        body["metadata"]["user_id"].as_str().unwrap().to_owned()
    };
    let mail = user("john@example.com");
    assert!(!mail.contains("john") && mail == user("john@example.com"), "{mail}");
    assert!(!user("+49 30 1234567").contains("123"));
    let structured = "{\"device_id\":\"d\",\"session_id\":\"s\"}";
    assert_eq!(user(structured), structured);
}

#[test]
fn case_77_service_tiers_are_hints_elsewhere() {
    let (body, details) = written(json!({ "service_tier": "fast" }), &GEMINI, PLAIN);
    assert!(!body.to_string().contains("fast"));
    assert!(warns(&details, "dropped:service_tier"));
}

/// Betas travel in a header, which goes to targets of the same dialect only.
#[test]
fn case_78_79_80_what_only_one_api_has_stays_with_it_together() {
    let fields = json!({ "extra_body": { "top_k": 5 } });
    let (body, details) = written(fields, &ANTHROPIC_MESSAGES, PLAIN);
    assert!(!body.to_string().contains("extra_body"));
    assert!(warns(&details, "dropped:extra_body"));
    let managed = asked(json!({ "max_tokens": 9, "context_management": { "edits": [] } }));
    let (body, details) = write(&ANTHROPIC_MESSAGES, &managed, &OPENAI_CHAT, PLAIN);
    assert!(!body.to_string().contains("context_management"));
    assert!(warns(&details, "dropped:context_management"));
    let mut own = managed.clone();
    own["model"] = "m".into();
    let native = (ANTHROPIC_MESSAGES.replace_model)(own.to_string().as_bytes(), None, "n").unwrap();
    let native: Value = serde_json::from_slice(&native).unwrap();
    assert_eq!(native["context_management"], managed["context_management"]);
}
