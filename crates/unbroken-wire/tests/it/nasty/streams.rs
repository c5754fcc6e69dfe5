//! Cases 81 to 98: streams.

use unbroken_wire::chat::{Answer, FinishReason, StreamEvent};
use unbroken_wire::dialects::{
    ANTHROPIC_MESSAGES, AnswerFault, Dialect, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES,
};

use crate::traffic::{ReadStream, read_stream};

/// Reads a stream of these data.
fn play(dialect: &Dialect, data: &[&str]) -> ReadStream {
    let text: String = data.iter().map(|data| format!("data: {data}\n\n")).collect();
    read_stream(dialect, &[text.as_bytes()])
}

fn chat(data: &[&str]) -> ReadStream {
    play(&OPENAI_CHAT, data)
}

fn finish(stream: &ReadStream) -> Option<FinishReason> {
    stream.ended.as_ref().map(unbroken_wire::dialects::Ended::finish)
}

fn calls(stream: &ReadStream) -> Vec<(String, String, String)> {
    let answer = Answer::of_events(&stream.events);
    answer
        .tool_calls()
        .map(|call| (call.id.clone(), call.name.clone(), call.arguments.clone()))
        .collect()
}

fn call(id: &str, name: &str, arguments: &str) -> (String, String, String) {
    (id.to_owned(), name.to_owned(), arguments.to_owned())
}

const CALL: &str = r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}}]}"#;

#[test]
fn case_81_82_the_reason_is_what_the_content_says() {
    for reason in ["stop", "", "tool_calls", "tool_call"] {
        let end = format!(
            r#"{{"choices":[{{"delta":{{}},"finish_reason":"{reason}"}}],"usage":{{"prompt_tokens":1}}}}"#
        );
        let stream = chat(&[CALL, &end, "[DONE]"]);
        assert_eq!(finish(&stream), Some(FinishReason::ToolCalls), "{reason}");
    }
}

#[test]
fn case_83_a_second_reason_repeats_and_an_error_after_one_counts() {
    let text = r#"{"choices":[{"delta":{"content":"x"}}]}"#;
    let length = r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#;
    let twice = chat(&[text, length, length, "[DONE]"]);
    let finishes = twice.events.iter().filter(|e| matches!(e, StreamEvent::Finish(_))).count();
    assert_eq!((finishes, finish(&twice)), (1, Some(FinishReason::Length)));
    let error = r#"{"error":{"code":502,"message":"gone"},"choices":[]}"#;
    let failed = chat(&[text, length, error, "[DONE]"]);
    assert!(failed.ended.is_none() && failed.error.is_some());
}

#[test]
fn a_call_behind_a_reason_needs_one_of_its_own() {
    let whole = |id: &str, end: &str| {
        format!(
            r#"{{"choices":[{{"delta":{{"tool_calls":[{{"id":"{id}","function":{{"name":"f","arguments":"{{}}"}}}}]}},"finish_reason":{end}}}]}}"#
        )
    };
    let (first, open) = (whole("a", "\"tool_calls\""), whole("b", "null"));
    let second = whole("b", "\"tool_calls\"");
    assert_eq!(finish(&chat(&[&first])), Some(FinishReason::ToolCalls));
    assert_eq!(finish(&chat(&[&first, &open])), None);
    assert_eq!(finish(&chat(&[&first, &open, "[DONE]"])), Some(FinishReason::ToolCalls));
    assert_eq!(finish(&chat(&[&first, &second])), Some(FinishReason::ToolCalls));
}

#[test]
fn case_84_85_calls_are_told_by_their_ids_and_named_once() {
    let fragment = |index: &str, id: &str, name: &str, arguments: &str| {
        format!(
            r#"{{"choices":[{{"delta":{{"tool_calls":[{{{index}"id":"{id}","function":{{"name":"{name}","arguments":"{arguments}"}}}}]}}}}]}}"#
        )
    };
    let end = r#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#;
    let expected = [call("a", "f", "{}"), call("b", "g", "{}")];
    for indexes in [["", ""], ["\"index\":1,", "\"index\":2,"], ["\"index\":0,", "\"index\":0,"]] {
        let stream = chat(&[
            &fragment(indexes[0], "a", "f", "{}"),
            &fragment(indexes[1], "b", "g", "{}"),
            end,
        ]);
        assert_eq!(calls(&stream), expected, "{indexes:?}");
    }
    let repeated = chat(&[
        &fragment("\"index\":0,", "a", "f", "{"),
        &fragment("\"index\":0,", "a", "f", "}"),
        end,
    ]);
    assert_eq!(calls(&repeated), [call("a", "f", "{}")]);
}

#[test]
fn case_86_what_is_said_twice_is_heard_once() {
    let stream = play(
        &OPENAI_RESPONSES,
        &[
            r#"{"type":"response.created","response":{"id":"r","model":"m"}}"#,
            r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","call_id":"a","name":"f","arguments":""}}"#,
            r#"{"type":"response.function_call_arguments.delta","output_index":0,"delta":"{}"}"#,
            r#"{"type":"response.function_call_arguments.done","output_index":0,"arguments":"{}"}"#,
            r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","call_id":"a","name":"f","arguments":"{}"}}"#,
            r#"{"type":"response.completed","response":{"status":"completed","output":[{"type":"function_call","call_id":"a","name":"f","arguments":"{}"}]}}"#,
        ],
    );
    assert_eq!(calls(&stream), [call("a", "f", "{}")]);
    assert_eq!(finish(&stream), Some(FinishReason::ToolCalls));
}

#[test]
fn case_87_88_nothing_is_no_content() {
    let stream = chat(&[
        r#"{"choices":[],"prompt_filter_results":[],"model":""}"#,
        r#"{"choices":[{"delta":{"role":"","content":null}}]}"#,
        r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#,
        r#"{"choices":[{"delta":{}}]}"#,
    ]);
    assert!(!stream.events.iter().any(StreamEvent::is_content), "{:?}", stream.events);
    assert!(stream.ended.is_none() && stream.error.is_none());
}

#[test]
fn case_89_a_mark_after_the_last_event_changes_nothing() {
    let stream = play(
        &OPENAI_RESPONSES,
        &[
            r#"{"type":"response.created","response":{"id":"r","model":"m"}}"#,
            r#"{"type":"response.output_text.delta","output_index":0,"delta":"x"}"#,
            r#"{"type":"response.completed","response":{"status":"completed","output":[]}}"#,
            "[DONE]",
        ],
    );
    assert_eq!(finish(&stream), Some(FinishReason::Stop));
    assert_eq!(Answer::of_events(&stream.events).text(), "x");
}

#[test]
fn case_90_98_lines_are_framed_in_every_lawful_way_and_cut_anywhere() {
    let bytes = "\u{feff}: hello\r\n\r\ndata:{\"choices\":[{\"delta\":\r\ndata: {\"content\":\"zwölf €\"}}]}\r\n\r\nevent: x\rdata: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\r\rdata: [DONE]\n\n".as_bytes();
    for size in 1..=bytes.len() {
        let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
        let stream = read_stream(&OPENAI_CHAT, &chunks);
        assert_eq!(Answer::of_events(&stream.events).text(), "zwölf €", "{size}");
        assert_eq!(finish(&stream), Some(FinishReason::Stop), "{size}");
    }
    let long = "ü".repeat(5 << 19);
    let text =
        format!(r#"{{"choices":[{{"delta":{{"content":"{long}"}},"finish_reason":"stop"}}]}}"#);
    let bytes = format!("data: {text}\n\n").into_bytes();
    let chunks: Vec<&[u8]> = bytes.chunks(65_537).collect();
    let stream = read_stream(&OPENAI_CHAT, &chunks);
    assert_eq!(Answer::of_events(&stream.events).text().len(), long.len());
}

#[test]
fn case_93_the_last_count_counts() {
    let stream = play(
        &ANTHROPIC_MESSAGES,
        &[
            r#"{"type":"message_start","message":{"id":"m","model":"c","usage":{"input_tokens":3,"output_tokens":1}}}"#,
            r#"{"type":"message_delta","delta":{},"usage":{"output_tokens":5}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":90,"output_tokens":9}}"#,
            r#"{"type":"message_stop"}"#,
        ],
    );
    let usage = stream.ended.unwrap().usage().unwrap();
    assert_eq!((usage.input, usage.output), (90, 9));
}

#[test]
fn case_94_without_a_reason_gemini_has_not_ended() {
    let empty = r#"{"candidates":[{}],"usageMetadata":{"promptTokenCount":1}}"#;
    let text = r#"{"candidates":[{"content":{"parts":[{"text":"x"}]}}]}"#;
    let stream = play(&GEMINI, &[text, empty, r#"{"usageMetadata":{"promptTokenCount":1}}"#]);
    assert!(stream.ended.is_none() && stream.error.is_none());
    assert_eq!(Answer::of_events(&stream.events).text(), "x");
}

#[test]
fn case_95_a_malformed_call_is_the_targets_failure() {
    for reason in ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"] {
        let body = format!(r#"{{"candidates":[{{"content":{{}},"finishReason":"{reason}"}}]}}"#);
        assert!(play(&GEMINI, &[&body]).ended.is_none(), "{reason}");
        let whole = (GEMINI.read_answer)(body.as_bytes());
        assert!(matches!(whole, Err(AnswerFault::Malformed(_))), "{reason}");
    }
}

/// An answer without anything in it can be read; whether it is good enough is the engine's matter.
#[test]
fn case_96_an_empty_answer_is_an_answer() {
    let claude = br#"{"content":[],"stop_reason":"end_turn","usage":{"output_tokens":2}}"#;
    assert_eq!((ANTHROPIC_MESSAGES.read_answer)(claude).unwrap().finish, FinishReason::Stop);
    let chat = br#"{"choices":[{"message":{"content":""},"finish_reason":"stop"}]}"#;
    assert_eq!((OPENAI_CHAT.read_answer)(chat).unwrap().finish, FinishReason::Stop);
}
