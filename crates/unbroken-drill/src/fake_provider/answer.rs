//! How is a request answered, with and without a fault?

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use super::State;
use super::conversation::Begun;
use super::dialect::{FakeDialect, Script};
use super::frames::Framing;
use super::manner::{Manner, Prefill, claude_refuses_prefill};
use super::play::{Player, Stop};
use super::serve::{Line, Outgoing};
use super::stored;
use super::words::{Asked, Content, decide};
use crate::fault::{BodyKind, Fault, StreamEnd};

/// What to do about one request.
pub(super) struct Answering {
    pub(super) state: Arc<State>,
    pub(super) dialect: FakeDialect,
    pub(super) framing: Framing,
    pub(super) asked: Asked,
    pub(super) manner: Manner,
    pub(super) entry: usize,
    pub(super) line: Line,
}

/// A body that is here.
pub(super) fn whole(status: u16, kind: &str, body: impl Into<Bytes>) -> Outgoing {
    let body = Full::new(body.into()).map_err(|never| match never {}).boxed();
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT);
    if let Ok(kind) = kind.parse() {
        response.headers_mut().insert("content-type", kind);
    }
    response
}

fn with_retry_after(mut response: Outgoing, seconds: Option<u32>) -> Outgoing {
    if let Some(seconds) = seconds {
        response.headers_mut().insert("retry-after", seconds.into());
    }
    response
}

/// A name for the journal.
pub(super) fn fault_name(fault: Fault) -> String {
    let value = serde_json::to_value(fault).unwrap_or_default();
    value.get("do").and_then(Value::as_str).unwrap_or("fault").to_owned()
}

impl Answering {
    /// The answer; an error closes the connection.
    pub(super) async fn respond(self, fault: Option<Fault>) -> io::Result<Outgoing> {
        let Some(fault) = fault else { return Ok(self.answer(Playing::default()).await) };
        match fault {
            // Connections from before the fault are closed; whoever comes after it is served.
            Fault::DnsFailure | Fault::DnsStall { .. } | Fault::TlsFailure | Fault::Refuse
                if self.line.is_newer_than_faults(&self.state) =>
            {
                Ok(self.answer(Playing::default()).await)
            }
            Fault::DnsFailure
            | Fault::DnsStall { .. }
            | Fault::TlsFailure
            | Fault::Refuse
            | Fault::Close => Err(io::ErrorKind::ConnectionAborted.into()),
            Fault::Reset => {
                self.line.reset_on_close();
                Err(io::ErrorKind::ConnectionReset.into())
            }
            Fault::BlackHole => std::future::pending().await,
            Fault::Status { status, body, retry_after } => {
                Ok(with_retry_after(self.status(status, body), retry_after))
            }
            Fault::Unauthorized => Ok(self.unauthorized()),
            Fault::RateLimit { retry_after } => {
                Ok(with_retry_after(self.rate_limit(), retry_after))
            }
            Fault::Quota => Ok(self.quota()),
            Fault::Overloaded => Ok(self.overloaded()),
            Fault::ModelGone => Ok(self.model_gone()),
            Fault::UnsupportedParameter => {
                Ok(self.refuse_400("unsupported_parameter", "Unsupported parameter: 'top_k'"))
            }
            Fault::ContextTooLong => Ok(self.refuse_400(
                "context_length_exceeded",
                "This model's maximum context length is 8192 tokens. Please reduce the length.",
            )),
            Fault::PolicyRefused => Ok(self.policy()),
            Fault::InvalidRequest => {
                Ok(self.refuse_400("invalid_value", "Invalid 'temperature': must be a number."))
            }
            Fault::Empty200 => Ok(whole(200, "application/json", "")),
            Fault::ErrorIn200 => Ok(self.error_in_200()),
            Fault::JsonInsteadOfStream => Ok(self.json()),
            Fault::SlowFirstToken { ms } => {
                let first_token = Some(Duration::from_millis(u64::from(ms)));
                Ok(self.answer(Playing { first_token, ..Playing::default() }).await)
            }
            Fault::SlowTokens { ms } => {
                let gap = Some(Duration::from_millis(u64::from(ms)));
                Ok(self.answer(Playing { gap, ..Playing::default() }).await)
            }
            Fault::CutStream { after_words, how, inside_event } => {
                Ok(self.cut(after_words, Stop::Cut { how, inside_event }).await)
            }
            Fault::NoEnd { after_words, inside_event } => {
                Ok(self.cut(after_words, Stop::End { inside_event }).await)
            }
            Fault::Stall { after_words, pings } => {
                Ok(self.cut(after_words, Stop::Stall { pings }).await)
            }
            Fault::Malformed { after_words } => Ok(self.cut(after_words, Stop::Malformed).await),
            Fault::ErrorEvent { after_words } => Ok(self.cut(after_words, Stop::Error).await),
            Fault::LastEventsMissing { events, then } => {
                let events = usize::try_from(events).unwrap_or(usize::MAX);
                let playing = Playing { ending: Some((events, then)), ..Playing::default() };
                Ok(self.answer(playing).await)
            }
        }
    }

    async fn cut(self, after_words: u32, stop: Stop) -> Outgoing {
        let after = usize::try_from(after_words).unwrap_or(usize::MAX);
        self.answer(Playing { stop: Some((after, stop)), ..Playing::default() }).await
    }

    async fn answer(mut self, playing: Playing) -> Outgoing {
        if self.refuses_prefill() {
            self.state.amend(self.entry, |entry| "prefill_refused".clone_into(&mut entry.outcome));
            let refused = self.dialect.refuse_prefill();
            let error = self.dialect.error(refused.status, refused.kind, "", &refused.message);
            return whole(refused.status, "application/json", error.to_string());
        }
        if self.asked.stream {
            return self.stream(playing);
        }
        let content = self.content();
        let wait = playing.first_token.unwrap_or(self.state.config.first_token);
        tokio::time::sleep(wait).await;
        if let Some((after, stop)) = playing.stop {
            return self.broken_whole(after, stop);
        }
        let words = u32::try_from(content.text.len()).unwrap_or(u32::MAX);
        self.state.amend(self.entry, |entry| entry.words_sent = words);
        whole(200, "application/json", self.dialect.whole(&self.asked, &content).to_string())
    }

    /// Whether an assistant's message stands at the end and may not. A message that is only
    /// history is forgotten.
    fn refuses_prefill(&mut self) -> bool {
        let Some(Begun::Prefill { is_declared, .. }) = self.asked.begun else { return false };
        let manner = match (self.manner.prefill, self.dialect) {
            (Prefill::ByDialect, FakeDialect::CohereChat) => Prefill::Ignore,
            (Prefill::ByDialect, FakeDialect::OpenaiChat | FakeDialect::OpenaiResponses)
                if !is_declared =>
            {
                Prefill::Ignore
            }
            (Prefill::ByDialect, FakeDialect::AnthropicMessages | FakeDialect::BedrockConverse)
                if claude_refuses_prefill(&self.asked.model) =>
            {
                Prefill::Refuse
            }
            (Prefill::ByDialect, _) => Prefill::Continue,
            (prefill, _) => prefill,
        };
        if manner == Prefill::Ignore {
            self.asked.begun = None;
        }
        manner == Prefill::Refuse
    }

    fn content(&self) -> Content {
        decide(&self.asked, &self.manner, self.state.config.words)
    }

    /// What breaks a stream breaks a whole answer in the middle of its body.
    fn broken_whole(&self, after: usize, stop: Stop) -> Outgoing {
        match stop {
            Stop::Error => self.status(500, BodyKind::Json),
            Stop::Malformed => whole(200, "application/json", "{\"choices\": [{"),
            Stop::Cut { .. } | Stop::End { .. } | Stop::Stall { .. } => {
                let content = self.content();
                let text = self.dialect.whole(&self.asked, &content).to_string();
                let half = text.get(..(text.len() / 2 + after).min(text.len() - 1));
                let script =
                    Script { content: vec![half.unwrap_or("{").to_owned()], ..Script::default() };
                let playing = Playing { stop: Some((1, stop)), ..Playing::default() };
                let mut player = self.player(playing);
                player.framing = Framing::Sse;
                player.start("application/json", script)
            }
        }
    }

    fn stream(&self, playing: Playing) -> Outgoing {
        if let Some(tape) = self.state.tape(&self.asked.model) {
            let mut player = self.player(playing);
            player.write_bytes = tape.write_bytes;
            return player.start_tape(&tape.content_type, tape.bytes, tape.then);
        }
        let script = self.dialect.script(&self.asked, &self.content());
        if self.asked.is_stored {
            stored::keep(&self.state, &script);
        }
        self.player(playing).start(self.framing.content_type(), script)
    }

    fn player(&self, playing: Playing) -> Player {
        Player {
            state: self.state.clone(),
            dialect: self.dialect,
            framing: self.framing,
            entry: self.entry,
            line: self.line.clone(),
            first_token: playing.first_token.unwrap_or(self.state.config.first_token),
            gap: playing.gap.unwrap_or(self.state.config.gap),
            write_bytes: self.manner.write_bytes,
            stop: playing.stop,
            ending: playing.ending.unwrap_or((0, StreamEnd::Clean)),
        }
    }

    fn json(&self) -> Outgoing {
        let content = self.content();
        whole(200, "application/json", self.dialect.whole(&self.asked, &content).to_string())
    }
}

/// How a stream is played.
#[derive(Clone, Copy, Debug, Default)]
struct Playing {
    first_token: Option<Duration>,
    gap: Option<Duration>,
    stop: Option<(usize, Stop)>,
    ending: Option<(usize, StreamEnd)>,
}

/// The list of models, in whichever dialect it was asked for.
pub(super) fn models(path: &str) -> Value {
    if path.starts_with("/v1beta") {
        json!({ "models": [{ "name": "models/fake" }] })
    } else {
        json!({ "object": "list", "data": [{ "id": "fake", "object": "model" }], "has_more": false })
    }
}
