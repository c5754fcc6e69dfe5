//! Failover between two providers: `OPENAI_API_KEY=… ANTHROPIC_API_KEY=… cargo run --example generate`.
//! Without keys it asks a fake provider whose other half is down.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "an example")]

use unbroken::{Failover, providers};
use unbroken_drill::fake_provider::{FakeConfig, FakeProvider};
use unbroken_drill::fault::Fault;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let keys = (std::env::var("OPENAI_API_KEY"), std::env::var("ANTHROPIC_API_KEY"));
    let fake = FakeProvider::start(FakeConfig::default()).await?;
    let down = FakeProvider::start(FakeConfig::default()).await?;
    down.fault(Fault::Reset);
    let (preferred, fallback) = match keys {
        (Ok(openai), Ok(anthropic)) => (
            providers::OPENAI.model("gpt-5.1").key(&openai),
            providers::ANTHROPIC.model("claude-sonnet-4-5").key(&anthropic),
        ),
        _ => (
            providers::OPENAI.model("gpt-fake").at(&format!("{}/v1", down.url())),
            providers::ANTHROPIC.model("claude-fake").at(&fake.url()),
        ),
    };
    let failover = Failover::builder().target(preferred).target(fallback).build()?;
    let answer = failover.generate("Say hello").await?;
    println!("{} answered in {} attempts: {}", answer.target(), answer.attempts(), answer.text());
    failover.check_health().await;
    for target in failover.status() {
        println!("{target}");
    }
    Ok(())
}
