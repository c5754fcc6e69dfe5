//! What does a seam cost? Time beyond the fallback's own first word, memory of a stream that has one,
//! and the tokens that going on takes.

use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::Request;

use crate::Failed;
use crate::load::{self, Outcome};
use crate::process::Process;
use crate::provider::CUT_AFTER;

/// Where the gateway of these measurements listens.
pub(crate) const GATEWAY: &str = "127.0.0.1:4194";

/// Its configuration: the first target breaks every answer, and no breaker may notice: there are
/// fewer calls than it takes.
pub(crate) const CONFIGURATION: &str = r#"
listen = "127.0.0.1:4194"
[server]
connections_max = 20000
[breaker]
failure_threshold = 1000
[[provider]]
name = "bench"
dialect = "openai-chat"
base_url = "http://127.0.0.1:4190/v1"
key = "sk-bench"
[[provider]]
name = "takes"
dialect = "openai-chat"
base_url = "http://127.0.0.1:4190/v1"
key = "sk-takes"
prefill = "continue_final_message"
[[route]]
name = "onward"
targets = ["bench/cut", "takes/onward"]
[[route]]
name = "anew"
targets = ["bench/cut", "bench/anew"]
[[route]]
name = "linger"
targets = ["bench/cut", "takes/linger"]
[[route]]
name = "open"
targets = ["bench/open"]
"#;

/// What a client saw of one stream. Times in seconds.
struct Seen {
    /// To the first word.
    first: f64,
    /// From the last word before the cut to the first one behind it.
    gap: Option<f64>,
    text: String,
}

/// Reads a stream until it ends or `until` has come.
async fn read(address: &str, model: &str, until: Duration) -> Result<Seen, Failed> {
    let mut sender = load::connect(address).await?;
    let request = Request::post("/v1/chat/completions")
        .header("host", address)
        .header("content-type", "application/json")
        .header("authorization", "Bearer sk-client")
        .body(Full::new(load::chat(model, 1024, true)))?;
    let begun = Instant::now();
    let mut body = sender.send_request(request).await?.into_body();
    let (mut text, mut first, mut last_before, mut gap) = (String::new(), None, None, None);
    let (before, behind) = (format!(" w{CUT_AFTER}"), format!(" w{}", CUT_AFTER + 1));
    while begun.elapsed() < until {
        let Some(frame) = body.frame().await else { break };
        let Ok(data) = frame?.into_data() else { continue };
        text.push_str(std::str::from_utf8(&data)?);
        let now = Instant::now();
        if text.contains(" w") {
            first.get_or_insert(now.duration_since(begun).as_secs_f64());
        }
        if text.contains(&before) {
            last_before.get_or_insert(now);
        }
        if let (true, Some(last), None) = (text.contains(&behind), last_before, gap) {
            gap = Some(now.duration_since(last).as_secs_f64());
        }
    }
    Ok(Seen { first: first.ok_or("no word came")?, gap, text })
}

/// Measures the time and prints it; so many calls per row.
pub(crate) async fn times(provider: &str, calls: usize) -> Result<(), Failed> {
    println!(
        "\n| the fallback | its own first word | last word to next, p50 | p99 | added p50 | tokens added |"
    );
    println!("| --- | --: | --: | --: | --: | --: |");
    for (model, name) in
        [("onward", "takes the beginning"), ("anew", "tells it anew, a word every 10 ms")]
    {
        println!("{}", row(model, name, provider, calls).await?);
    }
    println!("\n(ms; {calls} calls each. Cut after {CUT_AFTER} words, whose prompt has 1 KB.)");
    Ok(())
}

async fn row(model: &str, name: &str, provider: &str, calls: usize) -> Result<String, Failed> {
    let (mut own, mut gaps, mut added) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..calls {
        own.push(read(provider, model, Duration::from_secs(9)).await?.first);
        let seen = read(GATEWAY, model, Duration::from_secs(9)).await?;
        if !seen.text.ends_with("data: [DONE]\n\n") {
            return Err(format!("{model}: the answer has no end").into());
        }
        gaps.push(seen.gap.ok_or("no seam was seen")?);
        let (_, rest) = seen.text.split_once("added_tokens=").ok_or("no trail was seen")?;
        added.push(rest.split(' ').next().unwrap_or_default().parse::<f64>()?);
    }
    let ms = |times: &[f64], share| Outcome::at(times, share) * 1000.0;
    let (own_ms, gap_ms) = (ms(&own, 0.5), ms(&gaps, 0.5));
    Ok(format!(
        "| {name} | {own_ms:.1} | {gap_ms:.1} | {:.1} | {:.1} | {:.0} |",
        ms(&gaps, 0.99),
        gap_ms - own_ms,
        Outcome::at(&added, 0.5),
    ))
}

/// Memory for each of so many streams that stay open.
pub(crate) async fn open(
    gateway: &Process,
    model: &'static str,
    streams: usize,
) -> Result<f64, Failed> {
    // What the first call needs once is no stream's.
    read(GATEWAY, model, Duration::from_millis(300)).await?;
    let before = gateway.memory();
    let minute = Duration::from_secs(60);
    let tasks: Vec<_> = (0..streams).map(|_| tokio::spawn(read(GATEWAY, model, minute))).collect();
    tokio::time::sleep(Duration::from_secs(6)).await;
    let count = tasks.iter().filter(|task| !task.is_finished()).count();
    let each = (gateway.memory() - before) / 1024.0 / count.max(1) as f64;
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    tokio::time::sleep(Duration::from_secs(1)).await;
    if count < streams {
        return Err(format!("{} of {streams} streams are gone", streams - count).into());
    }
    Ok(each)
}
