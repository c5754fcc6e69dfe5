//! The numbers as tables.

use std::fmt::Write as _;

use super::{COMPARED, Measured, WITHOUT};
use crate::suite::arm::Arm;
use crate::suite::script::Script;
use crate::suite::tally::{at_share, middle, ninth_tenth};

/// Everybody's mean score, and what it is made of.
pub(super) fn summary(text: &mut String, measured: &[Measured]) {
    *text += "Means over all scenarios, at low and at high rates.\n\n\
              | arm | calls/s | score | answered % | in time % | added p99 s | waste | back s |\n\
              |---|---|---|---|---|---|---|---|\n";
    for arm in COMPARED {
        for (name, is_low) in [("below 1", true), ("above", false)] {
            let own: Vec<&Measured> =
                measured.iter().filter(|m| m.arm == arm && (m.rate < 1.0) == is_low).collect();
            let mean = |value: fn(&Measured) -> f64| {
                own.iter().map(|m| value(m)).sum::<f64>() / own.len().max(1) as f64
            };
            // Writing into a string cannot fail.
            let _ = writeln!(
                text,
                "| {} | {name} | **{:.1}** | {:.3} | {:.2} | {:.2} | {:.3} | {:.0} |",
                arm.name(),
                mean(|m| m.score),
                mean(|m| 100.0 * m.tally.success()),
                mean(|m| 100.0 * m.tally.goodput()),
                mean(|m| m.added_s.1),
                mean(|m| waste(m).max(0.0)),
                mean(|m| middle(&m.tally.recover_s)),
            );
        }
    }
}

/// What is lost, and what is won, without each ingredient.
pub(super) fn ablation(text: &mut String, scripts: &[Script], measured: &[Measured]) {
    *text += "The mean score without it, less the engine's (negative: it is missed), and the \
              scenarios in which it is missed most and least.\n\n\
              | without | below 1 call/s | above | missed most | missed least |\n\
              |---|---|---|---|---|\n";
    for arm in WITHOUT {
        let mut differences: Vec<(f64, &Measured)> = Vec::new();
        for own in measured.iter().filter(|m| m.arm == arm) {
            let engine = measured.iter().find(|m| {
                (m.script, m.arm) == (own.script, Arm::Engine)
                    && m.rate.to_bits() == own.rate.to_bits()
            });
            differences.extend(engine.map(|engine| (own.score - engine.score, own)));
        }
        differences.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let mean = |is_low: bool| {
            let own = differences.iter().filter(|(_, m)| (m.rate < 1.0) == is_low);
            let (sum, count) = own.fold((0.0, 0.0), |(sum, n), (d, _)| (sum + d, n + 1.0));
            sum / f64::max(count, 1.0)
        };
        let name = |place: Option<&(f64, &Measured)>| {
            place.map_or_else(String::new, |(difference, m)| {
                let script = scripts.get(m.script).map_or("", |script| script.name.as_str());
                format!("{script} at {}/s {difference:+.1}", m.rate)
            })
        };
        let _ = writeln!(
            text,
            "| {} | {:+.2} | {:+.2} | {} | {} |",
            arm.name().trim_start_matches("without "),
            mean(true),
            mean(false),
            name(differences.first()),
            name(differences.last()),
        );
    }
}

/// One scenario: what happens, and how everybody did.
pub(super) fn scenario(text: &mut String, script: &Script, place: usize, measured: &[Measured]) {
    let _ = write!(text, "### {}\n\n{}: {}.\n\n", script.name, script.title, script.proves);
    if let Some(needs) = &script.needs {
        let _ = write!(text, "Not played yet: it needs \"{needs}\".\n\n");
        return;
    }
    *text += "| calls/s | arm | answered % | in time % | first token p50, p99 s | victims | found \
              | back s | waste | score |\n|---|---|---|---|---|---|---|---|---|---|\n";
    for rate in &script.rates {
        for arm in COMPARED {
            let own = measured
                .iter()
                .find(|m| (m.script, m.arm) == (place, arm) && m.rate.to_bits() == rate.to_bits());
            if let Some(own) = own {
                row(text, own);
            }
        }
    }
    text.push('\n');
}

fn row(text: &mut String, own: &Measured) {
    let Measured { rate, arm, tally, added_s, score, .. } = own;
    let _ = writeln!(
        text,
        "| {rate} | {} | {:.3} ({:.2}–{:.2}) | {:.2} | +{:.2}, +{:.2} | {:.1} | {:.0} | {:.0} \
         (–{:.0}) | {:.3} | {score:.1} |",
        arm.name(),
        100.0 * tally.success(),
        100.0 * at_share(&tally.successes, 0.1),
        100.0 * ninth_tenth(&tally.successes),
        100.0 * tally.goodput(),
        added_s.0,
        added_s.1,
        tally.victims_per_run(),
        middle(&tally.detect_calls),
        middle(&tally.recover_s),
        ninth_tenth(&tally.recover_s),
        waste(own),
    );
}

fn waste(own: &Measured) -> f64 {
    if own.tally.window_calls == 0 { own.tally.usual_waste() } else { own.tally.waste() }
}
