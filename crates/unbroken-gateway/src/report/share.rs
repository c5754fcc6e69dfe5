//! Shares with what is known of them, budgets, and money.

use serde::Serialize;

use super::text::grouped;

/// Two-sided 95 %.
const Z: f64 = 1.959_964;

/// So many of so many, and between which bounds the true share lies, at 95 %.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Share {
    /// Absent if there is nothing to tell it from.
    pub(crate) share: Option<f64>,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Share {
    /// With Wilson's interval: it stays honest near 100 % and for few calls.
    ///
    /// Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    pub(crate) fn of(good: u64, all: u64) -> Self {
        if all == 0 {
            return Self { share: None, low: 0.0, high: 1.0 };
        }
        let (n, p) = (all as f64, good as f64 / all as f64);
        let centre = p + Z * Z / (2.0 * n);
        let spread = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + Z * Z / n;
        let low = if good == 0 { 0.0 } else { (centre - spread) / scale };
        let high = if good == all { 1.0 } else { (centre + spread) / scale };
        Self { share: Some(p), low, high }
    }
}

/// How many failures the objective allows, and how many there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Budget {
    /// Failures that it allows for so many calls.
    pub(crate) allowed: f64,
    pub(crate) spent: u64,
    /// What is left of it, as a share; below zero if it is overspent.
    pub(crate) left: Option<f64>,
}

impl Budget {
    pub(crate) fn of(slo: f64, valid: u64, failed: u64) -> Self {
        let allowed = (1.0 - slo) * valid as f64;
        let left = (allowed > 0.0).then(|| 1.0 - failed as f64 / allowed);
        Self { allowed, spent: failed, left }
    }
}

/// Tokens and what they cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Money {
    /// Parts of attempts that used something.
    pub(crate) attempts: u64,
    /// Of these, those whose tokens are estimated.
    pub(crate) estimated: u64,
    pub(crate) input_tokens: u64,
    pub(crate) output_tokens: u64,
    /// In US dollars, as far as prices are known; absent if none is.
    pub(crate) usd: Option<f64>,
    /// Of the attempts, those whose price is not known: `usd` is without them.
    pub(crate) unpriced: u64,
}

impl Money {
    pub(crate) fn add(&mut self, other: &Self) {
        self.attempts += other.attempts;
        self.estimated += other.estimated;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.unpriced += other.unpriced;
        self.usd = match (self.usd, other.usd) {
            (Some(one), Some(two)) => Some(one + two),
            (one, two) => one.or(two),
        };
    }

    /// `$ 1.23`, `at least $ 1.23` or `unknown`.
    pub(crate) fn told(&self) -> String {
        match (self.usd, self.unpriced, self.attempts) {
            (_, _, 0) => "nothing".to_owned(),
            (None, ..) => "unknown".to_owned(),
            (Some(usd), 0, _) => dollars(usd),
            (Some(usd), ..) => format!("at least {}", dollars(usd)),
        }
    }
}

fn dollars(usd: f64) -> String {
    match usd {
        0.0 => "$0".to_owned(),
        ..0.0001 => "under $0.0001".to_owned(),
        ..1.0 => format!("${usd:.4}"),
        _ => {
            let cents = (usd * 100.0).round() as u64;
            format!("${}.{:02}", grouped(cents / 100), cents % 100)
        }
    }
}

/// `99.98 %`: never rounded up, so that 100 % means all.
pub(crate) fn per_cent(share: f64) -> String {
    if share >= 1.0 {
        return "100 %".to_owned();
    }
    let cut = (share * 100_000.0).floor() / 1_000.0;
    let digits = if share < 0.99 { 1 } else { 3 };
    let cut = if digits == 1 { (share * 1_000.0).floor() / 10.0 } else { cut };
    format!("{cut:.digits$} %")
}

/// `99.9 %`: an objective, as it was written.
pub(crate) fn objective(slo: f64) -> String {
    format!("{} %", (slo * 1e6).round() / 1e4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_wilsons() {
        // 95 of 100: as in every textbook, 0.888 to 0.978.
        let share = Share::of(95, 100);
        assert!(
            (share.low - 0.8882).abs() < 1e-4 && (share.high - 0.9785).abs() < 1e-4,
            "{share:?}"
        );
        let all = Share::of(10, 10);
        assert!(
            all.high == 1.0 && (all.low - 0.7225).abs() < 1e-4,
            "ten of ten prove little: {all:?}"
        );
        assert_eq!(Share::of(0, 0), Share { share: None, low: 0.0, high: 1.0 });
    }

    #[test]
    fn a_budget_can_be_overspent_and_needs_calls() {
        let budget = Budget::of(0.99, 1_000, 5);
        assert!((budget.left.unwrap() - 0.5).abs() < 1e-9, "{budget:?}");
        assert!((Budget::of(0.99, 1_000, 30).left.unwrap() + 2.0).abs() < 1e-9);
        assert_eq!(Budget::of(0.99, 0, 0).left, None);
    }

    #[test]
    fn what_nobody_priced_is_unknown_and_never_nothing() {
        let priced = Money { attempts: 2, usd: Some(1.5), ..Money::default() };
        let unpriced = Money { attempts: 1, unpriced: 1, ..Money::default() };
        let mut both = priced;
        both.add(&unpriced);
        let told = [priced.told(), unpriced.told(), both.told(), Money::default().told()];
        assert_eq!(told, ["$1.50", "unknown", "at least $1.50", "nothing"]);
    }

    #[test]
    fn nothing_is_rounded_up_to_a_hundred() {
        let told = [1.0, 0.999_996, 0.999, 0.974_99, 0.0].map(per_cent);
        assert_eq!([0.999, 0.9995, 0.95].map(objective), ["99.9 %", "99.95 %", "95 %"]);
        assert_eq!(told, ["100 %", "99.999 %", "99.900 %", "97.4 %", "0.0 %"]);
    }
}
