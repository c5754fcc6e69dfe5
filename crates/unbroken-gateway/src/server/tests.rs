//! The server over real sockets: what is asked, byte for byte, and what comes back.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use unbroken::Failover;
use unbroken_drill::fake_provider::{FakeConfig, FakeProvider};
use unbroken_drill::fault::Fault;

use super::{Current, Server};
use crate::config::{Environment, Plan};
use crate::metrics::Metrics;
use crate::routing::Routing;

/// A gateway with two vendors behind it.
struct Stage {
    address: std::net::SocketAddr,
    openai: FakeProvider,
    anthropic: FakeProvider,
    stop: Option<oneshot::Sender<()>>,
    stopped: tokio::task::JoinHandle<()>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stopped.abort();
    }
}

async fn serve(
    config: &str,
) -> (std::net::SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let config = format!("listen = \"127.0.0.1:0\"\n{config}\n[health]\nenabled = false\n");
    let plan = Plan::read("test.toml", &config, &Environment::default()).unwrap();
    let metrics = Arc::new(Metrics::new());
    let failover = Failover::new(plan.failover.clone(), metrics.clone());
    let current = Arc::new(Current::new(Routing::new(plan)));
    let server = Server::bind(failover, current, metrics).await.unwrap();
    let address = server.address();
    let (stop, wait) = oneshot::channel::<()>();
    let stopped = unbroken::spawn("server", async move {
        server.run(async { drop(wait.await) }).await;
    });
    (address, stop, stopped)
}

fn provider(name: &str, url: &str) -> String {
    format!("[[provider]]\nname = \"{name}\"\nbase_url = \"{url}\"\nkey = \"key-of-{name}\"\n")
}

async fn stage() -> Stage {
    let openai = FakeProvider::start(FakeConfig::default()).await.unwrap();
    let anthropic = FakeProvider::start(FakeConfig::default()).await.unwrap();
    let config = provider("openai", &format!("{}/v1", openai.url()))
        + &provider("anthropic", &anthropic.url())
        + "[server]\nbody_max = \"1KiB\"\n";
    let (address, stop, stopped) = serve(&config).await;
    Stage { address, openai, anthropic, stop: Some(stop), stopped }
}

/// Sends bytes, closes nothing, and reads until the server closes.
async fn raw(address: std::net::SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

async fn post(address: std::net::SocketAddr, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
    );
    raw(address, &request).await
}

const CHAT: &str = "/v1/chat/completions";
const GPT: &str = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"x"}]}"#;

fn assert_has(answer: &str, parts: &[&str]) {
    for part in parts {
        assert!(answer.contains(part), "{part} is not in:\n{answer}");
    }
}

#[tokio::test]
async fn a_stand_in_answers_unless_the_client_forbids_it() {
    let stage = stage().await;
    stage.openai.fault(Fault::Reset);
    let answer = post(stage.address, CHAT, "", GPT).await;
    let named = "x-unbroken-target: anthropic/claude-sonnet-4-5";
    assert_has(&answer, &["HTTP/1.1 200", named, "\"w1 w2"]);
    stage.openai.heal();
    let stood_in = stage.anthropic.journal().len();
    let forbids = "x-unbroken-substitute: false\r\n";
    assert_has(
        &post(stage.address, CHAT, forbids, GPT).await,
        &["x-unbroken-target: openai/gpt-4o"],
    );
    stage.openai.fault(Fault::Quota);
    let answer = post(stage.address, CHAT, forbids, GPT).await;
    assert_has(&answer, &["HTTP/1.1 429", "retry-after: ", "openai/gpt-4o", "quota or credit"]);
    assert_eq!(stage.anthropic.journal().len(), stood_in, "nobody stands in");
}

#[tokio::test]
async fn a_list_of_models_needs_no_first_and_does_not_travel() {
    let stage = stage().await;
    for model in ["", "\"model\":null,"] {
        let body = format!(
            "{{{model}\"models\":[\"openai/a\",\"anthropic/b\"],\"messages\":[{{\"role\":\"user\",\"content\":\"x\"}}]}}"
        );
        let answer = post(stage.address, CHAT, "", &body).await;
        assert_has(&answer, &["HTTP/1.1 200", "x-unbroken-target: openai/a"]);
    }
}

#[tokio::test]
async fn a_model_that_cannot_be_read_is_told_as_such() {
    let stage = stage().await;
    for (body, told) in [
        (r#"{"model":5}"#, "'model' must be a string"),
        (r#"{"models":"gpt-4o"}"#, "'models' must be a list of model names"),
        (r#"{"models":[{"id":"x"}]}"#, "'models' must be a list of model names"),
        (r#"{"models":[]}"#, "missing required parameter: 'model'"),
        ("{}", "missing required parameter: 'model'"),
        ("[]", "the body is not a JSON object"),
    ] {
        let answer = post(stage.address, CHAT, "", body).await;
        assert_has(&answer, &["HTTP/1.1 400", told, "x-should-retry: false"]);
    }
    let answer = post(stage.address, CHAT, "", &GPT.replace("gpt-4o", "llama")).await;
    assert_has(&answer, &["HTTP/1.1 404", "model_not_found", "`llama` is not known here"]);
    assert!(stage.openai.journal().is_empty() && stage.anthropic.journal().is_empty());
}

#[tokio::test]
async fn paths_and_methods_that_are_not_here_are_told_what_is() {
    let stage = stage().await;
    let answer = post(stage.address, "/v1/nonsense", "", "{}").await;
    assert_has(&answer, &["HTTP/1.1 404", "/v1/nonsense", "POST /v1/chat/completions"]);
    let get = "GET /v1/responses/resp_1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert_has(&raw(stage.address, get).await, &["HTTP/1.1 404", "kept by their providers"]);
    assert!(!answer.contains("model_not_found"), "{answer}");
    let answer = post(stage.address, "/v1/models", "", "{}").await;
    assert_has(&answer, &["HTTP/1.1 405", "allow: GET, HEAD", "/v1/models takes GET"]);
    let get = format!("GET {CHAT} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert_has(&raw(stage.address, &get).await, &["HTTP/1.1 405", "allow: POST"]);
}

#[tokio::test]
async fn bodies_are_bounded_however_they_come() {
    let stage = stage().await;
    let big = "x".repeat(1_025);
    let answer = post(stage.address, CHAT, "", &big).await;
    assert_has(&answer, &["HTTP/1.1 413", "larger than 1024 bytes"]);
    let chunked = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n401\r\n{big}\r\n0\r\n\r\n"
    );
    assert_has(&raw(stage.address, &chunked).await, &["HTTP/1.1 413"]);
}

#[tokio::test]
async fn an_id_is_kept_if_it_can_stand_in_a_log() {
    let stage = stage().await;
    let answer = post(stage.address, CHAT, "x-request-id: mine-1\r\n", "{}").await;
    assert_has(&answer, &["x-unbroken-request-id: mine-1", "x-request-id: mine-1"]);
    for wrong in ["a b", "a\"b", &"x".repeat(129)] {
        let answer = post(stage.address, CHAT, &format!("x-request-id: {wrong}\r\n"), "{}").await;
        assert!(!answer.contains(wrong) && answer.contains("x-unbroken-request-id: "), "{answer}");
    }
}

#[tokio::test]
async fn two_lengths_are_not_one_request() {
    let stage = stage().await;
    let smuggled =
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n{}";
    assert_has(&raw(stage.address, smuggled).await, &["HTTP/1.1 400"]);
}

#[tokio::test]
async fn the_numbers_and_the_health_of_targets_are_shown() {
    let stage = stage().await;
    stage.openai.fault(Fault::Reset);
    post(stage.address, CHAT, "", GPT).await;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let metrics = raw(stage.address, &get("/metrics")).await;
    let attempt = "unbroken_attempts_total{target=\"openai/gpt-4o\",result=\"connection_lost\"";
    assert_has(&metrics, &["unbroken_calls_total{outcome=\"rescued\"} 1", attempt]);
    let health = raw(stage.address, &get("/health")).await;
    assert_has(
        &health,
        &["\"target\":\"openai/gpt-4o\"", "\"status\":\"ok\"", "connection was lost"],
    );
    assert!(!(metrics + &health).contains("key-of-"), "no key is shown");
}

#[tokio::test]
async fn a_stop_lets_calls_end_and_takes_no_new_ones() {
    let mut stage = stage().await;
    stage.openai.fault(Fault::SlowTokens { ms: 5 });
    let address = stage.address;
    let body = GPT.replace("}]}", "}],\"stream\":true}");
    let stop = async {
        while stage.openai.journal().is_empty() {
            tokio::task::yield_now().await;
        }
        drop(stage.stop.take());
    };
    let (answer, ()) = tokio::join!(post(address, CHAT, "", &body), stop);
    assert_has(&answer, &["w60", "data: [DONE]"]);
    while !stage.stopped.is_finished() {
        tokio::task::yield_now().await;
    }
    assert!(TcpStream::connect(address).await.is_err());
}

/// A provider that keeps what it was sent, and answers with more headers than it should.
async fn echo() -> (String, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(String::new()));
    let keep = seen.clone();
    drop(unbroken::spawn("echo", async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = [0; 4096];
            let mut request = String::new();
            while !request.ends_with('}') {
                let count = stream.read(&mut bytes).await.unwrap();
                request.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
            }
            *keep.lock().unwrap_or_else(PoisonError::into_inner) = request;
            let body = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}"#;
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nset-cookie: a=b\r\nserver: secret\r\n\
                 openai-processing-ms: 7\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    }));
    (url, seen)
}

#[tokio::test]
async fn only_what_is_meant_for_a_provider_travels_to_it_and_back() {
    let (url, seen) = echo().await;
    let (address, _stop, _) = serve(&provider("openai", &url)).await;
    let headers = "authorization: Bearer of-the-client\r\ncookie: c=d\r\nx-api-key: of-the-client\r\n\
                   anthropic-beta: b\r\nopenai-project: p\r\ntraceparent: 00-1-2-01\r\n\
                   x-forwarded-for: 10.0.0.1\r\nte: trailers\r\nx-unbroken-substitute: false\r\n";
    let body = r#"{"models":["openai/m"],"messages":[{"role":"user","content":"x"}]}"#;
    let answer = post(address, CHAT, headers, body).await;
    assert_has(&answer, &["HTTP/1.1 200", "openai-processing-ms: 7", "\"hi\""]);
    let sent = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert_has(&sent, &["Bearer key-of-openai", "openai-project: p", "traceparent: 00-1-2-01"]);
    for leak in
        ["of-the-client", "cookie", "anthropic", "forwarded", "unbroken-", "te:", "\"models\""]
    {
        assert!(!sent.contains(leak), "{leak} went to the provider:\n{sent}");
    }
    for leak in ["set-cookie", "server:", "key-of-openai"] {
        assert!(!answer.contains(leak), "{leak} came to the client:\n{answer}");
    }
    // A client of another dialect: nothing but its trace travels on.
    let body = r#"{"model":"openai/m","max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#;
    let answer = post(address, "/v1/messages", headers, body).await;
    assert_has(&answer, &["HTTP/1.1 200", "\"type\":\"message\""]);
    assert!(!answer.contains("openai-processing-ms"), "{answer}");
    let sent = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(!sent.contains("openai-project"), "{sent}");
}

#[tokio::test]
async fn compressed_bodies_are_read_within_the_limit() {
    let stage = stage().await;
    let ask = async |encoding: &str, body: Vec<u8>| {
        let mut stream = TcpStream::connect(stage.address).await.unwrap();
        let head = format!(
            "POST {CHAT} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-encoding: {encoding}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    };
    let zstd = |text: &str| {
        let level = ruzstd::encoding::CompressionLevel::Fastest;
        ruzstd::encoding::compress_to_vec(text.as_bytes(), level)
    };
    assert_has(&ask("zstd", zstd(GPT)).await, &["HTTP/1.1 200", "\"w1 w2"]);
    let bomb = zstd(&" ".repeat(1 << 20));
    assert!(bomb.len() < 1_024, "{}", bomb.len());
    assert_has(&ask("zstd", bomb).await, &["HTTP/1.1 413", "once it is decompressed"]);
    assert_has(&ask("lzma", vec![1]).await, &["HTTP/1.1 415", "gzip, deflate, br and zstd"]);
    assert_has(&ask("gzip", vec![1, 2]).await, &["HTTP/1.1 400", "could not be read"]);
}

/// Responses to a target that speaks it, and to one that does not; then the same with the first one
/// dead.
#[tokio::test]
async fn responses_are_answered_by_whoever_can() {
    let stage = stage().await;
    let body = r#"{"model":"gpt-4o","input":"Count."}"#;
    let answer = post(stage.address, "/v1/responses", "", body).await;
    assert_has(&answer, &["x-unbroken-target: openai/gpt-4o", "resp_fake", "w1 w2"]);
    stage.openai.fault(Fault::Reset);
    let answer = post(stage.address, "/responses", "", body).await;
    let named = "x-unbroken-target: anthropic/claude-sonnet-4-5";
    assert_has(&answer, &[named, "\"status\":\"completed\"", "output_text", "w1 w2"]);
    let kept = r#"{"model":"anthropic/x","input":"Go on.","previous_response_id":"resp_1"}"#;
    let alone = "x-unbroken-substitute: false\r\n";
    let answer = post(stage.address, "/v1/responses", alone, kept).await;
    assert_has(&answer, &["HTTP/1.1 400", "previous_response_not_found"]);
}

/// Nobody here counts tokens: the answer is an estimate and says so.
#[tokio::test]
async fn counts_that_nobody_gives_are_estimated() {
    let stage = stage().await;
    let body = r#"{"model":"openai/m","messages":[{"role":"user","content":"twelve bytes"}]}"#;
    let answer = post(stage.address, "/v1/messages/count_tokens", "", body).await;
    let mark = "x-unbroken-token-count: estimate";
    assert_has(&answer, &["HTTP/1.1 200", mark, "{\"input_tokens\":3}"]);
    let body = r#"{"model":"anthropic/m","input":"a vector"}"#;
    let answer = post(stage.address, "/v1/embeddings", "", body).await;
    assert_has(&answer, &["HTTP/1.1 400", "unsupported_by_all_targets"]);
}
