//! What clouds have besides models: places that give out credentials, which end.
//!
//! Source: oauth2.googleapis.com/token and RFC 7523 (service accounts), the metadata servers of
//! Google Compute Engine and of Amazon EC2 (IMDSv2), and the container credentials of Amazon ECS, as
//! their vendors document them.

use http::{HeaderMap, Method};
use serde_json::{Value, json};

use super::State;
use super::answer::whole;
use super::serve::Outgoing;

/// What was given out.
#[derive(Debug, Default)]
pub(super) struct Clouds {
    /// Google's tokens, oldest first.
    tokens: Vec<String>,
    /// How long a token lasts, in seconds. Default: an hour.
    lasts_s: Option<u64>,
    /// The status of every refusal, if tokens are refused.
    refusal: Option<u16>,
    /// The form of the last request for a token.
    last_form: String,
    /// How often AWS's credentials were asked for.
    aws_asked: u32,
}

impl super::FakeProvider {
    /// How many of Google's tokens were given out.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.state.inner().clouds.tokens.len()
    }

    /// How often AWS's credentials were asked for.
    #[must_use]
    pub fn aws_credentials_asked(&self) -> u32 {
        self.state.inner().clouds.aws_asked
    }

    /// From now on tokens last so many seconds.
    pub fn tokens_last(&self, seconds: u64) {
        self.state.inner().clouds.lasts_s = Some(seconds);
    }

    /// From now on tokens are refused with this status; or given out again.
    pub fn refuse_tokens(&self, status: Option<u16>) {
        self.state.inner().clouds.refusal = status;
    }

    /// Tokens that were given out are worth nothing any more.
    pub fn revoke_tokens(&self) {
        for token in &mut self.state.inner().clouds.tokens {
            token.push_str(" (revoked)");
        }
    }

    /// The form that the last token was asked for with.
    #[must_use]
    pub fn last_token_form(&self) -> String {
        self.state.inner().clouds.last_form.clone()
    }
}

/// The answer of a place that gives out credentials, if it is one.
pub(super) fn answer(
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    body: &[u8],
    state: &State,
) -> Option<Outgoing> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    Some(match (method, path) {
        (&Method::POST, "/token") => assertion(body, state),
        (&Method::GET, "/computeMetadata/v1/instance/service-accounts/default/token") => {
            if header("metadata-flavor") != Some("Google") {
                return Some(whole(403, "text/html", "Missing Metadata-Flavor:Google header."));
            }
            token(state)
        }
        (&Method::GET, "/computeMetadata/v1/project/project-id") => {
            whole(200, "application/text", "fake-project")
        }
        (&Method::PUT, "/latest/api/token") => {
            match header("x-aws-ec2-metadata-token-ttl-seconds") {
                Some(_) => whole(200, "text/plain", "imds-token"),
                None => whole(400, "text/plain", ""),
            }
        }
        (&Method::GET, path) if path.starts_with("/latest/meta-data/iam/") => {
            if header("x-aws-ec2-metadata-token") != Some("imds-token") {
                return Some(whole(401, "text/plain", ""));
            }
            match path.rsplit('/').next() {
                Some("") => whole(200, "text/plain", "fake-role"),
                Some("fake-role") => aws(state),
                Some(_) | None => whole(404, "text/plain", ""),
            }
        }
        (&Method::GET, "/v2/credentials/fake") => match header("authorization") {
            Some("container-token") => aws(state),
            Some(_) | None => whole(401, "text/plain", ""),
        },
        _ => return None,
    })
}

/// A token for a signed assertion; what it must claim is looked at, the signature is the tests'.
fn assertion(body: &[u8], state: &State) -> Outgoing {
    let form = String::from_utf8_lossy(body).into_owned();
    form.clone_into(&mut state.inner().clouds.last_form);
    let field = |name: &str| form.split('&').find_map(|pair| pair.strip_prefix(name));
    let grant = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";
    let parts = field("assertion=").map(|jwt| jwt.split('.').count());
    if field("grant_type=") != Some(grant) || parts != Some(3) {
        let error = json!({ "error": "invalid_grant", "error_description": "Invalid JWT" });
        return whole(400, "application/json", error.to_string());
    }
    token(state)
}

fn token(state: &State) -> Outgoing {
    let mut inner = state.inner();
    if let Some(status) = inner.clouds.refusal {
        let error = json!({ "error": "invalid_grant", "error_description": "refused" });
        return whole(status, "application/json", error.to_string());
    }
    let token = format!("ya29.fake-{}", inner.clouds.tokens.len());
    inner.clouds.tokens.push(token.clone());
    let lasts = inner.clouds.lasts_s.unwrap_or(3_600);
    drop(inner);
    let body = json!({ "access_token": token, "expires_in": lasts, "token_type": "Bearer" });
    whole(200, "application/json", body.to_string())
}

fn aws(state: &State) -> Outgoing {
    let mut inner = state.inner();
    inner.clouds.aws_asked += 1;
    let number = inner.clouds.aws_asked;
    drop(inner);
    let body = json!({
        "Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": format!("ASIAFAKE{number}"),
        "SecretAccessKey": "fake-secret", "Token": "fake-session",
        "Expiration": "2999-01-01T00:00:00Z",
    });
    whole(200, "application/json", body.to_string())
}

/// Whether a cloud would let a request for a model in: Google wants one of its own tokens, AWS a
/// signature or a key.
pub(super) fn lets_in(path: &str, headers: &HeaderMap, state: &State) -> bool {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let authorization = header("authorization").unwrap_or_default();
    if path.contains("/publishers/") {
        let bearer = authorization.strip_prefix("Bearer ").unwrap_or_default();
        return state.inner().clouds.tokens.iter().any(|token| token == bearer)
            || header("x-goog-api-key").is_some();
    }
    if path.starts_with("/model/") {
        let is_signed = authorization.starts_with("AWS4-HMAC-SHA256 Credential=")
            && authorization.contains("/bedrock/aws4_request")
            && header("x-amz-date").is_some();
        return is_signed || authorization.starts_with("Bearer ");
    }
    true
}

/// A body of Anthropic's as its own API has it: in clouds, the model and the wish for a stream are
/// in the path, and the version is in the body.
pub(super) fn unwrapped(path: &str, body: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let (model, stream) = if path.starts_with("/model/") && path.contains("/invoke") {
        (super::dialect::model_of(path), path.ends_with("-stream"))
    } else if let Some((_, tail)) = path.rsplit_once("/publishers/anthropic/models/") {
        let (model, verb) = tail.rsplit_once(':').unwrap_or_default();
        (model.replace("%40", "@"), verb.starts_with("stream"))
    } else {
        return Ok(None);
    };
    let Ok(Value::Object(mut body)) = serde_json::from_slice(body) else {
        return Err("the body is no JSON object".to_owned());
    };
    // Vertex takes a wish for a stream in the body, too; Bedrock does not.
    let forbidden = if path.starts_with("/model/") { &["model", "stream"][..] } else { &["model"] };
    if let Some(key) = forbidden.iter().find(|key| body.contains_key(**key)) {
        return Err(format!("{key}: Extra inputs are not permitted"));
    }
    if !body.contains_key("anthropic_version") {
        return Err("anthropic_version: Field required".to_owned());
    }
    body.insert("model".to_owned(), model.into());
    body.insert("stream".to_owned(), stream.into());
    Ok(Some(Value::Object(body).to_string().into_bytes()))
}
