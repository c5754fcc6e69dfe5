//! The report in a terminal, in a hundred columns.

use std::fmt::Write as _;

use super::dates::{clock, date, hour, minute, span};
use super::share::{objective, per_cent};
use super::{IncidentReport, Money, Report, RouteReport, Share, TargetReport};

/// Incidents that are told as stories; the others are counted.
const STORIES_MAX: usize = 10;
/// A hundred columns, less the times.
const STORY_WIDTH: usize = 74;
/// Lines of a story.
const LINES_MAX: usize = 12;

/// The report; with colours for people.
pub(crate) fn render(report: &Report, has_colour: bool) -> String {
    let page = Page { report, has_colour };
    let mut out = page.head();
    if report.total.calls == 0 {
        out.push_str("\n  No call was written down in this time.\n");
        return out;
    }
    page.verdict(&mut out);
    page.chart(&mut out);
    page.routes(&mut out);
    page.targets(&mut out);
    page.cost(&mut out);
    page.incidents(&mut out);
    out
}

/// The words of what failover cost.
pub(super) fn purpose(name: &str) -> &str {
    match name {
        "failed" => "attempts that failed",
        "hedge" => "second attempts beside late ones",
        "continuation" => "prompts sent again to go on",
        "left" => "answers whose client went away",
        other => other,
    }
}

/// How many of a kind; `s` for more than one.
pub(super) fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// `1,284,220`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1.2 M`, `340 k`, `87`.
pub(super) fn short(number: u64) -> String {
    match number {
        0..10_000 => grouped(number),
        10_000..1_000_000 => format!("{} k", number / 1_000),
        1_000_000..1_000_000_000 => format!("{:.1} M", number as f64 / 1e6),
        _ => format!("{} M", grouped(number / 1_000_000)),
    }
}

pub(super) fn told(share: Share) -> String {
    share.share.map_or_else(|| "–".to_owned(), per_cent)
}

/// The bounds of a share, if they say more than the share.
pub(super) fn bounds(share: Share) -> String {
    let bare = |share| per_cent(share).trim_end_matches(" %").to_owned();
    share.share.map_or_else(String::new, |_| format!("{}–{}", bare(share.low), bare(share.high)))
}

/// How a report's time is told.
pub(super) fn when(report: &Report) -> String {
    let length = report.until_ms.saturating_sub(report.since_ms);
    format!(
        "{}, {} {} to {} {} UTC",
        span(length),
        date(report.since_ms),
        hour(report.since_ms),
        date(report.until_ms),
        hour(report.until_ms),
    )
}

/// What should be known of how complete the report is.
pub(super) fn coverage(report: &Report) -> String {
    let length = report.until_ms.saturating_sub(report.since_ms);
    let mut text = match length.saturating_sub(report.covered_ms) {
        gap if gap > length / 100 => {
            format!("a gateway was running for {} of it", span(report.covered_ms))
        }
        _ => "a gateway was running all the time".to_owned(),
    };
    if report.unclean_stops > 0 {
        let _ = write!(text, "; it was killed {}", plural(report.unclean_stops, "time", "times"));
    }
    text
}

/// The two sentences that matter.
pub(super) fn sentences(total: &RouteReport) -> (String, String) {
    let first = format!(
        "Clients saw {} of {} answered; without failover, {}.",
        told(total.seen),
        plural(total.valid, "valid call", "valid calls"),
        told(total.without_failover),
    );
    let second = match total.saved {
        0 => "No call needed saving.".to_owned(),
        saved => format!(
            "{} saved: {} after a failed attempt, {} sent past targets that were down.",
            plural(saved, "call was", "calls were"),
            short(total.rescued),
            short(total.avoided),
        ),
    };
    (first, second)
}

/// How an incident ended.
pub(super) fn ending(incident: &IncidentReport) -> String {
    match incident.ended_ms {
        Some(ended) => format!("over after {}", span(ended.saturating_sub(incident.began_ms))),
        None if incident.is_open => "it goes on".to_owned(),
        None => "the gateway stopped before its end".to_owned(),
    }
}

/// What an incident did.
pub(super) fn effect(incident: &IncidentReport) -> String {
    let mut parts = Vec::new();
    if incident.victims > 0 {
        let detect = incident.detected_ms.saturating_sub(incident.began_ms);
        parts.push(format!("noticed after {}", span(detect)));
        parts.push(plural(incident.victims, "attempt failed", "attempts failed"));
    }
    let moved = incident.moved.as_object();
    let moved: Vec<String> =
        moved.into_iter().flatten().map(|(target, count)| format!("{target} ({count})")).collect();
    if !moved.is_empty() {
        parts.push(format!("rescued by {}", moved.join(", ")));
    }
    parts.push(match incident.client_failures {
        0 => "no client saw it".to_owned(),
        count => plural(count, "client saw it", "clients saw it"),
    });
    parts.join(", ")
}

struct Page<'a> {
    report: &'a Report,
    has_colour: bool,
}

impl Page<'_> {
    fn paint(&self, colour: &str, text: &str) -> String {
        if self.has_colour { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn head(&self) -> String {
        let title = self.paint("1", "unbroken report");
        let coverage = self.paint("2", &coverage(self.report));
        format!("{title}  {}\n{:17}{coverage}\n", when(self.report), "")
    }

    fn verdict(&self, out: &mut String) {
        let total = &self.report.total;
        let (first, second) = sentences(total);
        let is_met = total.budget.left.is_none_or(|left| left >= 0.0);
        let first = self.paint(if is_met { "1;32" } else { "1;31" }, &first);
        let _ = writeln!(out, "\n  {first}\n  {second}");
        if let (Some(detect), Some(recover)) = (self.report.detect_ms, self.report.recover_ms) {
            let _ = writeln!(
                out,
                "  Trouble was noticed after {} (at most {}) and over after {} (at most {}).",
                span(detect.median),
                span(detect.longest),
                span(recover.median),
                span(recover.longest),
            );
        }
    }

    /// One column per sixtieth of the time: what clients saw, and what failover saved.
    fn chart(&self, out: &mut String) {
        let bins = &self.report.over_time;
        let top = bins.iter().map(|bin| bin.valid).max().unwrap_or(0).max(1);
        // A few minutes make a few broad columns.
        let stretch = (60 / bins.len().max(1)).clamp(1, 6);
        let steps = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let mut line = String::new();
        for bin in bins {
            let height = usize::try_from((bin.valid * 8).div_ceil(top)).unwrap_or(8);
            let step = steps.get(height).copied().unwrap_or('█');
            let colour = match (bin.failed, bin.saved) {
                (1.., _) => "31",
                (0, 1..) => "33",
                (0, 0) => "32",
            };
            line.push_str(&self.paint(colour, &step.to_string().repeat(stretch)));
        }
        let mark = |bin: &super::Bin| match (bin.failed, bin.saved) {
            (1.., _) => "x",
            (0, 1..) => "+",
            (0, 0) => " ",
        };
        let marks: String = bins.iter().map(|bin| mark(bin).repeat(stretch)).collect();
        let _ = writeln!(out, "\n  {line}  valid calls");
        let legend = "+ some were saved, x some failed";
        let _ = writeln!(out, "  {}  {}", self.paint("2", &marks), self.paint("2", legend));
    }

    fn title(&self, out: &mut String, title: &str) {
        let _ = writeln!(out, "\n{}", self.paint("1", title));
    }

    fn routes(&self, out: &mut String) {
        let head = format!(
            "ROUTES{:14}{:>10}  {:>9}  {:<14}  {:>9}  {:>6}  {}",
            "", "calls", "seen", "(95 % sure)", "alone", "saved", "error budget"
        );
        self.title(out, &head);
        for route in &self.report.routes {
            let _ = writeln!(
                out,
                "  {:<18}{:>10}  {:>9}  {:<14}  {:>9}  {:>6}  {}",
                cut(&route.route, 18),
                grouped(route.calls),
                told(route.seen),
                bounds(route.seen),
                told(route.without_failover),
                short(route.saved),
                self.budget(route),
            );
        }
    }

    fn budget(&self, route: &RouteReport) -> String {
        let slo = objective(route.slo);
        let slo = slo.trim_end_matches(" %");
        match route.budget.left {
            None => format!("of {slo}: –"),
            Some(left) if left < 0.0 => {
                self.paint("31", &format!("of {slo}: spent {:.1}×", 1.0 - left))
            }
            Some(left) => {
                let text = format!("of {slo}: {:.0} % left", (left * 100.0).floor());
                if left < 0.25 { self.paint("33", &text) } else { text }
            }
        }
    }

    fn targets(&self, out: &mut String) {
        let head = format!(
            "TARGETS{:22}{:>11}  {:>9}  {:<14}  {:>8}  {:>8}  {:>7}",
            "", "attempts", "answered", "(95 % sure)", "failed", "noticed", "over"
        );
        self.title(out, &head);
        for target in &self.report.targets {
            let TargetReport { attempts, failed, available, detect_ms, recover_ms, .. } = target;
            let time = |times: &Option<super::Times>| {
                times.map_or_else(|| "–".to_owned(), |times| span(times.median))
            };
            let _ = writeln!(
                out,
                "  {:<27}{:>11}  {:>9}  {:<14}  {:>8}  {:>8}  {:>7}",
                cut(&target.target, 27),
                grouped(*attempts),
                told(*available),
                bounds(*available),
                short(*failed),
                time(detect_ms),
                time(recover_ms),
            );
        }
    }

    fn cost(&self, out: &mut String) {
        let total = &self.report.total;
        let title = format!("WHAT FAILOVER COST, at {:.3} attempts per call", total.amplification);
        self.title(out, &title);
        let _ = writeln!(out, "  {:<34}  {}", "the answers", used(&total.answers));
        if self.report.extra.is_empty() {
            let _ = writeln!(out, "  {:<34}  nothing", "beside them");
        }
        for extra in &self.report.extra {
            let _ = writeln!(out, "  {:<34}  {}", purpose(&extra.purpose), used(&extra.used));
        }
        if total.saved_tokens > 0 {
            let kept = grouped(total.saved_tokens);
            let _ = writeln!(
                out,
                "  {kept} tokens of broken answers were kept, because others went on."
            );
        }
        let mut all = total.answers;
        all.add(&total.extra);
        if all.unpriced > 0 {
            let unpriced = plural(all.unpriced, "attempt has", "attempts have");
            let note = format!("{unpriced} no known price: `price` in the configuration gives one");
            let _ = writeln!(out, "  {}", self.paint("2", &note));
        }
    }

    fn incidents(&self, out: &mut String) {
        let incidents = &self.report.incidents;
        let title = match incidents.len() {
            0 => "NO INCIDENTS".to_owned(),
            count if count > STORIES_MAX => {
                format!("INCIDENTS, the last {STORIES_MAX} of {count}, the newest first")
            }
            _ => "INCIDENTS, the newest first".to_owned(),
        };
        self.title(out, &title);
        for incident in incidents.iter().take(STORIES_MAX) {
            let name = self.paint("1", &incident.name);
            let began = minute(incident.began_ms);
            let plain = format!("{}: {} ({})", incident.name, incident.words, ending(incident));
            let text = wrapped(&plain).replacen(&incident.name, &name, 1);
            let _ = writeln!(out, "  {began:<14}{text}");
            let _ = writeln!(out, "  {:14}{}", "", wrapped(&effect(incident)));
            self.story(out, incident);
        }
    }

    fn story(&self, out: &mut String, incident: &IncidentReport) {
        let lines = incident.timeline.as_array().map_or(&[][..], Vec::as_slice);
        let left_out = lines.len().saturating_sub(LINES_MAX);
        for (index, line) in lines.iter().enumerate() {
            // Beginning and end matter most.
            if left_out > 0 && (LINES_MAX / 2..LINES_MAX / 2 + left_out).contains(&index) {
                if index == LINES_MAX / 2 {
                    let _ = writeln!(out, "  {:14}… {left_out} more lines", "");
                }
                continue;
            }
            let at = line.get("at_ms").and_then(serde_json::Value::as_u64).unwrap_or(0);
            let text = line.get("text").and_then(serde_json::Value::as_str).unwrap_or_default();
            let at = self.paint("2", &clock(at));
            let text = wrapped(text).replace("\n", "\n          ");
            let _ = writeln!(out, "  {:14}{at}  {text}", "");
        }
    }
}

/// Tokens and money in one line.
pub(super) fn used(money: &Money) -> String {
    let about = if money.estimated > 0 { "about " } else { "" };
    format!(
        "{about}{} tokens in, {} out, {}",
        short(money.input_tokens),
        short(money.output_tokens),
        money.told(),
    )
}

/// A text that fits beside the times of incidents; further lines are indented like the first.
fn wrapped(text: &str) -> String {
    let mut out = String::new();
    let mut width = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > STORY_WIDTH {
            out.push_str("\n                ");
            width = 0;
        } else if width > 0 {
            out.push(' ');
            width += 1;
        }
        out.push_str(word);
        width += length;
    }
    out
}

/// A name that fits.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}
