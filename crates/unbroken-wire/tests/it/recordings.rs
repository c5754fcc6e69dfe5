//! Recorded exchanges: the chosen part in `fixtures/`, and the folder that the environment variable
//! `UNBROKEN_RECORDINGS` names, if there is one.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use unbroken_wire::dialects::{ANTHROPIC_MESSAGES, Dialect, GEMINI, OPENAI_CHAT};

/// One exchange.
pub(crate) struct Recording {
    pub(crate) file: PathBuf,
    pub(crate) dialect: &'static Dialect,
    pub(crate) json: Value,
}

impl Recording {
    pub(crate) fn request(&self) -> Option<Vec<u8>> {
        let body = self.json.pointer("/request/body")?;
        body.is_object().then(|| body.to_string().into_bytes())
    }

    /// The whole answer, if it is one.
    pub(crate) fn answer(&self) -> Option<Vec<u8>> {
        let body = self.json.pointer("/response/body")?;
        (self.status() == Some(200) && body.is_object()).then(|| body.to_string().into_bytes())
    }

    /// The exact bytes of the stream, if it is one.
    pub(crate) fn stream(&self) -> Option<Vec<u8>> {
        let lines = self.json.pointer("/response/sse")?.as_array()?;
        Some(lines.iter().filter_map(Value::as_str).collect::<String>().into_bytes())
    }

    pub(crate) fn status(&self) -> Option<u64> {
        self.json.pointer("/response/status")?.as_u64()
    }

    pub(crate) fn has(&self, feature: &str) -> bool {
        let features = self.json.get("features").and_then(Value::as_array);
        features.is_some_and(|list| list.iter().any(|f| f.as_str() == Some(feature)))
    }

    pub(crate) fn model_in_path(&self) -> Option<&str> {
        let path = self.json.pointer("/request/path")?.as_str()?;
        path.rsplit_once("/models/")?.1.rsplit_once(':').map(|(model, _)| model)
    }

    pub(crate) fn name(&self) -> String {
        self.file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// Every recording of a dialect that we speak.
pub(crate) fn all() -> Vec<Recording> {
    let mut files = Vec::new();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/recordings");
    walk(&fixtures, &mut files);
    #[expect(clippy::disallowed_methods, reason = "where a test finds its data")]
    if let Ok(folder) = std::env::var("UNBROKEN_RECORDINGS") {
        walk(Path::new(&folder), &mut files);
    }
    files.sort();
    files.into_iter().filter_map(read).collect()
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
}

fn read(file: PathBuf) -> Option<Recording> {
    let dialect = match file.parent()?.file_name()?.to_str()? {
        "chat_completions" => &OPENAI_CHAT,
        "messages" => &ANTHROPIC_MESSAGES,
        "generate_content" => &GEMINI,
        _ => return None,
    };
    let json = serde_json::from_slice(&fs::read(&file).ok()?).ok()?;
    Some(Recording { file, dialect, json })
}
