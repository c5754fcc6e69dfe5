//! Who can answer? A target is one endpoint, one model and one key.

use alloc::sync::Arc;

/// Names a target of a [`crate::fleet::Fleet`]; never given to another target later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetId(pub(crate) u64);

/// What a target consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetSpec {
    /// What people call it, such as `openai/gpt-5.1`.
    pub label: Arc<str>,
    /// Where it is reached: targets with the same endpoint share its network.
    pub endpoint: Arc<str>,
    /// The model's name at that endpoint.
    pub model: Arc<str>,
    /// The name of the key (never the key itself): targets with the same key share its limits.
    pub key: Arc<str>,
}

/// How a tier picks among its targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TierOrder {
    /// Two are drawn by weight; the one that costs less comes first.
    #[default]
    Balanced,
    /// By chance, in proportion to the weights.
    Weighted,
    /// In turn, as in the seed document's first listing.
    Rotate,
}

/// Targets of equal preference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    /// The targets and their weights; a weight of zero counts as one.
    pub targets: alloc::vec::Vec<(TargetId, u32)>,
    /// How to pick among them.
    pub order: TierOrder,
}

/// Whether two model names mean the same model at different hosts: equal after the last `/`.
#[must_use]
pub fn is_same_model(one: &str, other: &str) -> bool {
    family(one) == family(other)
}

/// The model's name without its host's prefixes.
pub(crate) fn family(model: &str) -> &str {
    model.rsplit('/').next().unwrap_or(model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_the_same_at_another_host() {
        assert!(is_same_model("openai/gpt-oss-120b", "gpt-oss-120b"));
        assert!(!is_same_model("gpt-5.1", "gpt-5.1-mini"));
    }
}
