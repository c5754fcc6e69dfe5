//! Streams that break in thinking, tool calls, JSON, code and many-byte text.

use unbroken::providers::{self, Provider};
use unbroken_drill::fake_provider::{FakeProvider, Manner, Says};
use unbroken_drill::fault::{CutKind, Fault};
use unbroken_wire::dialects::Dialect;

use crate::seams::{
    PROVIDERS, World, faults, judged, natural_end, pairs, plain, whole, with, words,
};
use crate::seams_manners::cut;

fn tools(dialect: &Dialect) -> String {
    let schema =
        r#"{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"}}}"#;
    let tool = match dialect.name {
        "gemini" => format!(
            r#","tools":[{{"functionDeclarations":[{{"name":"weather","parameters":{schema}}}]}}]"#
        ),
        "anthropic-messages" => {
            format!(r#","tools":[{{"name":"weather","input_schema":{schema}}}]"#)
        }
        _ => format!(
            r#","tools":[{{"type":"function","function":{{"name":"weather","parameters":{schema}}}}}]"#
        ),
    };
    with(dialect, "call weather", &tool)
}

fn speak(world: &World, manner: &Manner) {
    let set = |fake: &FakeProvider| fake.set_manner("m", manner.clone());
    set(&world.first);
    set(&world.second);
}

/// Every pair of dialects and every client, for one fault.
async fn everywhere<F, Fut>(fault: Fault, manner: &Manner, body: fn(&Dialect) -> String, check: F)
where
    F: Fn(&'static Provider, &'static Provider, &'static Dialect, Vec<u8>) -> Fut + Copy,
    Fut: Future<Output = ()>,
{
    let cases = pairs().map(|(first, second)| async move {
        let world = World::new(first, second).await;
        speak(&world, manner);
        world.first.fault(fault);
        for client in PROVIDERS.map(|provider| provider.dialect) {
            let (_, bytes) = world.ask(client, &body(client)).await;
            check(first, second, client, bytes).await;
        }
    });
    futures_util::future::join_all(cases).await;
}

#[tokio::test]
async fn a_tool_call_is_delivered_once_and_whole_wherever_its_stream_breaks() {
    let manner = Manner { words_before_calls: 5, ..Manner::default() };
    for after in [3, 6, 8, 11] {
        for fault in faults(after).into_iter().take(5) {
            everywhere(fault, &manner, tools, |first, second, client, bytes| async move {
                let (from, to) = (first.dialect.name, second.dialect.name);
                let case = format!("{fault:?}: {} from {from} to {to}", client.name);
                let answer = whole(client, &bytes, &case);
                assert_eq!(answer.calls.len(), 1, "{case}: {answer:?}");
                let (name, arguments) = &answer.calls[0];
                assert_eq!(name, "weather", "{case}");
                let expected = serde_json::json!({ "city": "Berlin", "days": 7 });
                assert_eq!(*arguments, expected, "{case}");
                assert_eq!(answer.text, "w1 w2 w3 w4 w5", "{case}");
            })
            .await;
        }
    }
}

#[tokio::test]
async fn calls_that_pass_as_they_come_break_honestly() {
    for client in PROVIDERS.map(|provider| provider.dialect) {
        let mut world = World::new(&providers::ANTHROPIC, &providers::OPENAI_COMPATIBLE).await;
        world.route.stream.hold_tool_calls = false;
        world.first.fault(cut(4));
        let (_, bytes) = world.ask(client, &tools(client)).await;
        let verdict = judged_open(client, &bytes);
        assert!(verdict.is_error && !verdict.is_whole, "{}: {verdict:?}", client.name);
        assert!(world.second.journal().is_empty() || client.name == "gemini", "{}", client.name);
    }
}

/// The judge wants whole calls; these are cut on purpose.
fn judged_open(client: &Dialect, bytes: &[u8]) -> unbroken_drill::scorekeeper::Verdict {
    unbroken_drill::scorekeeper::judge_stream_with_usage(client.name, bytes, true)
}

#[tokio::test]
async fn thinking_that_breaks_is_closed_and_the_answer_follows() {
    let manner = Manner { thinking_words: 10, ..Manner::default() };
    for after in [1, 5, 9] {
        everywhere(cut(after), &manner, plain, |first, second, client, bytes| async move {
            let (from, to) = (first.dialect.name, second.dialect.name);
            let case = format!("{} from {from} to {to}", client.name);
            let answer = whole(client, &bytes, &case);
            assert_eq!(answer.text, words(), "{case}");
            assert_eq!(answer.finish.as_deref(), Some(natural_end(client)), "{case}");
            assert!(answer.thinking.contains("t1"), "{case}: {}", answer.thinking);
        })
        .await;
    }
    // After the thinking, in the text: the thinking is not told again.
    everywhere(cut(30), &manner, plain, |first, second, client, bytes| async move {
        let (from, to) = (first.dialect.name, second.dialect.name);
        let case = format!("{} from {from} to {to}", client.name);
        let answer = whole(client, &bytes, &case);
        assert_eq!(answer.text, words(), "{case}");
        assert_eq!(answer.thinking.matches("t10").count(), 1, "{case}: {}", answer.thinking);
    })
    .await;
}

#[tokio::test]
async fn code_and_many_byte_text_are_joined_exactly() {
    for (says, after) in
        [(Says::Code, 40), (Says::Code, 77), (Says::Multibyte, 7), (Says::Multibyte, 20)]
    {
        let manner = Manner { says, words: Some(24), ..Manner::default() };
        let world = World::new(&providers::ANTHROPIC, &providers::OPENAI_COMPATIBLE).await;
        speak(&world, &manner);
        let client = providers::ANTHROPIC.dialect;
        let (_, bytes) = world.ask(client, &plain(client)).await;
        let expected = whole(client, &bytes, "unbroken").text;
        let expected = &expected;
        for how in [CutKind::Reset, CutKind::Close] {
            let fault = Fault::CutStream { after_words: after, how, inside_event: true };
            everywhere(fault, &manner, plain, |first, second, client, bytes| async move {
                let (from, to) = (first.dialect.name, second.dialect.name);
                let case = format!("after {after}: {} from {from} to {to}", client.name);
                assert_eq!(whole(client, &bytes, &case).text, *expected, "{case}");
            })
            .await;
        }
    }
}

fn json(dialect: &Dialect) -> String {
    match dialect.name {
        "gemini" => {
            with(dialect, "Count", r#","generationConfig":{"responseMimeType":"application/json"}"#)
        }
        "anthropic-messages" => with(
            dialect,
            "Count",
            r#","output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}}"#,
        ),
        _ => with(dialect, "Count", r#","response_format":{"type":"json_object"}"#),
    }
}

#[tokio::test]
async fn json_that_breaks_is_one_json_in_the_end() {
    let manner = Manner { says: Says::Json, ..Manner::default() };
    everywhere(cut(15), &manner, json, |first, second, client, bytes| async move {
        let (from, to) = (first.dialect.name, second.dialect.name);
        let case = format!("{} from {from} to {to}", client.name);
        let answer = whole(client, &bytes, &case);
        let value: serde_json::Value = serde_json::from_str(&answer.text)
            .unwrap_or_else(|e| panic!("{case}: {e}: {}", answer.text));
        assert_eq!(value["words"], words(), "{case}");
    })
    .await;
}

#[tokio::test]
async fn json_that_goes_on_otherwise_is_no_answer() {
    let client = providers::OPENAI_COMPATIBLE.dialect;
    let world = World::new(&providers::OPENAI_COMPATIBLE, &providers::OPENAI_COMPATIBLE).await;
    world.first.set_manner("m", Manner { says: Says::Json, ..Manner::default() });
    world.second.set_manner("m", Manner { says: Says::Json, words: Some(7), ..Manner::default() });
    world.first.fault(cut(15));
    let (_, bytes) = world.ask(client, &json(client)).await;
    let verdict = judged(client, &bytes, "other JSON");
    assert!(verdict.is_error && verdict.finish.is_none(), "{verdict:?}");
}
