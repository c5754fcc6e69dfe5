//! What a provider makes of a reply, for the tests of providers.

use http::{HeaderMap, HeaderName, HeaderValue};
use unbroken_engine::cause::FailureCause;
use unbroken_wire::error::ErrorBody;

use super::{ErrorReply, Phase, Provider};

/// The cause of an error reply.
pub(super) fn classified(
    provider: &Provider,
    status: u16,
    headers: &[(&'static str, &'static str)],
    body: &str,
) -> FailureCause {
    let headers = head(headers);
    let body = ErrorBody::read(body.as_bytes());
    let phase = if status == 200 { Phase::InBody } else { Phase::Head };
    (provider.classify)(&ErrorReply { status, headers: &headers, body: &body, phase })
}

/// Headers of a reply.
pub(super) fn head(headers: &[(&'static str, &'static str)]) -> HeaderMap {
    let headers = headers.iter();
    headers
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}
