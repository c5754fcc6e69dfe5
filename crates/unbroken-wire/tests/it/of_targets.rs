//! The dialects that only targets speak: what the streams mean, where they fail, and what is
//! written for the models behind them.

use serde_json::{Value, json};
use unbroken_wire::chat::{
    Answer, Block, Chat, Effort, FinishReason, OutputFormat, Role, Source, StreamEvent, ToolCall,
    ToolChoice, Turn,
};
use unbroken_wire::dialects::{
    ANTHROPIC_MESSAGES, AnswerFault, BEDROCK_CONVERSE, COHERE_CHAT, Dialect, OPENAI_CHAT,
};
use unbroken_wire::event_stream::Decoder;

use crate::nasty::{read, write};
use crate::natives::{converse_frames, event, frame};
use crate::traffic::read_stream;

fn body(chat: &Chat, dialect: &Dialect, model: &str) -> (Value, Vec<String>) {
    let written = (dialect.write_request)(chat, model).unwrap();
    (serde_json::from_slice(&written.body).unwrap(), written.warnings)
}

const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const LLAMA: &str = "meta.llama3-2-1b-instruct-v1:0";

#[test]
fn a_stream_of_converse_is_whole_only_behind_its_stop() {
    let answer = Answer {
        blocks: vec![
            Block::Text("hello there".to_owned()),
            Block::ToolCall(ToolCall {
                id: "t1".to_owned(),
                name: "f".to_owned(),
                arguments: "{\"a\":1}".to_owned(),
            }),
        ],
        finish: FinishReason::ToolCalls,
        usage: Some(unbroken_wire::chat::Usage { input: 3, output: 4, ..Default::default() }),
        ..Answer::default()
    };
    let frames = converse_frames(&answer);
    let stop = frames.len() - 2;
    for count in 0..=frames.len() {
        let decoded = Decoder::new().push(&frames[..count].concat()).unwrap();
        let read = read_stream(&BEDROCK_CONVERSE, &[&decoded]);
        assert_eq!(read.ended.is_some(), count > stop, "{count} frames");
        if let Some(ended) = read.ended {
            // Usage comes behind the stop.
            assert_eq!(ended.usage().is_some(), count == frames.len());
            assert_eq!(ended.finish(), FinishReason::ToolCalls);
        }
    }
}

#[test]
fn exceptions_inside_a_stream_of_converse_are_errors_even_behind_its_stop() {
    for (kind, status) in [
        ("throttlingException", 429),
        ("serviceUnavailableException", 503),
        ("modelStreamErrorException", 424),
        ("validationException", 400),
        ("internalServerException", 500),
    ] {
        let exception = frame(
            &[(":message-type", "exception"), (":exception-type", kind)],
            &json!({ "message": "no" }),
        );
        let text = event(
            "contentBlockDelta",
            &json!({ "contentBlockIndex": 0, "delta": { "text": "a" } }),
        );
        let stop = event("messageStop", &json!({ "stopReason": "end_turn" }));
        for before in [vec![], text.clone(), [text, stop].concat()] {
            let decoded = Decoder::new().push(&[before, exception.clone()].concat()).unwrap();
            let read = read_stream(&BEDROCK_CONVERSE, &[&decoded]);
            assert!(read.ended.is_none(), "{kind}");
            let Some(StreamEvent::Error(error)) = read.events.last() else {
                panic!("{kind}: {:?}", read.events)
            };
            assert_eq!((error.kind.as_str(), error.inner_status), (kind, Some(status)));
        }
    }
}

#[test]
fn a_malformed_answer_of_converse_is_a_failure_and_its_own_tools_are_not_the_clients() {
    let answer = |stop: &str, content: Value| {
        let body = json!({ "stopReason": stop, "output": { "message": { "content": content } } });
        (BEDROCK_CONVERSE.read_answer)(body.to_string().as_bytes())
    };
    assert!(matches!(answer("malformed_tool_use", json!([])), Err(AnswerFault::Malformed(_))));
    assert!(matches!((BEDROCK_CONVERSE.read_answer)(b"{}"), Err(AnswerFault::Malformed(_))));
    let own = json!([
        { "toolUse": { "toolUseId": "a", "name": "nova_code_interpreter", "input": {},
            "type": "server_tool_use" } },
        { "citationsContent": { "content": [{ "text": "cited" }], "citations": [{}] } },
    ]);
    let read = answer("end_turn", own).unwrap();
    assert_eq!((read.finish, read.text()), (FinishReason::Stop, "cited".to_owned()));
    assert_eq!(read.tool_calls().count(), 0);
    for (stop, finish) in [
        ("guardrail_intervened", FinishReason::Filter),
        ("content_filtered", FinishReason::Filter),
        ("max_tokens", FinishReason::Length),
        ("model_context_window_exceeded", FinishReason::Context),
        ("something_new", FinishReason::Stop),
    ] {
        assert_eq!(answer(stop, json!([{ "text": "a" }])).unwrap().finish, finish, "{stop}");
    }
}

#[test]
fn signed_thinking_of_converse_goes_back_byte_for_byte_through_a_client_of_another_dialect() {
    let thought = json!({ "reasoningText": { "text": "ü 1.0", "signature": "Eo+/=" } });
    let redacted = json!({ "redactedContent": "AAEC" });
    let content = json!([
        { "reasoningContent": thought }, { "reasoningContent": redacted }, { "text": "x" },
    ]);
    let answer =
        json!({ "stopReason": "end_turn", "output": { "message": { "content": content } } });
    let answer = (BEDROCK_CONVERSE.read_answer)(answer.to_string().as_bytes()).unwrap();
    let head = unbroken_wire::dialects::StreamHead::default();
    let told = (ANTHROPIC_MESSAGES.write_answer)(&answer, &head);
    let told: Value = serde_json::from_slice(&told).unwrap();
    let history = json!({ "max_tokens": 9, "messages": [
        { "role": "user", "content": "a" },
        { "role": "assistant", "content": told["content"] },
        { "role": "user", "content": "b" },
    ]});
    let (sent, _) = write(&ANTHROPIC_MESSAGES, &history, &BEDROCK_CONVERSE, CLAUDE);
    assert_eq!(sent["messages"][1]["content"], content);
    // Another maker's model is spared it.
    let (sent, written) = write(&ANTHROPIC_MESSAGES, &history, &BEDROCK_CONVERSE, LLAMA);
    assert_eq!(sent["messages"][1]["content"], json!([{ "text": "x" }]));
    assert!(written.warnings.contains(&"dropped:thinking".to_owned()));
    let (sent, _) = write(&ANTHROPIC_MESSAGES, &history, &ANTHROPIC_MESSAGES, "claude-sonnet-4-5");
    assert_eq!(sent["messages"][1]["content"], json!([{ "type": "text", "text": "x" }]));
}

#[test]
fn the_settings_of_converse_stand_where_each_model_reads_them() {
    let chat = Chat {
        max_tokens: Some(100),
        effort: Some(Effort::Low),
        user: Some("u".to_owned()),
        stop: vec!["\n".to_owned(), "END".to_owned()],
        sampling: unbroken_wire::chat::Sampling {
            temperature: Some(1.5),
            top_p: Some(0.5),
            top_k: Some(7.0),
            ..Default::default()
        },
        ..Chat::plain("m", "a")
    };
    let (sent, warnings) = body(&chat, &BEDROCK_CONVERSE, LLAMA);
    let config =
        json!({ "maxTokens": 100, "temperature": 1.0, "topP": 0.5, "stopSequences": ["END"] });
    assert_eq!(sent["inferenceConfig"], config);
    assert_eq!(sent.get("additionalModelRequestFields"), None);
    assert_eq!(
        warnings,
        [
            "dropped:reasoning_effort",
            "dropped:temperature>1",
            "dropped:top_k",
            "dropped:user",
            "emulated:stop"
        ]
    );
    let (sent, warnings) = body(&chat, &BEDROCK_CONVERSE, CLAUDE);
    let config = json!({ "maxTokens": 2_048, "stopSequences": ["END"] });
    assert_eq!(sent["inferenceConfig"], config, "the limit holds the budget, and no temperature");
    let more = json!({ "top_k": 7, "thinking": { "type": "enabled", "budget_tokens": 1_024 } });
    assert_eq!(sent["additionalModelRequestFields"], more);
    assert!(warnings.contains(&"dropped:top_p".to_owned()), "{warnings:?}");
    assert!(warnings.contains(&"dropped:temperature".to_owned()), "{warnings:?}");
    let (sent, _) = body(&chat, &BEDROCK_CONVERSE, "us.amazon.nova-2-lite-v1:0");
    let more = json!({ "inferenceConfig": { "topK": 7 },
        "reasoningConfig": { "type": "enabled", "maxReasoningEffort": "low" } });
    assert_eq!(sent["additionalModelRequestFields"], more);
}

#[test]
fn a_schema_is_text_in_converse_and_words_where_the_model_has_none() {
    let schema = json!({ "type": "object", "properties": {}, "additionalProperties": false });
    let output =
        OutputFormat::Schema { name: "n".to_owned(), schema: schema.clone(), strict: None };
    let chat = Chat { output, ..Chat::plain("m", "a") };
    let (sent, warnings) = body(&chat, &BEDROCK_CONVERSE, CLAUDE);
    let told = &sent["outputConfig"]["textFormat"];
    assert_eq!(told["type"], "json_schema");
    let inner = told["structure"]["jsonSchema"]["schema"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(inner).unwrap(), schema);
    assert_eq!(warnings, [""; 0]);
    let (sent, warnings) = body(&chat, &BEDROCK_CONVERSE, LLAMA);
    assert_eq!(sent.get("outputConfig"), None);
    assert!(sent["system"][0]["text"].as_str().unwrap().contains("\"additionalProperties\":false"));
    assert_eq!(warnings, ["emulated:response_format"]);
}

fn looped(result: Block) -> Chat {
    let call = ToolCall { id: "call|1".to_owned(), name: "f".to_owned(), arguments: String::new() };
    let turn = |role, blocks| Turn { role, blocks };
    Chat {
        turns: vec![
            turn(Role::User, vec![Block::Text("a".to_owned())]),
            turn(Role::Assistant, vec![Block::ToolCall(call)]),
            turn(Role::User, vec![Block::Text("b".to_owned()), result]),
        ],
        ..Chat::plain("m", "")
    }
}

fn result(content: Vec<Block>, is_error: bool) -> Block {
    Block::ToolResult { call_id: "call|1".to_owned(), name: None, content, is_error }
}

#[test]
fn a_tool_loop_keeps_its_order_its_ids_and_its_tools_in_converse() {
    let (sent, warnings) = body(&looped(result(vec![], true)), &BEDROCK_CONVERSE, CLAUDE);
    let id = &sent["messages"][1]["content"][0]["toolUse"]["toolUseId"];
    let is_ok = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
    assert!(id.as_str().unwrap().chars().all(is_ok), "{id}");
    let answered = json!([
        { "toolResult": { "toolUseId": id, "status": "error", "content": [{ "text": "(empty)" }] } },
        { "text": "b" },
    ]);
    assert_eq!(sent["messages"][2]["content"], answered, "results come first");
    assert_eq!(sent["toolConfig"]["tools"][0]["toolSpec"]["name"], "f");
    assert_eq!(warnings, ["emulated:tools"]);
    // A model that knows no failed tools reads it.
    let failed = result(vec![Block::Text("no".to_owned())], true);
    let (sent, _) = body(&looped(failed), &BEDROCK_CONVERSE, LLAMA);
    let content = &sent["messages"][2]["content"][0]["toolResult"];
    assert_eq!(content["content"], json!([{ "text": "Error:" }, { "text": "no" }]));
    assert_eq!(content.get("status"), None);
    // No tool may be called, but the history has calls.
    let forbidden = Chat { tool_choice: Some(ToolChoice::None), ..looped(result(vec![], false)) };
    let (sent, warnings) = body(&forbidden, &BEDROCK_CONVERSE, CLAUDE);
    assert!(sent["system"][0]["text"].as_str().unwrap().contains("Do not call"));
    assert!(warnings.contains(&"emulated:tool_choice".to_owned()), "{warnings:?}");
}

#[test]
fn documents_and_caches_of_converse_stand_where_it_wants_them() {
    let chat = json!({ "messages": [
        { "role": "system", "content": "s" },
        { "role": "user", "content": [
            { "type": "file", "file": { "filename": "report.v2.pdf", "file_data": "data:application/pdf;base64,JVBERi0=" },
              "cache_control": { "type": "ephemeral" } },
        ]},
    ]});
    let (sent, written) = write(&OPENAI_CHAT, &chat, &BEDROCK_CONVERSE, CLAUDE);
    let document = json!({ "document": {
        "format": "pdf", "name": "report v2", "source": { "bytes": "JVBERi0=" },
    }});
    let mark = json!({ "cachePoint": { "type": "default" } });
    let content = json!([document, { "text": "(see the document)" }, mark]);
    assert_eq!(sent["messages"][0]["content"], content);
    assert_eq!(sent["system"], json!([{ "text": "s" }, mark]));
    let expected = ["emulated:cache_control", "emulated:messages.document"];
    let mut warnings = written.warnings;
    warnings.sort();
    assert_eq!(warnings, expected);
    let (sent, written) = write(&OPENAI_CHAT, &chat, &BEDROCK_CONVERSE, LLAMA);
    assert_eq!(sent["system"], json!([{ "text": "s" }]));
    assert!(written.warnings.contains(&"dropped:cache_control".to_owned()));
}

#[test]
fn an_answer_that_a_client_has_begun_is_gone_on_with_or_asked_for() {
    let history = json!({ "max_tokens": 9, "messages": [
        { "role": "user", "content": "a" }, { "role": "assistant", "content": "It is " },
    ]});
    let (sent, _) = write(&ANTHROPIC_MESSAGES, &history, &BEDROCK_CONVERSE, CLAUDE);
    let last = json!({ "role": "assistant", "content": [{ "text": "It is" }] });
    assert_eq!(sent["messages"][1], last);
    for (dialect, model) in [(&BEDROCK_CONVERSE, LLAMA), (&COHERE_CHAT, "command-a-03-2025")] {
        let (sent, written) = write(&ANTHROPIC_MESSAGES, &history, dialect, model);
        assert_eq!(sent["messages"][2]["role"], "user");
        assert!(written.warnings.contains(&"emulated:prefill".to_owned()), "{}", dialect.name);
    }
}

#[test]
fn coheres_plan_is_text_before_the_calls_and_goes_back_as_a_plan() {
    let answer = json!({ "id": "x", "finish_reason": "TOOL_CALL", "message": {
        "tool_plan": "I will look.", "tool_calls": [
            { "id": "t", "type": "function", "function": { "name": "f", "arguments": "{}" } },
        ],
    }});
    let read = (COHERE_CHAT.read_answer)(answer.to_string().as_bytes()).unwrap();
    assert_eq!(read.text(), "I will look.");
    let turns = vec![
        Turn { role: Role::User, blocks: vec![Block::Text("a".to_owned())] },
        Turn { role: Role::Assistant, blocks: read.blocks },
    ];
    let (sent, _) = body(&Chat { turns, ..Chat::plain("m", "") }, &COHERE_CHAT, "m");
    assert_eq!(sent["messages"][1]["tool_plan"], "I will look.");
    assert_eq!(sent["messages"][1].get("content"), None);
}

#[test]
fn coheres_ends_and_errors_inside_a_stream_are_told_apart() {
    let end = |delta: Value| {
        let start = r#"{"type":"message-start","id":"x","delta":{"message":{}}}"#;
        let text = r#"{"type":"content-delta","delta":{"message":{"content":{"text":"a"}}}}"#;
        let end = json!({ "type": "message-end", "delta": delta });
        let stream = format!("data: {start}\n\ndata: {text}\n\ndata: {end}\n\n");
        read_stream(&COHERE_CHAT, &[stream.as_bytes()])
    };
    let whole = end(json!({ "finish_reason": "COMPLETE" }));
    assert_eq!(whole.ended.unwrap().finish(), FinishReason::Stop);
    assert_eq!(
        end(json!({ "finish_reason": "MAX_TOKENS" })).ended.unwrap().finish(),
        FinishReason::Length
    );
    for reason in ["ERROR", "TIMEOUT"] {
        let failed = end(json!({ "finish_reason": reason, "error": "upstream broke" }));
        assert!(failed.ended.is_none());
        let told = format!("{:?}", failed.events.last());
        assert!(told.contains("upstream broke"), "{told}");
    }
    let usage = json!({ "billed_units": { "input_tokens": 431 },
        "tokens": { "input_tokens": 2190.0, "output_tokens": 3.0 }, "cached_tokens": 1_000 });
    let counted = end(json!({ "finish_reason": "COMPLETE", "usage": usage })).ended.unwrap();
    let usage = counted.usage().unwrap();
    assert_eq!((usage.input, usage.output, usage.cached), (2_190, 3, 1_000), "not what is billed");
}

#[test]
fn what_cohere_cannot_be_told_is_said_in_another_way_or_refused() {
    let tools = json!([{ "type": "function", "function": { "name": "f" } },
        { "type": "function", "function": { "name": "g" } }]);
    let named = json!({ "messages": [{ "role": "user", "content": "a" }], "tools": tools,
        "tool_choice": { "type": "function", "function": { "name": "g" } },
        "response_format": { "type": "json_object" } });
    let (sent, written) = write(&OPENAI_CHAT, &named, &COHERE_CHAT, "command-a-03-2025");
    assert_eq!(sent["tools"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&sent["tools"][0]["function"]["name"], &sent["tool_choice"]),
        (&json!("g"), &json!("REQUIRED"))
    );
    assert_eq!(sent.get("response_format"), None, "not beside tools");
    for told in ["emulated:response_format", "emulated:tool_choice"] {
        assert!(written.warnings.contains(&told.to_owned()), "{:?}", written.warnings);
    }
    let file = |media_type: &str| Block::File {
        source: Source::Base64 { media_type: media_type.to_owned(), data: "aGk=".to_owned() },
        name: Some("a.txt".to_owned()),
    };
    let asked = |block| Chat {
        turns: vec![Turn { role: Role::User, blocks: vec![Block::Text("a".to_owned()), block] }],
        ..Chat::plain("m", "")
    };
    let (sent, _) = body(&asked(file("text/plain")), &COHERE_CHAT, "m");
    let document = json!([{ "id": "doc:0", "data": { "title": "a.txt", "text": "hi" } }]);
    assert_eq!(sent["documents"], document);
    let refused = (COHERE_CHAT.write_request)(&asked(file("application/pdf")), "m").unwrap_err();
    assert!(refused.reason.contains("application/pdf"), "{refused:?}");
    let thinks = Chat { effort: Some(Effort::None), ..Chat::plain("m", "a") };
    let (sent, _) = body(&thinks, &COHERE_CHAT, "command-a-reasoning-08-2025");
    assert_eq!(sent["thinking"], json!({ "type": "disabled" }));
}

#[test]
fn case_55_names_of_documents_fit_and_differ() {
    let pdf = json!({ "type": "input_file", "filename": "report.v2.pdf",
        "file_data": "data:application/pdf;base64,JVBERi0=" });
    let asked = json!({ "messages": [{ "role": "user",
        "content": [pdf, pdf, { "type": "text", "text": "compare" }] }] });
    let chat = read(&OPENAI_CHAT, &asked);
    let (sent, warnings) = body(&chat, &BEDROCK_CONVERSE, "m");
    let content = sent["messages"][0]["content"].as_array().unwrap();
    let name = |place: usize| content[place]["document"]["name"].as_str().unwrap();
    assert_eq!((name(0), name(1)), ("report v2", "report v2 (2)"));
    assert_eq!(warnings, [""; 0]);
}

#[test]
fn counts_that_nobody_can_count_to_do_not_overflow() {
    let huge = 421_111_111_111_111_111_111_111_f64;
    let usage = json!({ "prompt_tokens": huge, "completion_tokens": huge, "inputTokens": huge,
        "cacheReadInputTokens": u64::MAX, "outputTokens": huge, "input_tokens": huge,
        "cache_read_input_tokens": huge, "output_tokens": u64::MAX,
        "tokens": { "input_tokens": huge, "image_tokens": huge } });
    let choice = json!({ "message": { "content": "a" }, "finish_reason": "stop" });
    let message = json!({ "role": "assistant", "content": [{ "text": "a", "type": "text" }] });
    let body = json!({ "choices": [choice], "usage": usage, "content": [{ "type": "text",
        "text": "a" }], "output": { "message": message }, "message": message,
        "stopReason": "end_turn", "finish_reason": "COMPLETE" });
    for dialect in [&OPENAI_CHAT, &ANTHROPIC_MESSAGES, &BEDROCK_CONVERSE, &COHERE_CHAT] {
        let answer = (dialect.read_answer)(body.to_string().as_bytes()).unwrap();
        assert!(answer.usage.unwrap().input >= 1 << 53, "{}", dialect.name);
    }
}
