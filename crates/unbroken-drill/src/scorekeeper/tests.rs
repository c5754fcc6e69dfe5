use serde_json::json;

use super::*;

/// One rule: what is replaced in a good stream, by what, and what the judge says then.
type Rule = (&'static str, &'static str, &'static str);

/// Breaks each rule on purpose and holds that exactly this one is seen first.
fn every_rule_is_seen(dialect: &str, good: &str, rules: &[Rule]) {
    let judge = |text: &str| judge_stream_with_usage(dialect, text.as_bytes(), true);
    let verdict = judge(good);
    assert_eq!((verdict.corrupt, verdict.is_whole, verdict.is_error), (None, true, false));
    for (find, replace, rule) in rules {
        assert!(good.contains(find), "{find} is not in the good stream");
        let bad = good.replacen(find, replace, 1);
        let corrupt = judge(&bad).corrupt;
        assert_eq!(corrupt.as_deref(), Some(*rule), "{find} -> {replace}");
    }
    // What is common to all dialects.
    let after = format!("{good}data: {{}}\n\n");
    assert_eq!(judge(&after).corrupt.as_deref(), Some("something follows the end"));
    let comment = format!("{good}: late\n\n");
    assert_eq!(judge(&comment).corrupt.as_deref(), Some("something follows the end"));
    let cut = judge(good.trim_end());
    assert_eq!(cut.corrupt.as_deref(), Some("the last event has no blank line"));
    let kept_alive = good.replacen("data: ", ": keep-alive\n\ndata: ", 1);
    let verdict = judge(&kept_alive);
    // In front of a named event the comment tears the name off: put it in front of all.
    if dialect == "openai-chat" || dialect == "gemini" {
        assert_eq!((verdict.corrupt, verdict.comments), (None, vec!["keep-alive".to_owned()]));
    }
    let verdict = judge(&format!(": keep-alive\n\n{good}"));
    assert_eq!((verdict.corrupt, verdict.comments), (None, vec!["keep-alive".to_owned()]));
    let torn = [good.as_bytes(), b"\xf0\x9f"].concat();
    assert_eq!(judge_stream(dialect, &torn).corrupt.as_deref(), Some("not UTF-8"));
    for end in 1..good.len() - 1 {
        // Half of a stream is never whole, except that a blank line may be missing.
        let half = judge_stream(dialect, good.get(..end).unwrap_or_default().as_bytes());
        assert!(!half.is_whole || half.corrupt.is_some() || half.text.contains("w2"), "{end}");
    }
}

const CHAT: &str = r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}

data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"reasoning_content":"t1"},"finish_reason":null}],"usage":null}

data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"w1 w2"},"finish_reason":null}],"usage":null}

data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]},"finish_reason":null}],"usage":null}

data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":"}}]},"finish_reason":null}],"usage":null}

data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]},"finish_reason":null}],"usage":null}

data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}],"usage":null}

data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}

data: [DONE]

"#;

const CHAT_RULES: &[Rule] = &[
    (r#""object":"chat.completion.chunk""#, r#""object":"x""#, "a chunk without its object"),
    (r#""id":"c""#, r#""id":"d""#, "more than one id"),
    (r#""created":1"#, r#""created":2"#, "more than one time of creation"),
    (r#""model":"m""#, r#""model":"n""#, "more than one model"),
    (r#""role":"assistant","#, "", "content before the role"),
    (r#""role":"assistant""#, r#""role":"user""#, "a role that is not the assistant's"),
    (r#""reasoning_content":"t1""#, r#""role":"assistant""#, "the role twice"),
    (r#""index":0,"delta""#, r#""index":1,"delta""#, "a choice that was not asked for"),
    (r#""content":"w1 w2""#, r#""content":["w1 w2"]"#, "a delta that is no text"),
    (r#""delta":{}"#, r#""delta":[]"#, "a choice without a delta"),
    (r#"[{"index":0,"id""#, r#"[{"index":1,"id""#, "a call whose index is not next"),
    (r#""type":"function","#, "", "a call without its type"),
    (r#""id":"a","#, "", "a call without an id or a name"),
    (r#"[{"index":0,"function""#, r#"[{"index":0,"id":"a","function""#, "a call that begins twice"),
    ("\"1}\"", "\"1\"", "arguments that are no object"),
    (r#""finish_reason":"tool_calls""#, r#""finish_reason":"stop""#, "calls, and another finish"),
    (
        r#""finish_reason":"tool_calls""#,
        r#""finish_reason":"""#,
        "a finish reason that the dialect does not have",
    ),
    (
        r#""finish_reason":"tool_calls""#,
        r#""finish_reason":null"#,
        "usage before the finish reason",
    ),
    (r#""total_tokens":3"#, r#""total_tokens":4"#, "usage that does not add up"),
    (
        r#""choices":[],"usage":{"prompt"#,
        r#""choices":[],"x":{"prompt"#,
        "usage was asked for and never came",
    ),
    ("data: [DONE]\n\n", "data: [DONE]\n\ndata: [DONE]\n\n", "something follows the end"),
    ("data: [DONE]", "data: {[DONE]", "an event that is not JSON"),
    ("data: [DONE]", "event: x\ndata: [DONE]", "an event with a name"),
    ("data: [DONE]", "nonsense\ndata: [DONE]", "a line that is no field"),
    ("data: [DONE]", "data: x\ndata: [DONE]", "two data lines in one event"),
    (r#""choices":[],"usage""#, r#""usage""#, "a chunk without choices"),
];

#[test]
fn every_rule_of_chat_completions_is_seen() {
    let more = r#","usage":null}

data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"#;
    let twice = format!(
        r#""finish_reason":"tool_calls"}}]{more}}},"finish_reason":"tool_calls"}}],"usage":null}}"#
    );
    every_rule_is_seen("openai-chat", CHAT, CHAT_RULES);
    let doubled = CHAT.replacen(r#""finish_reason":"tool_calls"}],"usage":null}"#, &twice, 1);
    let verdict = judge_stream("openai-chat", doubled.as_bytes());
    assert_eq!(verdict.corrupt.as_deref(), Some("a choice after the finish reason"));
    let verdict = judge_stream_with_usage("openai-chat", CHAT.as_bytes(), false);
    assert_eq!(verdict.corrupt.as_deref(), Some("usage that was not asked for"));
    let no_calls = CHAT.replace("\"tool_calls\":[{", "\"x\":[{");
    let verdict = judge_stream("openai-chat", no_calls.as_bytes());
    assert_eq!(verdict.corrupt.as_deref(), Some("a finish for calls, and no calls"));
}

#[test]
fn a_good_stream_is_read() {
    let expected = Verdict {
        text: "w1 w2".to_owned(),
        thinking: "t1".to_owned(),
        calls: vec![("f".to_owned(), json!({ "x": 1 }))],
        model: Some("m".to_owned()),
        output_tokens: Some(2),
        is_whole: true,
        ..Verdict::default()
    };
    for (dialect, stream, finish) in [
        ("openai-chat", CHAT, "tool_calls"),
        ("anthropic-messages", MESSAGES, "tool_use"),
        ("gemini", GEMINI, "STOP"),
        ("openai-responses", RESPONSES, "completed"),
    ] {
        let finish = Some(finish.to_owned());
        let verdict = judge_stream(dialect, stream.as_bytes());
        assert_eq!(verdict, Verdict { finish, ..expected.clone() }, "{dialect}");
        let crlf = stream.replace('\n', "\r\n");
        assert_eq!(judge_stream(dialect, crlf.as_bytes()), verdict, "{dialect} with CRLF");
    }
}

const MESSAGES: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"a","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"usage":{"input_tokens":1,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: ping
data: {"type":"ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"t1"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"s"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"w1 w2"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"x\":1}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":2}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":2}}

event: message_stop
data: {"type":"message_stop"}

"#;

const MESSAGES_RULES: &[Rule] = &[
    ("event: message_start", "event: x", "an event whose name is not its type"),
    (r#""id":"a","#, "", "no id"),
    (r#""role":"assistant""#, r#""role":"user""#, "no assistant"),
    (r#""content":[]"#, r#""content":[1]"#, "content before the blocks"),
    (r#""input_tokens":1,"#, "", "a start without usage"),
    (r#""stop_reason":null"#, r#""stop_reason":"x""#, "a stop reason at the start"),
    (r#""model":"m""#, r#""model":"""#, "no model"),
    (
        r#""index":1,"content_block""#,
        r#""index":2,"content_block""#,
        "an index that does not follow the last",
    ),
    (r#""type":"text","text":"""#, r#""type":"text""#, "a text block without text"),
    (
        r#""type":"thinking","thinking":"""#,
        r#""type":"musing","thinking":"""#,
        "a block that the dialect does not have",
    ),
    (r#""type":"thinking_delta""#, r#""type":"x""#, "a delta that the dialect does not have"),
    (
        r#""type":"text_delta","text""#,
        r#""type":"input_json_delta","partial_json""#,
        "a delta of another kind than its block",
    ),
    (
        r#""type":"text_delta","text":"w1 w2""#,
        r#""type":"text_delta""#,
        "a delta without its content",
    ),
    (r#""index":1,"delta""#, r#""index":0,"delta""#, "content outside of a block"),
    (
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n",
        "",
        "two blocks open at once",
    ),
    (
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":2}\n\n",
        "",
        "a block was never closed",
    ),
    (
        r#"{"type":"content_block_stop","index":1}"#,
        r#"{"type":"content_block_stop","index":3}"#,
        "the end of a block that is not open",
    ),
    (r#""id":"t","#, "", "a call without an id or a name"),
    (r#""input":{}"#, r#""input":{"x":1}"#, "input at the start"),
    (r#""{\"x\":1}""#, r#""{\"x\":1""#, "arguments that are no object"),
    (r#""stop_reason":"tool_use""#, r#""stop_reason":"end_turn""#, "calls, and another finish"),
    (
        r#""stop_reason":"tool_use""#,
        r#""stop_reason":"done""#,
        "a stop reason that the dialect does not have",
    ),
    (r#""stop_reason":"tool_use""#, r#""stop_reason":null"#, "message_stop without a stop reason"),
    (r#""usage":{"output_tokens":2}"#, r#""usage":{}"#, "an end without usage"),
    (
        "event: ping\ndata: {\"type\":\"ping\"}",
        "event: pong\ndata: {\"type\":\"pong\"}",
        "an event that the dialect does not have",
    ),
    ("event: ping\ndata: {\"type\":\"ping\"}", "event: ping", "a name without data"),
    ("event: ping\n", "event: ping\nevent: ping\n", "two names in one event"),
];

#[test]
fn every_rule_of_messages_is_seen() {
    let start = MESSAGES.split_inclusive("\n\n").next().unwrap_or_default().to_owned();
    every_rule_is_seen("anthropic-messages", MESSAGES, MESSAGES_RULES);
    let judge = |text: String| judge_stream("anthropic-messages", text.as_bytes()).corrupt;
    let twice = judge(format!("{start}{MESSAGES}"));
    assert_eq!(twice.as_deref(), Some("message_start twice"));
    let headless = judge(MESSAGES.replacen(&start, "", 1));
    assert_eq!(headless.as_deref(), Some("not one message_start in front"));
    let end = "event: message_delta";
    let again = r#"event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":2}}

event: message_delta"#;
    let twice = judge(MESSAGES.replacen(end, again, 1));
    assert_eq!(twice.as_deref(), Some("two stop reasons"));
    let block = r#"event: content_block_start
data: {"type":"content_block_start","index":3,"content_block":{"type":"text","text":""}}

event: message_stop"#;
    let late = judge(MESSAGES.replacen("event: message_stop", block, 1));
    assert_eq!(late.as_deref(), Some("a block after the stop reason"));
}

const GEMINI: &str = r#"data: {"candidates":[{"content":{"parts":[{"text":"t1","thought":true}],"role":"model"},"index":0}],"modelVersion":"m","responseId":"r"}

data: {"candidates":[{"content":{"parts":[{"text":"w1 w2"}],"role":"model"},"index":0}],"modelVersion":"m","responseId":"r"}

data: {"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"x":1}}}],"role":"model"},"index":0}],"modelVersion":"m","responseId":"r"}

data: {"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},"index":0,"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":2,"totalTokenCount":3},"modelVersion":"m","responseId":"r"}

"#;

const GEMINI_RULES: &[Rule] = &[
    (r#""responseId":"r""#, r#""responseId":"q""#, "more than one id"),
    (r#""modelVersion":"m""#, r#""modelVersion":"n""#, "more than one model"),
    (r#""role":"model""#, r#""role":"user""#, "a role that is not the model's"),
    (r#""index":0"#, r#""index":1"#, "a candidate that was not asked for"),
    (r#""text":"w1 w2""#, r#""text":["w1 w2"]"#, "a text that is no text"),
    (r#"{"text":"w1 w2"}"#, r#"{"word":"w1 w2"}"#, "a part that the dialect does not have"),
    (r#""name":"f""#, r#""name":"""#, "a call without an id or a name"),
    (r#""args":{"x":1}"#, r#""args":"{}""#, "arguments that are no object"),
    (
        r#""finishReason":"STOP""#,
        r#""finishReason":"stop""#,
        "a finish reason that the dialect does not have",
    ),
    (r#""usageMetadata":{"#, r#""x":{"#, "an end without usage"),
    (r#""totalTokenCount":3"#, r#""totalTokenCount":2"#, "usage that does not add up"),
    (r#"data: {"candidates":["#, "event: x\ndata: {\"candidates\":[", "an event with a name"),
    (r#""candidates":[{"#, r#""candidates":[],"x":[{"#, "a chunk without a candidate"),
    (
        r#""index":0}]"#,
        r#""index":0,"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1,"totalTokenCount":1}"#,
        "something follows the end",
    ),
    (
        r#"data: {"candidates""#,
        r#"data: {"error":{"message":"x"},"candidates""#,
        "an error that is not alone",
    ),
];

#[test]
fn every_rule_of_gemini_is_seen() {
    every_rule_is_seen("gemini", GEMINI, GEMINI_RULES);
    let elements: Vec<&str> =
        GEMINI.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    let array = format!("[{}]", elements.join(",\r\n"));
    let verdict = judge_stream("gemini", array.as_bytes());
    assert_eq!((verdict.text.as_str(), verdict.is_whole, verdict.corrupt), ("w1 w2", true, None));
    let open = judge_stream("gemini", array.trim_end_matches(']').as_bytes());
    assert_eq!(open.corrupt.as_deref(), Some("an array that has no end"));
}

const RESPONSES: &str = include_str!("responses.sse");

const RESPONSES_RULES: &[Rule] = &[
    (
        r#""sequence_number":3"#,
        r#""sequence_number":4"#,
        "a sequence number that does not follow the last",
    ),
    ("event: response.created", "event: x", "an event whose name is not its type"),
    (r#""id":"resp_1""#, r#""id":"resp_2""#, "more than one id"),
    (r#""model":"m""#, r#""model":"n""#, "more than one model"),
    (r#""object":"response""#, r#""object":"x""#, "a response without its object"),
    (
        r#""status":"in_progress""#,
        r#""status":"completed""#,
        "a status that does not fit its event",
    ),
    (
        r#""output_index":1,"item":{"id":"msg_1""#,
        r#""output_index":2,"item":{"id":"msg_1""#,
        "an index that does not follow the last",
    ),
    (r#""item":{"id":"msg_1","#, r#""item":{"#, "an item without an id or a type"),
    (r#""item":{"id":"msg_1","#, r#""item":{"id":"rs_1","#, "two items with one id"),
    (r#""call_id":"call_1","#, "", "a call without an id or a name"),
    (r#""item_id":"msg_1","#, r#""item_id":"msg_2","#, "an item id that is not its item's"),
    (r#""delta":"w1""#, r#""x":"w1""#, "a delta without its content"),
    (r#""content_index":0,"delta""#, r#""content_index":1,"delta""#, "content outside of a part"),
    (
        r#""content_index":0,"part""#,
        r#""content_index":1,"part""#,
        "an index that does not follow the last",
    ),
    (
        r#""text":"w1 w2","logprobs":[]}"#,
        r#""text":"w1","logprobs":[]}"#,
        "a text that differs from its deltas",
    ),
    (
        r#""part":{"type":"output_text","text":"w1 w2""#,
        r#""part":{"type":"output_text","text":"w1""#,
        "a text that differs from its deltas",
    ),
    (
        r#""part":{"type":"output_text","text":"""#,
        r#""part":{"type":"output_text","text":"w0""#,
        "a part with content at its start",
    ),
    (
        r#""content":[{"type":"output_text","text":"w1 w2""#,
        r#""content":[{"type":"output_text","text":"w1""#,
        "an item that differs from its events",
    ),
    (
        r#""arguments":"{\"x\":1}"}"#,
        r#""arguments":"{\"x\":2}"}"#,
        "arguments that differ from their deltas",
    ),
    (r#""delta":"1}""#, r#""delta":"1""#, "arguments that differ from their deltas"),
    (r#""total_tokens":3"#, r#""total_tokens":4"#, "usage that does not add up"),
    (
        r#""type":"message","status":"completed""#,
        r#""type":"reasoning","status":"completed""#,
        "an item that changes its type",
    ),
    (
        r#""output":[{"id":"rs_1""#,
        r#""output":[{"id":"rs_2""#,
        "an output that differs from its items",
    ),
];

#[test]
fn every_rule_of_responses_is_seen() {
    every_rule_is_seen("openai-responses", RESPONSES, RESPONSES_RULES);
}

/// The stream without some of its events, numbered anew.
fn renumbered(skip: impl Fn(usize, &str) -> bool) -> String {
    let kept = RESPONSES.split_inclusive("\n\n").enumerate().filter(|(n, event)| !skip(*n, event));
    let renumber = |(number, (n, event)): (usize, (usize, &str))| {
        let (old, new) =
            (format!("\"sequence_number\":{n},"), format!("\"sequence_number\":{number},"));
        event.replace(&old, &new)
    };
    kept.enumerate().map(renumber).collect()
}

#[test]
fn no_event_of_responses_may_be_left_out() {
    for (skip, event) in RESPONSES.split_inclusive("\n\n").enumerate() {
        let verdict = judge_stream("openai-responses", renumbered(|n, _| n == skip).as_bytes());
        let is_progress = event.contains("event: response.in_progress");
        let is_seen = verdict.corrupt.is_some() || !verdict.is_whole;
        assert_eq!(is_seen, !is_progress, "without {event}");
    }
    for (name, rule) in [
        ("response.content_part.done", "an item that ends before its parts"),
        ("response.output_text.done", "a part that ends before its text"),
        ("response.function_call_arguments.done", "an item that ends before its arguments"),
    ] {
        let text = renumbered(|_, event| event.starts_with(&format!("event: {name}\n")));
        let verdict = judge_stream("openai-responses", text.as_bytes());
        assert_eq!(verdict.corrupt.as_deref(), Some(rule), "without {name}");
    }
}

#[test]
fn errors_are_neither_whole_nor_corrupt() {
    let failed = r#"event: response.failed
data: {"type":"response.failed","sequence_number":2,"response":{"id":"resp_1","object":"response","model":"m","status":"failed","error":{"code":"server_error","message":"x"}}}

"#;
    let head: String = RESPONSES.split_inclusive("\n\n").take(2).collect();
    for (dialect, stream) in [
        ("openai-chat", "data: {\"error\":{\"message\":\"x\"}}\n\n".to_owned()),
        (
            "anthropic-messages",
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\
             \"message\":\"x\"}}\n\n"
                .to_owned(),
        ),
        ("gemini", "data: {\"error\":{\"code\":503,\"message\":\"x\"}}\n\n".to_owned()),
        ("openai-responses", format!("{head}{failed}")),
    ] {
        let verdict = judge_stream(dialect, stream.as_bytes());
        assert!(verdict.is_error && !verdict.is_whole, "{dialect}");
        assert_eq!(verdict.corrupt, None, "{dialect}");
        let mute = judge_stream(dialect, stream.replace("message\":\"x", "m\":\"").as_bytes());
        assert_eq!(mute.corrupt.as_deref(), Some("an error without a message"), "{dialect}");
        let more = judge_stream(dialect, format!("{stream}{stream}").as_bytes());
        assert_eq!(more.corrupt.as_deref(), Some("something follows the end"), "{dialect}");
    }
}

#[test]
fn words_are_counted_one_by_one() {
    let words = |text: &str| Verdict { text: text.to_owned(), ..Verdict::default() }.words(4);
    assert_eq!(words("w1 w2 w3 w4"), (0, 0));
    assert_eq!(words("w1 w2 w4"), (1, 0));
    assert_eq!(words("w1 w2 w2 w3 w4"), (0, 1));
    assert_eq!(words("w2 w1 w3 w4"), (0, 1));
    assert_eq!(words(""), (4, 0));
}

const WHOLE: [(&str, &str); 4] = [
    (
        "openai-chat",
        r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"message":{"role":"assistant","content":"w1 w2","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#,
    ),
    (
        "anthropic-messages",
        r#"{"id":"c","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"w1 w2"},{"type":"tool_use","id":"a","name":"f","input":{}}],"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":2},"error":null}"#,
    ),
    (
        "gemini",
        r#"{"candidates":[{"content":{"parts":[{"text":"w1 w2"},{"functionCall":{"name":"f","args":{}}}]},"finishReason":"STOP"}],"modelVersion":"m","usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":2,"totalTokenCount":3}}"#,
    ),
    (
        "openai-responses",
        r#"{"id":"c","object":"response","model":"m","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"w1 w2"}]},{"type":"function_call","call_id":"a","name":"f","arguments":"{}"}],"usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3}}"#,
    ),
];

#[test]
fn whole_answers_are_read_in_every_dialect() {
    for (dialect, body) in WHOLE {
        let verdict = judge_whole(dialect, body.as_bytes());
        assert_eq!((verdict.corrupt, verdict.is_whole), (None, true), "{dialect}");
        assert_eq!((verdict.text.as_str(), verdict.output_tokens), ("w1 w2", Some(2)));
        assert_eq!(verdict.calls, [("f".to_owned(), json!({}))], "{dialect}");
        for (other, _) in WHOLE.iter().filter(|(other, _)| *other != dialect) {
            let verdict = judge_whole(other, body.as_bytes());
            assert!(verdict.corrupt.is_some(), "{dialect} is not {other}");
        }
        for (find, replace) in [
            ("\"m\"", "\"\""),
            ("\"name\":\"f\"", "\"name\":\"\""),
            ("\"output_tokens\":2", "\"x\":2"),
            ("\"total_tokens\":3", "\"total_tokens\":4"),
            ("\"totalTokenCount\":3", "\"totalTokenCount\":2"),
            ("\"finish_reason\":\"tool_calls\"", "\"finish_reason\":\"stop\""),
            ("\"stop_reason\":\"tool_use\"", "\"stop_reason\":\"end_turn\""),
            ("\"finishReason\":\"STOP\"", "\"x\":1"),
            ("\"status\":\"completed\"", "\"status\":\"in_progress\""),
            ("\"arguments\":\"{}\"", "\"arguments\":\"{\""),
            ("\"role\":\"assistant\"", "\"role\":\"user\""),
        ] {
            let bad = body.replacen(find, replace, 1);
            let is_seen = judge_whole(dialect, bad.as_bytes()).corrupt.is_some();
            assert!(is_seen || !body.contains(find), "{dialect}: {find} -> {replace}");
        }
    }
    let error = judge_whole("gemini", br#"{"error":{"code":503,"message":"x"}}"#);
    assert!(error.is_error && !error.is_whole && error.corrupt.is_none());
    assert_eq!(judge_whole("gemini", b"<html>").corrupt.as_deref(), Some("not JSON"));
}
