//! Targets that cannot carry a request are not asked; quirks of hosts are taken care of.

use std::sync::Arc;

use unbroken::endpoint::Endpoint;
use unbroken::providers::{GROQ, MISTRAL, OPENAI, Provider};
use unbroken::route::Choice;
use unbroken_drill::fake_provider::{FakeConfig, FakeProvider};
use unbroken_drill::fault::Fault;

use crate::whole::{call, failover};

const IMAGE: &str = r#"{"model":"chat","messages":[{"role":"user","content":[
    {"type":"text","text":"What is this?"},
    {"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}]}]}"#;

async fn fake() -> FakeProvider {
    FakeProvider::start(FakeConfig::default()).await.unwrap()
}

fn at(provider: &'static Provider, model: &str, fake: &FakeProvider) -> Choice {
    let endpoint = Endpoint::new(provider, None).at(&format!("{}/v1", fake.url()));
    Choice::new(Arc::new(endpoint), model.to_owned())
}

#[tokio::test]
async fn a_target_without_images_is_not_asked_for_one() {
    let (first, second) = (fake().await, fake().await);
    let route = || vec![at(&GROQ, "llama-3.3-70b", &first), at(&OPENAI, "gpt-5.1", &second)];
    let failover = failover();
    let (reply, _) = call(&failover, route(), IMAGE).await;
    assert_eq!(
        (reply.status, &reply.headers["x-unbroken-target"]),
        (200, &"openai/gpt-5.1".parse().unwrap())
    );
    assert!(first.journal().is_empty(), "it would have refused");
    let text = IMAGE.replace("image_url", "text").replace(r#""text":{"#, r#""ignored":{"#);
    let (reply, _) = call(&failover, route(), &text).await;
    assert_eq!(reply.headers["x-unbroken-target"], "groq/llama-3.3-70b");
}

#[tokio::test]
async fn when_nobody_can_carry_it_nobody_is_asked_and_the_client_learns_why() {
    let first = fake().await;
    let route = vec![at(&GROQ, "llama-3.3-70b", &first)];
    let (reply, body) = call(&failover(), route, IMAGE).await;
    assert_eq!((reply.status, &body["error"]["code"]), (400, &"unsupported_by_all_targets".into()));
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains("groq/llama-3.3-70b: it takes no images"), "{message}");
    assert_eq!(reply.headers["x-unbroken-attempts"], "0");
    assert!(first.journal().is_empty());
}

#[tokio::test]
async fn a_window_that_a_refusal_named_is_remembered() {
    let (first, second) = (fake().await, fake().await);
    let route = || vec![at(&OPENAI, "mine", &first), at(&OPENAI, "other", &second)];
    let failover = failover();
    first.fault(Fault::ContextTooLong);
    let long = format!(
        r#"{{"model":"chat","messages":[{{"role":"user","content":"{}"}}]}}"#,
        "word ".repeat(1_000_000)
    );
    for asked in [1, 1] {
        let (reply, _) = call(&failover, route(), &long).await;
        assert_eq!(reply.status, 200);
        assert_eq!(first.journal().len(), asked, "its refusal named the window");
    }
    first.heal();
    let short = r#"{"model":"chat","messages":[{"role":"user","content":"hi"}]}"#;
    let (reply, _) = call(&failover, route(), short).await;
    assert_eq!(reply.headers["x-unbroken-target"], "openai/mine");
}

#[tokio::test]
async fn quirks_of_a_host_are_applied_to_requests_that_pass_untouched() {
    let host = fake().await;
    let body = r#"{"model":"mistral-small","user":"u","max_completion_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#;
    let (reply, _) = call(&failover(), vec![at(&MISTRAL, "mistral-small", &host)], body).await;
    assert_eq!(
        (reply.status, &reply.headers["x-unbroken-warnings"]),
        (200, &"dropped:user".parse().unwrap())
    );
}

#[tokio::test]
async fn what_a_stand_in_refuses_is_dropped_and_the_clients_own_choice_is_left_alone() {
    let host = fake().await;
    let body = |model: &str| {
        format!(
            r#"{{"model":"{model}","temperature":0.2,"messages":[{{"role":"user","content":"hi"}}]}}"#
        )
    };
    let route = || vec![at(&OPENAI, "gpt-5.1", &host)];
    let (reply, _) = call(&failover(), route(), &body("gpt-4.1")).await;
    assert_eq!(reply.headers["x-unbroken-warnings"], "dropped:temperature");
    let (reply, _) = call(&failover(), route(), &body("openai/gpt-5.1")).await;
    assert_eq!(reply.headers.get("x-unbroken-warnings"), None);
}
