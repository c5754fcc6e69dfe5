//! Targets in clouds, over real sockets: signed requests, framed streams, tokens that end.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use unbroken::cloud::sigv4::AwsCredentials;
use unbroken::cloud::{Cloud, Source, aws, google};
use unbroken::endpoint::Endpoint;
use unbroken::observer::Unobserved;
use unbroken::providers::{
    BEDROCK, BEDROCK_ANTHROPIC, COHERE, OPENAI, Provider, VERTEX, VERTEX_ANTHROPIC,
};
use unbroken::reply::{CallRequest, Reply, ReplyBody};
use unbroken::route::Choice;
use unbroken::{Failover, FailoverConfig};
use unbroken_drill::fake_provider::{FakeConfig, FakeProvider, Manner, Said, Says};
use unbroken_drill::fault::{CutKind, Fault};
use unbroken_wire::dialects::{ANTHROPIC_MESSAGES, Dialect, GEMINI, OPENAI_CHAT};

use crate::whole::in_order;

async fn fake() -> FakeProvider {
    let config = FakeConfig {
        words: 12,
        first_token: Duration::from_millis(1),
        gap: Duration::ZERO,
        ..FakeConfig::default()
    };
    FakeProvider::start(config).await.unwrap()
}

fn words(count: u32) -> String {
    (1..=count).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ")
}

fn failover() -> Failover {
    let mut config = FailoverConfig::default();
    config.fleet.health.enabled = false;
    Failover::new(config, Arc::new(Unobserved))
}

fn choice(endpoint: Endpoint, model: &str) -> Choice {
    Choice::new(Arc::new(endpoint), model.to_owned())
}

/// A target at AWS with keys that do not end.
fn bedrock(provider: &'static Provider, fake: &FakeProvider, model: &str) -> Choice {
    let mut endpoint = Endpoint::new(provider, None).at(&fake.url()).in_region("us-east-1");
    endpoint.region = Some("us-east-1".to_owned());
    endpoint.aws = Some(AwsCredentials {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: SecretString::from("secret"),
        session_token: None,
    });
    choice(endpoint, model)
}

/// A key file whose tokens the fake gives out.
fn service_account(fake: &FakeProvider) -> google::Source {
    let file = include_str!("../../../../fixtures/keys/service-account.json");
    let mut file: Value = serde_json::from_str(file).unwrap();
    file["token_uri"] = format!("{}/token", fake.url()).into();
    google::Source::of_file(&file.to_string()).unwrap()
}

fn vertex(
    provider: &'static Provider,
    fake: &FakeProvider,
    source: google::Source,
    model: &str,
) -> Choice {
    let mut endpoint = Endpoint::new(provider, None).at(&fake.url());
    endpoint.project = Some("p".to_owned());
    endpoint.region = Some("global".to_owned());
    endpoint.cloud = Some(Cloud::new(Source::Google(source)));
    choice(endpoint, model)
}

async fn call(
    failover: &Failover,
    dialect: &'static Dialect,
    choices: Vec<Choice>,
    body: &Value,
) -> Reply {
    let request = CallRequest {
        model_in_path: Some("chat".to_owned()),
        ..CallRequest::new("r", dialect, body.to_string(), in_order(choices))
    };
    failover.call(request).await
}

async fn text_of(reply: Reply) -> (u16, String) {
    let status = reply.status;
    let bytes = match reply.body {
        ReplyBody::Whole(bytes) => bytes.to_vec(),
        ReplyBody::Stream(mut stream) => {
            let mut all = Vec::new();
            while let Some(bytes) = stream.next().await {
                all.extend_from_slice(&bytes);
            }
            all
        }
    };
    (status, String::from_utf8(bytes).unwrap())
}

/// The words of a stream of Chat Completions.
fn said(stream: &str) -> String {
    let chunks = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    let chunks = chunks.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    chunks
        .filter_map(|c| Some(c.pointer("/choices/0/delta/content")?.as_str()?.to_owned()))
        .collect()
}

fn asked(stream: bool) -> Value {
    json!({ "model": "chat", "stream": stream, "max_tokens": 100,
        "messages": [{ "role": "user", "content": "Count" }] })
}

const NOVA: &str = "us.amazon.nova-lite-v1:0";

#[tokio::test]
async fn every_cloud_answers_every_client_whole_and_in_streams() {
    let fake = fake().await;
    let targets = || {
        vec![
            bedrock(&BEDROCK, &fake, NOVA),
            bedrock(&BEDROCK_ANTHROPIC, &fake, "anthropic.claude-haiku-4-5-20251001-v1:0"),
            vertex(&VERTEX, &fake, service_account(&fake), "gemini-2.5-flash"),
            vertex(&VERTEX_ANTHROPIC, &fake, service_account(&fake), "claude-haiku-4-5@20251001"),
            choice(
                Endpoint::new(&COHERE, Some(SecretString::from("k"))).at(&fake.url()),
                "command-a-03-2025",
            ),
        ]
    };
    for target in targets() {
        for stream in [false, true] {
            let label = format!("{} stream {stream}", target.label());
            let failover = failover();
            let reply = call(&failover, &OPENAI_CHAT, vec![target.clone()], &asked(stream)).await;
            let (status, text) = text_of(reply).await;
            assert_eq!(status, 200, "{label}: {text}");
            if stream {
                assert_eq!(said(&text), words(12), "{label}");
                assert!(text.ends_with("data: [DONE]\n\n"), "{label}: {text}");
            } else {
                assert!(text.contains(&words(12)), "{label}: {text}");
                assert!(text.contains("\"prompt_tokens\":10"), "{label}: {text}");
            }
        }
    }
    // Clients that speak the API inside of the cloud's are answered in it, byte by byte.
    let body = json!({ "model": "c", "max_tokens": 99, "stream": true,
        "messages": [{ "role": "user", "content": "Count" }] });
    for target in [1, 3].map(|place| targets().swap_remove(place)) {
        let reply = call(&failover(), &ANTHROPIC_MESSAGES, vec![target], &body).await;
        let (status, text) = text_of(reply).await;
        assert!(status == 200 && text.contains("event: message_stop"), "{text}");
    }
    let body = json!({ "contents": [{ "role": "user", "parts": [{ "text": "Count" }] }] });
    let gemini = vec![targets().swap_remove(2)];
    let (status, text) = text_of(call(&failover(), &GEMINI, gemini, &body).await).await;
    assert!(status == 200 && text.contains(&words(12)), "{text}");
}

#[tokio::test]
async fn what_breaks_in_frames_is_seen_and_survived() {
    let faults = [
        Fault::CutStream { after_words: 5, how: CutKind::Reset, inside_event: true },
        Fault::CutStream { after_words: 5, how: CutKind::Close, inside_event: false },
        Fault::NoEnd { after_words: 5, inside_event: false },
        Fault::NoEnd { after_words: 5, inside_event: true },
        Fault::Malformed { after_words: 5 },
        Fault::ErrorEvent { after_words: 5 },
        Fault::ErrorEvent { after_words: 0 },
        Fault::RateLimit { retry_after: None },
        Fault::ModelGone,
        Fault::Overloaded,
    ];
    for provider in [&BEDROCK, &BEDROCK_ANTHROPIC, &COHERE] {
        for fault in faults {
            let (first, second) = (fake().await, fake().await);
            first.fault(fault);
            let broken = match provider.name {
                "cohere" => choice(
                    Endpoint::new(provider, Some(SecretString::from("k"))).at(&first.url()),
                    "command-a-03-2025",
                ),
                _ => bedrock(provider, &first, "us.anthropic.claude-opus-4-7"),
            };
            let whole =
                choice(Endpoint::new(&OPENAI, None).at(&format!("{}/v1", second.url())), "gpt-5.1");
            let what = format!("{}: {fault:?}", provider.name);
            let reply = call(&failover(), &OPENAI_CHAT, vec![broken, whole], &asked(true)).await;
            let (status, text) = text_of(reply).await;
            assert_eq!((status, said(&text)), (200, words(12)), "{what}");
            assert!(text.ends_with("data: [DONE]\n\n"), "{what}");
            assert!(!second.journal().is_empty(), "{what}: it went on there");
        }
    }
}

#[tokio::test]
async fn a_token_is_fetched_once_for_many_calls_and_kept() {
    let fake = fake().await;
    let target = vertex(&VERTEX, &fake, service_account(&fake), "gemini-2.5-flash");
    let failover = failover();
    let calls = (0..16).map(|_| {
        let (failover, target) = (failover.clone(), target.clone());
        async move { call(&failover, &OPENAI_CHAT, vec![target], &asked(false)).await.status }
    });
    let statuses = futures_util::future::join_all(calls).await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!(fake.tokens(), 1, "sixteen calls, one token");
    assert!(fake.last_token_form().contains("assertion=eyJ"), "a signed assertion");
}

#[tokio::test]
async fn a_token_that_ages_is_fetched_anew_before_it_ends() {
    let fake = fake().await;
    // It ages after nine tenths of its life and ends after nineteen twentieths.
    fake.tokens_last(10);
    let target = vertex(&VERTEX, &fake, service_account(&fake), "gemini-2.5-flash");
    let failover = failover();
    let body = asked(false);
    let ask = || call(&failover, &OPENAI_CHAT, vec![target.clone()], &body);
    assert_eq!(ask().await.status, 200);
    tokio::time::sleep(Duration::from_millis(9_200)).await;
    fake.refuse_tokens(Some(503));
    assert_eq!(ask().await.status, 200, "nobody waits: the old one is still good");
    assert_eq!(fake.tokens(), 1);
}

#[tokio::test]
async fn without_a_token_the_key_is_to_blame_and_the_next_target_answers() {
    let (fake, second) = (fake().await, fake().await);
    fake.refuse_tokens(Some(400));
    let first = vertex(&VERTEX, &fake, service_account(&fake), "gemini-2.5-flash");
    let other = choice(Endpoint::new(&OPENAI, None).at(&format!("{}/v1", second.url())), "gpt-5.1");
    let failover = failover();
    for _ in 0..3 {
        let reply =
            call(&failover, &OPENAI_CHAT, vec![first.clone(), other.clone()], &asked(false)).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.headers["x-unbroken-target"], "openai/gpt-5.1");
    }
    let alone = call(&failover, &OPENAI_CHAT, vec![first.clone()], &asked(false)).await;
    let (status, text) = text_of(alone).await;
    assert_eq!(status, 503, "not the caller's mistake");
    assert!(text.contains("its key was rejected") && !text.contains("ya29"), "{text}");
}

#[tokio::test]
async fn a_token_that_is_not_accepted_is_forgotten() {
    let fake = fake().await;
    let target = vertex(&VERTEX_ANTHROPIC, &fake, service_account(&fake), "claude-haiku-4-5");
    let cloud = target.endpoint.cloud.clone().unwrap();
    let first = call(&failover(), &OPENAI_CHAT, vec![target.clone()], &asked(false)).await;
    assert_eq!((first.status, fake.tokens()), (200, 1));
    fake.revoke_tokens();
    let refused = call(&failover(), &OPENAI_CHAT, vec![target.clone()], &asked(false)).await;
    assert_eq!(refused.status, 503);
    // Another fleet, which does not rest the key: the same credentials fetch anew.
    let again = call(&failover(), &OPENAI_CHAT, vec![target], &asked(false)).await;
    assert_eq!((again.status, fake.tokens()), (200, 2), "{}", cloud.name());
}

#[tokio::test]
async fn machines_give_out_credentials() {
    let fake = fake().await;
    let metadata = google::Source::Metadata(fake.url());
    let google = vertex(&VERTEX, &fake, metadata, "gemini-2.5-flash");
    let container = format!("{}/v2/credentials/fake", fake.url());
    let token = SecretString::from("container-token");
    let aws = [
        aws::Source::Instance(fake.url()),
        aws::Source::container(&container, Some(token)).unwrap(),
    ];
    let mut targets = vec![google];
    for source in aws {
        let mut endpoint = Endpoint::new(&BEDROCK, None).at(&fake.url());
        endpoint.region = Some("eu-west-1".to_owned());
        endpoint.cloud = Some(Cloud::new(Source::Aws(source)));
        targets.push(choice(endpoint, NOVA));
    }
    let failover = failover();
    for target in targets {
        for _ in 0..2 {
            let reply = call(&failover, &OPENAI_CHAT, vec![target.clone()], &asked(false)).await;
            let (status, text) = text_of(reply).await;
            assert_eq!(status, 200, "{}: {text}", target.endpoint.cloud.clone().unwrap().name());
        }
    }
    assert_eq!((fake.tokens(), fake.aws_credentials_asked()), (1, 2), "each fetched once");
}

#[tokio::test]
async fn tools_travel_to_every_cloud_and_back() {
    let fake = fake().await;
    let body = json!({
        "model": "chat",
        "messages": [
            { "role": "user", "content": "call weather" },
            { "role": "assistant", "content": "I look.", "tool_calls": [{ "id": "call|0", "type": "function",
                "function": { "name": "weather", "arguments": "{\"city\":\"Paris\"}" } }] },
            { "role": "tool", "tool_call_id": "call|0", "content": "sunny" },
            { "role": "assistant", "content": "It is sunny." },
            { "role": "user", "content": "now call weather again" },
        ],
        "tools": [{ "type": "function", "function": { "name": "weather",
            "parameters": { "type": "object", "properties": { "city": { "type": "string" } } } } }],
    });
    let cohere = choice(
        Endpoint::new(&COHERE, Some(SecretString::from("k"))).at(&fake.url()),
        "command-a-03-2025",
    );
    for target in [bedrock(&BEDROCK, &fake, NOVA), cohere] {
        let label = target.label().to_string();
        let reply = call(&failover(), &OPENAI_CHAT, vec![target], &body).await;
        let (status, text) = text_of(reply).await;
        assert_eq!(status, 200, "{label}: {text}");
        let answer: Value = serde_json::from_str(&text).unwrap();
        let called = &answer["choices"][0];
        assert_eq!(called["finish_reason"], "tool_calls", "{label}: {text}");
        let function = &called["message"]["tool_calls"][0]["function"];
        assert_eq!(function["name"], "weather", "{label}");
        assert!(function["arguments"].as_str().unwrap().contains("Berlin"), "{label}: {text}");
    }
}

#[tokio::test]
async fn json_that_was_promised_in_words_is_looked_at() {
    let (first, second) = (fake().await, fake().await);
    let mut body = asked(false);
    body["response_format"] = json!({ "type": "json_object" });
    let route = || {
        let llama = bedrock(&BEDROCK, &first, "meta.llama3-3-70b-instruct-v1:0");
        vec![llama, bedrock(&BEDROCK, &second, NOVA)]
    };
    let says = |text: &str| {
        let said = Said { text: text.to_owned(), ..Said::default() };
        first.set_manner("*", Manner { says: Says::This(said), ..Manner::default() });
    };
    says("```json\n{\"a\":1}\n```");
    let reply = call(&failover(), &OPENAI_CHAT, route(), &body).await;
    let (_, text) = text_of(reply).await;
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "{\"a\":1}", "without its fence");
    says("Sure, here it comes.");
    let reply = call(&failover(), &OPENAI_CHAT, route(), &body).await;
    assert_eq!(reply.headers["x-unbroken-target"], format!("bedrock/{NOVA}").as_str());
    assert_eq!(reply.status, 200);
}
