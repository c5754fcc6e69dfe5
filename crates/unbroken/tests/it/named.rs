//! Requests with an idempotency key, over real sockets.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use unbroken::reply::{CallRequest, Reply, ReplyBody};
use unbroken::route::{Choice, Route};
use unbroken::{Failover, FailoverConfig, endpoint::Endpoint, observer::Unobserved, providers};
use unbroken_drill::fake_provider::{FakeConfig, FakeProvider};
use unbroken_drill::fault::{BodyKind, Fault};
use unbroken_engine::deadline::Limits;
use unbroken_wire::dialects::{ANTHROPIC_MESSAGES, Dialect, OPENAI_CHAT};

struct Gateway {
    provider: FakeProvider,
    failover: Failover,
    route: Arc<Route>,
}

async fn gateway() -> Gateway {
    let provider = FakeProvider::start(FakeConfig::default()).await.unwrap();
    let endpoint = Endpoint::new(&providers::OPENAI, None).at(&format!("{}/v1", provider.url()));
    let choice = Choice::new(Arc::new(endpoint), "m".to_owned());
    let route = Arc::new(Route::in_order("m", vec![choice], Limits::default()));
    let failover = Failover::new(FailoverConfig::default(), Arc::new(Unobserved));
    Gateway { provider, failover, route }
}

impl Gateway {
    fn request(&self, key: &str, client: &str, prompt: &str, stream: bool) -> CallRequest {
        let mut headers = HeaderMap::new();
        headers.insert("idempotency-key", HeaderValue::from_str(key).unwrap());
        headers.insert("authorization", HeaderValue::from_str(client).unwrap());
        let body = format!(
            r#"{{"model":"m","max_tokens":99,"stream":{stream},"messages":[{{"role":"user","content":"{prompt}"}}]}}"#
        );
        let dialect: &'static Dialect =
            if client == "anthropic" { &ANTHROPIC_MESSAGES } else { &OPENAI_CHAT };
        CallRequest { headers, ..CallRequest::new("r", dialect, body, self.route.clone()) }
    }

    async fn ask(&self, key: &str, client: &str, prompt: &str, stream: bool) -> Reply {
        self.failover.call(self.request(key, client, prompt, stream)).await
    }

    fn asked(&self) -> usize {
        self.provider.journal().len()
    }
}

async fn text(reply: Reply) -> String {
    let mut text = Vec::new();
    match reply.body {
        ReplyBody::Whole(bytes) => text.extend_from_slice(&bytes),
        ReplyBody::Stream(mut stream) => {
            while let Some(bytes) = stream.next().await {
                text.extend_from_slice(&bytes);
            }
        }
    }
    String::from_utf8(text).unwrap()
}

fn was_replayed(reply: &Reply) -> bool {
    reply.headers.contains_key("x-unbroken-replayed")
}

#[tokio::test]
async fn the_same_request_is_one_call_whole_and_as_a_stream() {
    for stream in [false, true] {
        let gateway = gateway().await;
        let first = gateway.ask("k", "one", "Count", stream).await;
        assert!(!was_replayed(&first));
        let first = text(first).await;
        assert!(first.contains("w60") && first.contains("w1"), "{first}");
        let again = gateway.ask("k", "one", "Count", stream).await;
        assert!(was_replayed(&again) && again.status == 200);
        assert_eq!(text(again).await, first, "byte for byte");
        assert_eq!(gateway.asked(), 1);
    }
}

#[tokio::test]
async fn requests_at_the_same_time_share_one_flight() {
    for stream in [false, true] {
        let gateway = gateway().await;
        gateway.provider.fault(Fault::SlowTokens { ms: 2 });
        let asking = (0..5).map(|_| async {
            let reply = gateway.ask("k", "one", "Count", stream).await;
            text(reply).await
        });
        let answers = futures_util::future::join_all(asking).await;
        assert!(answers[0].contains("w60"));
        assert!(answers.iter().all(|answer| *answer == answers[0]));
        assert_eq!(gateway.asked(), 1);
    }
}

#[tokio::test]
async fn another_request_or_another_client_gets_its_own() {
    let gateway = gateway().await;
    text(gateway.ask("k", "one", "Count", false).await).await;
    for stream in [false, true] {
        let other = gateway.ask("k", "one", "Count to ten", stream).await;
        assert_eq!(
            (other.status, other.headers["x-should-retry"].as_bytes()),
            (409, &b"false"[..])
        );
        let told = text(other).await;
        assert!(told.contains("idempotency_key_reused"), "{told}");
    }
    assert!(!was_replayed(&gateway.ask("k", "two", "Count", false).await), "two is not one");
    assert_eq!(gateway.asked(), 2);
    text(gateway.ask("k", "anthropic", "Count", false).await).await;
    let refused = text(gateway.ask("k", "anthropic", "Count to ten", false).await).await;
    assert!(refused.starts_with(r#"{"type":"error""#), "in the caller's dialect: {refused}");
    let long = "x".repeat(256);
    assert_eq!(gateway.ask(&long, "one", "Count", false).await.status, 400);
    assert_eq!(gateway.ask("", "one", "Count", false).await.status, 400);
}

#[tokio::test]
async fn a_failure_is_not_replayed() {
    let gateway = gateway().await;
    gateway.provider.fault(Fault::Status { status: 500, body: BodyKind::Json, retry_after: None });
    let failed = gateway.ask("k", "one", "Count", false).await;
    assert_eq!(failed.status, 503);
    gateway.provider.heal();
    let second = gateway.ask("k", "one", "Count", false).await;
    assert!(!was_replayed(&second));
    assert_eq!(second.status, 200);
    text(second).await;
}

#[tokio::test]
async fn an_answer_whose_client_left_is_there_when_it_asks_again() {
    for stream in [false, true] {
        let gateway = gateway().await;
        let slow_first = Fault::SlowFirstToken { ms: 300 };
        gateway.provider.fault(if stream { Fault::SlowTokens { ms: 5 } } else { slow_first });
        if stream {
            let reply = gateway.ask("k", "one", "Count", true).await;
            let ReplyBody::Stream(mut body) = reply.body else { panic!("not a stream") };
            body.next().await.unwrap();
        } else {
            let leaving = gateway.ask("k", "one", "Count", false);
            assert!(tokio::time::timeout(Duration::from_millis(50), leaving).await.is_err());
        }
        let again = gateway.ask("k", "one", "Count", stream).await;
        assert!(text(again).await.contains("w60"));
        assert_eq!(gateway.asked(), 1, "stream {stream}: it was not made twice");
        assert!(!gateway.provider.journal()[0].client_left);
    }
}
