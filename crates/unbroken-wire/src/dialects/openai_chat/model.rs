//! What OpenAI's models differ in, by their names. Names of other vendors tell nothing.
//!
//! Source: wire-formats.md 2.3 and 8.2.

use crate::chat::Effort;

/// Whether it is a model that thinks before it answers: it refuses `max_tokens`, stop texts, and
/// to be told how to draw.
pub(in crate::dialects) fn thinks(model: &str) -> bool {
    family(model).is_some()
}

/// The family of a model that thinks, as its efforts depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    /// o1, o3, o4: low to high.
    O,
    /// gpt-5: minimal to high.
    Gpt5,
    /// gpt-5.1: none to high, but not minimal.
    Gpt51,
    /// gpt-5.2 and later: up to xhigh.
    Gpt52,
    /// gpt-6 and later: up to max.
    Gpt6,
}

fn family(model: &str) -> Option<Family> {
    let name = model.rsplit('/').next().unwrap_or(model);
    let bytes = name.as_bytes();
    if matches!(bytes, [b'o', b'1' | b'3' | b'4', ..]) {
        return Some(Family::O);
    }
    let version = name.strip_prefix("gpt-")?;
    let number = version.split('-').next().unwrap_or_default();
    let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
    match (major.parse::<u32>().ok()?, minor.parse::<u32>().unwrap_or(0)) {
        (0..=4, _) => None,
        (5, 0) => Some(Family::Gpt5),
        (5, 1) => Some(Family::Gpt51),
        (5, _) => Some(Family::Gpt52),
        _ => Some(Family::Gpt6),
    }
}

/// The nearest effort that the model takes; `None` if it takes none at all.
pub(in crate::dialects) fn effort(model: &str, wanted: Effort) -> Option<Effort> {
    let name = model.rsplit('/').next().unwrap_or(model);
    let is_older = ["gpt-3", "gpt-4", "chatgpt"].iter().any(|prefix| name.starts_with(prefix));
    let Some(family) = family(model) else { return (!is_older).then_some(wanted) };
    Some(match (wanted, family) {
        (Effort::None | Effort::Minimal, Family::O) => Effort::Low,
        (Effort::None, Family::Gpt5) => Effort::Minimal,
        (Effort::Minimal, Family::Gpt51 | Family::Gpt52 | Family::Gpt6) => Effort::Low,
        (Effort::XHigh | Effort::Max, Family::O | Family::Gpt5 | Family::Gpt51) => Effort::High,
        (Effort::Max, Family::Gpt52) => Effort::XHigh,
        (wanted, _) => wanted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_that_think_are_told_by_their_names() {
        for name in ["o1", "o3-mini", "openai/gpt-5", "gpt-5.1-codex", "gpt-6-astra"] {
            assert!(thinks(name), "{name}");
        }
        for name in ["gpt-4o", "gpt-4.1-mini", "gpt-oss-120b", "llama", "claude-opus-5", "omni"] {
            assert!(!thinks(name), "{name}");
        }
    }

    #[test]
    fn the_nearest_effort_is_taken() {
        for (model, wanted, taken) in [
            ("gpt-5", Effort::None, Some(Effort::Minimal)),
            ("gpt-5.1", Effort::Minimal, Some(Effort::Low)),
            ("gpt-5.1", Effort::None, Some(Effort::None)),
            ("gpt-5.1", Effort::XHigh, Some(Effort::High)),
            ("gpt-5.2", Effort::Max, Some(Effort::XHigh)),
            ("gpt-6", Effort::Max, Some(Effort::Max)),
            ("o3", Effort::None, Some(Effort::Low)),
            ("gpt-4o", Effort::High, None),
            ("qwen3", Effort::High, Some(Effort::High)),
        ] {
            assert_eq!(effort(model, wanted), taken, "{model} {wanted:?}");
        }
    }
}
