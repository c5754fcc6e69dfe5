use std::sync::Arc;

use unbroken_engine::deadline::Limits;
use unbroken_wire::dialects::{OPENAI_CHAT, RequestHead};

use super::coverage::{Cover, failing_edges, of_route};
use super::table::{TABLE, look_up, matches};
use super::*;
use crate::endpoint::Endpoint;
use crate::providers::{ANTHROPIC, GROQ, OPENAI, PROVIDERS, Provider};
use crate::route::Route;

fn choice(provider: &'static Provider, model: &str) -> Choice {
    let endpoint = Arc::new(Endpoint::new(provider, None));
    Choice::new(endpoint, model.to_owned())
}

fn needs(body: &str) -> Needs {
    Needs::of(&(OPENAI_CHAT.read_request)(&RequestHead::default(), body.as_bytes()).unwrap())
}

#[test]
fn patterns_match_whole_names() {
    for (pattern, name, expected) in [
        ("gpt-4", "gpt-4", true),
        ("gpt-4", "gpt-4o", false),
        ("gpt-4*", "gpt-4o", true),
        ("claude-*-4-6*", "claude-sonnet-4-6", true),
        ("claude-*-4-6*", "claude-sonnet-4-5", false),
        ("*-vl", "qwen-vl", true),
        ("*-vl", "qwen-vl-max", false),
        ("*", "anything", true),
        ("", "x", false),
    ] {
        assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
    }
}

#[test]
fn every_row_can_be_reached_and_names_a_known_provider() {
    for (index, row) in TABLE.iter().enumerate() {
        let named = row.provider.is_empty() || PROVIDERS.iter().any(|p| p.name == row.provider);
        assert!(named, "{}", row.provider);
        let name = row.pattern.replace('*', "1");
        let first = TABLE.iter().position(|other| {
            (other.provider.is_empty() || other.provider == row.provider)
                && matches(other.pattern, &name)
        });
        assert_eq!(first, Some(index), "{} is hidden by a row before it", row.pattern);
    }
}

#[test]
fn models_are_found_under_their_hosts_prefixes() {
    assert_eq!(look_up("openrouter", "openai/gpt-3.5-turbo").context, Some(16_385));
    assert_eq!(
        look_up("bedrock", "us.anthropic.claude-3-haiku-20240307-v1:0").context,
        Some(200_000)
    );
    assert_eq!(look_up("openai", "gpt-5.1").context, Some(400_000));
    assert_eq!(look_up("vllm", "my-finetune"), Abilities::default());
}

#[test]
fn needs_are_seen_wherever_they_stand() {
    let image = r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}"#;
    let needs = needs(&format!(
        r#"{{"model":"m","reasoning_effort":"low","tools":[{{"type":"function","function":{{"name":"f"}}}}],
        "messages":[{{"role":"user","content":[{image}]}}]}}"#
    ));
    let found: Vec<Need> = Need::ALL.into_iter().filter(|need| needs.has(*need)).collect();
    assert_eq!(found, [Need::Tools, Need::Images, Need::Reasoning]);
}

#[test]
fn a_known_no_is_an_obstacle_and_a_hint_is_none() {
    let groq = abilities(&choice(&GROQ, "llama-3.3-70b-versatile"));
    let with = |need| Needs::with(&[need], 10);
    assert_eq!(groq.obstacle(with(Need::Images)), Some(Obstacle::Lacks(Need::Images)));
    assert_eq!(groq.obstacle(with(Need::Reasoning)), None);
    assert_eq!(groq.obstacle(with(Need::Tools)), None);
    let long = Needs::with(&[], 200_000);
    let too_long = Obstacle::TooLong { tokens: 200_000, context: 131_072 };
    assert_eq!(groq.obstacle(long), Some(too_long));
    let near = Needs::with(&[], 140_000);
    assert_eq!(groq.obstacle(near), None, "an estimate may be wrong by a fourth");
}

#[test]
fn the_operator_knows_better_than_the_table() {
    let rule = ModelRule {
        name: "llama-*".to_owned(),
        lacks: vec![Need::Tools],
        has: vec![Need::Images],
        context: Some(500),
    };
    let mut choice = choice(&GROQ, "llama-3.3-70b-versatile");
    Arc::make_mut(&mut choice.endpoint).models = vec![rule];
    let known = abilities(&choice);
    assert_eq!(known.lacks, [Need::Tools, Need::Pdfs, Need::JsonSchema, Need::Reasoning].into());
    assert_eq!(known.context, Some(500));
}

#[test]
fn what_only_one_target_carries_is_lost_with_it() {
    let choices = vec![choice(&ANTHROPIC, "claude-sonnet-4-5"), choice(&GROQ, "llama-3.3-70b")];
    let route = of_route(&Route::in_order("r", choices, Limits::default()));
    let edges = failing_edges(&route);
    assert_eq!(edges.len(), 2, "{edges:?}");
    assert_eq!(
        edges[0],
        "if anthropic/claude-sonnet-4-5 is down, nobody carries images, pdfs, json_schema"
    );
    assert!(edges[1].contains("prompts above 131k tokens have nobody"), "{edges:?}");
    let reasoning = &route[1].needs[4];
    assert_eq!(*reasoning, (Need::Reasoning, Cover::Partly("dropped:reasoning".to_owned())));
    let twins = vec![choice(&OPENAI, "gpt-5.1"), choice(&OPENAI, "gpt-5.2")];
    let route = of_route(&Route::in_order("r", twins, Limits::default()));
    assert_eq!(failing_edges(&route), [""; 0]);
    assert!(route[0].needs.iter().all(|(_, cover)| *cover == Cover::Yes), "{route:?}");
}
