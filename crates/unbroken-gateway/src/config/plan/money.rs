//! What do targets cost? Only what the configuration says; what nobody said is unknown, not free.

use unbroken::capabilities::table;

use super::Checker;
use crate::config::file::{PriceFile, ProviderFile};

/// Prices of models.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Prices(Vec<Rule>);

#[derive(Clone, Debug, PartialEq)]
struct Rule {
    provider: String,
    /// A `*` stands for anything.
    models: String,
    price: Price,
}

/// What a model costs, in US dollars per million tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Price {
    pub(crate) input: f64,
    /// Input that was read from a cache. Default: as `input`.
    pub(crate) cached: f64,
    pub(crate) output: f64,
}

/// No list of prices has more.
const PRICE_MAX: f64 = 100_000.0;

impl Prices {
    /// What a target costs, if the configuration says so; its label is `provider/model`.
    pub(crate) fn of(&self, label: &str) -> Option<Price> {
        let (provider, model) = label.split_once('/')?;
        let applies =
            |rule: &&Rule| rule.provider == provider && table::matches(&rule.models, model);
        self.0.iter().find(applies).map(|rule| rule.price)
    }
}

impl Price {
    /// What so many tokens cost, in billionths of a dollar.
    pub(crate) fn nanos(&self, input: u64, cached: u64, output: u64) -> i64 {
        let fresh = input.saturating_sub(cached) as f64 * self.input;
        // A dollar per million tokens is a thousand billionths per token.
        let nanos = (fresh + cached as f64 * self.cached + output as f64 * self.output) * 1_000.0;
        nanos.round() as i64
    }
}

pub(super) fn check(checker: &mut Checker<'_>, providers: &[ProviderFile]) -> Prices {
    let mut rules = Vec::new();
    for provider in providers {
        for model in &provider.models {
            let Some(typed) = &model.price else { continue };
            let PriceFile { input, cached, output } = *typed.get_ref();
            let price = Price { input, cached: cached.unwrap_or(input), output };
            if ![price.input, price.cached, output].iter().all(|n| (0.0..=PRICE_MAX).contains(n)) {
                checker.wrong(typed, "expected US dollars per million tokens, from 0 to 100000");
            }
            let (provider, models) = (provider.name.get_ref().clone(), model.name.clone());
            rules.push(Rule { provider, models, price });
        }
    }
    Prices(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_found_by_its_pattern_and_what_nobody_said_is_unknown() {
        let price = Price { input: 3.0, cached: 0.3, output: 15.0 };
        let rule = Rule { provider: "a".to_owned(), models: "claude-*".to_owned(), price };
        let prices = Prices(vec![rule]);
        assert_eq!(prices.of("a/claude-x"), Some(price));
        assert_eq!(
            (prices.of("a/gpt"), prices.of("b/claude-x"), prices.of("a")),
            (None, None, None)
        );
        // 900 fresh at 3 $, 100 cached at 0.3 $, 10 out at 15 $, per million.
        assert_eq!(price.nanos(1_000, 100, 10), 2_700_000 + 30_000 + 150_000);
    }
}
