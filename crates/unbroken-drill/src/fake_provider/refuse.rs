//! How does each dialect say no?

use serde_json::Value;

use super::answer::Answering;
use super::dialect::FakeDialect;
use super::serve::Outgoing;
use crate::fake_provider::answer::whole;
use crate::fault::BodyKind;

impl Answering {
    fn error(&self, status: u16, kinds: [&str; 3], code: &str, message: &str) -> Outgoing {
        let [chat, messages, gemini] = kinds;
        let kind = match self.dialect {
            FakeDialect::OpenaiChat | FakeDialect::OpenaiResponses => chat,
            FakeDialect::AnthropicMessages => messages,
            FakeDialect::Gemini => gemini,
            FakeDialect::BedrockConverse => exception(status, code),
            FakeDialect::CohereChat => "",
        };
        let body = self.dialect.error(status, kind, code, message);
        let mut response = whole(status, "application/json", body.to_string());
        if let (FakeDialect::BedrockConverse, Ok(kind)) = (self.dialect, kind.parse()) {
            response.headers_mut().insert("x-amzn-errortype", kind);
        }
        response
    }

    pub(super) fn status(&self, status: u16, body: BodyKind) -> Outgoing {
        match body {
            BodyKind::Json => self.error(
                status,
                ["server_error", "api_error", "INTERNAL"],
                "",
                "The server had an error while processing your request.",
            ),
            BodyKind::Html => whole(
                status,
                "text/html; charset=UTF-8",
                format!(
                    "<!DOCTYPE html><html><head><title>{status}: Web server</title></head></html>"
                ),
            ),
            BodyKind::Empty => whole(status, "text/plain", ""),
        }
    }

    pub(super) fn unauthorized(&self) -> Outgoing {
        let kinds = ["invalid_request_error", "authentication_error", "INVALID_ARGUMENT"];
        let message = "Incorrect API key provided. API key not valid.";
        // Google answers a wrong key with a 400.
        let status = if self.dialect == FakeDialect::Gemini { 400 } else { 401 };
        self.error(status, kinds, "invalid_api_key", message)
    }

    pub(super) fn rate_limit(&self) -> Outgoing {
        let kinds = ["requests", "rate_limit_error", "RESOURCE_EXHAUSTED"];
        self.error(429, kinds, "rate_limit_exceeded", "Rate limit reached for requests.")
    }

    pub(super) fn quota(&self) -> Outgoing {
        let kinds = ["insufficient_quota", "billing_error", "RESOURCE_EXHAUSTED"];
        let message = "You exceeded your current quota, please check your plan and billing.";
        self.error(429, kinds, "insufficient_quota", message)
    }

    pub(super) fn overloaded(&self) -> Outgoing {
        let kinds = ["service_unavailable_error", "overloaded_error", "UNAVAILABLE"];
        let status = if self.dialect == FakeDialect::AnthropicMessages { 529 } else { 503 };
        self.error(status, kinds, "server_is_overloaded", "Overloaded")
    }

    pub(super) fn model_gone(&self) -> Outgoing {
        let kinds = ["invalid_request_error", "not_found_error", "NOT_FOUND"];
        let message = format!("The model `{}` does not exist.", self.asked.model);
        self.error(404, kinds, "model_not_found", &message)
    }

    /// For reasons of content. Gemini says so inside of a 200, the others with a 400.
    pub(super) fn policy(&self) -> Outgoing {
        let message = "Your request was rejected as a result of our content policy.";
        if self.dialect == FakeDialect::Gemini {
            let body = serde_json::json!({
                "promptFeedback": { "blockReason": "PROHIBITED_CONTENT" },
                "usageMetadata": { "promptTokenCount": 10, "totalTokenCount": 10 },
                "modelVersion": self.asked.model, "responseId": "fake",
            });
            return if self.asked.stream {
                whole(200, "text/event-stream", format!("data: {body}\r\n\r\n"))
            } else {
                whole(200, "application/json", body.to_string())
            };
        }
        self.refuse_400("content_policy_violation", message)
    }

    pub(super) fn refuse_400(&self, code: &str, message: &str) -> Outgoing {
        let kinds = ["invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"];
        self.error(400, kinds, code, message)
    }

    pub(super) fn error_in_200(&self) -> Outgoing {
        if self.asked.stream {
            let event = self.framing.wrap(&self.dialect.error_event());
            whole(200, self.framing.content_type(), event)
        } else {
            let error: Value = self.dialect.error(503, "server_error", "", "upstream failed");
            whole(200, "application/json", error.to_string())
        }
    }
}

/// The exception that Bedrock would throw.
fn exception(status: u16, code: &str) -> &'static str {
    match (status, code) {
        (_, "insufficient_quota") => "ServiceQuotaExceededException:http://internal.amazon.com/",
        (401 | 403, _) => "AccessDeniedException",
        (404, _) => "ResourceNotFoundException",
        (429, _) => "ThrottlingException:http://internal.amazon.com/",
        (503, _) => "ServiceUnavailableException",
        (500.., _) => "InternalServerException",
        _ => "ValidationException",
    }
}
