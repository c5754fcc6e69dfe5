//! Where does chance come from? From a seed of the caller's: the same seed gives the same choices.

use core::time::Duration;

/// A small seeded generator (`SplitMix64`): reproducible, good enough to spread load, not for
/// secrets.
///
/// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A generator that repeats itself for the same `seed`.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 random bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `bound - 1`; 0 if `bound` is 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        // Widening multiplication; its bias is below 2^-32 for the small bounds used here.
        (((self.next_u64() as u128) * (bound as u128)) >> 64) as u64
    }

    /// True `per_mille` times in a thousand.
    pub const fn chance(&mut self, per_mille: u32) -> bool {
        self.below(1000) < per_mille as u64
    }

    /// A duration from zero to just under `limit`.
    pub fn up_to(&mut self, limit: Duration) -> Duration {
        let nanos = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.below(nanos))
    }

    /// `around`, moved by up to `per_mille` thousandths in either direction.
    pub fn jittered(&mut self, around: Duration, per_mille: u32) -> Duration {
        let spread = scaled(around, u64::from(per_mille) * 2, 1000);
        around.saturating_sub(spread / 2).saturating_add(self.up_to(spread))
    }
}

/// `duration * numerator / denominator`, saturating; `denominator` zero counts as one.
#[must_use]
pub fn scaled(duration: Duration, numerator: u64, denominator: u64) -> Duration {
    let nanos =
        duration.as_nanos().saturating_mul(u128::from(numerator)) / u128::from(denominator.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_choices() {
        let draw = |seed| {
            let mut random = Random::seeded(seed);
            (0..8).map(|_| random.below(100)).collect::<alloc::vec::Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn choices_stay_within_their_bounds_and_reach_them() {
        let mut random = Random::seeded(1);
        let draws: alloc::vec::Vec<u64> = (0..1000).map(|_| random.below(3)).collect();
        assert!((0..3).all(|n| draws.contains(&n)));
        assert!(draws.iter().all(|n| *n < 3));
        assert_eq!(random.below(0), 0);
        assert!(!random.chance(0));
        assert!(random.chance(1000));
    }

    #[test]
    fn jitter_moves_both_ways_and_no_further() {
        let mut random = Random::seeded(3);
        let around = Duration::from_secs(10);
        let draws: alloc::vec::Vec<Duration> =
            (0..200).map(|_| random.jittered(around, 150)).collect();
        assert!(draws.iter().all(|d| (8_500..11_500).contains(&d.as_millis())));
        assert!(draws.iter().any(|d| *d < around) && draws.iter().any(|d| *d > around));
    }
}
