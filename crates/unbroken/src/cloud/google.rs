//! Tokens of Google Cloud: for the key file of a service account, for what `gcloud` wrote for a
//! person, or from the metadata server of the machine.
//!
//! Source: RFC 7523 (JWT bearer), RFC 7515 (RS256), and the formats of key files as Google's own
//! libraries read them; wire-formats.md 1 (Claude on Vertex, Vertex Gemini), read 2026-11-22.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use unbroken_wire::base64;

use super::{Fault, ask};
use crate::http::HttpClient;

/// What a token may be used for.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// An assertion is good for so long, in seconds. Bound: Google takes an hour at most.
const ASSERTED_FOR: u64 = 3_600;
/// Where tokens are asked for, if the key file does not say.
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
/// Where the machine's metadata server is.
pub const METADATA: &str = "http://metadata.google.internal";

/// Who gives out tokens.
#[derive(Clone)]
pub enum Source {
    /// A service account, by its key file.
    ServiceAccount(Arc<ServiceAccount>),
    /// A person, by the file that `gcloud auth application-default login` writes.
    Person(Arc<Person>),
    /// The metadata server at this address.
    Metadata(String),
}

/// A service account.
pub struct ServiceAccount {
    email: String,
    key_id: String,
    token_uri: String,
    key: RsaKeyPair,
    /// The project it belongs to.
    pub project: Option<String>,
}

/// A person's own credentials.
pub struct Person {
    client_id: String,
    client_secret: SecretString,
    refresh_token: SecretString,
    token_uri: String,
    /// The project that pays.
    pub project: Option<String>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceAccount({})", self.email)
    }
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Person")
    }
}

/// A key file; what it has beside that is of no use here.
#[derive(Deserialize)]
struct KeyFile {
    #[serde(default, rename = "type")]
    kind: String,
    client_email: Option<String>,
    private_key: Option<String>,
    #[serde(default)]
    private_key_id: String,
    token_uri: Option<String>,
    project_id: Option<String>,
    quota_project_id: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    refresh_token: Option<String>,
}

impl Source {
    /// Reads a key file.
    ///
    /// # Errors
    /// When it is none, or its key cannot be used; says why, without anything of it.
    pub fn of_file(json: &str) -> Result<Self, String> {
        // What the parser says may quote the file.
        let file: KeyFile =
            serde_json::from_str(json).map_err(|_| "it is no key file of Google's".to_owned())?;
        let token_uri = file.token_uri.clone().unwrap_or_else(|| TOKEN_URI.to_owned());
        if !is_safe(&token_uri) {
            return Err("its `token_uri` is not https".to_owned());
        }
        let missing = |field: &str| format!("it has no `{field}`");
        match file.kind.as_str() {
            "service_account" => {
                let key = file.private_key.ok_or_else(|| missing("private_key"))?;
                Ok(Self::ServiceAccount(Arc::new(ServiceAccount {
                    email: file.client_email.ok_or_else(|| missing("client_email"))?,
                    key_id: file.private_key_id,
                    key: read_key(&SecretString::from(key))?,
                    project: file.project_id,
                    token_uri,
                })))
            }
            "authorized_user" => Ok(Self::Person(Arc::new(Person {
                client_id: file.client_id.ok_or_else(|| missing("client_id"))?,
                client_secret: file.client_secret.ok_or_else(|| missing("client_secret"))?.into(),
                refresh_token: file.refresh_token.ok_or_else(|| missing("refresh_token"))?.into(),
                project: file.quota_project_id.or(file.project_id),
                token_uri,
            }))),
            kind => Err(format!(
                "credentials of type `{kind}` are not known, only `service_account` and \
                 `authorized_user`"
            )),
        }
    }

    /// The project that the credentials belong to, if they say.
    #[must_use]
    pub fn project(&self) -> Option<&str> {
        match self {
            Self::ServiceAccount(account) => account.project.as_deref(),
            Self::Person(person) => person.project.as_deref(),
            Self::Metadata(_) => None,
        }
    }

    /// What it is called; nothing secret.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::ServiceAccount(account) => format!("service account {}", account.email),
            Self::Person(_) => "gcloud's credentials of a person".to_owned(),
            Self::Metadata(base) => format!("metadata server {base}"),
        }
    }

    pub(super) async fn fetch(
        &self,
        http: &HttpClient,
        now: u64,
    ) -> Result<(SecretString, Duration), Fault> {
        let request = match self {
            Self::ServiceAccount(account) => {
                let jwt = account.assertion(now)?;
                let fields = [
                    ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                    ("assertion", jwt.as_str()),
                ];
                form(&account.token_uri, &fields)
            }
            Self::Person(person) => {
                let fields = [
                    ("grant_type", "refresh_token"),
                    ("client_id", person.client_id.as_str()),
                    ("client_secret", person.client_secret.expose_secret()),
                    ("refresh_token", person.refresh_token.expose_secret()),
                ];
                form(&person.token_uri, &fields)
            }
            Self::Metadata(base) => {
                let path = "computeMetadata/v1/instance/service-accounts/default/token";
                Request::builder()
                    .uri(format!("{base}/{path}"))
                    .header("metadata-flavor", "Google")
                    .body(Bytes::new())
            }
        };
        let request = request.map_err(|_| "its address cannot be asked".to_owned())?;
        let body = ask(http, request).await?;
        read_token(&body).ok_or_else(|| "the answer holds no token".to_owned())
    }
}

impl ServiceAccount {
    /// A signed statement of who asks, for whom it is meant and how long it holds.
    fn assertion(&self, now: u64) -> Result<String, Fault> {
        let mut header = json!({ "alg": "RS256", "typ": "JWT" });
        if let (false, Value::Object(header)) = (self.key_id.is_empty(), &mut header) {
            header.insert("kid".to_owned(), self.key_id.as_str().into());
        }
        let claims = json!({
            "iss": self.email, "scope": SCOPE, "aud": self.token_uri,
            "iat": now, "exp": now + ASSERTED_FOR,
        });
        let part = |value: &Value| url_base64(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| "its key does not sign".to_owned())?;
        Ok(format!("{signed}.{}", url_base64(&signature)))
    }
}

/// A token travels to https only, or to this machine.
fn is_safe(uri: &str) -> bool {
    let local = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
    let is_local = |host: &str| {
        uri.strip_prefix(host).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
    };
    uri.starts_with("https://") || local.into_iter().any(is_local)
}

/// An RSA key in PEM, PKCS #8.
fn read_key(pem: &SecretString) -> Result<RsaKeyPair, String> {
    let text = pem.expose_secret();
    let inner = text
        .split_once("-----BEGIN PRIVATE KEY-----")
        .and_then(|(_, rest)| rest.split_once("-----END PRIVATE KEY-----"))
        .ok_or("its `private_key` is not PKCS #8 in PEM")?;
    let der = base64::decode(inner.0).ok_or("its `private_key` is no base64")?;
    RsaKeyPair::from_pkcs8(&der).map_err(|_| "its `private_key` is no RSA key of 2048 bits".into())
}

fn url_base64(bytes: &[u8]) -> String {
    base64::encode(bytes).trim_end_matches('=').replace('+', "-").replace('/', "_")
}

fn form(uri: &str, fields: &[(&str, &str)]) -> http::Result<Request<Bytes>> {
    let pair = |(name, value): &(&str, &str)| format!("{name}={}", escaped(value));
    let body = fields.iter().map(pair).collect::<Vec<_>>().join("&");
    Request::builder()
        .method(Method::POST)
        .uri(uri)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Bytes::from(body))
}

fn escaped(value: &str) -> String {
    value.bytes().fold(String::with_capacity(value.len()), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

fn read_token(body: &[u8]) -> Option<(SecretString, Duration)> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let token = body.get("access_token")?.as_str()?;
    let lasts = body.get("expires_in").and_then(Value::as_u64).unwrap_or(ASSERTED_FOR);
    Some((SecretString::from(token), Duration::from_secs(lasts)))
}

#[cfg(test)]
mod tests {
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    const FILE: &str = include_str!("../../../../fixtures/keys/service-account.json");

    fn account() -> Arc<ServiceAccount> {
        match Source::of_file(FILE).unwrap() {
            Source::ServiceAccount(account) => account,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_assertion_says_who_asks_and_is_signed_with_the_accounts_key() {
        let account = account();
        let jwt = account.assertion(1_000).unwrap();
        let (signed, signature) = jwt.rsplit_once('.').unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        let read = |part: &str| -> Value {
            serde_json::from_slice(&base64::decode(part).unwrap()).unwrap()
        };
        let header_told = json!({ "alg": "RS256", "typ": "JWT", "kid": "test-key" });
        assert_eq!(read(header), header_told);
        let told = json!({
            "iss": "gateway@fake-project.iam.gserviceaccount.com", "scope": SCOPE,
            "aud": "https://oauth2.googleapis.com/token", "iat": 1_000, "exp": 4_600,
        });
        assert_eq!(read(claims), told);
        let public = account.key.public().as_ref().to_vec();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
        let signature = base64::decode(signature).unwrap();
        assert!(public.verify(signed.as_bytes(), &signature).is_ok());
        assert!(public.verify(b"something else", &signature).is_err());
        assert!(!jwt.contains(['+', '/', '=']), "it stands in a form");
    }

    #[test]
    fn key_files_that_cannot_work_are_refused_without_their_secrets() {
        let changed = |field: &str, value: Value| {
            let mut file: Value = serde_json::from_str(FILE).unwrap();
            file[field] = value;
            Source::of_file(&file.to_string()).map(|_| ()).unwrap_err()
        };
        for (field, value, told) in [
            ("type", json!("external_account"), "`external_account` are not known"),
            ("private_key", Value::Null, "no `private_key`"),
            ("private_key", json!("secret-words"), "not PKCS #8"),
            (
                "private_key",
                json!("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----"),
                "no RSA key",
            ),
            ("token_uri", json!("http://evil.example/token"), "not https"),
            ("token_uri", json!("http://127.0.0.1.evil.example/"), "not https"),
            ("client_email", Value::Null, "no `client_email`"),
        ] {
            let fault = changed(field, value);
            assert!(fault.contains(told), "{fault}");
            assert!(!fault.contains("secret"), "{fault}");
        }
        assert!(Source::of_file("{\"private_key\": secret").unwrap_err().contains("no key file"));
    }

    #[test]
    fn nothing_secret_is_shown() {
        let source = Source::of_file(FILE).unwrap();
        assert_eq!(source.project(), Some("fake-project"));
        let shown = format!(
            "{source:?} {:?}",
            super::super::Cloud::new(super::super::Source::Google(source.clone()))
        );
        assert!(!shown.contains("PRIVATE"), "{shown}");
        let person = r#"{"type":"authorized_user","client_id":"i","client_secret":"hush","refresh_token":"quiet"}"#;
        let shown = format!("{:?}", Source::of_file(person).unwrap());
        assert!(!shown.contains("hush") && !shown.contains("quiet"), "{shown}");
    }

    #[test]
    fn tokens_last_as_long_as_they_say() {
        let (token, lasts) =
            read_token(br#"{"access_token":"t","expires_in":99,"token_type":"Bearer"}"#).unwrap();
        assert_eq!((token.expose_secret(), lasts), ("t", Duration::from_secs(99)));
        assert!(read_token(br#"{"error":"x"}"#).is_none());
    }
}
