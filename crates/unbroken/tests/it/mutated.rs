//! The fuzz targets on a stable compiler: recorded traffic, mutated byte by byte, a few thousand
//! times. What fails here fails in `fuzz/`, too; the long runs are there.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use unbroken_wire::base64;

#[path = "../../../../fuzz/src/lib.rs"]
#[allow(dead_code, unreachable_pub, reason = "a crate of its own elsewhere")]
mod fuzz;

/// Mutations of each target. `UNBROKEN_MUTATIONS` says otherwise.
const MUTATIONS: u64 = 1_500;

/// Words that parsers look for.
const WORDS: &[&str] = &[
    "null",
    "[]",
    "{}",
    "\"\"",
    "data: ",
    "data: [DONE]\n\n",
    "\n\n",
    "\r\n",
    "event: error\n",
    "\\ud83d",
    "1e999",
    "-1",
    "18446744073709551616",
    "\"index\":",
    "\"error\":{",
    "\"type\":",
    "\"content\":",
    "\"tool_calls\":[",
    "\"finish_reason\":\"stop\"",
    "\u{feff}",
    ":",
    ",",
    "\0",
];

/// Splitmix64: the same numbers in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides.max(1) as u64).unwrap()
    }
}

fn mutate(seed: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(bytes.len() + 1);
        match dice.roll(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.roll(8),
            1 if at < bytes.len() => bytes[at] = dice.roll(256) as u8,
            2 => bytes.truncate(at),
            3 => {
                let end = (at + dice.roll(40)).min(bytes.len());
                bytes.drain(at..end);
            }
            4 => {
                let end = (at + dice.roll(80)).min(bytes.len());
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            5 if !other.is_empty() => {
                let from = dice.roll(other.len());
                let end = (from + dice.roll(120)).min(other.len());
                bytes.splice(at..at, other[from..end].iter().copied());
            }
            _ => {
                let word = WORDS[dice.roll(WORDS.len())];
                bytes.splice(at..at, word.bytes());
            }
        }
    }
    bytes
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, files) } else { files.push(path) }
    }
    files.sort();
}

/// Pieces of recorded traffic, by where they stood.
fn recorded(pointer: &str) -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/recordings");
    walk(&fixtures, &mut files);
    let read = |file: PathBuf| {
        let json: Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
        let piece = json.pointer(pointer)?;
        match piece {
            Value::Object(_) => Some(piece.to_string().into_bytes()),
            Value::String(text) => base64::decode(text),
            Value::Array(lines) => {
                Some(lines.iter().filter_map(Value::as_str).collect::<String>().into_bytes())
            }
            _ => None,
        }
    };
    let seeds: Vec<Vec<u8>> = files.into_iter().filter_map(read).collect();
    seeds.into_iter().filter(|seed| (1..12_000).contains(&seed.len())).collect()
}

fn run(target: fn(&[u8]), pointer: &str, lead: usize) {
    let seeds = recorded(pointer);
    assert!(seeds.len() >= 10, "{pointer}: {} seeds", seeds.len());
    #[expect(clippy::disallowed_methods, reason = "how long a test runs")]
    let count = std::env::var("UNBROKEN_MUTATIONS").ok().and_then(|n| n.parse().ok());
    let mut dice = Dice(7);
    for _ in 0..count.unwrap_or(MUTATIONS) {
        let (one, other) = (&seeds[dice.roll(seeds.len())], &seeds[dice.roll(seeds.len())]);
        let mut input: Vec<u8> = (0..lead).map(|_| dice.roll(256) as u8).collect();
        input.extend(mutate(one, other, &mut dice));
        let told = std::panic::catch_unwind(|| target(&input));
        if told.is_err() {
            panic!("{pointer}: {:?}", String::from_utf8_lossy(&input));
        }
    }
}

#[test]
fn mutated_requests_are_read_or_refused() {
    run(fuzz::requests, "/request/body", 1);
}

#[test]
fn mutated_answers_are_read_or_refused() {
    run(fuzz::answers, "/response/body", 1);
}

#[test]
fn mutated_streams_mean_the_same_however_they_are_cut() {
    run(fuzz::streams, "/response/sse", 2);
}

#[test]
fn mutated_frames_are_read_or_broken() {
    run(fuzz::frames, "/response/body_b64", 1);
}

#[test]
fn mutated_errors_mean_something() {
    run(fuzz::errors, "/response/body", 2);
}
