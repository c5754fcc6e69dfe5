//! What does a translation cost? In this process, beside a plain parse of the same bytes.
//!
//! Each figure is a ratio of two times of one round, taken in turns, so that another machine gives
//! about the same.

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use unbroken_wire::dialects::{
    ANTHROPIC_MESSAGES, BEDROCK_CONVERSE, COHERE_CHAT, Dialect, Ended, GEMINI, OPENAI_CHAT,
    OPENAI_RESPONSES, RequestHead, StreamHead,
};
use unbroken_wire::sse;

use crate::Failed;

/// So many rounds, of which the middle counts.
const ROUNDS: usize = 9;
/// Each side of a round takes about so long.
const SIDE: Duration = Duration::from_millis(25);
/// Sizes of requests and answers, in KB.
const SIZES: [usize; 3] = [4, 40, 1_024];
/// Texts in a stream.
const EVENTS: usize = 400;

/// Prints the tables.
pub(crate) fn run() -> Result<(), Failed> {
    println!("\n| request from a client of Chat Completions | 4 KB | 40 KB | 1 MB |");
    println!("| --- | --: | --: | --: |");
    row("same dialect: the model replaced", |body| drop(black_box(splice(body))), request)?;
    for target in targets() {
        let name = format!("to {}", target.name);
        row(&name, |body| drop(black_box(translate(body, target))), request)?;
    }
    println!("\n| whole answer for that client | 4 KB | 40 KB | 1 MB |");
    println!("| --- | --: | --: | --: |");
    for (target, answer) in answers() {
        let name = format!("from {}", target.name);
        row(&name, |body| drop(black_box(answered(body, target))), answer)?;
    }
    println!("\n| stream for that client | per event |\n| --- | --: |");
    for (target, stream) in streams() {
        println!("| from {} | {} |", target.name, streamed(target, &stream)?);
    }
    Ok(())
}

fn targets() -> [&'static Dialect; 5] {
    [&OPENAI_RESPONSES, &ANTHROPIC_MESSAGES, &GEMINI, &BEDROCK_CONVERSE, &COHERE_CHAT]
}

/// A row: the work at each size, as a ratio to a parse of the same bytes.
fn row(name: &str, work: impl Fn(&[u8]), body: impl Fn(usize) -> Vec<u8>) -> Result<(), Failed> {
    let mut cells = Vec::new();
    for size in SIZES {
        let body = body(size * 1024);
        work(&body);
        cells.push(ratio(|| parse(&body), || work(&body)));
    }
    println!("| {name} | {} |", cells.join(" | "));
    Ok(())
}

fn parse(body: &[u8]) {
    drop(black_box(serde_json::from_slice::<Value>(black_box(body)).ok()));
}

fn splice(body: &[u8]) -> Option<Vec<u8>> {
    (OPENAI_CHAT.replace_model)(black_box(body), None, "another").ok()
}

fn translate(body: &[u8], target: &Dialect) -> Option<Vec<u8>> {
    let head = RequestHead { model_in_path: Some("m"), stream_in_path: false, outline: None };
    let chat = (OPENAI_CHAT.read_request)(&head, black_box(body)).ok()?;
    (target.write_request)(&chat, "m").ok().map(|written| written.body)
}

fn answered(body: &[u8], target: &Dialect) -> Option<Vec<u8>> {
    let answer = (target.read_answer)(black_box(body)).ok()?;
    Some((OPENAI_CHAT.write_answer)(&answer, &StreamHead::default()))
}

/// One time divided by another, in turns: the middle, the least and the most.
fn ratio(mut base: impl FnMut(), mut work: impl FnMut()) -> String {
    let mut ratios: Vec<f64> =
        (0..ROUNDS).map(|_| time(&mut base)).map(|base| time(&mut work) / base).collect();
    ratios.sort_by(f64::total_cmp);
    let at = |place: usize| ratios.get(place).copied().unwrap_or(f64::NAN);
    format!("{:.2} ({:.2}-{:.2})", at(ROUNDS / 2), at(0), at(ROUNDS - 1))
}

/// Seconds for one time.
fn time(work: &mut impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut count = 0_u32;
    while start.elapsed() < SIDE {
        work();
        count += 1;
    }
    start.elapsed().as_secs_f64() / f64::from(count.max(1))
}

/// A conversation of about so many bytes: turns, a tool and its results, escapes in the text.
fn request(bytes: usize) -> Vec<u8> {
    let said = "The quick brown fox said \"no\",\nand the l\u{e4}zy dog agreed. ".repeat(8);
    let mut messages = vec![json!({ "role": "system", "content": "Be brief." })];
    let mut n = 0;
    while messages.len() * 480 < bytes {
        let id = format!("call_{n}");
        let function = json!({ "name": "look_up", "arguments": "{\"key\":\"a\"}" });
        messages.push(json!({ "role": "user", "content": said }));
        if n % 4 == 0 {
            let call = json!({ "id": id, "type": "function", "function": function });
            messages.push(json!({ "role": "assistant", "content": null, "tool_calls": [call] }));
            messages.push(json!({ "role": "tool", "tool_call_id": id, "content": said }));
        }
        messages.push(json!({ "role": "assistant", "content": said }));
        n += 1;
    }
    messages.push(json!({ "role": "user", "content": "Go on." }));
    let schema = json!({ "type": "object", "properties": { "key": { "type": "string" } } });
    let tool = json!({ "name": "look_up", "description": "Looks up", "parameters": schema });
    let body = json!({
        "model": "m", "messages": messages, "max_tokens": 500, "temperature": 0.5,
        "tools": [{ "type": "function", "function": tool }],
    });
    body.to_string().into_bytes()
}

type Body = fn(usize) -> Vec<u8>;

fn said(bytes: usize) -> String {
    "The quick brown fox said \"no\",\nand the l\u{e4}zy dog agreed. ".repeat(bytes / 60 + 1)
}

fn answers() -> [(&'static Dialect, Body); 4] {
    [
        (&ANTHROPIC_MESSAGES, |bytes| {
            let content = json!([{ "type": "text", "text": said(bytes) }]);
            let usage = json!({ "input_tokens": 1, "output_tokens": 2 });
            json!({ "id": "msg_1", "type": "message", "role": "assistant", "model": "m",
                "content": content, "stop_reason": "end_turn", "usage": usage })
            .to_string()
            .into_bytes()
        }),
        (&GEMINI, |bytes| {
            let content = json!({ "role": "model", "parts": [{ "text": said(bytes) }] });
            json!({ "candidates": [{ "content": content, "finishReason": "STOP" }] })
                .to_string()
                .into_bytes()
        }),
        (&BEDROCK_CONVERSE, |bytes| {
            let message = json!({ "role": "assistant", "content": [{ "text": said(bytes) }] });
            json!({ "output": { "message": message }, "stopReason": "end_turn" })
                .to_string()
                .into_bytes()
        }),
        (&COHERE_CHAT, |bytes| {
            let content = json!([{ "type": "text", "text": said(bytes) }]);
            let message = json!({ "role": "assistant", "content": content });
            json!({ "id": "a", "message": message, "finish_reason": "COMPLETE" })
                .to_string()
                .into_bytes()
        }),
    ]
}

fn streams() -> [(&'static Dialect, String); 4] {
    let many = |event: &dyn Fn(String) -> String| -> String {
        (0..EVENTS).map(|n| event(format!(" word{n}"))).collect()
    };
    let messages = many(&|word| {
        let delta = json!({ "type": "text_delta", "text": word });
        let data = json!({ "type": "content_block_delta", "index": 0, "delta": delta });
        format!("event: content_block_delta\ndata: {data}\n\n")
    });
    let gemini = many(&|word| {
        let content = json!({ "role": "model", "parts": [{ "text": word }] });
        let usage = json!({ "promptTokenCount": 5, "totalTokenCount": 9 });
        let data = json!({ "candidates": [{ "content": content, "index": 0 }],
            "usageMetadata": usage, "modelVersion": "m", "responseId": "r" });
        format!("data: {data}\r\n\r\n")
    });
    let converse = many(&|word| {
        let data = json!({ "contentBlockIndex": 0, "delta": { "text": word } });
        format!("event: contentBlockDelta\ndata: {data}\n\n")
    });
    let cohere = many(&|word| {
        let message = json!({ "message": { "content": { "text": word } } });
        let data = json!({ "type": "content-delta", "index": 0, "delta": message });
        format!("event: content-delta\ndata: {data}\n\n")
    });
    [
        (&ANTHROPIC_MESSAGES, messages),
        (&GEMINI, gemini),
        (&BEDROCK_CONVERSE, converse),
        (&COHERE_CHAT, cohere),
    ]
}

/// Framing, reading and writing of a stream, as a ratio to a parse of its events' data.
fn streamed(target: &Dialect, stream: &str) -> Result<String, Failed> {
    let data: Vec<&str> = stream.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    let told = relay(target, stream)?;
    if told.windows(4).filter(|four| four == b"word").count() != EVENTS {
        return Err(format!("{} lost some of its stream", target.name).into());
    }
    let base = || data.iter().for_each(|data| parse(data.as_bytes()));
    Ok(ratio(base, || drop(black_box(relay(target, black_box(stream))))))
}

fn relay(target: &Dialect, stream: &str) -> Result<Vec<u8>, Failed> {
    let mut parser = sse::Parser::new();
    let mut reader = (target.stream_reader)();
    let mut writer = (OPENAI_CHAT.stream_writer)(&StreamHead::default());
    let (mut events, mut out) = (Vec::new(), Vec::new());
    parser.push(stream.as_bytes()).map_err(|_| "an event is too long")?;
    while let Some(event) = parser.next_event() {
        reader.read(&event, &mut events)?;
        events.drain(..).for_each(|event| writer.write(&event, &mut out));
    }
    writer.end(&Ended::at_a_stop(None), &mut out);
    Ok(out)
}
