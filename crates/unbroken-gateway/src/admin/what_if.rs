//! Who would answer if a target died now?

use serde::Serialize;
use serde_json::{Value, json};

use super::{Admin, view};

/// A route as it is at the moment.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) route: String,
    /// Tiers, most preferred first; in each its targets, their weights, and whether they can be
    /// used now.
    pub(super) tiers: Vec<Vec<(String, u32, bool)>>,
    /// Calls that the target has answered in the last minute.
    pub(super) calls_per_minute: u64,
}

/// What would become of a route.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Consequence {
    pub(super) route: String,
    /// Calls of the last minute that somebody else would have to answer.
    pub(super) calls_per_minute: u64,
    /// Who would, and which share of them.
    pub(super) to: Vec<Share>,
    /// In words.
    pub(super) words: String,
}

/// A target and its share, from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Share {
    pub(super) target: String,
    pub(super) share: f64,
}

/// The answer of the API.
pub(super) fn answer(admin: &Admin, target: &str) -> Value {
    let shapes = view::shapes(admin, target);
    let routes: Vec<Consequence> = shapes.iter().filter_map(|s| consequence(s, target)).collect();
    let lost = routes.iter().filter(|route| route.to.is_empty()).count();
    json!({ "target": target, "routes": routes, "routes_without_an_answer": lost })
}

/// What would become of a route without a target; `None` if it does not use it.
fn consequence(shape: &Shape, target: &str) -> Option<Consequence> {
    let uses = shape.tiers.iter().flatten().any(|(label, _, _)| label == target);
    if !uses {
        return None;
    }
    let can_answer = |(label, _, is_usable): &&(String, u32, bool)| *is_usable && label != target;
    let tier = shape.tiers.iter().find(|tier| tier.iter().any(|one| can_answer(&one)));
    let heirs: Vec<_> = tier.into_iter().flatten().filter(can_answer).collect();
    let all: u32 = heirs.iter().map(|(_, weight, _)| (*weight).max(1)).sum();
    let share = |(label, weight, _): &&(String, u32, bool)| Share {
        target: label.clone(),
        share: (f64::from((*weight).max(1)) / f64::from(all) * 1_000.0).round() / 1_000.0,
    };
    let to: Vec<Share> = heirs.iter().map(share).collect();
    let words = match to.as_slice() {
        [] => "nobody can stand in: its calls would fail".to_owned(),
        [one] => format!("{} would answer", one.target),
        [one, rest @ ..] => format!("{} and {} more would share its calls", one.target, rest.len()),
    };
    let (route, calls_per_minute) = (shape.route.clone(), shape.calls_per_minute);
    Some(Consequence { route, calls_per_minute, to, words })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(tiers: &[&[(&str, u32, bool)]]) -> Shape {
        let own =
            |(label, weight, usable): &(&str, u32, bool)| ((*label).to_owned(), *weight, *usable);
        let tiers = tiers.iter().map(|tier| tier.iter().map(own).collect()).collect();
        Shape { route: "chat".to_owned(), tiers, calls_per_minute: 60 }
    }

    fn heirs(shape: &Shape, target: &str) -> Vec<(String, f64)> {
        let found = consequence(shape, target).unwrap();
        found.to.into_iter().map(|share| (share.target, share.share)).collect()
    }

    #[test]
    fn the_rest_of_its_tier_shares_by_weight_then_comes_the_next_tier() {
        let tier = [("a", 1, true), ("b", 3, true), ("c", 1, true)];
        let route = shape(&[&tier, &[("d", 1, true)]]);
        assert_eq!(heirs(&route, "a"), [("b".to_owned(), 0.75), ("c".to_owned(), 0.25)]);
        let route = shape(&[&[("a", 1, true), ("b", 1, false)], &[("d", 1, true)]]);
        assert_eq!(heirs(&route, "a"), [("d".to_owned(), 1.0)]);
    }

    #[test]
    fn a_route_that_nobody_else_can_answer_says_so() {
        let route = shape(&[&[("a", 1, true)], &[("b", 1, false)]]);
        let found = consequence(&route, "a").unwrap();
        assert_eq!(found.to, []);
        assert!(found.words.contains("nobody"), "{found:?}");
        assert_eq!(consequence(&route, "z"), None);
    }
}
