//! Targets that are asked something although no client needs it, over real sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use unbroken::{Failover, providers};
use unbroken_drill::fake_provider::{FakeConfig, FakeProvider};
use unbroken_drill::fault::{BodyKind, Fault};
use unbroken_engine::breaker::BreakerConfig;
use unbroken_engine::health::{HealthConfig, SyntheticConfig};

const MS: Duration = Duration::from_millis(1);

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(5 * MS).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting)
        .await
        .unwrap_or_else(|_| panic!("{what} never happened"));
}

fn builder(first: &FakeProvider, synthetic: SyntheticConfig) -> unbroken::builder::FailoverBuilder {
    let breaker = BreakerConfig { recovery: 50 * MS, recovery_max: 50 * MS, ..Default::default() };
    Failover::builder()
        .target(providers::ANTHROPIC.model("m").at(&first.url()).key("right"))
        .breaker(breaker)
        .synthetic(synthetic)
        .health(HealthConfig { enabled: false, ..HealthConfig::default() })
}

#[tokio::test]
async fn a_shut_target_comes_back_without_a_single_call() {
    let config = FakeConfig { key: Some("right".to_owned()), ..FakeConfig::default() };
    let first = FakeProvider::start(config).await.unwrap();
    let second = FakeProvider::start(FakeConfig::default()).await.unwrap();
    let synthetic =
        SyntheticConfig { after: 50 * MS, interval: 50 * MS, ..SyntheticConfig::default() };
    let failover = builder(&first, synthetic)
        .target(providers::GEMINI.model("m").at(&second.url()))
        .build()
        .unwrap();
    first.fault(Fault::Status { status: 500, body: BodyKind::Json, retry_after: None });
    for _ in 0..3 {
        assert_eq!(failover.generate("Count").await.unwrap().target(), "gemini/m");
    }
    assert_eq!(failover.status()[0].report.state, "open");
    let calls = first.journal().len();
    until("a failed probe", || first.journal().len() > calls).await;
    first.heal();
    until("a recovery", || failover.status()[0].report.state == "ramp").await;
    assert_eq!(second.journal().len(), 3, "nobody who is well is probed");
    assert_eq!(failover.status()[0].report.under_way, 0);
}

#[tokio::test]
async fn a_fallback_whose_key_has_expired_is_found_before_it_is_needed() {
    let config = FakeConfig { key: Some("renewed".to_owned()), ..FakeConfig::default() };
    let first = FakeProvider::start(config).await.unwrap();
    let exercise = Some(50 * MS);
    let synthetic = SyntheticConfig { exercise, daily_max: 2, ..SyntheticConfig::default() };
    let failover = builder(&first, synthetic).build().unwrap();
    until("a refusal", || failover.status()[0].report.refusal.is_some()).await;
    let told = failover.status()[0].to_string();
    assert!(told.contains("it does not accept the key"), "{told}");
    tokio::time::sleep(300 * MS).await;
    assert!(first.journal().len() <= 2, "bounded per day: {}", first.journal().len());
}

/// A status page that always says the same; counts how often it was asked.
async fn status_page(body: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api/v2/summary.json", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    drop(unbroken::spawn("status page", async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let read = connection.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /api/v2/summary.json HTTP/1.1"));
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length";
            let answer = format!("{head}: {}\r\n\r\n{body}", body.len());
            connection.write_all(answer.as_bytes()).await.unwrap();
            count.fetch_add(1, Ordering::Relaxed);
        }
    }));
    (url, asked)
}

#[tokio::test]
async fn an_incident_on_the_status_page_halves_the_evidence_that_is_needed() {
    let quiet = r#"{"status":{"indicator":"none"},"incidents":[]}"#;
    let incident = r#"{"incidents":[{"status":"investigating","impact":"major"}]}"#;
    for (page, state) in [(quiet, "closed"), (incident, "open"), ("not json", "closed")] {
        let (url, asked) = status_page(page).await;
        let first = FakeProvider::start(FakeConfig::default()).await.unwrap();
        let second = FakeProvider::start(FakeConfig::default()).await.unwrap();
        let failover = Failover::builder()
            .target(providers::ANTHROPIC.model("m").at(&first.url()).status_url(&url))
            .target(providers::GEMINI.model("m").at(&second.url()))
            .health(HealthConfig { enabled: false, ..HealthConfig::default() })
            .build()
            .unwrap();
        until("a look at the page", || asked.load(Ordering::Relaxed) == 1).await;
        tokio::time::sleep(100 * MS).await;
        assert_eq!(failover.status()[0].report.state, "closed", "a hint alone shuts nothing");
        first.fault(Fault::Status { status: 500, body: BodyKind::Json, retry_after: None });
        for _ in 0..2 {
            assert_eq!(failover.generate("Count").await.unwrap().target(), "gemini/m");
        }
        assert_eq!(failover.status()[0].report.state, state, "{page}");
    }
}
