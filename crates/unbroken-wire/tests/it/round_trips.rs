//! Round trips: generated conversations go from every dialect through every other one and back, and
//! what both can express is what it was.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use unbroken_wire::chat::{
    Answer, Block, Chat, FinishReason, OutputFormat, Role, Source, Tool, ToolCall, ToolChoice,
    Turn, Usage,
};
use unbroken_wire::dialects::{
    BEDROCK_CONVERSE, COHERE_CHAT, DIALECTS, Dialect, OF_TARGETS, RequestHead, StreamHead,
};

use crate::natives::{cohere_body, cohere_stream, converse_body, converse_stream};
use crate::sequence;
use crate::traffic::{read_stream, write_events};

/// Conversations per pair of dialects.
const CASES: u32 = 24;

fn runner() -> TestRunner {
    TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() })
}

/// Text with everything that has broken a format before, and no white space at its ends.
fn text() -> impl Strategy<Value = String> {
    "[A-Za-zäß€😀\"\\\\{}<&:%]([A-Za-z0-9 \\n\\t\"\\\\{}<>&äß€😀]{0,20}[a-z😀\"])?"
}

fn name() -> impl Strategy<Value = String> {
    "[a-z][a-zA-Z0-9_-]{0,12}"
}

fn arguments() -> impl Strategy<Value = String> {
    proptest::collection::btree_map("[a-z]{1,4}", text(), 0..3)
        .prop_map(|map| json!(map).to_string())
}

/// What a turn of the conversation is made of.
#[derive(Clone, Debug)]
struct Exchange {
    asked: Vec<String>,
    image: bool,
    answered: Option<String>,
    calls: Vec<(String, String, String)>,
}

fn exchange() -> impl Strategy<Value = Exchange> {
    (
        proptest::collection::vec(text(), 1..3),
        any::<bool>(),
        proptest::option::of(text()),
        proptest::collection::vec((name(), arguments(), "[a-z]{1,9} €"), 0..3),
    )
        .prop_map(|(asked, image, answered, calls)| Exchange { asked, image, answered, calls })
}

fn chat() -> impl Strategy<Value = Chat> {
    (
        proptest::option::of(text()),
        proptest::collection::vec(exchange(), 0..4),
        text(),
        // A history with calls is given their tools where they are missing.
        proptest::collection::btree_set(name(), 1..3),
        // One API demands a limit.
        16_u64..4_000,
        any::<(bool, bool, bool)>(),
    )
        .prop_map(|(system, exchanges, last, tools, max_tokens, (forced, schema, stream))| {
            let tools: Vec<Tool> = tools.into_iter().map(tool).collect();
            let tool_choice =
                tools.first().filter(|_| forced).map(|t| ToolChoice::Named(t.name.clone()));
            Chat {
                model: "m".to_owned(),
                stream,
                system: system.into_iter().collect(),
                turns: turns(exchanges, last),
                tools,
                tool_choice,
                output: if schema { answer_format() } else { OutputFormat::Text },
                max_tokens: Some(max_tokens),
                choices: 1,
                ..Chat::default()
            }
        })
}

fn tool(name: String) -> Tool {
    let schema = json!({ "type": "object", "properties": { "a": { "type": "string" } } });
    Tool { name, description: Some("does it".to_owned()), schema, strict: None, is_custom: false }
}

fn answer_format() -> OutputFormat {
    let schema = json!({
        "type": "object", "properties": {}, "additionalProperties": false,
    });
    OutputFormat::Schema { name: "answer".to_owned(), schema, strict: None }
}

fn turns(exchanges: Vec<Exchange>, last: String) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::new();
    let mut results: Vec<Block> = Vec::new();
    for (n, exchange) in exchanges.into_iter().enumerate() {
        let mut asked = std::mem::take(&mut results);
        asked.extend(exchange.asked.into_iter().map(Block::Text));
        if exchange.image {
            let (media_type, data) = ("image/png".to_owned(), "iVBORw0KGgo=".to_owned());
            asked.push(Block::Image(Source::Base64 { media_type, data }));
        }
        turns.push(Turn { role: Role::User, blocks: asked });
        let mut answered: Vec<Block> = exchange.answered.into_iter().map(Block::Text).collect();
        for (place, (name, arguments, result)) in exchange.calls.into_iter().enumerate() {
            let id = format!("call_{n}_{place}");
            results.push(Block::ToolResult {
                call_id: id.clone(),
                name: None,
                content: vec![Block::Text(result)],
                is_error: false,
            });
            answered.push(Block::ToolCall(ToolCall { id, name, arguments }));
        }
        if answered.is_empty() {
            answered.push(Block::Text("ok".to_owned()));
        }
        turns.push(Turn { role: Role::Assistant, blocks: answered });
    }
    results.push(Block::Text(last));
    turns.push(Turn { role: Role::User, blocks: results });
    turns
}

/// Through a dialect: written for its target, read as from its client.
fn through(chat: &Chat, dialect: &Dialect) -> Chat {
    let written = (dialect.write_request)(chat, "m").unwrap();
    let head = RequestHead { model_in_path: Some("m"), stream_in_path: chat.stream, outline: None };
    (dialect.read_request)(&head, &written.body).unwrap()
}

/// What every dialect can express of a request. Texts in a row are one text; calls are known by
/// their order, because Gemini's have no ids.
fn essence(chat: &Chat) -> Value {
    let turn = |turn: &Turn| {
        let mut said: Vec<Value> = Vec::new();
        let mut texts: Vec<&str> = Vec::new();
        for block in &turn.blocks {
            match block {
                Block::Text(text) => texts.push(text),
                Block::Image(source) => said.push(json!({ "image": source.to_url() })),
                Block::ToolCall(call) => {
                    said.push(json!({ "call": call.name, "with": call.input().0 }))
                }
                Block::ToolResult { content, .. } => {
                    let text: String = content.iter().map(|block| format!("{block:?}")).collect();
                    said.push(json!({ "result": text }));
                }
                other => panic!("{other:?}"),
            }
        }
        json!({ "role": format!("{:?}", turn.role), "texts": texts.join("\n"), "said": said })
    };
    let tools: Vec<Value> =
        chat.tools.iter().map(|t| json!([t.name, t.description, t.schema])).collect();
    let format = match &chat.output {
        OutputFormat::Schema { schema, .. } => schema.clone(),
        OutputFormat::Json => json!("json"),
        OutputFormat::Text => json!("text"),
    };
    json!({
        "system": chat.system.join("\n\n"),
        "turns": chat.turns.iter().map(turn).collect::<Vec<_>>(),
        "tools": tools,
        "choice": format!("{:?}", chat.tool_choice),
        "format": format,
        "max_tokens": chat.max_tokens,
        "stream": chat.stream,
    })
}

#[test]
fn requests_survive_every_pair_of_dialects() {
    for one in DIALECTS {
        for other in DIALECTS {
            let property = |original: Chat| {
                let here = through(&original, one);
                prop_assert_eq!(essence(&here), essence(&original), "into {}", one.name);
                let there = through(&here, other);
                let back = through(&there, one);
                prop_assert_eq!(essence(&back), essence(&here), "{} by {}", one.name, other.name);
                Ok(())
            };
            if let Err(failure) = runner().run(&chat(), property) {
                panic!("{failure}");
            }
        }
    }
}

fn answer() -> impl Strategy<Value = Answer> {
    (
        proptest::option::of(text()),
        proptest::option::of(text()),
        proptest::collection::vec((name(), arguments()), 0..3),
        (0_u64..1_000, 0_u64..1_000),
    )
        .prop_map(|(thought, said, calls, (input, output))| {
            let mut blocks: Vec<Block> = Vec::new();
            blocks.extend(thought.map(|text| Block::Thinking { text, proof: None }));
            blocks.extend(said.map(Block::Text));
            let finish =
                if calls.is_empty() { FinishReason::Stop } else { FinishReason::ToolCalls };
            for (place, (name, arguments)) in calls.into_iter().enumerate() {
                let id = format!("call_{place}");
                blocks.push(Block::ToolCall(ToolCall { id, name, arguments }));
            }
            let usage = Some(Usage { input, output, ..Usage::default() });
            Answer { id: "a".to_owned(), model: "m".to_owned(), blocks, finish, usage }
        })
}

/// An answer without the names that its way gave it.
fn bare(answer: &Answer) -> (Vec<Block>, FinishReason, Option<Usage>) {
    let blocks = answer.blocks.iter().map(|block| match block {
        Block::ToolCall(call) => {
            Block::ToolCall(ToolCall { arguments: call.input().0.to_string(), ..call.clone() })
        }
        other => other.clone(),
    });
    (blocks.collect(), answer.finish, answer.usage)
}

#[test]
fn answers_and_streams_survive_every_pair_of_dialects() {
    for one in DIALECTS {
        for other in DIALECTS {
            let property = |original: Answer| {
                let mut whole = original.clone();
                let mut events = original.to_events();
                for dialect in [one, other] {
                    let written = (dialect.write_answer)(&whole, &StreamHead::default());
                    whole = (dialect.read_answer)(&written).unwrap();
                    let written = write_events(dialect, &events, original.ended());
                    sequence::check(dialect, &written, dialect.name);
                    let read = read_stream(dialect, &[&written]);
                    prop_assert!(read.ended.is_some(), "{}: {:?}", dialect.name, read.error);
                    events = read.events;
                }
                let what = format!("{} and {}", one.name, other.name);
                prop_assert_eq!(bare(&whole), bare(&original), "{}", what);
                let streamed = Answer::of_events(&events);
                prop_assert_eq!(bare(&streamed), bare(&original), "{} as a stream", what);
                Ok(())
            };
            if let Err(failure) = runner().run(&answer(), property) {
                panic!("{failure}");
            }
        }
    }
}

/// What a dialect of targets can express of a request; the rest is said in another way.
fn expressible(chat: Chat, target: &Dialect) -> Chat {
    if target.name != COHERE_CHAT.name {
        return chat;
    }
    // No tool can be named, and a form of the answer excludes tools.
    Chat { tool_choice: None, output: OutputFormat::Text, ..chat }
}

#[test]
fn requests_survive_the_way_to_targets_that_no_client_speaks_like() {
    for one in DIALECTS {
        for other in OF_TARGETS {
            let property = |original: Chat| {
                let here = through(&expressible(original, other), one);
                let there = through(&here, other);
                prop_assert_eq!(essence(&there), essence(&here), "{} to {}", one.name, other.name);
                let back = through(&there, one);
                prop_assert_eq!(essence(&back), essence(&here), "{} by {}", one.name, other.name);
                Ok(())
            };
            if let Err(failure) = runner().run(&chat(), property) {
                panic!("{failure}");
            }
        }
    }
}

#[test]
fn answers_and_streams_of_targets_that_no_client_speaks_like_reach_every_client() {
    type Says = (&'static Dialect, fn(&Answer) -> Vec<u8>, fn(&Answer) -> Vec<u8>);
    let targets: [Says; 2] = [
        (&BEDROCK_CONVERSE, converse_body, converse_stream),
        (&COHERE_CHAT, cohere_body, cohere_stream),
    ];
    for (target, whole, stream) in targets {
        for client in DIALECTS {
            let property = |original: Answer| {
                let what = format!("{} to {}", target.name, client.name);
                let read = (target.read_answer)(&whole(&original)).unwrap();
                let written = (client.write_answer)(&read, &StreamHead::default());
                let told = (client.read_answer)(&written).unwrap();
                prop_assert_eq!(bare(&told), bare(&original), "{}", what);
                let bytes = stream(&original);
                let read = read_stream(target, &[&bytes]);
                prop_assert!(read.ended.is_some(), "{}: {:?}", what, read.error);
                let written = write_events(client, &read.events, read.ended.unwrap());
                sequence::check(client, &written, &what);
                let told = read_stream(client, &[&written]);
                prop_assert_eq!(
                    bare(&Answer::of_events(&told.events)),
                    bare(&original),
                    "{}",
                    what
                );
                Ok(())
            };
            if let Err(failure) = runner().run(&answer(), property) {
                panic!("{failure}");
            }
        }
    }
}
