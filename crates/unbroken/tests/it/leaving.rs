//! A client that leaves: whoever answers it hears of it within 100 ms, and nobody is blamed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use unbroken::Failover;
use unbroken::builder::FailoverBuilder;
use unbroken::http::HttpConfig;
use unbroken::observer::{Observer, Seen};
use unbroken::providers::{self, Provider};
use unbroken_drill::fake_provider::{FakeConfig, FakeProvider};
use unbroken_drill::fault::Fault;
use unbroken_engine::event::{Event, Outcome};
use unbroken_engine::health::HealthConfig;

const AT_ONCE: Duration = Duration::from_millis(100);

/// How calls ended.
#[derive(Default)]
struct Outcomes(Mutex<Vec<Outcome>>);

impl Observer for Outcomes {
    fn observe(&self, seen: &Seen<'_>) {
        if let Event::CallEnded { outcome, .. } = seen.event {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(*outcome);
        }
    }
}

struct World {
    fake: FakeProvider,
    failover: Failover,
    outcomes: Arc<Outcomes>,
}

impl World {
    async fn new(provider: &'static Provider, http2: bool) -> Self {
        let config = FakeConfig { tls: http2, ..FakeConfig::default() };
        let fake = FakeProvider::start(config).await.unwrap();
        let path = if provider.dialect.name == "openai-chat" { "/v1" } else { "" };
        let target = provider.model("m").at(&format!("{}{path}", fake.url())).http2(http2);
        let outcomes = Arc::new(Outcomes::default());
        let roots = fake.certificate().map(Into::into);
        let http = HttpConfig { roots, ..HttpConfig::default() };
        let builder: FailoverBuilder = Failover::builder()
            .target(target.key("k"))
            .http(http)
            .health(HealthConfig { enabled: false, ..HealthConfig::default() })
            .observer(outcomes.clone());
        Self { fake, failover: builder.build().unwrap(), outcomes }
    }

    /// The provider sees at once that the client has left its only call.
    async fn is_left_at_once(&self, case: &str) {
        let left = async {
            while !self.fake.journal()[0].client_left {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        assert!(tokio::time::timeout(AT_ONCE, left).await.is_ok(), "{case}");
    }

    fn nobody_is_blamed(&self, case: &str) {
        let reports = self.failover.status();
        assert!(reports.iter().all(|status| status.report.last_failure.is_none()), "{case}");
        assert!(reports.iter().all(|status| status.report.state == "closed"), "{case}");
        let outcomes = self.outcomes.0.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(*outcomes, [Outcome::ClientGone], "{case}");
    }
}

fn cases() -> impl Iterator<Item = (&'static Provider, bool)> {
    let dialects = [&providers::OPENAI_COMPATIBLE, &providers::ANTHROPIC, &providers::GEMINI];
    dialects.into_iter().flat_map(|provider| [(provider, false), (provider, true)])
}

#[tokio::test]
async fn a_stream_that_nobody_reads_is_cancelled_at_once() {
    for (provider, http2) in cases() {
        let case = format!("{}, HTTP/2: {http2}", provider.name);
        let world = World::new(provider, http2).await;
        world.fake.fault(Fault::SlowTokens { ms: 40 });
        let mut stream = world.failover.stream("Count").await.unwrap();
        stream.next().await.unwrap();
        drop(stream);
        world.is_left_at_once(&case).await;
        world.nobody_is_blamed(&case);
    }
}

#[tokio::test]
async fn a_whole_answer_that_nobody_waits_for_is_cancelled_at_once() {
    for (provider, http2) in cases() {
        let case = format!("{}, HTTP/2: {http2}", provider.name);
        let world = World::new(provider, http2).await;
        world.fake.fault(Fault::SlowFirstToken { ms: 30_000 });
        let asked = world.failover.generate("Count");
        assert!(tokio::time::timeout(Duration::from_millis(400), asked).await.is_err(), "{case}");
        assert_eq!(world.fake.journal().len(), 1, "{case}: it was asked");
        world.is_left_at_once(&case).await;
        world.nobody_is_blamed(&case);
    }
}
