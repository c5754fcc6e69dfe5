//! How a request is sent: once its credentials are there, and once more without a hint that the
//! target has refused by its name, within the same attempt.

use std::pin::Pin;

use bytes::Bytes;
use http::Request;
use unbroken_engine::cause::FailureCause;
use unbroken_wire::error::ErrorBody;

use super::{Body, Upstream};
use crate::capabilities::lessons::Lesson;
use crate::capabilities::refused::refused;
use crate::clock::Clock;
use crate::http::{Exchange, HttpClient};
use crate::providers::{self, Fit, Fitted};

/// An exchange that waits for its credentials.
type Opening = Pin<Box<dyn Future<Output = Result<Exchange, FailureCause>> + Send>>;

/// What is being sent.
#[derive(Default)]
pub(super) struct Sending {
    /// Credentials are being fetched, before there is an exchange.
    pub(super) opening: Option<Opening>,
    /// What was sent, until its answer is understood.
    pub(super) sent: Option<Sent>,
    /// How often it was sent again.
    pub(super) repairs: u8,
}

/// What was sent, so that it can be sent again in another form.
pub(super) struct Sent {
    pub(super) http: HttpClient,
    pub(super) request: Request<Bytes>,
}

/// So many fields of one request may be refused, one after the other.
const REPAIRS_MAX: u8 = 3;

impl Upstream {
    /// Sends the request, once its credentials are there.
    pub(super) fn open(&mut self, http: &HttpClient, mut request: Request<Bytes>) {
        self.sending.sent = Some(Sent { http: http.clone(), request: request.clone() });
        let endpoint = self.endpoint.clone();
        let Some(cloud) = endpoint.cloud.clone().filter(|_| endpoint.key.is_none()) else {
            endpoint.authorize(&mut request, Clock::unix_seconds());
            self.exchange = Some(http.send(request, endpoint.http2));
            return;
        };
        let http = http.clone();
        self.sending.opening = Some(Box::pin(async move {
            let credential = cloud.get(&http).await?;
            endpoint.authorize_with(&mut request, Some(&credential), Clock::unix_seconds());
            Ok(http.send(request, endpoint.http2))
        }));
    }

    /// Asks again without the field that was refused, if that may be; whether it did.
    pub(super) fn repair(&mut self, status: u16, error: &ErrorBody) -> bool {
        let Some(sent) = self.sending.sent.take_if(|_| self.sending.repairs < REPAIRS_MAX) else {
            return false;
        };
        let Sent { http, mut request } = sent;
        let Some(fit) = refused(status, error, request.body()) else { return false };
        let Some((body, warnings)) = without(request.body(), fit) else { return false };
        self.sending.repairs += 1;
        self.warnings.extend(warnings);
        self.lessons.push(Lesson::Refuses(fit));
        self.body = Body::Nothing;
        self.exchange = None;
        *request.body_mut() = Bytes::from(body);
        self.open(&http, request);
        true
    }
}

/// The body without the field, and what the client is told of it.
fn without(body: &[u8], fit: Fit) -> Option<(Vec<u8>, Vec<String>)> {
    match providers::fit(body.to_vec(), &[fit]).ok()? {
        Fitted::Body(fitted, warnings) if fitted != body => Some((fitted, warnings)),
        Fitted::Body(..) | Fitted::Refused(_) => None,
    }
}
