//! The numbers as pictures, for light and dark pages.

use std::fmt::Write as _;

use super::{Measured, Year};
use crate::suite::arm::Arm;
use crate::suite::script::Script;

/// Colours that can be told apart, also by those who see fewer, on light and on dark.
/// Source: Okabe, Ito, "Color universal design", 2008.
const COLOURS: [(Arm, &str); 4] = [
    (Arm::Sequential, "#d55e00"),
    (Arm::Seed, "#e69f00"),
    (Arm::Simple, "#56b4e9"),
    (Arm::Engine, "#009e73"),
];
const STYLE: &str = "<style>\
text{font:13px system-ui,sans-serif;fill:#24292f}.dim{fill:#57606a}line{stroke:#d0d7de}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.dim{fill:#8b949e}line{stroke:#30363d}}\
</style>";
const WIDTH: f64 = 760.0;
const LEFT: f64 = 190.0;
const ROW: f64 = 24.0;
const TOP: f64 = 62.0;

/// Scenarios in which the tail matters.
const SHOWN: [&str; 12] = [
    "01-hard-5xx",
    "02-blackhole",
    "03-conn-refused",
    "04-dns-stall",
    "05-partial-30",
    "07-brownout-x10",
    "09-half-hang",
    "11-edge-html",
    "12-auth-outage",
    "19-capacity-429",
    "23-flap",
    "25-recovery-relapse",
];

/// What the 99th percentile of the first token rises to, by scenario and arm, at high rates.
pub(super) fn tail(scripts: &[Script], measured: &[Measured]) -> String {
    let at = |seconds: f64| {
        // From 1 s to 64 s, each doubling as wide as the one before.
        LEFT + (WIDTH - LEFT - 20.0) * libm::log2(seconds.clamp(1.0, 64.0)) / 6.0
    };
    let bottom = TOP + ROW * SHOWN.len() as f64;
    let mut svg = begin(
        bottom + 30.0,
        "99th percentile of the first token while something is wrong, at 5 calls/s",
    );
    legend(&mut svg);
    for seconds in [1, 2, 4, 8, 16, 32, 64] {
        tick(&mut svg, at(f64::from(seconds)), bottom, &format!("{seconds} s"));
    }
    for (row, name) in SHOWN.iter().enumerate() {
        let y = TOP + ROW * (row as f64 + 0.5);
        // Writing into a string cannot fail.
        let _ = writeln!(svg, "<text x=\"8\" y=\"{:.1}\">{name}</text>", y + 4.0);
        for (arm, colour) in COLOURS {
            let own = measured.iter().find(|m| {
                let is_it = scripts.get(m.script).is_some_and(|script| script.name == *name);
                is_it && m.arm == arm && m.rate > 1.0
            });
            if let Some(own) = own {
                let x = at(own.tally.first.quantile(0.99) / 1000.0);
                dot(&mut svg, x, y, colour, 5.0);
            }
        }
    }
    svg + "</svg>\n"
}

/// The share of lost calls, by year and by who answers, each ten times rarer as wide.
pub(super) fn years(years: &[Year]) -> String {
    let at = |answered: f64| {
        let nines = -libm::log10((1.0 - answered).max(1e-6));
        LEFT + (WIDTH - LEFT - 20.0) * nines.clamp(0.0, 6.0) / 6.0
    };
    let bottom = TOP + ROW * years.len() as f64;
    let mut svg = begin(bottom + 30.0, "Answered calls, one dot per year");
    for (nines, name) in
        ["0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %", "all"].iter().enumerate()
    {
        let x = LEFT + (WIDTH - LEFT - 20.0) * nines as f64 / 6.0;
        tick(&mut svg, x, bottom, name);
    }
    for (row, year) in years.iter().enumerate() {
        let y = TOP + ROW * (row as f64 + 0.5);
        let _ = writeln!(svg, "<text x=\"8\" y=\"{:.1}\">{}</text>", y + 4.0, year.name);
        let arm = COLOURS.iter().find(|(arm, _)| year.name.ends_with(arm.name()));
        let colour = arm.map_or("#8b949e", |(_, colour)| colour);
        for answered in &year.answered {
            dot(&mut svg, at(*answered), y, colour, 3.5);
        }
    }
    svg + "</svg>\n"
}

fn begin(height: f64, title: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" \
         width=\"{WIDTH:.0}\" height=\"{height:.0}\" role=\"img\" aria-label=\"{title}\">\n{STYLE}\n\
         <text x=\"8\" y=\"20\" font-weight=\"600\">{title}</text>\n"
    )
}

fn legend(svg: &mut String) {
    let mut x = LEFT;
    for (arm, colour) in COLOURS {
        dot(svg, x, 40.0, colour, 5.0);
        let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"44\">{}</text>", x + 10.0, arm.name());
        x += 120.0;
    }
}

fn tick(svg: &mut String, x: f64, bottom: f64, name: &str) {
    let _ = writeln!(
        svg,
        "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom:.1}\"/>\
         <text class=\"dim\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{name}</text>",
        bottom + 18.0
    );
}

fn dot(svg: &mut String, x: f64, y: f64, colour: &str, radius: f64) {
    let _ = writeln!(
        svg,
        "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{colour}\" fill-opacity=\".8\"/>"
    );
}
