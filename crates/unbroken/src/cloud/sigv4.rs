//! Signature Version 4 of AWS: signs one request at one time. Pure: the time is an argument, and
//! every attempt is signed anew, because host, region and time change with it.
//!
//! Source: wire-formats.md 1.2 (checked with botocore 1.44.5), read 2026-11-22. The path stands
//! percent-encoded in the URL and is encoded once more in what is signed, as everywhere but in S3.

use std::fmt::Write as _;

use http::{HeaderMap, HeaderValue};
use ring::{digest, hmac};
use secrecy::{ExposeSecret, SecretString};

/// Credentials of AWS.
#[derive(Clone, Debug)]
pub struct AwsCredentials {
    /// Names the key; no secret.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: SecretString,
    /// Of credentials that end: travels along.
    pub session_token: Option<SecretString>,
}

/// What is signed, besides the headers.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// `POST` or `GET`.
    pub method: &'a str,
    /// The URL, scheme and host included.
    pub url: &'a str,
    /// The whole body.
    pub body: &'a [u8],
    /// `us-east-1`.
    pub region: &'a str,
    /// `bedrock`.
    pub service: &'a str,
    /// Seconds since 1970.
    pub now_unix: u64,
}

/// Adds the date, the session token and the signature to `headers`. Signed are the content type,
/// the host, and what AWS itself looks at.
pub fn sign(signed: &Signed<'_>, credentials: &AwsCredentials, headers: &mut HeaderMap) {
    let time = amz_time(signed.now_unix);
    insert(headers, "x-amz-date", &time, false);
    if let Some(token) = &credentials.session_token {
        insert(headers, "x-amz-security-token", token.expose_secret(), true);
    }
    let (host, path, query) = split(signed.url);
    let mut names = vec![("host", host.to_owned())];
    for name in ["content-type", "x-amz-date", "x-amz-security-token"] {
        if let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) {
            names.push((name, value.trim().to_owned()));
        }
    }
    names.sort();
    let signed_names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
    let signed_names = signed_names.join(";");
    let mut canonical = format!("{}\n{}\n{query}\n", signed.method, encode_path(path));
    for (name, value) in &names {
        let _ = writeln!(canonical, "{name}:{value}");
    }
    let _ = write!(canonical, "\n{signed_names}\n{}", hash(signed.body));
    let date = time.get(..8).unwrap_or_default();
    let scope = format!("{date}/{}/{}/aws4_request", signed.region, signed.service);
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hash(canonical.as_bytes()));
    let secret = format!("AWS4{}", credentials.secret_access_key.expose_secret());
    let parts = [date, signed.region, signed.service, "aws4_request", to_sign.as_str()];
    let signature = parts.iter().fold(secret.into_bytes(), |key, part| mac(&key, part));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={signed_names}, Signature={}",
        credentials.access_key_id,
        hex(&signature)
    );
    insert(headers, "authorization", &authorization, true);
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: &str, is_secret: bool) {
    if let Ok(mut value) = HeaderValue::from_str(value) {
        value.set_sensitive(is_secret);
        headers.insert(name, value);
    }
}

/// Host, path and query of a URL.
fn split(url: &str) -> (&str, &str, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    (host, if path.is_empty() { "/" } else { path }, query)
}

/// The path, encoded once more: `%3A` becomes `%253A`.
fn encode_path(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len() + 8);
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hash(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `20261122T120000Z`.
fn amz_time(now_unix: u64) -> String {
    let (days, of_day) = (now_unix / 86_400, now_unix % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// Civil from days. Source: Hinnant, "chrono-compatible low-level date algorithms", 2013.
const fn civil(days_since_1970: u64) -> (u64, u64, u64) {
    let days = days_since_1970 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + if month <= 2 { 1 } else { 0 }, month, day)
}

/// Days since 1970 of a date; the inverse.
pub(super) const fn days_of(year: u64, month: u64, day: u64) -> Option<u64> {
    if year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(token: Option<&str>) -> AwsCredentials {
        AwsCredentials {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session_token: token.map(SecretString::from),
        }
    }

    fn authorization(signed: &Signed<'_>, json: bool, token: Option<&str>) -> String {
        let mut headers = HeaderMap::new();
        if json {
            headers.insert("content-type", HeaderValue::from_static("application/json"));
        }
        sign(signed, &credentials(token), &mut headers);
        assert!(headers["authorization"].is_sensitive());
        headers["authorization"].to_str().unwrap().to_owned()
    }

    /// 2026-11-22T12:00:00Z.
    const NOW: u64 = 1_795_348_800;

    fn converse() -> Signed<'static> {
        Signed {
            method: "POST",
            url: "https://bedrock-runtime.us-east-1.amazonaws.com/model/us.amazon.nova-lite-v1%3A0/converse",
            body: br#"{"messages":[{"role":"user","content":[{"text":"hi"}]}]}"#,
            region: "us-east-1",
            service: "bedrock",
            now_unix: NOW,
        }
    }

    #[test]
    fn botocores_signature_of_a_converse_request_is_ours() {
        assert_eq!(amz_time(NOW), "20261122T120000Z");
        assert_eq!(
            hash(converse().body),
            "c3335e07d6e89650bf94cb98664be69f8774dbc3198df221f113db0a59ea14f0"
        );
        assert_eq!(
            authorization(&converse(), true, None),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261122/us-east-1/bedrock/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, \
             Signature=d9aa1394a4d1931eb7bcc0b87f26fdecff1c3e3493f7d3dbe94691c815d8eacc"
        );
    }

    #[test]
    fn the_vector_of_the_test_suite_of_aws_is_ours() {
        // Source: aws-sig-v4-test-suite, get-vanilla.
        let vanilla = Signed {
            method: "GET",
            url: "https://example.amazonaws.com/",
            body: b"",
            region: "us-east-1",
            service: "service",
            now_unix: 1_440_938_160,
        };
        let authorization = authorization(&vanilla, false, None);
        let signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
        assert!(authorization.ends_with(signature), "{authorization}");
    }

    #[test]
    fn another_time_host_or_token_is_another_signature() {
        let first = authorization(&converse(), true, None);
        let later = Signed { now_unix: NOW + 1, ..converse() };
        assert_ne!(authorization(&later, true, None), first);
        let region = Signed { region: "eu-west-1", ..converse() };
        assert_ne!(authorization(&region, true, None), first);
        let with_token = authorization(&converse(), true, Some("session"));
        assert!(with_token.contains("host;x-amz-date;x-amz-security-token"), "{with_token}");
    }

    #[test]
    fn dates_are_civil() {
        assert_eq!(amz_time(0), "19700101T000000Z");
        assert_eq!(amz_time(951_782_400), "20000229T000000Z");
        assert_eq!(amz_time(1_440_938_160), "20150830T123600Z");
        for days in (0..40_000).step_by(17) {
            let (year, month, day) = civil(days);
            assert_eq!(days_of(year, month, day), Some(days));
        }
    }
}
