//! What is sent to a target?

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request};
use unbroken_engine::cause::{FailureCause, Limitation};
use unbroken_engine::resume::How;
use unbroken_engine::target::is_same_model;
use unbroken_wire::chat::Chat;
use unbroken_wire::dialects::Unsupported;
use unbroken_wire::resume;
use unbroken_wire::undo::Undo;

use super::{Asked, Kept, Resume, Stored, Upstream};
use crate::providers::{self, Fitted};
use crate::reply::CallRequest;
use crate::route::Choice;

/// The form of the answer is asked for in words.
const IN_WORDS: &str = "emulated:response_format";

impl Upstream {
    pub(super) fn prepare(
        &mut self,
        choice: &Choice,
        asked: Asked<'_>,
        resume: &Resume,
    ) -> Result<Request<Bytes>, FailureCause> {
        let Asked { request, chat, .. } = asked;
        if let (How::PickedUp, Some(stored)) = (resume.how, &resume.stored) {
            return self.pick_up(choice, request, stored);
        }
        let body = self.body(choice, request, chat, resume)?;
        let surface = providers::served_in(&self.endpoint, request.dialect, &choice.model);
        let (body, url) = match surface {
            (_, Some(url)) => (body, url),
            // Quirks are those of the provider's usual dialect.
            (_, None) => {
                let url = self.endpoint.chat_url(&choice.model, chat.stream);
                (self.fitted(body, choice, asked)?, url)
            }
        };
        let mut headers = self.head(request);
        let body = match self.endpoint.provider.envelope {
            Some(envelope) => envelope(&body, &mut headers)
                .map_err(|_| FailureCause::InvalidRequest { status: 400 })?,
            None => body,
        };
        let misconfigured = |_| FailureCause::Misconfigured { status: 0 };
        let mut built = Request::builder()
            .method(Method::POST)
            .uri(url)
            .body(Bytes::from(body))
            .map_err(misconfigured)?;
        *built.headers_mut() = headers;
        Ok(built)
    }

    /// The rest of a stored answer.
    fn pick_up(
        &self,
        choice: &Choice,
        request: &CallRequest,
        stored: &Stored,
    ) -> Result<Request<Bytes>, FailureCause> {
        let (_, url) = providers::served_in(&self.endpoint, request.dialect, &choice.model);
        let url = url.unwrap_or_else(|| self.endpoint.chat_url(&choice.model, true));
        let (path, query) = url.split_once('?').unwrap_or((&url, ""));
        let mut url = format!("{path}/{}?stream=true", stored.id);
        for part in query.split('&').filter(|part| !part.is_empty()) {
            url.push('&');
            url.push_str(part);
        }
        if let Some(after) = stored.after {
            url.push_str(&format!("&starting_after={after}"));
        }
        let misconfigured = |_| FailureCause::Misconfigured { status: 0 };
        let mut built = Request::builder().uri(url).body(Bytes::new()).map_err(misconfigured)?;
        *built.headers_mut() = self.head(request);
        Ok(built)
    }

    /// The body: the client's own with another model, or one written for the target.
    fn body(
        &mut self,
        choice: &Choice,
        request: &CallRequest,
        chat: &Chat,
        resume: &Resume,
    ) -> Result<Vec<u8>, FailureCause> {
        let (dialect, model) = (self.dialect, choice.model.as_str());
        let left = || resume::shortened(chat, resume.tokens);
        let written = match (resume.how, resume.prefill) {
            (How::Fresh | How::Restart | How::PickedUp, _) if self.speaks_alike => {
                return (dialect.replace_model)(&request.body, request.outline.as_ref(), model)
                    .map_err(|_| FailureCause::InvalidRequest { status: 400 });
            }
            (How::Fresh | How::Restart | How::PickedUp, _) => (dialect.write_request)(chat, model),
            (How::Prefix, Some(prefill)) => {
                resume::write_beginning(dialect, &left(), model, &resume.text, prefill)
            }
            (How::Prefix, None) => return Err(FailureCause::PrefixRefused),
            (How::Instructed, _) => resume::write_to_go_on(dialect, &left(), model, &resume.text),
        };
        let written = written.map_err(|unsupported| self.cannot(&unsupported))?;
        self.undo = Undo::of(&written);
        self.warnings = written.warnings;
        if resume.how == How::Fresh && self.warnings.iter().any(|w| w == IN_WORDS) {
            self.promised.clone_from(&chat.output);
        }
        Ok(written.body)
    }

    /// The body with the quirks of the provider applied, and those of the model, if it stands in
    /// for the one that the client named: its own choice hears its own words.
    fn fitted(
        &mut self,
        mut body: Vec<u8>,
        choice: &Choice,
        asked: Asked<'_>,
    ) -> Result<Vec<u8>, FailureCause> {
        let provider = self.endpoint.provider;
        let is_named = is_same_model(&asked.chat.model, &choice.model);
        let of_model = if is_named { &[][..] } else { choice.abilities().fits };
        let model = choice.model.as_str();
        let fits = [(provider.name, provider.fits), (model, of_model), (model, asked.learned)];
        for (who, fits) in fits {
            if fits.is_empty() {
                continue;
            }
            match providers::fit(body, fits) {
                Ok(Fitted::Body(fitted, warnings)) => {
                    self.warnings.extend(warnings);
                    body = fitted;
                }
                Ok(Fitted::Refused(field)) => {
                    let reason = format!("{who} does not take it");
                    return Err(self.cannot(&Unsupported { field: field.to_owned(), reason }));
                }
                Err(_) => return Err(FailureCause::InvalidRequest { status: 400 }),
            }
        }
        Ok(body)
    }

    /// The request cannot be written for this target: keep the words that explain it.
    fn cannot(&mut self, unsupported: &Unsupported) -> FailureCause {
        let message = format!("{}: {}", unsupported.field, unsupported.reason);
        // The word by which clients know that they have to send the whole conversation.
        let code = match unsupported.field.as_str() {
            "previous_response_id" => "previous_response_not_found",
            _ => "unsupported_by_all_targets",
        };
        let error = serde_json::json!({ "error": {
            "message": message,
            "type": "invalid_request_error",
            "param": unsupported.field,
            "code": code,
        }});
        self.words = Some(Kept {
            status: 400,
            body: error.to_string().into(),
            dialect: &unbroken_wire::dialects::OPENAI_CHAT,
            content_type: Some(HeaderValue::from_static("application/json")),
        });
        FailureCause::TargetCannot(Limitation::Feature)
    }

    fn head(&self, request: &CallRequest) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let provider = self.endpoint.provider;
        for name in ["traceparent", "tracestate"]
            .iter()
            .chain(provider.pass_headers.iter().filter(|_| self.speaks_alike))
        {
            if let Some(value) = request.headers.get(*name) {
                headers.insert(*name, value.clone());
            }
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let accept = if self.wants_stream { "text/event-stream" } else { "application/json" };
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("unbroken/", env!("CARGO_PKG_VERSION"))),
        );
        headers
    }
}
