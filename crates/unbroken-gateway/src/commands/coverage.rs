//! What can each target of a route carry, and what would its outage cost? As a table for people.

use std::fmt::Write as _;

use unbroken::capabilities::coverage::{Cover, Coverage, failing_edges, of_route, tokens};
use unbroken::capabilities::{Need, abilities};
use unbroken::route::Route;

use crate::config::Plan;

/// The longest note of a target; what does not fit is cut.
const NOTE_MAX: usize = 160;

/// A route's targets, what they carry, and what would be lost without each.
pub(crate) fn describe(name: &str, route: &Route) -> String {
    let covered = of_route(route);
    let mut rows = vec![header()];
    let mut notes = Vec::new();
    let mut place = covered.iter();
    for (number, tier) in route.tiers.iter().enumerate() {
        for choice in &tier.choices {
            let Some(target) = place.next() else { continue };
            let weight = match tier.choices.len() {
                1 => String::new(),
                _ => format!(" (weight {})", choice.weight),
            };
            let is_known = abilities(choice).is_known;
            rows.push(row(number + 1, target, &weight, is_known));
            notes.extend(note(target));
        }
    }
    let mut text = format!("route {name}\n{}", table(&rows));
    for note in notes {
        let _ = writeln!(text, "  {note}");
    }
    let edges = failing_edges(&covered);
    if edges.is_empty() {
        text.push_str("  every kind of request has a second target\n");
    }
    for edge in edges {
        let _ = writeln!(text, "  warning: {edge}");
    }
    text.pop();
    text
}

/// What would be lost in an outage, for each route.
pub(crate) fn warnings(plan: &Plan) -> Vec<(String, String)> {
    let of = |(name, route): (&String, &std::sync::Arc<Route>)| {
        let edges = failing_edges(&of_route(route));
        edges.into_iter().map(|edge| (name.clone(), edge)).collect::<Vec<_>>()
    };
    plan.routes.iter().flat_map(of).collect()
}

fn header() -> Vec<String> {
    let mut cells = vec!["target".to_owned()];
    cells.extend(Need::ALL.map(|need| need.name().replace('_', " ")));
    cells.push("context".to_owned());
    cells
}

fn row(tier: usize, target: &Coverage, weight: &str, is_known: bool) -> Vec<String> {
    let mut cells = vec![format!("{tier}. {}{weight}", target.label)];
    cells.extend(target.needs.iter().map(|(_, cover)| match cover {
        Cover::Yes => "yes".to_owned(),
        Cover::Untold => "?".to_owned(),
        Cover::Partly(_) => "partly".to_owned(),
        Cover::No(_) => "no".to_owned(),
    }));
    cells.push(match (target.context, is_known) {
        (Some(context), _) => tokens(context),
        (None, _) => "?".to_owned(),
    });
    cells
}

/// What stands behind the cells that do not say yes.
fn note(target: &Coverage) -> Option<String> {
    let partly: Vec<String> = target
        .needs
        .iter()
        .filter_map(|(need, cover)| match cover {
            Cover::Partly(what) => Some(format!("{}: {what}", need.name())),
            Cover::Yes | Cover::Untold | Cover::No(_) => None,
        })
        .collect();
    let text = format!("{}: {}", target.label, partly.join("; "));
    (!partly.is_empty()).then(|| text.chars().take(NOTE_MAX).collect())
}

/// Columns as wide as their widest cell.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let cell =
        |row: &Vec<String>, column: usize| row.get(column).map_or("", |cell| cell).to_owned();
    let width = |column| {
        let widths = rows.iter().map(|row| cell(row, column).chars().count());
        widths.max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::from("  ");
        for (column, width) in widths.iter().enumerate() {
            let _ = write!(line, "{:width$}  ", cell(row, column));
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    #[test]
    fn an_operator_sees_what_each_target_carries_and_what_an_outage_costs() {
        let source = r#"
            [[provider]]
            name = "openai"
            key = "k"
            [[provider]]
            name = "groq"
            key = "k"
            [[provider]]
            name = "local"
            dialect = "openai-chat"
            base_url = "http://127.0.0.1:8000/v1"
            models = [{ name = "mine*", lacks = ["images", "pdfs"], context = 8192 }]
            [[route]]
            name = "chat"
            targets = ["openai/gpt-4.1", "groq/llama-3.3-70b-versatile", "local/mine-1"]
            "#;
        let plan = Plan::read("f", source, &Environment::default()).unwrap();
        let text = describe("chat", &plan.routes["chat"]);
        let expected = "\
route chat
  target                           tools  images  pdfs  json schema  reasoning  context
  1. openai/gpt-4.1                yes    yes     yes   yes          partly     1.0M
  2. groq/llama-3.3-70b-versatile  yes    no      no    no           partly     131k
  3. local/mine-1                  yes    no      no    yes          yes        8k
  openai/gpt-4.1: reasoning: dropped:reasoning
  groq/llama-3.3-70b-versatile: reasoning: dropped:reasoning
  warning: if openai/gpt-4.1 is down, nobody carries images, pdfs
  warning: if openai/gpt-4.1 is down, prompts above 131k tokens have nobody (openai/gpt-4.1 carries 1.0M)";
        assert_eq!(text, expected, "\n{text}");
        let warnings = warnings(&plan);
        assert_eq!(warnings.len(), 2, "{warnings:?}");
    }
}
