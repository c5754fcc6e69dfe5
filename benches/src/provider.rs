//! A provider that answers at once, so that what stands before it can be measured.
//!
//! The model says how: `whole` (one answer of 1 KB), `burst` (a stream of 100 events, as fast as
//! they are taken), `paced` (20 events, one every 10 ms), `open` (one event per second, for a
//! minute), `hang` (never). For seams: `cut` (forty words, and then nothing), `onward` (after 50 ms the
//! words behind them), `anew` (after 50 ms all of them, one every 10 ms), `linger` (like `onward`, one
//! per second).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Sleep};

use crate::{Failed, process};

/// Serves until it is ended.
pub(crate) async fn run(address: &str) -> Result<(), Failed> {
    let listener = process::listen(address)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(answer));
            // A client that leaves is no failure of a benchmark.
            drop(connection.await);
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Answer>, Failed> {
    let is_get = request.method() == hyper::Method::GET;
    let body = request.into_body().collect().await?.to_bytes();
    let model = if is_get { "models" } else { model_of(&body) };
    let answer = match model {
        "models" => Answer::whole("{\"object\":\"list\",\"data\":[]}".into()),
        "whole" => Answer::whole(whole()),
        "burst" => Answer::stream(100, Duration::ZERO),
        "paced" => Answer::stream(20, Duration::from_millis(10)),
        "open" => Answer::stream(60, Duration::from_secs(1)),
        "cut" => Answer::numbered(1..=CUT_AFTER, Duration::ZERO, Duration::ZERO, false),
        "onward" => Answer::numbered(CUT_AFTER + 1..=60, FIRST_WORD, Duration::ZERO, true),
        "anew" => Answer::numbered(1..=60, FIRST_WORD, Duration::from_millis(10), true),
        "linger" => Answer::numbered(CUT_AFTER + 1..=100, FIRST_WORD, Duration::from_secs(1), true),
        _ => std::future::pending().await,
    };
    let kind = if answer.is_stream { "text/event-stream" } else { "application/json" };
    Ok(Response::builder().header("content-type", kind).body(answer)?)
}

/// The model a request names: it stands in the first bytes, whoever sent it.
fn model_of(body: &[u8]) -> &str {
    let head = body.get(..body.len().min(200)).unwrap_or_default();
    let head = std::str::from_utf8(head).unwrap_or_default();
    head.split("\"model\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default()
}

fn whole() -> Bytes {
    let text = "word ".repeat(150);
    format!(
        "{{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"whole\",\
         \"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\"content\":\"{text}\",\"refusal\":null}},\
         \"logprobs\":null,\"finish_reason\":\"stop\"}}],\
         \"usage\":{{\"prompt_tokens\":200,\"completion_tokens\":150,\"total_tokens\":350}}}}"
    )
    .into()
}

/// Words of a stream that is cut.
pub(crate) const CUT_AFTER: u32 = 40;
/// What who goes on takes to its first word.
pub(crate) const FIRST_WORD: Duration = Duration::from_millis(50);

/// An answer, whole or event by event.
struct Answer {
    is_stream: bool,
    whole: Option<Bytes>,
    left: usize,
    /// Events of their own instead.
    own: Option<VecDeque<String>>,
    gap: Duration,
    next: Pin<Box<Sleep>>,
}

impl Answer {
    fn whole(bytes: Bytes) -> Self {
        Self { is_stream: false, whole: Some(bytes), ..Self::stream(0, Duration::ZERO) }
    }

    fn stream(events: usize, gap: Duration) -> Self {
        let next = Box::pin(tokio::time::sleep(Duration::ZERO));
        Self { is_stream: true, whole: None, left: events + 2, own: None, gap, next }
    }
}

impl Answer {
    /// A stream of numbered words, the first one after `first`, and its end if it has one.
    fn numbered(
        numbers: RangeInclusive<u32>,
        first: Duration,
        gap: Duration,
        has_end: bool,
    ) -> Self {
        let chunk = |number| CHUNK.replace(" word", &format!(" w{number}"));
        let mut own: VecDeque<String> = numbers.map(chunk).collect();
        if has_end {
            own.extend([FINISH.to_owned(), DONE.to_owned()]);
        }
        let next = Box::pin(tokio::time::sleep(first));
        Self { own: Some(own), next, ..Self::stream(0, gap) }
    }

    fn poll_own(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.next.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        if !self.gap.is_zero() {
            let next = Instant::now() + self.gap;
            self.next.as_mut().reset(next);
        }
        Poll::Ready(self.own.as_mut().and_then(VecDeque::pop_front).map(Bytes::from))
    }
}

const CHUNK: &str = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\
     \"model\":\"burst\",\"system_fingerprint\":\"fp_1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\
     \"logprobs\":null,\"finish_reason\":null}]}\n\n";
const FINISH: &str = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\
     \"model\":\"burst\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(whole) = self.whole.take() {
            return Poll::Ready(Some(Ok(Frame::data(whole))));
        }
        if self.own.is_some() {
            let next = std::task::ready!(self.poll_own(context));
            return Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))));
        }
        if !self.is_stream || self.left == 0 {
            return Poll::Ready(None);
        }
        if !self.gap.is_zero() && self.left > 2 {
            if self.next.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            let next = Instant::now() + self.gap;
            self.next.as_mut().reset(next);
        }
        self.left -= 1;
        let event = match self.left {
            0 => DONE,
            1 => FINISH,
            _ => CHUNK,
        };
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(event.as_bytes())))))
    }

    fn is_end_stream(&self) -> bool {
        if let Some(own) = &self.own {
            return own.is_empty();
        }
        if self.is_stream { self.left == 0 } else { self.whole.is_none() }
    }

    fn size_hint(&self) -> SizeHint {
        self.whole
            .as_ref()
            .map_or_else(SizeHint::default, |whole| SizeHint::with_exact(whole.len() as u64))
    }
}
