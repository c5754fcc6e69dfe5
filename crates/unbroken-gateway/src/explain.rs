//! Who would be asked now, in which order, and who is skipped and why? The plan of a request that is
//! not sent: from what a running gateway knows of its targets, or from the configuration alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use unbroken::capabilities::{Needs, abilities};
use unbroken::route::{Choice, Route};
use unbroken_engine::target::TierOrder;
use unbroken_wire::dialects::{DIALECTS, RequestHead};

use crate::routing::Routing;

/// What is asked.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    /// What a client would send as `model`.
    pub(crate) model: String,
    /// Whether a comparable model of another vendor may stand in, as far as the configuration lets it.
    #[serde(default = "yes")]
    pub(crate) substitute: bool,
    /// The dialect of the request. Default: `openai-chat`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dialect: Option<String>,
    /// A request as a client would send it: who cannot carry it is told. Nothing of it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<serde_json::Value>,
}

const fn yes() -> bool {
    true
}

/// What is known of a target.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Standing {
    /// As in the admin API: `well`, `slow`, `returning`, `shut`, `held` or `retired`.
    pub(crate) health: &'static str,
    pub(crate) usable: bool,
    pub(crate) words: String,
    pub(crate) retry_at_ms: Option<u64>,
    /// The share of its traffic that it gets.
    pub(crate) share: f64,
}

/// The plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Explanation {
    pub(crate) model: String,
    /// Whether a route of this name is configured; otherwise it was made from the name.
    pub(crate) configured: bool,
    /// Whether the states are those of a running gateway.
    pub(crate) live: bool,
    /// About how large the request is; absent without one.
    pub(crate) input_tokens: Option<u64>,
    /// Everybody, in the order in which they would be asked; those that are skipped last.
    pub(crate) candidates: Vec<Candidate>,
    /// The short form.
    pub(crate) words: String,
}

/// One candidate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Candidate {
    pub(crate) target: String,
    /// From 1.
    pub(crate) tier: usize,
    /// From 1; absent if it is skipped.
    pub(crate) place: Option<usize>,
    /// Why it is where it is.
    pub(crate) words: String,
    pub(crate) retry_at_ms: Option<u64>,
}

/// Explains. `standings` is empty where no gateway runs.
///
/// # Errors
/// What is wrong with the question.
pub(crate) fn explain(
    routing: &Routing,
    standings: Option<&BTreeMap<Arc<str>, Standing>>,
    question: &Question,
) -> Result<Explanation, String> {
    let model = &question.model;
    let may_substitute = question.substitute && routing.plan().server.substitute;
    let route = routing.resolve(std::slice::from_ref(model), may_substitute)?;
    let needs = needs(question)?;
    let candidates = candidates(&route, standings, needs);
    Ok(Explanation {
        model: model.clone(),
        configured: routing.plan().routes.contains_key(model),
        live: standings.is_some(),
        input_tokens: needs.map(|needs| needs.input_tokens),
        words: short_form(&candidates),
        candidates,
    })
}

/// Everybody, in the order in which they would be asked.
fn candidates(
    route: &Route,
    standings: Option<&BTreeMap<Arc<str>, Standing>>,
    needs: Option<Needs>,
) -> Vec<Candidate> {
    let mut ranked: Vec<(u8, Candidate)> = Vec::new();
    for (tier_index, tier) in route.tiers.iter().enumerate() {
        for choice in &tier.choices {
            let standing = standings.and_then(|known| known.get(choice.label()));
            let (rank, words) = verdict(choice, standing, needs);
            let is_alone = tier.choices.len() == 1;
            let candidate = Candidate {
                target: choice.label().to_owned(),
                tier: tier_index + 1,
                place: None,
                words: if is_alone || rank == SKIPPED { words } else { among(tier.order, &words) },
                retry_at_ms: standing.filter(|s| !s.usable).and_then(|s| s.retry_at_ms),
            };
            ranked.push((rank, candidate));
        }
    }
    // Stable: what is alike stays in the order of the configuration.
    ranked.sort_by_key(|(rank, _)| *rank);
    let mut places = 1..;
    let placed = ranked.into_iter().map(|(rank, candidate)| {
        let place = if rank == SKIPPED { None } else { places.next() };
        Candidate { place, ..candidate }
    });
    placed.collect()
}

/// What comes last: it is not asked.
const SKIPPED: u8 = 3;

/// The rank of a candidate, as choosing goes (`unbroken-engine`, `choose.rs`), and why.
fn verdict(choice: &Choice, standing: Option<&Standing>, needs: Option<Needs>) -> (u8, String) {
    if let Some(obstacle) = needs.and_then(|needs| abilities(choice).obstacle(needs)) {
        return (SKIPPED, format!("not asked: {obstacle}"));
    }
    let Some(standing) = standing else { return (0, "nothing speaks against it".to_owned()) };
    match (standing.usable, standing.health) {
        (false, _) => (SKIPPED, standing.words.clone()),
        (true, "returning") if standing.share < 1.0 => {
            let share = (standing.share * 100.0).round();
            (0, format!("for {share} % of calls; the others go past it: {}", standing.words))
        }
        (true, "slow") => (2, standing.words.clone()),
        (true, _) => (0, standing.words.clone()),
    }
}

fn among(order: TierOrder, words: &str) -> String {
    let how = match order {
        TierOrder::Balanced => "of two drawn by weight the quicker one",
        TierOrder::Weighted => "drawn by weight",
        TierOrder::Rotate => "in turn",
    };
    format!("{words} (within its tier: {how})")
}

fn short_form(candidates: &[Candidate]) -> String {
    let asked: Vec<&str> =
        candidates.iter().filter(|c| c.place.is_some()).map(|c| c.target.as_str()).collect();
    match asked.as_slice() {
        [] => "nobody can be asked now".to_owned(),
        [one] => format!("{one} would be asked, and nobody could stand in"),
        [one, rest @ ..] => format!("{one} would be asked, then {}", rest.join(", ")),
    }
}

fn needs(question: &Question) -> Result<Option<Needs>, String> {
    let Some(request) = &question.request else { return Ok(None) };
    let name = question.dialect.as_deref().unwrap_or("openai-chat");
    let dialect = DIALECTS.iter().find(|dialect| dialect.name == name).ok_or_else(|| {
        let names: Vec<&str> = DIALECTS.iter().map(|dialect| dialect.name).collect();
        format!("the dialect is one of {}", names.join(", "))
    })?;
    let head =
        RequestHead { model_in_path: Some(&question.model), stream_in_path: false, outline: None };
    let chat = (dialect.read_request)(&head, request.to_string().as_bytes())
        .map_err(|error| format!("the request cannot be read as {name}: {}", error.message))?;
    Ok(Some(Needs::of(&chat)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::{Environment, Plan};

    fn routing() -> Routing {
        let file = "[[provider]]\nname = \"a\"\ndialect = \"openai-chat\"\nbase_url = \"http://a\"\n\
                    models = [{ name = \"blind\", lacks = [\"images\"] }]\n\
                    [[provider]]\nname = \"b\"\ndialect = \"openai-chat\"\nbase_url = \"http://b\"\n\
                    [[route]]\nname = \"chat\"\ntargets = [\"a/blind\", \"a/m\", \"b/m\"]\n";
        Routing::new(Plan::read("f", file, &Environment::default()).unwrap())
    }

    fn ask(question: serde_json::Value, known: &[(&str, &'static str, bool)]) -> Explanation {
        let standing = |(name, health, usable): &(&str, &'static str, bool)| {
            let (words, share) = (format!("it is {health}"), 0.25);
            let standing = Standing { health, usable: *usable, words, retry_at_ms: Some(9), share };
            (Arc::from(*name), standing)
        };
        let known = known.iter().map(standing).collect();
        explain(&routing(), Some(&known), &serde_json::from_value(question).unwrap()).unwrap()
    }

    fn order(explanation: &Explanation) -> Vec<(&str, Option<usize>)> {
        explanation.candidates.iter().map(|c| (c.target.as_str(), c.place)).collect()
    }

    #[test]
    fn the_ill_are_skipped_the_slow_come_last_and_the_reason_is_told() {
        let known = [("a/blind", "shut", false), ("a/m", "slow", true), ("b/m", "returning", true)];
        let told = ask(json!({ "model": "chat" }), &known);
        assert_eq!(order(&told), [("b/m", Some(1)), ("a/m", Some(2)), ("a/blind", None)]);
        assert_eq!(told.words, "b/m would be asked, then a/m");
        let words: Vec<&str> = told.candidates.iter().map(|c| c.words.as_str()).collect();
        assert!(words[0].starts_with("for 25 % of calls") && words[2] == "it is shut", "{words:?}");
        assert_eq!(
            (told.candidates[0].retry_at_ms, told.candidates[2].retry_at_ms),
            (None, Some(9))
        );
    }

    #[test]
    fn who_cannot_carry_the_request_is_told() {
        let image =
            json!({ "type": "image_url", "image_url": { "url": "data:image/png;base64,AA==" } });
        let request =
            json!({ "model": "chat", "messages": [{ "role": "user", "content": [image] }] });
        let told = ask(json!({ "model": "chat", "request": request }), &[]);
        assert_eq!(order(&told), [("a/m", Some(1)), ("b/m", Some(2)), ("a/blind", None)]);
        assert!(told.candidates[2].words.contains("image"), "{told:?}");
    }

    #[test]
    fn questions_that_make_no_sense_are_told_so() {
        let ask = |question: serde_json::Value| {
            explain(&routing(), None, &serde_json::from_value(question).unwrap()).unwrap_err()
        };
        assert!(ask(json!({ "model": "llama" })).contains("not known here"));
        let wrong = json!({ "model": "chat", "dialect": "french", "request": {} });
        assert!(ask(wrong).contains("openai-chat, openai-responses"));
        assert!(ask(json!({ "model": "chat", "request": 5 })).contains("cannot be read"));
    }
}
