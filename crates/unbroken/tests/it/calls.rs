//! Whole calls over real sockets, against the fake provider.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use unbroken::builder::{BuildError, FailoverBuilder};
use unbroken::http::{HttpConfig, Resolve, Resolving};
use unbroken::{Failover, providers};
use unbroken_drill::fake_provider::{FakeConfig, FakeProvider};
use unbroken_drill::fault::{BodyKind, CutKind, Fault};
use unbroken_engine::deadline::Limits;
use unbroken_engine::fleet::RetryConfig;
use unbroken_engine::health::HealthConfig;

struct Pair {
    first: FakeProvider,
    second: FakeProvider,
    failover: Failover,
}

fn words() -> String {
    (1..=60).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ")
}

fn builder(first: &FakeProvider, second: &FakeProvider) -> FailoverBuilder {
    let limits = Limits {
        first_token: Duration::from_millis(400),
        answer: Duration::from_millis(400),
        total: Duration::from_secs(20),
        ..Limits::default()
    };
    Failover::builder()
        .target(providers::OPENAI.model("m").at(&format!("{}/v1", first.url())))
        .target(providers::ANTHROPIC.model("m").at(&second.url()))
        .limits(limits)
        .health(HealthConfig { enabled: false, ..HealthConfig::default() })
        .retry(RetryConfig { patience: Duration::ZERO, ..RetryConfig::default() })
}

async fn pair() -> Pair {
    let first = FakeProvider::start(FakeConfig::default()).await.unwrap();
    let second = FakeProvider::start(FakeConfig::default()).await.unwrap();
    let failover = builder(&first, &second).build().unwrap();
    Pair { first, second, failover }
}

/// What must be invisible before the first content, in whole answers and in streams.
fn invisible() -> Vec<Fault> {
    let status = |status, body| Fault::Status { status, body, retry_after: None };
    vec![
        Fault::Refuse,
        Fault::Reset,
        Fault::Close,
        Fault::BlackHole,
        status(500, BodyKind::Json),
        status(502, BodyKind::Html),
        status(503, BodyKind::Empty),
        status(529, BodyKind::Json),
        Fault::Unauthorized,
        Fault::RateLimit { retry_after: Some(30) },
        Fault::Quota,
        Fault::Overloaded,
        Fault::ModelGone,
        Fault::UnsupportedParameter,
        Fault::ContextTooLong,
        Fault::Empty200,
        Fault::ErrorIn200,
        Fault::CutStream { after_words: 0, how: CutKind::Reset, inside_event: false },
        Fault::CutStream { after_words: 0, how: CutKind::Close, inside_event: false },
        Fault::NoEnd { after_words: 0, inside_event: false },
        Fault::Stall { after_words: 0, pings: true },
        Fault::Malformed { after_words: 0 },
        Fault::ErrorEvent { after_words: 0 },
    ]
}

#[tokio::test]
async fn every_failure_before_the_first_content_is_invisible_in_streams() {
    for fault in invisible() {
        let pair = pair().await;
        pair.first.fault(fault);
        let mut stream =
            pair.failover.stream("Count").await.unwrap_or_else(|e| panic!("{fault:?}: {e}"));
        assert_eq!(stream.target(), "anthropic/m", "{fault:?}");
        let mut text = String::new();
        while let Some(more) = stream.next().await.unwrap() {
            text.push_str(&more);
        }
        assert_eq!(text, words(), "{fault:?}");
    }
}

#[tokio::test]
async fn every_failure_is_invisible_in_whole_answers() {
    let in_the_middle = [
        Fault::CutStream { after_words: 20, how: CutKind::Reset, inside_event: false },
        Fault::NoEnd { after_words: 20, inside_event: false },
        Fault::Stall { after_words: 20, pings: false },
        Fault::Malformed { after_words: 20 },
    ];
    for fault in invisible().into_iter().chain(in_the_middle) {
        let pair = pair().await;
        pair.first.fault(fault);
        let answer =
            pair.failover.generate("Count").await.unwrap_or_else(|e| panic!("{fault:?}: {e}"));
        assert_eq!((answer.target(), answer.text()), ("anthropic/m", words()), "{fault:?}");
        assert_eq!(pair.second.journal().len(), 1, "{fault:?}: asked once");
    }
}

#[tokio::test]
async fn the_clients_own_mistake_is_told_once() {
    let pair = pair().await;
    pair.first.fault(Fault::InvalidRequest);
    for _ in 0..5 {
        let error = pair.failover.generate("Count").await.unwrap_err();
        assert_eq!(error.status, 400);
        assert!(error.message.contains("temperature"), "{error}");
    }
    assert_eq!(pair.first.journal().len(), 5);
    assert!(pair.second.journal().is_empty());
}

#[tokio::test]
async fn when_nobody_can_answer_the_client_reads_why() {
    let pair = pair().await;
    pair.first.fault(Fault::RateLimit { retry_after: Some(40) });
    pair.second.fault(Fault::RateLimit { retry_after: Some(20) });
    let error = pair.failover.generate("Count").await.unwrap_err();
    assert_eq!(error.status, 429);
    for part in ["openai/m: it limits the rate", "anthropic/m: it limits the rate", "again in 20 s"]
    {
        assert!(error.message.contains(part), "{part} is not in: {error}");
    }
    pair.second.heal();
    pair.second.fault(Fault::Reset);
    let error = pair.failover.generate("Count").await.unwrap_err();
    assert_eq!(error.status, 429, "both still rest: {error}");
    assert_eq!(pair.second.journal().len(), 1, "and are not asked");
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_nobodys_failure() {
    let pair = pair().await;
    assert_eq!(pair.failover.generate("Count").await.unwrap().attempts(), 1);
    // The next request on the pooled connection is closed without an answer, once.
    pair.first.arm(unbroken_drill::fake_provider::Armed {
        model: "*".to_owned(),
        fault: Fault::Close,
        times: Some(1),
        share_per_mille: 1000,
    });
    let answer = pair.failover.generate("Count").await.unwrap();
    assert_eq!((answer.target(), answer.attempts()), ("openai/m", 2), "sent again, same target");
    assert!(pair.failover.status()[0].report.last_failure.is_none());
}

#[tokio::test]
async fn a_client_that_leaves_closes_the_upstream_connection() {
    let pair = pair().await;
    pair.first.fault(Fault::SlowTokens { ms: 50 });
    let mut stream = pair.failover.stream("Count").await.unwrap();
    stream.next().await.unwrap();
    drop(stream);
    let left = async {
        while !pair.first.journal()[0].client_left {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(2), left).await.expect("the provider sees it");
    assert!(pair.failover.status()[0].report.last_failure.is_none(), "nobody is blamed");
}

#[tokio::test]
async fn an_answer_that_comes_whole_is_played_as_a_stream() {
    let pair = pair().await;
    pair.first.fault(Fault::JsonInsteadOfStream);
    let mut stream = pair.failover.stream("Count").await.unwrap();
    let mut text = String::new();
    while let Some(more) = stream.next().await.unwrap() {
        text.push_str(&more);
    }
    assert_eq!((text, stream.target()), (words(), "openai/m"));
}

#[tokio::test]
async fn a_wrong_key_is_sent_nowhere_else_and_never_shown() {
    let config = FakeConfig { key: Some("right".to_owned()), ..FakeConfig::default() };
    let first = FakeProvider::start(config).await.unwrap();
    let second = FakeProvider::start(FakeConfig::default()).await.unwrap();
    let failover = Failover::builder()
        .target(providers::OPENAI.model("m").at(&format!("{}/v1", first.url())).key("sk-wrong"))
        .target(providers::GEMINI.model("m").at(&second.url()).key("other"))
        .build()
        .unwrap();
    assert_eq!(failover.generate("Count").await.unwrap().target(), "gemini/m");
    assert!(!format!("{failover:?}").contains("sk-wrong"));
}

#[tokio::test]
async fn health_checks_find_an_endpoint_that_is_gone() {
    let pair = pair().await;
    pair.failover.check_health().await;
    assert!(pair.failover.status().iter().all(|target| target.report.refusal.is_none()));
    pair.first.fault(Fault::Refuse);
    tokio::time::sleep(Duration::from_millis(50)).await;
    for _ in 0..3 {
        pair.failover.check_health().await;
    }
    let status = pair.failover.status();
    assert!(status[0].report.refusal.is_some(), "{}", status[0]);
    assert_eq!(pair.failover.generate("Count").await.unwrap().attempts(), 1, "nobody waits for it");
}

#[tokio::test]
async fn nothing_is_built_from_nothing() {
    assert_eq!(Failover::builder().build().unwrap_err(), BuildError::NoTargets);
    let nowhere = Failover::builder().target(providers::OPENAI_COMPATIBLE.model("m")).build();
    assert!(matches!(nowhere.unwrap_err(), BuildError::NoAddress(_)));
}

/// A name that does not resolve, and a port that does not speak TLS: the call goes on, and the
/// report says which it was.
#[tokio::test]
async fn failures_of_names_and_of_tls_are_invisible_and_told_apart() {
    let plain = FakeProvider::start(FakeConfig::default()).await.unwrap();
    let second = FakeProvider::start(FakeConfig::default()).await.unwrap();
    let tls = format!("https://{}/v1", plain.address());
    for (address, told) in [
        ("http://no-such-host.invalid/v1", "its name did not resolve"),
        (tls.as_str(), "no TLS connection to it was agreed"),
    ] {
        let failover = Failover::builder()
            .target(providers::OPENAI.model("m").at(address))
            .target(providers::GEMINI.model("m").at(&second.url()))
            .health(HealthConfig { enabled: false, ..HealthConfig::default() })
            .build()
            .unwrap();
        let answer = failover.generate("Count").await.unwrap();
        assert_eq!((answer.target(), answer.text()), ("gemini/m", words()), "{address}");
        let status = failover.status()[0].to_string();
        assert!(status.contains(told), "{address}: {status}");
    }
}

/// A resolver that knows one fake provider by name.
#[derive(Debug)]
struct Names(unbroken_drill::fake_provider::FakeName);

impl Resolve for Names {
    fn resolve(&self, host: &str, port: u16) -> Resolving {
        let (name, is_first) = (self.0.clone(), host == "first.fake.test");
        let other = SocketAddr::from(([127, 0, 0, 1], port));
        Box::pin(async move { Ok(vec![if is_first { name.resolve().await? } else { other }]) })
    }
}

/// Two targets behind TLS; the first one has a name.
async fn secure_pair(http2: bool) -> Pair {
    let start = || FakeProvider::start(FakeConfig { tls: true, ..FakeConfig::default() });
    let (first, second) = (start().await.unwrap(), start().await.unwrap());
    let roots = format!("{}{}", first.certificate().unwrap(), second.certificate().unwrap());
    let at_first = format!("https://first.fake.test:{}/v1", first.address().port());
    let limits = Limits {
        connect: Duration::from_millis(300),
        first_token: Duration::from_millis(600),
        answer: Duration::from_millis(600),
        ..Limits::default()
    };
    let failover = Failover::builder()
        .target(providers::OPENAI.model("m").at(&at_first).http2(http2))
        .target(providers::ANTHROPIC.model("m").at(&second.url()).http2(http2))
        .http(HttpConfig {
            roots: Some(roots.into()),
            resolver: Some(Arc::new(Names(first.name()))),
            ..HttpConfig::default()
        })
        .limits(limits)
        .health(HealthConfig { enabled: false, ..HealthConfig::default() })
        .retry(RetryConfig { patience: Duration::ZERO, ..RetryConfig::default() })
        .build()
        .unwrap();
    Pair { first, second, failover }
}

#[tokio::test]
async fn every_failure_is_invisible_behind_tls_with_and_without_http2() {
    let before_a_request =
        [Fault::DnsFailure, Fault::DnsStall { ms: 30_000 }, Fault::TlsFailure, Fault::Refuse];
    for http2 in [false, true] {
        for fault in before_a_request.into_iter().chain(invisible()) {
            let pair = secure_pair(http2).await;
            let healthy = pair.failover.generate("Count").await.unwrap();
            assert_eq!((healthy.target(), healthy.text()), ("openai/m", words()));
            pair.first.fault(fault);
            let told = format!("{fault:?}, http2 {http2}");
            let mut stream =
                pair.failover.stream("Count").await.unwrap_or_else(|e| panic!("{told}: {e}"));
            let mut text = String::new();
            while let Some(more) = stream.next().await.unwrap() {
                text.push_str(&more);
            }
            assert_eq!((stream.target(), text), ("anthropic/m", words()), "{told}");
        }
    }
}

#[tokio::test]
async fn http2_shares_one_connection_and_http1_does_not() {
    for (http2, connections) in [(false, 8), (true, 1)] {
        let pair = secure_pair(http2).await;
        // The first call opens the connection that the others share, if they may.
        pair.failover.generate("Count").await.unwrap();
        let calls = (0..8).map(|_| pair.failover.generate("Count"));
        for answer in futures_util::future::join_all(calls).await {
            assert_eq!(answer.unwrap().text(), words());
        }
        assert_eq!(pair.first.connections(), connections, "http2 {http2}");
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_not_believed() {
    let config = FakeConfig { tls: true, ..FakeConfig::default() };
    let first = FakeProvider::start(config).await.unwrap();
    let second = FakeProvider::start(FakeConfig::default()).await.unwrap();
    let failover = builder(&first, &second).build().unwrap();
    assert_eq!(failover.generate("Count").await.unwrap().target(), "anthropic/m");
    assert!(first.journal().is_empty(), "no key was shown to it");
}
