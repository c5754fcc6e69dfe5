//! Gemini on Google Cloud's Vertex AI.
//!
//! Source: wire-formats.md 1 (Vertex Gemini; google-genai 3.4.0) and 5.1, read 2026-11-22. Recorded
//! replies: `fixtures/recordings/vertex/`.
//!
//! Tokens come from a key file or the machine's metadata server (`cloud/google.rs`). With a key
//! and no project it is Vertex's express mode.

use unbroken_wire::dialects;

use super::{Auth, COMPATIBLE, Place, Provider, encode, gemini};

/// Gemini on Vertex AI.
pub static PROVIDER: Provider = Provider {
    name: "vertex",
    dialect: &dialects::GEMINI,
    base_url: "https://{region}-aiplatform.googleapis.com",
    base_url_env: &["GOOGLE_VERTEX_BASE_URL"],
    region_env: &["GOOGLE_CLOUD_LOCATION", "GOOGLE_CLOUD_REGION"],
    in_region,
    auth: Auth::Google,
    chat_path,
    pass_headers: &["x-goog-api-client", "x-server-timeout"],
    health_path: "/",
    classify: gemini::classify,
    ..COMPATIBLE
};

/// `global` has no region in its address, and the regions of whole continents stand elsewhere.
pub(super) fn in_region(base_url: &str, region: &str) -> String {
    match region {
        "global" => base_url.replace("{region}-", ""),
        "us" | "eu" => base_url.replace("{region}-aiplatform", &format!("aiplatform.{region}.rep")),
        region => base_url.replace("{region}", region),
    }
}

/// Where the models of a publisher are.
pub(super) fn models(place: &Place<'_>, publisher: &str, version: &str) -> String {
    let version = place.api_version.unwrap_or(version);
    let region = place.region.unwrap_or("global");
    match place.project {
        Some(project) => {
            let project = encode(project);
            format!(
                "/{version}/projects/{project}/locations/{region}/publishers/{publisher}/models"
            )
        }
        None => format!("/{version}/publishers/{publisher}/models"),
    }
}

fn chat_path(place: &Place<'_>) -> String {
    let model = place.model.rsplit('/').next().unwrap_or(place.model);
    let verb = if place.stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    format!("{}/{}:{verb}", models(place, "google", "v1beta1"), encode(model))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_region_has_its_address_and_every_project_its_path() {
        for (region, host) in [
            ("us-central1", "https://us-central1-aiplatform.googleapis.com"),
            ("global", "https://aiplatform.googleapis.com"),
            ("eu", "https://aiplatform.eu.rep.googleapis.com"),
        ] {
            assert_eq!(in_region(PROVIDER.base_url, region), host);
        }
        let place = Place {
            model: "gemini-2.5-flash",
            stream: true,
            project: Some("p"),
            region: Some("us-central1"),
            ..Place::default()
        };
        assert_eq!(
            chat_path(&place),
            "/v1beta1/projects/p/locations/us-central1/publishers/google/models/\
             gemini-2.5-flash:streamGenerateContent?alt=sse"
        );
        let express = Place { project: None, stream: false, api_version: Some("v1"), ..place };
        assert_eq!(
            chat_path(&express),
            "/v1/publishers/google/models/gemini-2.5-flash:generateContent"
        );
    }
}
