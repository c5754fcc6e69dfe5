//! May one more attempt be sent? Retries must not turn a slow provider into a dead one.
//!
//! A bucket of tokens: every call pays a little in, every attempt after a call's first failover
//! takes one out. While things go well the bucket is full; when everything fails, attempts settle
//! at a fixed share above the calls: one in five, however long the outage lasts.
//!
//! | what | takes or pays |
//! |---|---|
//! | a call begins | pays 0.2, up to 10 |
//! | its first attempt, its first failover | free |
//! | a failover to a target that little speaks against | free |
//! | what never reached a target | free |
//! | any other attempt | takes 1; without it the call ends |
//!
//! Invariants: never above `capacity`, never below zero, only first attempts pay in.
//! Source: engine.md 4.8 (B1); `call/next.rs` says what is free.

/// Settings of the retry budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryBudgetConfig {
    /// Attempts that the full bucket pays for. Default: 10.
    pub capacity: u32,
    /// What each call pays in, in thousandths of an attempt. Default: 200 (one in five).
    pub per_call_per_mille: u32,
}

impl Default for RetryBudgetConfig {
    fn default() -> Self {
        Self { capacity: 10, per_call_per_mille: 200 }
    }
}

/// The bucket.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    config: RetryBudgetConfig,
    per_mille: u32,
}

impl RetryBudget {
    /// A full bucket.
    #[must_use]
    pub const fn new(config: RetryBudgetConfig) -> Self {
        Self { config, per_mille: config.capacity.saturating_mul(1000) }
    }

    /// Goes on with other settings.
    pub fn reconfigure(&mut self, config: RetryBudgetConfig) {
        self.config = config;
        self.per_mille = self.per_mille.min(config.capacity.saturating_mul(1000));
    }

    /// A call has begun.
    pub fn deposit(&mut self) {
        let full = self.config.capacity.saturating_mul(1000);
        self.per_mille = self.per_mille.saturating_add(self.config.per_call_per_mille).min(full);
    }

    /// Takes one attempt out; false, and nothing changes, if the bucket does not hold one.
    pub const fn withdraw(&mut self) -> bool {
        match self.per_mille.checked_sub(1000) {
            Some(left) => {
                self.per_mille = left;
                true
            }
            None => false,
        }
    }

    /// Whole attempts that are left.
    #[must_use]
    pub const fn left(&self) -> u32 {
        self.per_mille / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_leaves_one_retry_in_five_calls() {
        let mut budget = RetryBudget::new(RetryBudgetConfig::default());
        let mut granted = 0;
        for _ in 0..1000 {
            budget.deposit();
            granted += u32::from(budget.withdraw());
        }
        assert_eq!(granted, 10 + 199, "the full bucket, then a fifth of the calls");
    }

    #[test]
    fn a_smaller_bucket_holds_less_and_a_larger_one_fills_up() {
        let of = |capacity| RetryBudgetConfig { capacity, ..RetryBudgetConfig::default() };
        let mut budget = RetryBudget::new(of(10));
        budget.reconfigure(of(2));
        assert_eq!(budget.left(), 2);
        budget.reconfigure(of(3));
        assert_eq!(budget.left(), 2, "room alone pays for nothing");
        for _ in 0..10 {
            budget.deposit();
        }
        assert_eq!(budget.left(), 3);
    }

    #[test]
    fn the_bucket_does_not_overflow() {
        let mut budget =
            RetryBudget::new(RetryBudgetConfig { capacity: 2, per_call_per_mille: 900 });
        for _ in 0..10 {
            budget.deposit();
        }
        assert_eq!(budget.left(), 2);
        assert!(budget.withdraw() && budget.withdraw() && !budget.withdraw());
        assert_eq!(budget.left(), 0);
    }
}
