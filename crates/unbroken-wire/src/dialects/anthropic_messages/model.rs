//! What the Claude models differ in, by the version in their names.
//!
//! Source: wire-formats.md 8.2 and 2.3.

use crate::chat::Effort;

/// Major and minor version of a Claude model, from its name: `claude-sonnet-4-5-20250929` is
/// (4, 5). Unknown names count as new.
pub(super) fn version(model: &str) -> (u32, u32) {
    let bare = model.rsplit(['/', '.']).next().unwrap_or(model);
    let mut numbers = bare
        .split(['-', '@'])
        .filter(|part| part.len() <= 2)
        .filter_map(|part| part.parse::<u32>().ok());
    match numbers.next() {
        Some(major) => (major, numbers.next().unwrap_or(0)),
        None => (99, 0),
    }
}

/// Whether temperature and kin are accepted.
pub(in crate::dialects) fn takes_sampling(model: &str) -> bool {
    version(model) < (4, 7)
}

/// Whether thinking is steered by effort; older models take a budget.
pub(in crate::dialects) fn thinks_by_effort(model: &str) -> bool {
    version(model) >= (4, 6)
}

/// Whether answers can be made to match a schema.
pub(in crate::dialects) fn has_structured_output(model: &str) -> bool {
    version(model) >= (4, 5)
}

/// The most tokens to ask for when the client named no limit, which this API demands.
pub(super) fn max_output(model: &str) -> u64 {
    match version(model) {
        (0..=2, _) | (3, 0..=4) => 4_096,
        (3, _) => 8_192,
        _ => 32_000,
    }
}

/// The most tokens that the model can write, as far as that is known.
pub(super) fn most_output(model: &str) -> u64 {
    match version(model) {
        (0..=2, _) | (3, 0..=4) => 4_096,
        (3, 5 | 6) => 8_192,
        (3, _) => 64_000,
        (4, 0..=1) if model.contains("opus") => 32_000,
        (4, 0..=5) => 64_000,
        _ => u64::MAX,
    }
}

/// Whether an assistant's message at the end is gone on with.
pub(in crate::dialects) fn takes_prefill(model: &str) -> bool {
    version(model) <= (4, 5)
}

/// The nearest effort that the model takes.
pub(in crate::dialects) fn effort_for(model: &str, wanted: Effort) -> Effort {
    match wanted {
        Effort::XHigh if version(model) < (4, 7) => Effort::High,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_all_kinds_of_names() {
        for (name, expected) in [
            ("claude-sonnet-4-5-20250929", (4, 5)),
            ("claude-3-5-sonnet-20241022", (3, 5)),
            ("claude-opus-5", (5, 0)),
            ("claude-3-haiku-20240307", (3, 0)),
            ("claude-opus-4-20250514", (4, 0)),
            ("us.anthropic.claude-opus-4-6-v1", (4, 6)),
            ("claude-sonnet-4@20250514", (4, 0)),
            ("something-new", (99, 0)),
        ] {
            assert_eq!(version(name), expected, "{name}");
        }
    }
}
