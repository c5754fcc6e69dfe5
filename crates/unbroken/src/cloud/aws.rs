//! Where AWS's credentials come from, besides the environment: a profile in a file, the container
//! or the instance that the program runs in.
//!
//! Source: botocore's order of providers and the formats of the container and instance metadata
//! services (IMDSv2), as AWS documents them, read 2026-11-22. Roles that have to be assumed, single
//! sign-on and external programs are not known.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::sigv4::{AwsCredentials, days_of};
use super::{Fault, ask};
use crate::http::HttpClient;

/// Where an instance's metadata is.
pub const INSTANCE: &str = "http://169.254.169.254";
/// Where a container's credentials are, for a path.
pub const CONTAINER: &str = "http://169.254.170.2";
/// Instance sessions last so long, in seconds; one is opened for each fetch.
const SESSION: &str = "60";
/// Credentials that do not say when they end are fetched again after this time.
const LASTS: Duration = Duration::from_secs(900);

/// Who gives out credentials.
#[derive(Clone)]
pub enum Source {
    /// The instance's metadata service at this address.
    Instance(String),
    /// The container's service: its URL, and what it wants to see.
    Container {
        /// The whole URL.
        url: String,
        /// Shown as `Authorization`, if there is one.
        token: Option<SecretString>,
    },
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl Source {
    /// What it is called; nothing secret.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Instance(base) => format!("instance metadata at {base}"),
            Self::Container { url, .. } => format!("container credentials at {url}"),
        }
    }

    /// A container's service, if what is known of it can be trusted: credentials come by https, or
    /// from this machine and its neighbours that cannot be elsewhere.
    #[must_use]
    pub fn container(url: &str, token: Option<SecretString>) -> Option<Self> {
        let hosts = [
            "http://169.254.170.2",
            "http://169.254.170.23",
            "http://127.0.0.1",
            "http://localhost",
            "http://[fd00:ec2::23]",
        ];
        let is_near =
            |host: &str| url.strip_prefix(host).is_some_and(|rest| rest.starts_with([':', '/']));
        let is_safe = url.starts_with("https://") || hosts.into_iter().any(is_near);
        is_safe.then(|| Self::Container { url: url.to_owned(), token })
    }

    pub(super) async fn fetch(
        &self,
        http: &HttpClient,
        now: u64,
    ) -> Result<(AwsCredentials, Duration), Fault> {
        let body = match self {
            Self::Container { url, token } => {
                let mut request = Request::builder().uri(url);
                if let Some(token) = token {
                    request = request.header("authorization", token.expose_secret());
                }
                ask(http, finished(request)?).await?
            }
            Self::Instance(base) => instance(http, base).await?,
        };
        read(&body, now).ok_or_else(|| "the answer holds no credentials".to_owned())
    }
}

/// A session first, then the role's name, then its credentials.
async fn instance(http: &HttpClient, base: &str) -> Result<Bytes, Fault> {
    let session = Request::builder()
        .method(Method::PUT)
        .uri(format!("{base}/latest/api/token"))
        .header("x-aws-ec2-metadata-token-ttl-seconds", SESSION);
    let session = ask(http, finished(session)?).await?;
    let path = format!("{base}/latest/meta-data/iam/security-credentials/");
    let get = |url: String| {
        finished(Request::builder().uri(url).header("x-aws-ec2-metadata-token", &session[..]))
    };
    let roles = ask(http, get(path.clone())?).await?;
    let roles = String::from_utf8_lossy(&roles).into_owned();
    let role = roles.lines().next().map(str::trim).filter(|role| !role.is_empty());
    let role = role.ok_or_else(|| "the instance has no role".to_owned())?;
    ask(http, get(format!("{path}{role}"))?).await
}

fn finished(request: http::request::Builder) -> Result<Request<Bytes>, Fault> {
    request.body(Bytes::new()).map_err(|_| "its address cannot be asked".to_owned())
}

fn read(body: &[u8], now: u64) -> Option<(AwsCredentials, Duration)> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let text = |key: &str| body.get(key).and_then(Value::as_str).map(ToOwned::to_owned);
    let keys = AwsCredentials {
        access_key_id: text("AccessKeyId")?,
        secret_access_key: SecretString::from(text("SecretAccessKey")?),
        session_token: text("Token").map(SecretString::from),
    };
    let end = text("Expiration").and_then(|end| unix_of(&end));
    let lasts = end.map_or(LASTS, |end| Duration::from_secs(end.saturating_sub(now)));
    Some((keys, lasts))
}

/// Seconds since 1970 of `2026-11-22T12:00:00Z`.
fn unix_of(time: &str) -> Option<u64> {
    let (date, rest) = time.split_once('T')?;
    let part = |text: &str| text.parse::<u64>().ok();
    let mut date = date.split('-').map(part);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let clock = rest.get(..8)?;
    let mut clock = clock.split(':').map(part);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    Some(days_of(year, month, day)? * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// What a profile says.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// Its credentials, if it has any of its own.
    pub credentials: Option<AwsCredentials>,
    /// Its region.
    pub region: Option<String>,
    /// How it wants its credentials to be got, if in a way that is not known here.
    pub unknown: Option<&'static str>,
}

/// Reads a profile from the files `credentials` and `config`, as far as they are there.
#[must_use]
pub fn profile(name: &str, credentials: &str, config: &str) -> Profile {
    let in_config =
        if name == "default" { "default".to_owned() } else { format!("profile {name}") };
    let get =
        |key: &str| member(credentials, name, key).or_else(|| member(config, &in_config, key));
    let unknown = ["role_arn", "sso_session", "sso_start_url", "credential_process"];
    let own = || {
        Some(AwsCredentials {
            access_key_id: get("aws_access_key_id")?,
            secret_access_key: SecretString::from(get("aws_secret_access_key")?),
            session_token: get("aws_session_token").map(SecretString::from),
        })
    };
    Profile {
        credentials: own(),
        region: get("region"),
        unknown: unknown.into_iter().find(|key| get(key).is_some()),
    }
}

/// A value of a section. Comments are whole lines; nested ones (with white space in front) belong to
/// services and are skipped.
fn member(ini: &str, section: &str, key: &str) -> Option<String> {
    let mut is_in = false;
    for line in ini.lines() {
        if let Some(head) = line.trim().strip_prefix('[') {
            let head = head.split(']').next().unwrap_or_default();
            is_in = head.split_whitespace().eq(section.split_whitespace());
        } else if is_in
            && !line.starts_with([' ', '\t', '#', ';'])
            && let Some((name, value)) = line.split_once('=')
            && name.trim().eq_ignore_ascii_case(key)
        {
            return Some(value.trim().to_owned()).filter(|value| !value.is_empty());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_found_in_both_files() {
        let credentials = "[default]\naws_access_key_id = A\naws_secret_access_key=S\n\n\
                           # [work]\n[work]\n  aws_access_key_id = nested\naws_access_key_id = W\n\
                           AWS_SECRET_ACCESS_KEY = w=/+\naws_session_token = T\n";
        let config = "[default]\nregion = us-east-1\n[profile work]\nregion = eu-west-1\n\
                      [profile role]\nrole_arn = arn:x\nsource_profile = work\n";
        let of = |name| profile(name, credentials, config);
        let default = of("default");
        assert_eq!(default.region.as_deref(), Some("us-east-1"));
        assert_eq!(default.credentials.unwrap().access_key_id, "A");
        let work = of("work");
        let keys = work.credentials.unwrap();
        assert_eq!(keys.access_key_id, "W");
        assert_eq!(keys.secret_access_key.expose_secret(), "w=/+");
        assert_eq!(keys.session_token.unwrap().expose_secret(), "T");
        assert_eq!(work.region.as_deref(), Some("eu-west-1"));
        let role = of("role");
        assert_eq!((role.credentials.is_none(), role.unknown), (true, Some("role_arn")));
        assert!(of("nobody").credentials.is_none());
    }

    #[test]
    fn credentials_end_when_they_say() {
        assert_eq!(unix_of("2026-11-22T12:00:00Z"), Some(1_795_348_800));
        assert_eq!(unix_of("1970-01-01T00:00:01Z"), Some(1));
        assert_eq!(unix_of("2000-02-29T00:00:00Z"), Some(951_782_400));
        for wrong in ["", "2026", "2026-13-01T00:00:00Z", "2026-01-01", "x-y-zT1:2:3Z"] {
            assert_eq!(unix_of(wrong), None, "{wrong}");
        }
        let body = br#"{"AccessKeyId":"A","SecretAccessKey":"S","Token":"T",
            "Expiration":"2026-11-22T12:00:00Z"}"#;
        let (keys, lasts) = read(body, 1_795_348_000).unwrap();
        assert_eq!((keys.access_key_id.as_str(), lasts), ("A", Duration::from_secs(800)));
        assert!(read(br#"{"Code":"Failed"}"#, 0).is_none());
    }

    #[test]
    fn a_containers_service_is_near_or_safe() {
        for (url, is_taken) in [
            ("http://169.254.170.2/v2/credentials/x", true),
            ("http://127.0.0.1:8080/c", true),
            ("https://creds.example/c", true),
            ("http://creds.example/c", false),
            ("http://127.0.0.1.evil.example/c", false),
            ("http://169.254.170.23/v1/credentials", true),
        ] {
            assert_eq!(Source::container(url, None).is_some(), is_taken, "{url}");
        }
    }
}
