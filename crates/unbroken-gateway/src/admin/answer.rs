//! How is one request of an operator answered?

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;
use tokio::sync::mpsc;
use unbroken_engine::breaker::Forced;

use super::paths::{self, Asked, Found, PATHS, Path};
use super::{Admin, live, openapi, view, what_if};
use crate::explain::{Question, Standing, explain};
use crate::ledger;

/// Whoever shows a wrong token waits, so that guessing takes long.
const WRONG_TOKEN_WAIT: Duration = Duration::from_millis(250);
/// A question has a request in it at most.
const BODY_MAX: usize = 32 << 20;
/// Nor may it trickle in.
const BODY_WAIT: Duration = Duration::from_secs(10);
/// Calls in one answer, if nothing else is asked for.
const CALLS: usize = 100;

/// The body of an answer: whole, or as it comes.
pub(crate) enum Answer {
    Whole(Option<Bytes>),
    Stream(mpsc::Receiver<Bytes>),
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(receiver) => {
                receiver.poll_recv(context).map(|bytes| Some(Ok(Frame::data(bytes?))))
            }
        }
    }
}

type Outgoing = Response<Answer>;

/// Answers.
pub(super) async fn answer(
    admin: &Arc<Admin>,
    token: &SecretString,
    request: Request<Incoming>,
) -> Outgoing {
    let is_head = request.method() == Method::HEAD;
    let mut response = match paths::find(request.method(), request.uri().path()) {
        Found::Path(index, part) => {
            let Some(path) = PATHS.get(index) else { return fault(404, "nothing") };
            if path.is_open || shows(request.headers(), token) {
                if path.asked == Asked::Explain {
                    explained(admin, request.into_body()).await
                } else {
                    serve(admin, path, part, request.uri().query().unwrap_or_default())
                }
            } else {
                tokio::time::sleep(WRONG_TOKEN_WAIT).await;
                let mut response =
                    fault(401, "show the token: `Authorization: Bearer …`; see `[admin]`");
                let bearer = HeaderValue::from_static("Bearer");
                response.headers_mut().insert(http::header::WWW_AUTHENTICATE, bearer);
                response
            }
        }
        Found::WrongMethod => fault(405, "not with this method; see /admin/openapi.json"),
        Found::Nothing => fault(404, "there is nothing here; see /admin/openapi.json"),
    };
    if is_head {
        *response.body_mut() = Answer::Whole(None);
    }
    protect(response.headers_mut());
    response
}

/// Whether the token is shown. The time that it takes tells at most how long the token is.
fn shows(headers: &HeaderMap, token: &SecretString) -> bool {
    let shown = headers.get(AUTHORIZATION).map_or(&[][..], HeaderValue::as_bytes);
    let shown = shown.strip_prefix(b"Bearer ").unwrap_or_default();
    shown.ct_eq(token.expose_secret().as_bytes()).into()
}

/// Nothing from elsewhere, in nobody's frame, in nobody's cache.
fn protect(headers: &mut HeaderMap) {
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                  img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    for (name, value) in [
        ("content-security-policy", policy),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

fn serve(admin: &Arc<Admin>, path: &Path, part: &str, query: &str) -> Outgoing {
    let body = match path.asked {
        Asked::Dashboard => include_str!("dashboard.html").into(),
        Asked::DashboardScript => include_str!("dashboard.js").into(),
        Asked::DashboardStyle => include_str!("dashboard.css").into(),
        Asked::Live => "ok\n".into(),
        Asked::OpenApi => openapi::document().to_string(),
        Asked::Status => view::status(admin).to_string(),
        Asked::Targets => json!({ "targets": view::targets(admin) }).to_string(),
        Asked::ForceOpen => return force(admin, query, "open", Some(Forced::Open)),
        Asked::ForceClosed => return force(admin, query, "close", Some(Forced::Closed)),
        Asked::Drain => return force(admin, query, "drain", Some(Forced::Drain)),
        Asked::Release => return force(admin, query, "release", None),
        Asked::Reset => return reset(admin, query),
        Asked::Reload => return reload(admin),
        Asked::Calls => {
            let limit = parameter(query, "limit").and_then(|text| text.parse().ok());
            let calls = admin.journal.calls(limit.unwrap_or(CALLS));
            let calls: Vec<_> = calls.iter().map(AsRef::as_ref).collect();
            json!({ "calls": calls }).to_string()
        }
        Asked::Call => match one_call(admin, &decode(part)) {
            Some(call) => call.to_string(),
            None => return fault(404, "no call of that id is remembered"),
        },
        Asked::Incidents => json!({ "incidents": admin.journal.incidents() }).to_string(),
        // Answered before: it has a body.
        Asked::Explain => return fault(400, "what?"),
        Asked::Alerts => {
            let (open, past) = admin.alerts.all();
            json!({ "open": open, "past": past }).to_string()
        }
        Asked::WhatIf => match parameter(query, "target") {
            Some(target) => what_if::answer(admin, &target).to_string(),
            None => return fault(400, "which `target`?"),
        },
        Asked::Stream => return stream(admin, path),
        Asked::Metrics => admin.metrics.page(),
    };
    respond(200, path.kind, Answer::Whole(Some(body.into())))
}

/// Who would be asked.
async fn explained(admin: &Admin, body: Incoming) -> Outgoing {
    let read = tokio::time::timeout(BODY_WAIT, Limited::new(body, BODY_MAX).collect()).await;
    let Ok(Ok(body)) = read else { return fault(400, "the body could not be read") };
    let question: Question = match serde_json::from_slice(&body.to_bytes()) {
        Ok(question) => question,
        Err(error) => return fault(400, &format!("expected a `model`: {error}")),
    };
    let standings = view::targets(admin).into_iter().map(|view| {
        let standing = Standing {
            health: view.health,
            usable: view.usable,
            words: view.words,
            retry_at_ms: view.retry_at_ms,
            share: view.share,
        };
        (view.target, standing)
    });
    match explain(&admin.current.get(), Some(&standings.collect()), &question) {
        Ok(explanation) => whole(200, &json!(explanation)),
        Err(error) => fault(400, &error),
    }
}

/// A call, from memory or, when it has gone from there, from the ledger.
fn one_call(admin: &Admin, id: &str) -> Option<Value> {
    if let Some(call) = admin.journal.call(id) {
        return Some(json!(*call));
    }
    let database = ledger::open_to_read(admin.ledger.as_ref()?.path()).ok()?;
    ledger::read_call(&database, id).ok()?
}

fn stream(admin: &Arc<Admin>, path: &Path) -> Outgoing {
    // Two messages wait at most: a page that does not read gets the newest state later.
    let (sender, receiver) = mpsc::channel(2);
    drop(unbroken::spawn("live status", live::run(admin.clone(), sender)));
    respond(200, path.kind, Answer::Stream(receiver))
}

fn force(admin: &Admin, query: &str, action: &str, forced: Option<Forced>) -> Outgoing {
    acted(action, query, |target| admin.failover.force(target, forced).is_ok())
}

fn reset(admin: &Admin, query: &str) -> Outgoing {
    acted("reset", query, |target| admin.failover.reset(target).is_ok())
}

fn acted(action: &str, query: &str, act: impl FnOnce(&str) -> bool) -> Outgoing {
    let Some(target) = parameter(query, "target") else { return fault(400, "which `target`?") };
    if !act(&target) {
        return fault(404, &format!("there is no target `{target}`"));
    }
    tracing::info!(target, action, "an operator acted on a target");
    whole(200, &json!({ "target": target, "done": action }))
}

fn reload(admin: &Admin) -> Outgoing {
    tracing::info!("an operator asked for a reload");
    match admin.reloader.reload() {
        Ok(state) => whole(
            200,
            &json!({ "generation": state.generation, "after_restart": state.after_restart }),
        ),
        Err(error) => fault(422, &error),
    }
}

fn respond(status: u16, kind: &'static str, body: Answer) -> Outgoing {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn whole(status: u16, body: &Value) -> Outgoing {
    respond(status, "application/json", Answer::Whole(Some(body.to_string().into())))
}

fn fault(status: u16, message: &str) -> Outgoing {
    whole(status, &json!({ "error": message }))
}

/// A parameter of the query, decoded.
fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    Some(decode(&value.replace('+', " "))).filter(|value| !value.is_empty())
}

fn decode(text: &str) -> String {
    crate::server::percent_decode(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_opens() {
        let token = SecretString::from("0123456789abcdef");
        let shown = |value: &str| {
            let value = HeaderValue::from_str(value).unwrap();
            shows(&HeaderMap::from_iter([(AUTHORIZATION, value)]), &token)
        };
        assert!(shown("Bearer 0123456789abcdef"));
        for wrong in [
            "",
            "Bearer ",
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdeF",
            "Bearer 0123456789abcdef0",
            "Basic 0123456789abcdef",
            "0123456789abcdef",
        ] {
            assert!(!shown(wrong), "{wrong}");
        }
        assert!(!shows(&HeaderMap::new(), &token));
    }

    #[test]
    fn parameters_are_decoded() {
        let target = Some("local/llama 8b".to_owned());
        assert_eq!(parameter("limit=5&target=local%2Fllama+8b", "target"), target);
        assert_eq!(parameter("target=", "target"), None);
    }
}
