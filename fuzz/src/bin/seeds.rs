//! Writes what was recorded as seeds for every target: `seeds FOLDER`. The recordings in `fixtures/`
//! are small; nothing of this is kept.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use serde_json::Value;
use unbroken_fuzz::dialects;
use unbroken_wire::base64;

/// Larger ones make libFuzzer slow and teach it nothing.
const SEED_MAX: usize = 16 << 10;

fn main() -> io::Result<()> {
    let into = PathBuf::from(env::args().nth(1).unwrap_or_else(|| "corpus".to_owned()));
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/recordings");
    let mut files = Vec::new();
    walk(&fixtures, &mut files)?;
    for file in files {
        let Ok(json) = serde_json::from_slice::<Value>(&fs::read(&file)?) else { continue };
        let folder = file.parent().and_then(Path::file_name).unwrap_or_default();
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for (target, seed) in seeds(&folder.to_string_lossy(), &json) {
            if seed.len() <= SEED_MAX {
                fs::create_dir_all(into.join(target))?;
                fs::write(into.join(target).join(&name), seed)?;
            }
        }
    }
    Ok(())
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { walk(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

fn place(folder: &str) -> Option<u8> {
    let name = match folder {
        "chat_completions" => "openai-chat",
        "responses" => "openai-responses",
        "messages" => "anthropic-messages",
        "generate_content" => "gemini",
        "converse" | "converse_stream" => "bedrock-converse",
        "cohere_chat" => "cohere-chat",
        _ => return None,
    };
    dialects().iter().position(|dialect| dialect.name == name)?.try_into().ok()
}

fn seeds(folder: &str, json: &Value) -> Vec<(&'static str, Vec<u8>)> {
    let mut seeds = Vec::new();
    let frames = json.pointer("/response/body_b64").and_then(Value::as_str);
    if let Some(frames) = frames.and_then(base64::decode) {
        seeds.push(("frames", [&[12][..], &frames].concat()));
    }
    let Some(place) = place(folder) else { return seeds };
    if let Some(body) = json.pointer("/request/body").filter(|body| body.is_object()) {
        seeds.push(("requests", [&[place][..], body.to_string().as_bytes()].concat()));
    }
    if let Some(lines) = json.pointer("/response/sse").and_then(Value::as_array) {
        let text: String = lines.iter().filter_map(Value::as_str).collect();
        seeds.push(("streams", [&[place, 40][..], text.as_bytes()].concat()));
    }
    let status = json.pointer("/response/status").and_then(Value::as_u64).unwrap_or(0);
    if let Some(body) = json.pointer("/response/body").filter(|body| body.is_object()) {
        let text = body.to_string();
        if status == 200 {
            seeds.push(("answers", [&[place][..], text.as_bytes()].concat()));
        } else {
            let status = u8::try_from(status.saturating_sub(100) / 2).unwrap_or_default();
            seeds.push((
                "errors",
                [&[place, status][..], b"retry-after: 3\n\n", text.as_bytes()].concat(),
            ));
        }
    }
    seeds
}
