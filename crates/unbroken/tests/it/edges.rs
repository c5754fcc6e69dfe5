//! Answers that no provider should give, byte by byte, and what is made of them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::HeaderMap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use unbroken::endpoint::Endpoint;
use unbroken::observer::{Observer, Seen};
use unbroken::reply::{CallRequest, Reply, ReplyBody};
use unbroken::route::{Choice, Route};
use unbroken::{Failover, FailoverConfig, providers};
use unbroken_drill::fake_provider::{FakeConfig, FakeProvider};
use unbroken_drill::fault::Fault;
use unbroken_engine::deadline::Limits;
use unbroken_engine::event::{Event, Outcome};
use unbroken_wire::dialects::OPENAI_CHAT;

/// Answers every connection with these bytes, again and again if `is_endless`, and closes it.
async fn script(answer: Vec<u8>, is_endless: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(unbroken::spawn("script", async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 8192];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(&answer).await;
            while is_endless && stream.write_all(&[b'x'; 65_536]).await.is_ok() {}
        }
    }));
    url
}

const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";
const WORD: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"hi\"},\"finish_reason\":null}]}\n\n";
const STOP: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

fn route(urls: &[&str]) -> Arc<Route> {
    let endpoint = |url| Arc::new(Endpoint::new(&providers::OPENAI, None).at(url));
    let choices = urls.iter().map(|url| Choice::new(endpoint(url), "m".to_owned()));
    let limits = Limits { total: Duration::from_secs(10), ..Limits::default() };
    Arc::new(Route::in_order("r", choices.collect(), limits))
}

fn request(route: Arc<Route>, stream: bool) -> CallRequest {
    let body = format!(
        r#"{{"model":"r","stream":{stream},"messages":[{{"role":"user","content":"x"}}]}}"#
    );
    CallRequest::new("id", &OPENAI_CHAT, body, route)
}

/// What was seen of calls.
#[derive(Default)]
struct Outcomes(Mutex<Vec<Outcome>>);

impl Observer for Outcomes {
    fn observe(&self, seen: &Seen<'_>) {
        if let Event::CallEnded { outcome, .. } = seen.event {
            self.0.lock().unwrap().push(*outcome);
        }
    }
}

fn failover(observer: Arc<Outcomes>) -> Failover {
    let mut config = FailoverConfig::default();
    config.fleet.health.enabled = false;
    config.fleet.retry.patience = Duration::ZERO;
    Failover::new(config, observer)
}

async fn text(reply: Reply) -> String {
    match reply.body {
        ReplyBody::Whole(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        ReplyBody::Stream(mut stream) => {
            let mut text = String::new();
            while let Some(bytes) = stream.next().await {
                text.push_str(std::str::from_utf8(&bytes).unwrap());
            }
            text
        }
    }
}

async fn ask(urls: &[&str], stream: bool) -> (u16, HeaderMap, String) {
    let reply = failover(Arc::default()).call(request(route(urls), stream)).await;
    let (status, headers) = (reply.status, reply.headers.clone());
    (status, headers, text(reply).await)
}

#[tokio::test]
async fn a_whole_stream_without_its_mark_gets_one_and_a_marked_one_no_second() {
    for (end, how) in [("", "closed"), ("data: [DONE]\n\n", "marked")] {
        let url = script(format!("{STREAM}\r\n{WORD}{STOP}{end}").into(), false).await;
        let (status, _, text) = ask(&[&url], true).await;
        assert_eq!((status, text), (200, format!("{WORD}{STOP}data: [DONE]\n\n")), "{how}");
    }
}

#[tokio::test]
async fn a_stream_that_had_said_everything_may_lose_its_connection() {
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let (word, stop) = (chunk(WORD), chunk(STOP));
    let answer = format!("{STREAM}transfer-encoding: chunked\r\n\r\n{word}{stop}");
    let url = script(answer.into(), false).await;
    let (_, _, text) = ask(&[&url], true).await;
    assert_eq!(text, format!("{WORD}{STOP}data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_stream_without_content_is_no_answer() {
    let empty = script(format!("{STREAM}\r\n{STOP}data: [DONE]\n\n").into(), false).await;
    let whole = script(format!("{STREAM}\r\n{WORD}{STOP}data: [DONE]\n\n").into(), false).await;
    let (_, headers, text) = ask(&[&empty, &whole], true).await;
    assert_eq!(headers["x-unbroken-attempts"], "2");
    assert!(text.contains("\"hi\""), "{text}");
}

#[tokio::test]
async fn an_error_reply_that_breaks_off_or_never_ends_is_still_an_error_reply() {
    let error =
        r#"{"error":{"message":"temperature must be below 2","type":"invalid_request_error"}}"#;
    let head = |length: usize| {
        format!(
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    let cut = script(format!("{}{error}", head(9_000)).into(), false).await;
    let (status, headers, text) = ask(&[&cut], false).await;
    assert_eq!((status, text.as_str()), (400, error));
    assert_eq!(headers["x-should-retry"], "false");
    let endless = script(head(1 << 40).into(), true).await;
    let asked = tokio::time::timeout(Duration::from_secs(5), ask(&[&endless], false)).await;
    let (status, _, text) = asked.expect("nobody waits for the end");
    assert_eq!((status, text.len()), (400, 1 << 20));
}

#[tokio::test]
async fn an_endless_answer_is_left() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1099511627776\r\n\r\n";
    let endless = script(head.into(), true).await;
    let (status, _, text) = ask(&[&endless], false).await;
    assert_eq!(status, 503);
    assert!(text.contains("its answer could not be read"), "{text}");
    let comment = format!(": {}\n\n", "nothing ".repeat(500));
    let comments = format!("{STREAM}\r\n{}", comment.repeat(1_500));
    let endless = script(comments.into(), false).await;
    let (status, _, text) = ask(&[&endless], true).await;
    assert_eq!(status, 503);
    assert!(text.contains("its answer could not be read"), "{text}");
}

#[tokio::test]
async fn a_wait_is_never_told_as_zero() {
    let url =
        script("HTTP/1.1 429 Slow\r\nretry-after-ms: 1\r\ncontent-length: 0\r\n\r\n".into(), false)
            .await;
    let (status, headers, _) = ask(&[&url], false).await;
    assert_eq!((status, headers["retry-after"].to_str().unwrap()), (429, "1"));
}

#[tokio::test]
async fn a_call_whose_client_leaves_ends_as_such() {
    let provider = FakeProvider::start(FakeConfig::default()).await.unwrap();
    provider.fault(Fault::SlowTokens { ms: 50 });
    let outcomes = Arc::new(Outcomes::default());
    let url = format!("{}/v1", provider.url());
    let reply = failover(outcomes.clone()).call(request(route(&[&url]), true)).await;
    let ReplyBody::Stream(mut stream) = reply.body else { panic!("a stream was asked for") };
    stream.next().await.unwrap();
    assert_eq!(*outcomes.0.lock().unwrap(), []);
    drop(stream);
    assert_eq!(*outcomes.0.lock().unwrap(), [Outcome::ClientGone]);
}

#[tokio::test]
async fn a_health_check_that_meets_an_error_says_nothing() {
    let ill = "HTTP/1.1 500 Internal\r\ncontent-length: 0\r\n\r\n";
    let url = script(ill.into(), false).await;
    let failover = failover(Arc::default());
    failover.know(&route(&[&url]));
    for _ in 0..5 {
        failover.check_health().await;
    }
    assert!(failover.status()[0].report.refusal.is_none(), "{}", failover.status()[0]);
}

/// Streams whose body ends a moment after the answer's own end; counts its connections.
async fn late_end() -> (String, Arc<Mutex<u32>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let connections = Arc::new(Mutex::new(0));
    let counted = connections.clone();
    drop(unbroken::spawn("late end", async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            *counted.lock().unwrap() += 1;
            let mut request = [0; 8192];
            while stream.read(&mut request).await.is_ok_and(|count| count > 0) {
                let events = format!("{WORD}{STOP}data: [DONE]\n\n");
                let head = format!("{STREAM}transfer-encoding: chunked\r\n\r\n");
                let answer = format!("{head}{:x}\r\n{events}\r\n", events.len());
                stream.write_all(answer.as_bytes()).await.unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
                let _ = stream.write_all(b"0\r\n\r\n").await;
            }
        }
    }));
    (url, connections)
}

#[tokio::test]
async fn streams_leave_their_connection_for_the_next_call() {
    let (url, connections) = late_end().await;
    let failover = failover(Arc::default());
    for _ in 0..3 {
        let reply = failover.call(request(route(&[&url]), true)).await;
        assert!(text(reply).await.ends_with("data: [DONE]\n\n"));
        // The connection is back in the pool a moment after the body's end.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(*connections.lock().unwrap(), 1);
}

#[tokio::test]
async fn what_is_not_http_could_not_be_read() {
    let url = script("SSH-2.0-OpenSSH_9.6\r\n\r\n".into(), false).await;
    let (status, headers, text) = ask(&[&url], false).await;
    assert_eq!((status, headers["x-unbroken-target"].to_str().unwrap()), (503, "openai/m"));
    assert!(text.contains("its answer could not be read"), "{text}");
}

#[tokio::test]
async fn streams_are_neither_kept_nor_changed_on_their_way() {
    let url = script(format!("{STREAM}\r\n{WORD}{STOP}data: [DONE]\n\n").into(), false).await;
    let (_, headers, _) = ask(&[&format!("{url}/")], true).await;
    assert_eq!(headers["content-type"], "text/event-stream; charset=utf-8");
    assert_eq!(headers["cache-control"], "no-cache, no-transform");
    assert_eq!(headers["x-accel-buffering"], "no");
}

/// A name with two addresses: nobody is at the first one.
#[derive(Debug)]
struct Twice(std::net::SocketAddr);

impl unbroken::http::Resolve for Twice {
    fn resolve(&self, _: &str, _: u16) -> unbroken::http::Resolving {
        let there = self.0;
        Box::pin(async move { Ok(vec![([127, 0, 0, 1], 1).into(), there]) })
    }
}

#[tokio::test]
async fn one_dead_address_of_several_is_not_the_hosts_failure() {
    let provider = FakeProvider::start(FakeConfig::default()).await.unwrap();
    let mut config = FailoverConfig::default();
    config.http.resolver = Some(Arc::new(Twice(provider.address())));
    let failover = Failover::new(config, Arc::new(Outcomes::default()));
    let reply = failover.call(request(route(&["http://two.test/v1"]), false)).await;
    assert_eq!((reply.status, &reply.headers["x-unbroken-attempts"]), (200, &"1".parse().unwrap()));
}

#[tokio::test]
async fn a_health_check_that_is_not_answered_speaks_for_an_illness() {
    let provider = FakeProvider::start(FakeConfig::default()).await.unwrap();
    provider.fault(Fault::BlackHole);
    let mut config = FailoverConfig::default();
    config.fleet.health.enabled = false;
    config.fleet.health.timeout = Duration::from_millis(30);
    let failover = Failover::new(config, Arc::new(Outcomes::default()));
    failover.know(&route(&[&format!("{}/v1", provider.url())]));
    for _ in 0..3 {
        failover.check_health().await;
    }
    let status = failover.status()[0].clone();
    assert!(status.report.refusal.is_some() && status.blocked_for.is_some(), "{status}");
    assert!(status.to_string().contains("endpoint blocked for "), "{status}");
}
