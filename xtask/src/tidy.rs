//! The rules of the house that a program can check. Each fault reads `file:line: rule: what to do`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{docs, ratchet};

/// Which crates of ours a crate may use. Arrows point down only.
const LAYERS: &[(&str, &[&str], &[&str])] = &[
    ("unbroken-engine", &[], &[]),
    ("unbroken-wire", &[], &[]),
    ("unbroken", &["unbroken-engine", "unbroken-wire"], &["unbroken-drill"]),
    ("unbroken-drill", &["unbroken-engine"], &[]),
    ("unbroken-gateway", &["unbroken", "unbroken-engine", "unbroken-wire", "unbroken-drill"], &[]),
];

/// A file is split before it grows longer.
const LINES_MAX: usize = 800;

/// Names that say nothing about what a file answers.
const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "manager", "helper", "helpers", "misc"];

/// Words that must not stand in the code, where they may all the same, and what to do.
const WORDS: &[(&str, &[&str], &str)] = &[
    ("todo!(", &[], "finish it, or leave it out"),
    ("unimplemented!(", &[], "finish it, or leave it out"),
    ("#[ignore", &[], "make the test run, or delete it"),
    ("// TODO", &[], "write an issue or a decision record instead"),
    (
        "Instant::now",
        &["clock.rs", "fake_provider/mod.rs", "rehearsal/", "benches/", "tests/"],
        "ask the clock",
    ),
    ("SystemTime::now", &["clock.rs"], "ask the clock"),
    (
        "std::env::var",
        &["config/environment.rs", "tests/", "examples/"],
        "read it in the configuration",
    ),
];

/// Everything that is not as it should be.
pub(crate) fn faults(root: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    layers(root, &mut faults);
    engine(root, &mut faults);
    let files = sources(root);
    for (name, text) in &files {
        source(name, text, &mut faults);
    }
    ratchet::faults(root, &files, &mut faults);
    lists(root, &mut faults);
    for part in docs::PARTS {
        match docs::is_current(root, part) {
            Ok(true) => {}
            Ok(false) => faults.push(format!("{}:1: generated: run `cargo xtask docs`", part.file)),
            Err(error) => faults.push(format!("{}:1: generated: {error}", part.file)),
        }
    }
    faults
}

/// The Rust files of the crates, by name, and what is in them.
pub(crate) fn sources(root: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    rust_files(&root.join("crates"), &mut files);
    files.sort();
    let read = |file: &PathBuf| {
        let name = file.strip_prefix(root).unwrap_or(file).display().to_string();
        Some((name, fs::read_to_string(file).ok()?))
    };
    files.iter().filter_map(read).collect()
}

fn manifest(root: &Path, name: &str) -> toml::Table {
    let text = fs::read_to_string(root.join("crates").join(name).join("Cargo.toml"));
    text.ok().and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn layers(root: &Path, faults: &mut Vec<String>) {
    for (name, may_use, may_test_with) in LAYERS {
        let manifest = manifest(root, name);
        for (section, allowed) in [("dependencies", may_use), ("dev-dependencies", may_test_with)] {
            let used = manifest.get(section).and_then(toml::Value::as_table);
            for used in used.into_iter().flat_map(|used| used.keys()) {
                let is_ours = used.starts_with("unbroken");
                if is_ours && !allowed.contains(&used.as_str()) && !may_use.contains(&used.as_str())
                {
                    faults.push(format!(
                        "crates/{name}/Cargo.toml:1: layers: {name} may not use {used}; move the \
                         code to where both may be used"
                    ));
                }
            }
        }
    }
}

fn engine(root: &Path, faults: &mut Vec<String>) {
    let manifest = manifest(root, "unbroken-engine");
    let used = manifest.get("dependencies").and_then(toml::Value::as_table);
    if used.is_some_and(|used| used.keys().any(|name| name != "libm")) {
        faults
            .push("crates/unbroken-engine/Cargo.toml:1: engine: it has no dependencies".to_owned());
    }
    let lib =
        fs::read_to_string(root.join("crates/unbroken-engine/src/lib.rs")).unwrap_or_default();
    if !lib.contains("#![no_std]") {
        faults.push("crates/unbroken-engine/src/lib.rs:1: engine: it is no_std".to_owned());
    }
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn source(name: &str, text: &str, faults: &mut Vec<String>) {
    let lines = text.lines().count();
    if lines > LINES_MAX {
        faults.push(format!("{name}:{LINES_MAX}: length: {lines} lines; split the file"));
    }
    let stem = Path::new(name).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if EMPTY_NAMES.contains(&stem) {
        faults.push(format!("{name}:1: name: say which question the file answers"));
    }
    for (number, line) in text.lines().enumerate() {
        let code =
            if line.trim_start().starts_with("//") && !line.contains("TODO") { "" } else { line };
        for (word, places, advice) in WORDS {
            if code.contains(word) && !places.iter().any(|place| name.contains(place)) {
                faults.push(format!("{name}:{}: `{word}`: {advice}", number + 1));
            }
        }
    }
}

/// What is in a folder is in its list.
fn lists(root: &Path, faults: &mut Vec<String>) {
    let folders = [
        (
            "crates/unbroken/src/providers",
            &[
                "classify",
                "fit",
                "prefix",
                "rate_limits",
                "replies",
                "retry_after",
                "surfaces",
                "tests",
            ][..],
        ),
        ("crates/unbroken-wire/src/dialects", &["fields", "foreign", "plain", "side"][..]),
    ];
    for (folder, others) in folders {
        let list = fs::read_to_string(root.join(folder).join("mod.rs")).unwrap_or_default();
        let names: BTreeSet<String> = fs::read_dir(root.join(folder))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| Some(entry.path().file_stem()?.to_str()?.to_owned()))
            .filter(|name| name != "mod" && !others.contains(&name.as_str()))
            .collect();
        for name in names {
            if !list.contains(&format!("&{}", name.to_uppercase())) {
                faults.push(format!("{folder}/mod.rs:1: list: `{name}` is not in the list"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_is_tidy() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let faults = faults(root);
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    #[test]
    fn untidiness_is_seen() {
        let mut faults = Vec::new();
        let long = format!("fn long() {{\n{}}}\n", "    x();\n".repeat(80));
        source("crates/x/src/utils.rs", &format!("{long}fn f() {{ todo!() }}\n"), &mut faults);
        assert_eq!(faults.len(), 2, "{faults:?}");
    }
}
