//! Which streams are cut: recorded ones, and generated ones of every kind.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use unbroken_drill::fake_provider::{FakeDialect, Manner, Says};

/// A stream of one provider.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) dialect: FakeDialect,
    pub(super) bytes: Vec<u8>,
    /// Where events begin, and the end of the last one.
    pub(super) places: Vec<usize>,
}

pub(super) const DIALECTS: [FakeDialect; 4] = [
    FakeDialect::OpenaiChat,
    FakeDialect::OpenaiResponses,
    FakeDialect::AnthropicMessages,
    FakeDialect::Gemini,
];

impl Stream {
    fn new(name: String, kind: &'static str, dialect: FakeDialect, bytes: Vec<u8>) -> Self {
        let is_end =
            |at: &usize| bytes[..*at].ends_with(b"\n\n") || bytes[..*at].ends_with(b"\n\r\n");
        let mut places = vec![0];
        places.extend((1..=bytes.len()).filter(is_end));
        places.dedup();
        Self { name, kind, dialect, bytes, places }
    }
}

/// Recorded streams of the dialects that are spoken; longer ones are left to the generated kinds.
pub(super) fn recorded(events_max: usize) -> Vec<Stream> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/recordings");
    let mut files = Vec::new();
    walk(&fixtures, &mut files);
    files.sort();
    let streams = files.iter().filter_map(|file| read(file));
    streams.filter(|stream| stream.places.len() <= events_max).collect()
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

fn read(file: &Path) -> Option<Stream> {
    let dialect = match file.parent()?.file_name()?.to_str()? {
        "chat_completions" => FakeDialect::OpenaiChat,
        "responses" => FakeDialect::OpenaiResponses,
        "messages" => FakeDialect::AnthropicMessages,
        "generate_content" => FakeDialect::Gemini,
        _ => return None,
    };
    let json: Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    let lines = json.pointer("/response/sse")?.as_array()?;
    let text: String = lines.iter().filter_map(Value::as_str).collect();
    let name = file.file_stem()?.to_string_lossy().into_owned();
    Some(Stream::new(name, "recorded", dialect, text.into_bytes()))
}

/// Text, code, JSON, thinking, tools and text in many bytes, in every dialect.
pub(super) fn generated() -> Vec<Stream> {
    let manner = |says| Manner { says, ..Manner::default() };
    let kinds = [
        ("text", manner(Says::Words), 12, false),
        ("code", manner(Says::Code), 3, false),
        ("json", manner(Says::Json), 6, false),
        ("many bytes", manner(Says::Multibyte), 24, false),
        ("thinking", Manner { thinking_words: 4, ..Manner::default() }, 8, false),
        ("tools", manner(Says::Words), 0, true),
        ("text, tools", Manner { words_before_calls: 5, ..Manner::default() }, 0, true),
    ];
    let mut streams = Vec::new();
    for (kind, manner, words, calls) in kinds {
        for dialect in DIALECTS {
            let bytes = dialect.recording(&manner, words, calls).into_bytes();
            streams.push(Stream::new(format!("{kind} {dialect:?}"), kind, dialect, bytes));
        }
    }
    streams
}
