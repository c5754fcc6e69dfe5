//! Recorded exchanges: the chosen part in `fixtures/`, and the folder that the environment variable
//! `UNBROKEN_RECORDINGS` names, if there is one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;
use unbroken_wire::base64;
use unbroken_wire::dialects::{
    ANTHROPIC_MESSAGES, BEDROCK_CONVERSE, COHERE_CHAT, Dialect, GEMINI, OPENAI_CHAT,
    OPENAI_RESPONSES,
};
use unbroken_wire::event_stream::Decoder;

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

    /// The whole answer, if it is one: one body, or all elements of an array.
    pub(crate) fn answer(&self) -> Option<Vec<u8>> {
        if self.status() != Some(200) {
            return None;
        }
        let body = self.json.pointer("/response/body").filter(|body| body.is_object());
        let single = || match self.events().as_slice() {
            // What the recorder took for a stream of one event.
            [only] if self.dialect.name == "anthropic-messages" => {
                only.get("content").is_some().then(|| only.to_string().into_bytes())
            }
            _ => None,
        };
        let text = || {
            let text = self.json.pointer("/response/body_text")?.as_str()?;
            text.starts_with('[').then(|| text.as_bytes().to_vec())
        };
        body.map(|body| body.to_string().into_bytes()).or_else(single).or_else(text)
    }

    /// The bytes of the stream, if it is one: exact, or the recorded events in plain frames.
    pub(crate) fn stream(&self) -> Option<Vec<u8>> {
        if let Some(frames) = self.json.pointer("/response/body_b64").and_then(Value::as_str) {
            let is_converse = self.dialect.name == BEDROCK_CONVERSE.name;
            let frames = base64::decode(frames).filter(|_| is_converse)?;
            return Decoder::new().push(&frames).ok();
        }
        if let Some(lines) = self.json.pointer("/response/sse").and_then(Value::as_array) {
            let lines = lines.iter().filter_map(Value::as_str);
            return Some(lines.collect::<String>().into_bytes());
        }
        let is_framed_otherwise =
            self.json.pointer("/response/body_text").is_some_and(Value::is_string);
        let events = self.events();
        if events.is_empty() || is_framed_otherwise || self.answer().is_some() {
            return None;
        }
        let mut text: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        if self.dialect.name == "openai-chat" {
            text.push_str("data: [DONE]\n\n");
        }
        Some(text.into_bytes())
    }

    fn events(&self) -> Vec<&Value> {
        let events = self.json.pointer("/response/events").and_then(Value::as_array);
        events.into_iter().flatten().filter(|event| event.is_object()).collect()
    }

    /// Sizes of the network reads, where they were recorded.
    pub(crate) fn reads(&self) -> Vec<usize> {
        let sizes = self.json.pointer("/response/chunks").and_then(Value::as_array);
        let sizes = sizes.into_iter().flatten().filter_map(Value::as_u64);
        sizes.filter_map(|size| usize::try_from(size).ok()).collect()
    }

    /// What it is counted as.
    pub(crate) fn kind(&self, what: &str) -> String {
        format!("{} {what}", self.dialect.name)
    }

    pub(crate) fn status(&self) -> Option<u64> {
        self.json.pointer("/response/status")?.as_u64()
    }

    pub(crate) fn model_in_path(&self) -> Option<&str> {
        let path = self.json.pointer("/request/path")?.as_str()?;
        if let Some((_, model)) = path.split_once("/model/") {
            return model.split_once('/').map(|(model, _)| model);
        }
        path.rsplit_once("/models/")?.1.rsplit_once(':').map(|(model, _)| model)
    }

    pub(crate) fn name(&self) -> String {
        self.file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// Every recording of a dialect that we speak; read once.
pub(crate) fn all() -> &'static [Recording] {
    static ALL: OnceLock<Vec<Recording>> = OnceLock::new();
    ALL.get_or_init(read_all)
}

fn read_all() -> Vec<Recording> {
    files().into_iter().filter_map(read).collect()
}

/// Every recording in folders of these names, as JSON.
pub(crate) fn in_folders(names: &[&str]) -> Vec<(String, Value)> {
    let is_there = |file: &PathBuf| {
        let folder = file.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        folder.is_some_and(|folder| names.contains(&folder))
    };
    let read = |file: PathBuf| {
        let name = file.file_stem()?.to_string_lossy().into_owned();
        Some((name, serde_json::from_slice(&fs::read(&file).ok()?).ok()?))
    };
    files().into_iter().filter(is_there).filter_map(read).collect()
}

fn files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/recordings");
    walk(&fixtures, &mut files);
    #[expect(clippy::disallowed_methods, reason = "where a test finds its data")]
    if let Ok(folder) = std::env::var("UNBROKEN_RECORDINGS") {
        walk(Path::new(&folder), &mut files);
    }
    files.sort();
    files
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
        "responses" => &OPENAI_RESPONSES,
        "messages" => &ANTHROPIC_MESSAGES,
        "generate_content" => &GEMINI,
        "converse" | "converse_stream" => &BEDROCK_CONVERSE,
        "cohere_chat" => &COHERE_CHAT,
        _ => return None,
    };
    let json: Value = serde_json::from_slice(&fs::read(&file).ok()?).ok()?;
    let path = json.pointer("/request/path").and_then(Value::as_str).unwrap_or_default();
    // Version 1 is another dialect, which nobody speaks any more.
    if path.starts_with("/v1/") && dialect.name == COHERE_CHAT.name {
        return None;
    }
    Some(Recording { file, dialect, json })
}
