//! What is printed: one row per measurement, ratios with their spread.

use crate::load::Outcome;

/// One round of one system.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    /// What the client saw.
    pub(crate) outcome: Outcome,
    /// Processor time of the system, per call, in seconds.
    pub(crate) cpu_per_call: f64,
}

/// The rounds of one measurement, each by each system.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rounds {
    /// The provider itself.
    pub(crate) direct: Vec<Round>,
    /// What the gateway is compared with.
    pub(crate) floor: Vec<Round>,
    /// The gateway.
    pub(crate) gateway: Vec<Round>,
}

/// A middle and its spread.
#[derive(Clone, Copy, Debug)]
struct Ratio {
    middle: f64,
    least: f64,
    most: f64,
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} ({:.2}-{:.2})", self.middle, self.least, self.most)
    }
}

/// Round by round, one divided by the other.
fn ratio(above: &[Round], below: &[Round], value: impl Fn(&Round) -> f64) -> Ratio {
    let mut ratios: Vec<f64> =
        above.iter().zip(below).map(|(above, below)| value(above) / value(below)).collect();
    ratios.sort_by(f64::total_cmp);
    let at = |place: usize| ratios.get(place).copied().unwrap_or(f64::NAN);
    Ratio { middle: at(ratios.len() / 2), least: at(0), most: at(ratios.len().saturating_sub(1)) }
}

/// The heading of the rows.
pub(crate) fn heading() -> String {
    let line = |cells: [&str; 7]| format!("| {} |", cells.join(" | "));
    [
        line([
            "measurement",
            "calls/s",
            "of the floor's",
            "CPU per call",
            "first p50",
            "whole p99",
            "lost (floor's)",
        ]),
        line(["---", "--:", "--:", "--:", "--:", "--:", "--:"]),
    ]
    .join("\n")
}

/// One measurement.
pub(crate) fn row(name: &str, rounds: &Rounds) -> String {
    let (floor, gateway) = (&rounds.floor, &rounds.gateway);
    let rates = ratio(gateway, floor, |round| round.outcome.rate);
    let cpu = ratio(gateway, floor, |round| round.cpu_per_call);
    let base = |place: usize, of: fn(&Outcome) -> &Vec<f64>, share: f64| {
        // What is added to a call without anything in between.
        let direct = rounds.direct.get(place).map(|round| Outcome::at(of(&round.outcome), share));
        direct.unwrap_or(0.0)
    };
    let added = |of: fn(&Outcome) -> &Vec<f64>, share: f64| {
        let mut ratios: Vec<f64> = gateway
            .iter()
            .zip(floor)
            .enumerate()
            .map(|(place, (gateway, floor))| {
                let direct = base(place, of, share);
                let gateway = Outcome::at(of(&gateway.outcome), share) - direct;
                let floor = Outcome::at(of(&floor.outcome), share) - direct;
                gateway / floor
            })
            .collect();
        ratios.sort_by(f64::total_cmp);
        ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let lost = |rounds: &[Round]| -> usize { rounds.iter().map(|r| r.outcome.lost).sum() };
    let lost = (lost(gateway), lost(floor));
    let rate = gateway.iter().map(|round| round.outcome.rate).fold(0.0, f64::max);
    format!(
        "| {name} | {rate:.0} | {rates} | {cpu} | {:.2} | {:.2} | {} ({}) |",
        added(|outcome| &outcome.first, 0.5),
        added(|outcome| &outcome.whole, 0.99),
        lost.0,
        lost.1,
    )
}
