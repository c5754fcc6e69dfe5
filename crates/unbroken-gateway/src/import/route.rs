//! The routes of a draft.

/// A target of a tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) provider: String,
    pub(super) model: String,
    pub(super) weight: u32,
}

impl Target {
    /// Whether it is the same provider and model.
    fn is_at(&self, other: &Self) -> bool {
        self.provider == other.provider && self.model == other.model
    }
}

/// Targets of equal preference, never none.
pub(super) type Tier = Vec<Target>;

/// A route.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) name: String,
    pub(super) tiers: Vec<Tier>,
    pub(super) order: &'static str,
    /// The limits of its own: name and value.
    pub(super) limits: Vec<(&'static str, String)>,
    /// A line for people.
    pub(super) remark: String,
}

impl Route {
    pub(super) fn new(name: &str, tiers: Vec<Tier>, order: &'static str) -> Self {
        let mut route = Self {
            name: name.to_owned(),
            tiers: Vec::new(),
            order,
            limits: Vec::new(),
            remark: String::new(),
        };
        for tier in tiers {
            route.then(tier);
        }
        route
    }

    /// What is asked when everything so far cannot answer. A target stands in a route once.
    pub(super) fn then(&mut self, tier: Tier) {
        let mut fresh: Tier = Vec::new();
        for target in tier {
            if self.tiers.iter().flatten().any(|known| known.is_at(&target)) {
                continue;
            }
            match fresh.iter_mut().find(|known| known.is_at(&target)) {
                Some(known) => known.weight = known.weight.saturating_add(target.weight),
                None => fresh.push(target),
            }
        }
        if !fresh.is_empty() {
            self.tiers.push(fresh);
        }
    }
}

/// Shares as whole weights: the smallest is at least 1, and they stay small.
pub(super) fn weights(shares: &[f64]) -> Vec<u32> {
    // As few digits as tell the shares apart exactly; three at most.
    let is_whole = |scale: &f64| {
        shares.iter().all(|share| ((share * scale).round() - share * scale).abs() < 1e-6)
    };
    let scale = [1.0, 10.0, 100.0].into_iter().find(is_whole).unwrap_or(1_000.0);
    let weight = |share: &f64| {
        if *share <= 0.0 { 0 } else { (share * scale).round().clamp(1.0, 1_000_000.0) as u32 }
    };
    let found: Vec<u32> = shares.iter().map(weight).collect();
    let divisor = found.iter().copied().fold(0, divisor).max(1);
    found.iter().map(|weight| weight / divisor).collect()
}

/// The greatest that divides both.
fn divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_become_small_whole_weights() {
        assert_eq!(weights(&[0.7, 0.3]), [7, 3]);
        assert_eq!(weights(&[0.5, 0.5]), [1, 1]);
        assert_eq!(weights(&[900.0, 100.0]), [9, 1]);
        assert_eq!(weights(&[1.0, 0.0]), [1, 0]);
        assert_eq!(weights(&[0.95, 0.05]), [19, 1]);
        assert_eq!(weights(&[]), [0; 0]);
    }
}
