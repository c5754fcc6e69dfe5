//! The client: so many connections, each one call after the other, until the time is up.

use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::Failed;

/// What is sent, how often at once, and for how long.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// Who gets it.
    pub(crate) address: String,
    /// The path of the calls.
    pub(crate) path: &'static str,
    /// The body of each call.
    pub(crate) body: Bytes,
    /// What every whole answer ends with.
    pub(crate) ends_with: &'static str,
    /// Connections.
    pub(crate) connections: usize,
    /// For how long.
    pub(crate) length: Duration,
}

/// What came of it. Times in seconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Answered calls.
    pub(crate) calls: usize,
    /// Calls that were not answered to their end.
    pub(crate) lost: usize,
    /// Answered calls per second.
    pub(crate) rate: f64,
    /// From the request to its answer's last byte.
    pub(crate) whole: Vec<f64>,
    /// From the request to its answer's first byte.
    pub(crate) first: Vec<f64>,
}

impl Outcome {
    /// The time that this share of the calls did not exceed.
    pub(crate) fn at(times: &[f64], share: f64) -> f64 {
        let mut sorted = times.to_vec();
        sorted.sort_by(f64::total_cmp);
        let place = (sorted.len() as f64 * share) as usize;
        sorted.get(place.min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
    }
}

/// A chat with a prompt of about so many bytes.
pub(crate) fn chat(model: &str, bytes: usize, is_stream: bool) -> Bytes {
    let text = "A sentence of a prompt that somebody wrote. ".repeat(bytes / 44 + 1);
    let stream = if is_stream { ",\"stream\":true" } else { "" };
    format!(
        "{{\"model\":\"{model}\",\"messages\":[{{\"role\":\"system\",\"content\":\"Be brief.\"}},\
         {{\"role\":\"user\",\"content\":\"{text}\"}}],\"temperature\":0.2{stream}}}"
    )
    .into()
}

/// The same in the Messages dialect.
pub(crate) fn messages(model: &str, bytes: usize, is_stream: bool) -> Bytes {
    let text = "A sentence of a prompt that somebody wrote. ".repeat(bytes / 44 + 1);
    format!(
        "{{\"model\":\"{model}\",\"max_tokens\":1000,\"system\":\"Be brief.\",\
         \"messages\":[{{\"role\":\"user\",\"content\":\"{text}\"}}],\"stream\":{is_stream}}}"
    )
    .into()
}

/// Sends it.
pub(crate) async fn send(load: &Load) -> Result<Outcome, Failed> {
    let start = Instant::now();
    let tasks: Vec<_> = (0..load.connections)
        .map(|_| tokio::spawn(one_connection(load.clone(), start + load.length)))
        .collect();
    let mut all = Outcome::default();
    for task in tasks {
        let one = task.await??;
        all.calls += one.calls;
        all.lost += one.lost;
        all.whole.extend(one.whole);
        all.first.extend(one.first);
    }
    all.rate = all.calls as f64 / start.elapsed().as_secs_f64();
    Ok(all)
}

async fn one_connection(load: Load, until: Instant) -> Result<Outcome, Failed> {
    let mut outcome = Outcome::default();
    let mut sender = connect(&load.address).await?;
    while Instant::now() < until {
        let start = Instant::now();
        match one_call(&mut sender, &load).await {
            Ok(first) => {
                outcome.calls += 1;
                outcome.first.push(first.duration_since(start).as_secs_f64());
                outcome.whole.push(start.elapsed().as_secs_f64());
            }
            Err(_) => {
                outcome.lost += 1;
                sender = connect(&load.address).await?;
            }
        }
    }
    Ok(outcome)
}

/// One connection, driven by a task of its own.
pub(crate) async fn connect(address: &str) -> Result<SendRequest<Full<Bytes>>, Failed> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// One call to its end; when the first byte of its answer came.
pub(crate) async fn one_call(
    sender: &mut SendRequest<Full<Bytes>>,
    load: &Load,
) -> Result<Instant, Failed> {
    sender.ready().await?;
    let request = Request::post(load.path)
        .header("host", load.address.as_str())
        .header("content-type", "application/json")
        .header("authorization", "Bearer sk-client")
        .body(Full::new(load.body.clone()))?;
    let response = sender.send_request(request).await?;
    if response.status() != StatusCode::OK {
        return Err(format!("status {}", response.status()).into());
    }
    let mut body = response.into_body();
    let mut first = None;
    let mut last = Bytes::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            first.get_or_insert_with(Instant::now);
            last = data;
        }
    }
    // A frame may hold the end only in part: then what is there must be a part of it.
    let end = load.ends_with.as_bytes();
    if last.ends_with(end) || end.ends_with(&last) {
        Ok(first.unwrap_or_else(Instant::now))
    } else {
        Err("the answer has no end".into())
    }
}
