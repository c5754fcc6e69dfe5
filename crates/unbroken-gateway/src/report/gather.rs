//! What does the ledger say of a span of time?

use std::collections::BTreeMap;

use super::incidents::{self, Effect};
use super::{BINS, Bin, Budget, Extra, Money, Report, RouteReport, Share, TargetReport};
use crate::config::Plan;
use crate::ledger::{Database, Fault, Row};

/// A gateway that runs gives a sign of life at least twice in this time, in milliseconds.
pub(super) const ALIVE_MS: u64 = 75_000;

/// A span of time, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) since_ms: u64,
    pub(crate) until_ms: u64,
}

/// Asks the ledger. The objectives are those of the configuration now.
///
/// # Errors
/// When the ledger cannot be read.
pub(crate) fn gather(
    database: &Database,
    plan: Option<&Plan>,
    window: Window,
) -> Result<Report, Fault> {
    let since_ms = window.since_ms / 60_000 * 60_000;
    let window = Window { since_ms, ..window };
    let spending = database.rows(SPENDING, &[(since_ms / 60_000).into()])?;
    let (mut routes, total, over_time) = routes(database, plan, window, &spending)?;
    routes.sort_by_key(|route| std::cmp::Reverse(route.calls));
    let (incidents, effects) = incidents::gather(database, window)?;
    let (covered_ms, unclean_stops) = runs(database, window)?;
    let targets = targets(database, window, &spending, &effects)?;
    let times = |of: fn(&Effect) -> u64| incidents::times(effects.iter().map(of));
    Ok(Report {
        since_ms,
        until_ms: window.until_ms,
        covered_ms,
        unclean_stops,
        total,
        routes,
        targets,
        extra: extra(&spending),
        detect_ms: times(|effect| effect.detect_ms),
        recover_ms: incidents::times(effects.iter().filter_map(|effect| effect.recover_ms)),
        incidents,
        over_time,
    })
}

type Routes = (Vec<RouteReport>, RouteReport, Vec<Bin>);

fn routes(
    database: &Database,
    plan: Option<&Plan>,
    window: Window,
    spending: &[Row],
) -> Result<Routes, Fault> {
    let mut sums: BTreeMap<String, [u64; 10]> = BTreeMap::new();
    let mut bins = empty_bins(window);
    for row in database.rows(ROUTES, &[(window.since_ms / 60_000).into()])? {
        let counts: [u64; 10] = std::array::from_fn(|column| row.count(column + 2));
        let of_route = sums.entry(row.text(1).to_owned()).or_default();
        of_route.iter_mut().zip(counts).for_each(|(sum, more)| *sum += more);
        fill(&mut bins, window, row.count(0), &counts);
    }
    let slo = |route: &str| plan.map_or(0.999, |plan| plan.slo_of(route));
    let mut all = [0; 10];
    let mut routes = Vec::new();
    for (route, counts) in &sums {
        all.iter_mut().zip(counts).for_each(|(sum, more)| *sum += more);
        let of_route = spending.iter().filter(|row| row.text(0) == route);
        routes.push(route_report(route, slo(route), counts, of_route));
    }
    let total = route_report("", plan.map_or(0.999, |plan| plan.slo), &all, spending.iter());
    Ok((routes, total, bins))
}

fn route_report<'a>(
    route: &str,
    slo: f64,
    counts: &[u64; 10],
    spending: impl Iterator<Item = &'a Row>,
) -> RouteReport {
    let [calls, answered, rescued, told, failed, broken, gone, avoided, attempts, saved_tokens] =
        *counts;
    let valid = answered + rescued + failed + broken;
    let (mut answers, mut extra) = (Money::default(), Money::default());
    for row in spending {
        let used = if row.text(2) == "answer" { &mut answers } else { &mut extra };
        used.add(&money(row));
    }
    RouteReport {
        route: route.to_owned(),
        slo,
        calls,
        valid,
        seen: Share::of(answered + rescued, valid),
        without_failover: Share::of(answered.saturating_sub(avoided), valid),
        rescued,
        avoided,
        saved: rescued + avoided,
        failed,
        broken,
        client_errors: told,
        client_gone: gone,
        amplification: attempts as f64 / calls.max(1) as f64,
        saved_tokens,
        budget: Budget::of(slo, valid, failed + broken),
        answers,
        extra,
    }
}

fn money(row: &Row) -> Money {
    let (attempts, unpriced) = (row.count(3), row.count(4));
    Money {
        attempts,
        unpriced,
        estimated: row.count(5),
        input_tokens: row.count(6),
        output_tokens: row.count(7),
        usd: (attempts > unpriced).then(|| row.int(8).unwrap_or(0) as f64 / 1e9),
    }
}

fn targets(
    database: &Database,
    window: Window,
    spending: &[Row],
    effects: &[Effect],
) -> Result<Vec<TargetReport>, Fault> {
    let rows = database.rows(TARGETS, &[(window.since_ms / 60_000).into()])?;
    let report = |row: &Row| {
        let (answered, failed) = (row.count(2), row.count(3));
        let mut used = Money::default();
        for row in spending.iter().filter(|spent| spent.text(1) == row.text(0)) {
            used.add(&money(row));
        }
        let own = || effects.iter().filter(|effect| effect.name == row.text(0));
        TargetReport {
            target: row.text(0).to_owned(),
            attempts: row.count(1),
            answered,
            failed,
            available: Share::of(answered, answered + failed),
            incidents: own().count() as u64,
            detect_ms: incidents::times(own().map(|effect| effect.detect_ms)),
            recover_ms: incidents::times(own().filter_map(|effect| effect.recover_ms)),
            used,
        }
    };
    Ok(rows.iter().map(report).collect())
}

fn extra(spending: &[Row]) -> Vec<Extra> {
    let mut by_purpose: BTreeMap<&str, Money> = BTreeMap::new();
    for row in spending.iter().filter(|row| row.text(2) != "answer") {
        by_purpose.entry(row.text(2)).or_default().add(&money(row));
    }
    let extra = |(purpose, used): (&str, Money)| Extra { purpose: purpose.to_owned(), used };
    by_purpose.into_iter().map(extra).collect()
}

/// For how long of the window a gateway was running, and how often one ended without saying so.
fn runs(database: &Database, window: Window) -> Result<(u64, u64), Fault> {
    let rows = database.rows(RUNS, &[window.since_ms.into()])?;
    let (mut covered, mut unclean, mut until) = (0, 0, window.since_ms);
    for row in &rows {
        let end = row.count(1).min(window.until_ms);
        covered += end.saturating_sub(row.count(0).max(until));
        until = until.max(end);
        let has_said_so = row.int(2).is_some();
        unclean += u64::from(!has_said_so && row.count(1) + ALIVE_MS < window.until_ms);
    }
    Ok((covered, unclean))
}

fn empty_bins(window: Window) -> Vec<Bin> {
    let width = bin_width(window);
    let count = (window.until_ms - window.since_ms).div_ceil(width);
    (0..count).map(|bin| Bin { from_ms: window.since_ms + bin * width, ..Bin::default() }).collect()
}

/// Whole minutes, for that is what sums are kept of.
fn bin_width(window: Window) -> u64 {
    (window.until_ms - window.since_ms).div_ceil(60_000).div_ceil(BINS).max(1) * 60_000
}

fn fill(bins: &mut [Bin], window: Window, minute: u64, counts: &[u64; 10]) {
    let place = (minute * 60_000).saturating_sub(window.since_ms) / bin_width(window);
    let Some(bin) = usize::try_from(place).ok().and_then(|place| bins.get_mut(place)) else {
        return;
    };
    let [_, answered, rescued, _, failed, broken, _, avoided, ..] = *counts;
    bin.valid += answered + rescued + failed + broken;
    bin.saved += rescued + avoided;
    bin.failed += failed + broken;
}

const ROUTES: &str = "
SELECT minute, route, calls, answered, rescued, told, failed, broken, gone, avoided, attempts,
    saved_tokens
FROM route_minutes WHERE minute >= $1";

const TARGETS: &str = "
SELECT target, sum(attempts), sum(answered), sum(failed), sum(excused)
FROM target_minutes WHERE minute >= $1 GROUP BY target ORDER BY sum(attempts) DESC, target";

const SPENDING: &str = "
SELECT route, target, purpose, sum(attempts), sum(unpriced), sum(estimated), sum(input_tokens),
    sum(output_tokens), sum(cost_nanos)
FROM spending WHERE minute >= $1 GROUP BY route, target, purpose";

const RUNS: &str = "SELECT run, last_ms, ended_ms FROM runs WHERE last_ms >= $1 ORDER BY run";
