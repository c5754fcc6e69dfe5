//! The report as one page that needs nothing else: for a mail, a wiki, a browser, dark and light.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::dates::{clock, minute, span};
use super::share::objective;
use super::text::{
    bounds, coverage, effect, ending, grouped, plural, purpose, sentences, short, told, used, when,
};
use super::{IncidentReport, Report, RouteReport, Share, TargetReport};

/// Incidents on the page.
const INCIDENTS_MAX: usize = 200;
/// Incidents whose stories are open from the beginning.
const OPEN_STORIES: usize = 1;

/// The page.
pub(crate) fn render(report: &Report) -> String {
    let mut out = String::new();
    let style = include_str!("report.css");
    let title = format!("unbroken report, {}", when(report));
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n\
         <style>\n{style}</style>\n</head>\n<body>\n<main>\n",
        escape(&title)
    );
    head(&mut out, report);
    if report.total.calls > 0 {
        figures(&mut out, report);
        chart(&mut out, report);
        routes(&mut out, report);
        targets(&mut out, report);
        cost(&mut out, report);
    }
    incidents(&mut out, report);
    out.push_str(
        "<footer>Shares are with their 95 % interval (Wilson). <em>Alone</em> is what clients would \
         have seen of the preferred targets without failover: first attempts that answered, less the \
         calls that were kept away from targets that were down. Client errors and calls that were \
         given up by their clients do not count.</footer>\n</main>\n</body>\n</html>\n",
    );
    out
}

/// Names of routes and targets come from clients and files.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn head(out: &mut String, report: &Report) {
    let (first, second) = match report.total.calls {
        0 => ("No call was written down in this time.".to_owned(), String::new()),
        _ => sentences(&report.total),
    };
    let is_met = report.total.budget.left.is_none_or(|left| left >= 0.0);
    let verdict = if is_met { "met" } else { "missed" };
    let _ = writeln!(
        out,
        "<header><p class=\"when\">unbroken report · {} · {}</p>\n<h1 class=\"{verdict}\">{}</h1>\n\
         <p class=\"lead\">{}</p></header>",
        escape(&when(report)),
        escape(&coverage(report)),
        escape(&first),
        escape(&second),
    );
}

fn figures(out: &mut String, report: &Report) {
    let total = &report.total;
    let times = |times: Option<super::Times>| {
        times.map_or_else(|| "–".to_owned(), |times| span(times.median))
    };
    let longest = |times: Option<super::Times>| {
        let longest = times.map(|times| format!("at most {}", span(times.longest)));
        longest.unwrap_or_else(|| "nothing to notice".to_owned())
    };
    let left = total.budget.left.map_or_else(
        || "–".to_owned(),
        |left| match left {
            ..0.0 => format!("{:.1}× spent", 1.0 - left),
            _ => format!("{:.0} % left", (left * 100.0).floor()),
        },
    );
    let spent = plural(total.budget.spent, "failure", "failures");
    let allowed = match total.budget.allowed {
        allowed @ ..100.0 => format!("{allowed:.1}"),
        allowed => grouped(allowed as u64),
    };
    let budget = format!("{spent} of {allowed} allowed at {}", objective(total.slo));
    let figures = [
        ("Clients saw", told(total.seen), bounds(total.seen)),
        ("Alone", told(total.without_failover), bounds(total.without_failover)),
        ("Saved", grouped(total.saved), format!("of {}", plural(total.valid, "call", "calls"))),
        ("Noticed after", times(report.detect_ms), longest(report.detect_ms)),
        ("Over after", times(report.recover_ms), longest(report.recover_ms)),
        ("Error budget", left, budget),
    ];
    out.push_str("<section class=\"figures\">\n");
    for (name, value, note) in figures {
        let _ = writeln!(
            out,
            "<div><h2>{name}</h2><b>{}</b><span>{}</span></div>",
            escape(&value),
            escape(&note)
        );
    }
    out.push_str("</section>\n");
}

/// Columns of valid calls: answered at first, saved, failed.
fn chart(out: &mut String, report: &Report) {
    let top = report.over_time.iter().map(|bin| bin.valid).max().unwrap_or(0).max(1) as f64;
    out.push_str("<section class=\"card\"><h2>Calls</h2>\n<svg class=\"chart\" viewBox=\"0 0 ");
    let width = report.over_time.len() * 10;
    let _ = writeln!(
        out,
        "{width} 120\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"valid calls over time\">"
    );
    for (index, bin) in report.over_time.iter().enumerate() {
        let height = |count: u64| count as f64 / top * 112.0;
        let well = height(bin.valid.saturating_sub(bin.saved + bin.failed));
        // What went wrong is seen even where it is little.
        let visible = |count: u64| if count == 0 { 0.0 } else { height(count).max(3.0) };
        let (saved, failed) = (visible(bin.saved), visible(bin.failed));
        let _ = write!(out, "<g><title>{}: ", escape(&minute(bin.from_ms)));
        let _ = write!(
            out,
            "{} valid, {} saved, {} failed</title>",
            grouped(bin.valid),
            grouped(bin.saved),
            grouped(bin.failed)
        );
        let mut floor = 120.0;
        for (class, tall) in [("well", well), ("saved", saved), ("failed", failed)] {
            if tall > 0.0 {
                floor -= tall;
                let x = index * 10 + 1;
                let _ = write!(
                    out,
                    "<rect class=\"{class}\" x=\"{x}\" y=\"{floor:.1}\" width=\"8\" height=\"{tall:.1}\"/>"
                );
            }
        }
        out.push_str("</g>\n");
    }
    let _ = writeln!(
        out,
        "</svg>\n<p class=\"axis\"><span>{}</span><span class=\"legend\"><i class=\"well\"></i>answered at \
         first <i class=\"saved\"></i>saved by failover <i class=\"failed\"></i>failed</span>\
         <span>{}</span></p></section>",
        minute(report.since_ms),
        minute(report.until_ms)
    );
}

fn share_cell(out: &mut String, share: Share) {
    let _ = write!(out, "<td class=\"num\"><b>{}</b>", told(share));
    if share.share.is_some() {
        let _ = write!(out, "<small>{}</small>", bounds(share));
    }
    out.push_str("</td>");
}

fn routes(out: &mut String, report: &Report) {
    out.push_str(
        "<section class=\"card\"><h2>Routes</h2>\n<table><thead><tr><th>Route</th><th class=\"num\">Calls</th>\
         <th class=\"num\">Clients saw</th><th class=\"num\">Alone</th><th class=\"num\">Saved</th>\
         <th class=\"num\">Attempts per call</th><th>Error budget</th></tr></thead><tbody>\n",
    );
    for route in &report.routes {
        let RouteReport { calls, seen, without_failover, rescued, avoided, saved, .. } = route;
        let _ = write!(
            out,
            "<tr><th>{}</th><td class=\"num\">{}</td>",
            escape(&route.route),
            grouped(*calls)
        );
        share_cell(out, *seen);
        share_cell(out, *without_failover);
        let _ = writeln!(
            out,
            "<td class=\"num\"><b>{}</b><small>{} rescued, {} kept away</small></td>\
             <td class=\"num\">{:.3}</td><td>{}</td></tr>",
            grouped(*saved),
            short(*rescued),
            short(*avoided),
            route.amplification,
            meter(route),
        );
    }
    out.push_str("</tbody></table></section>\n");
}

/// A bar of what is left of the budget.
fn meter(route: &RouteReport) -> String {
    let slo = objective(route.slo);
    let Some(left) = route.budget.left else { return format!("of {slo}: –") };
    let (class, words) = match left {
        ..0.0 => ("failed", format!("spent {:.1} times", 1.0 - left)),
        ..0.25 => ("saved", format!("{:.0} % left", (left * 100.0).floor())),
        _ => ("well", format!("{:.0} % left", (left * 100.0).floor())),
    };
    let width = left.clamp(0.0, 1.0) * 100.0;
    format!(
        "<span class=\"meter\"><i class=\"{class}\" style=\"width:{width:.0}%\"></i></span>\
         <small>{words}, objective {slo}</small>"
    )
}

fn targets(out: &mut String, report: &Report) {
    out.push_str(
        "<section class=\"card\"><h2>Targets</h2>\n<table><thead><tr><th>Target</th>\
         <th class=\"num\">Attempts</th><th class=\"num\">Answered</th><th class=\"num\">Failed</th>\
         <th class=\"num\">Incidents</th><th class=\"num\">Noticed after</th><th class=\"num\">Over after</th>\
         <th class=\"num\">Cost</th></tr></thead><tbody>\n",
    );
    for target in &report.targets {
        let TargetReport { attempts, failed, available, incidents, used, .. } = target;
        let time = |times: Option<super::Times>| {
            times.map_or_else(|| "–".to_owned(), |times| span(times.median))
        };
        let _ = write!(
            out,
            "<tr><th>{}</th><td class=\"num\">{}</td>",
            escape(&target.target),
            grouped(*attempts)
        );
        share_cell(out, *available);
        let _ = writeln!(
            out,
            "<td class=\"num\">{}</td><td class=\"num\">{incidents}</td><td class=\"num\">{}</td>\
             <td class=\"num\">{}</td><td class=\"num\">{}</td></tr>",
            grouped(*failed),
            time(target.detect_ms),
            time(target.recover_ms),
            used.told(),
        );
    }
    out.push_str("</tbody></table></section>\n");
}

fn cost(out: &mut String, report: &Report) {
    let total = &report.total;
    let _ = write!(
        out,
        "<section class=\"card\"><h2>What failover cost</h2>\n<table><tbody>\
         <tr><th>the answers</th><td>{}</td></tr>\n",
        escape(&used(&total.answers))
    );
    for extra in &report.extra {
        let words = purpose(&extra.purpose);
        let _ = writeln!(
            out,
            "<tr><th>{}</th><td>{}</td></tr>",
            escape(words),
            escape(&used(&extra.used))
        );
    }
    if report.extra.is_empty() {
        out.push_str("<tr><th>Beside them</th><td>nothing</td></tr>\n");
    }
    if total.saved_tokens > 0 {
        let kept = grouped(total.saved_tokens);
        let _ = writeln!(
            out,
            "<tr><th>tokens of broken answers that were kept</th><td>{kept}</td></tr>"
        );
    }
    out.push_str("</tbody></table></section>\n");
}

fn incidents(out: &mut String, report: &Report) {
    let count = report.incidents.len();
    let title = if count == 0 { "No incidents" } else { "Incidents" };
    let _ = writeln!(out, "<section class=\"card\"><h2>{title}</h2>");
    if count > INCIDENTS_MAX {
        let _ = writeln!(out, "<p class=\"axis\">The newest {INCIDENTS_MAX} of {count}.</p>");
    }
    for (index, incident) in report.incidents.iter().take(INCIDENTS_MAX).enumerate() {
        one_incident(out, incident, index < OPEN_STORIES);
    }
    out.push_str("</section>\n");
}

fn one_incident(out: &mut String, incident: &IncidentReport, is_open: bool) {
    let class = match (incident.client_failures, incident.is_open) {
        (1.., _) => "failed",
        (0, true) => "saved",
        (0, false) => "well",
    };
    let _ = writeln!(
        out,
        "<details{}><summary><i class=\"{class}\"></i><time>{}</time><b>{}</b><span>{}</span>\
         <span class=\"end\">{}</span></summary>\n<p>{}</p>\n<ol>",
        if is_open { " open" } else { "" },
        minute(incident.began_ms),
        escape(&incident.name),
        escape(&incident.words),
        ending(incident),
        escape(&effect(incident)),
    );
    for line in incident.timeline.as_array().into_iter().flatten() {
        let at = line.get("at_ms").and_then(Json::as_u64).unwrap_or(0);
        let text = line.get("text").and_then(Json::as_str).unwrap_or_default();
        let _ = writeln!(out, "<li><time>{}</time>{}</li>", clock(at), escape(text));
    }
    out.push_str("</ol></details>\n");
}
