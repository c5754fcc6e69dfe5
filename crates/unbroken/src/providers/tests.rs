use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::*;

#[test]
fn providers_have_unique_names_and_secure_addresses() {
    let names: BTreeSet<&str> = PROVIDERS.iter().map(|provider| provider.name).collect();
    assert_eq!(names.len(), PROVIDERS.len());
    for provider in PROVIDERS {
        let (name, url) = (provider.name, provider.base_url);
        let is_safe = match provider.is_local {
            true => url.starts_with("http://127.0.0.1:"),
            false => url.is_empty() || url.starts_with("https://"),
        };
        assert!(is_safe, "{name}: {url}");
        assert!(!url.ends_with('/'), "{name}");
        assert!(provider.health_path.starts_with('/'), "{name}");
        assert_eq!(url.contains("{region}"), !provider.region_env.is_empty(), "{name}");
        let place = Place { base_url: url, model: "m", ..Place::default() };
        assert!((provider.chat_path)(&place).starts_with('/'), "{name}");
        assert!(
            provider.is_local
                || provider.name.ends_with("-compatible")
                || !provider.key_env.is_empty()
                || provider.auth == Auth::Google,
            "{name}"
        );
    }
}

#[test]
fn no_two_providers_at_different_addresses_read_the_same_key() {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for provider in PROVIDERS {
        for name in provider.key_env {
            let first = seen.insert(*name, provider.base_url);
            assert!(first.is_none_or(|url| url == provider.base_url), "{name}");
        }
    }
}

#[test]
fn every_provider_says_where_its_facts_come_from_and_when_they_were_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/providers");
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap_or_default();
        if path.ends_with("tests.rs") || !text.contains("pub static PROVIDER: Provider") {
            continue;
        }
        files += 1;
        let head = text.lines().take_while(|line| line.starts_with("//!")).collect::<String>();
        let source = head.split_once("Source: ").map(|(_, rest)| rest).unwrap_or_default();
        let date =
            source.split_once("read").map(|(_, rest)| rest.trim_start_matches(['/', '!', ' ']));
        assert!(date.is_some_and(|date| date.starts_with("2026-")), "{}", path.display());
        let is_proved = head.contains("fixtures/recordings/")
            || text.contains("fn its_errors")
            || text.contains("fn documented_errors");
        assert!(is_proved, "{}: no recorded and no quoted reply", path.display());
    }
    assert_eq!(files, PROVIDERS.len(), "a file that is not in the list, or the other way round");
}

#[test]
fn recordings_that_a_provider_names_are_there() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/recordings");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/providers");
    for entry in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
        let head = text.lines().take_while(|line| line.starts_with("//!")).collect::<String>();
        for named in head.split("`fixtures/recordings/").skip(1) {
            let name = named.split('/').next().unwrap_or_default();
            assert!(
                name.starts_with('`') || fixtures.join(name).is_dir(),
                "fixtures/recordings/{name}"
            );
        }
    }
}

#[test]
fn keys_are_marked_as_secrets() {
    let key = SecretString::from("sk-secret");
    for provider in PROVIDERS {
        let mut headers = HeaderMap::new();
        provider.auth.show(&key, &mut headers);
        let secret: Vec<&HeaderValue> =
            headers.values().filter(|v| v.as_bytes().ends_with(b"sk-secret")).collect();
        assert_eq!(secret.len(), 1, "{}", provider.name);
        assert!(secret.iter().all(|value| value.is_sensitive()), "{}", provider.name);
        assert!(!format!("{headers:?}").contains("sk-secret"), "{}", provider.name);
    }
}
