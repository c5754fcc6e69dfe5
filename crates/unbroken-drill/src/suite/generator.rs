//! What does real trouble look like? Outages drawn from how AI providers have failed: how often,
//! how long, of what kind, how they begin and end, and who fails together.
//!
//! ```text
//! gap        Weibull, by scope; more on weekdays and at European afternoons
//! length     log-normal, 1 min to 2 days; one in fifty ten times as long
//! kind       errors 60 %, brownout 17 %, hard down 10 %, overload 8 %, cut streams 2 %, 4xx 3 %
//! beginning  a step, or a ramp of 5 min; the end a step, a ramp of 10 min, or a flap
//! together   a shared edge twice a year; a model withdrawn once; load displaced by others
//! ```
//!
//! Everything a provider has that fails, fails for the one model of it that is asked for: its
//! other models are not here. Severities are an assumption: three in four minor, one in twenty
//! critical. Source: engine.md section 2.

use std::borrow::Cow;
use std::time::Duration;

use unbroken_engine::random::Random;

use super::provider::{log_normal, unit};
use super::script::{Ailment, Script, Timed};
use crate::fault::{BodyKind, CutKind, Fault};

/// How one kind of provider fails.
#[derive(Clone, Copy, Debug)]
struct Profile {
    /// Below one: trouble comes in clusters.
    shape: f64,
    /// The scale of the gaps, in hours.
    gap_h: f64,
    /// The median of the lengths, in minutes, and their spread.
    minutes: f64,
    spread: f64,
}

/// Of the first target, the second, and so on: like Claude, like `OpenAI`, like Gemini, and like a
/// small host.
const PROFILES: [Profile; 4] = [
    Profile { shape: 0.93, gap_h: 17.0, minutes: 50.4, spread: 1.04 },
    Profile { shape: 0.72, gap_h: 180.0, minutes: 90.0, spread: 0.6 },
    Profile { shape: 0.7, gap_h: 300.0, minutes: 365.0, spread: 1.2 },
    Profile { shape: 0.5, gap_h: 5.0, minutes: 12.2, spread: 1.0 },
];
/// Of a provider's trouble: one model, one region, everything, the key.
const SCOPES: [f64; 4] = [0.75, 0.10, 0.12, 0.03];
const EVERYTHING: usize = 2;
const KEY: usize = 3;
/// More or less trouble by four hours of the day, UTC, and at weekends.
const DAY: [f64; 6] = [0.6, 0.8, 0.9, 1.2, 1.5, 1.0];
const WEEKEND: f64 = 0.35;
const HOUR: f64 = 3600.0;
const YEAR_H: f64 = 8760.0;

impl Script {
    /// The scenario as this seed plays it: with its own trouble, if that is drawn.
    #[must_use]
    pub fn at_seed(&self, seed: u64) -> Cow<'_, Self> {
        if !self.is_traced {
            return Cow::Borrowed(self);
        }
        let mut script = self.clone();
        script.ailments = outages(&script, seed);
        script.is_traced = false;
        Cow::Owned(script)
    }
}

/// The trouble of a script's targets over its length.
fn outages(script: &Script, seed: u64) -> Vec<Timed> {
    let mut random = Random::seeded(seed ^ 0x0005_0075_A6E5);
    let end_h = script.length.as_secs_f64() / HOUR;
    let names: Vec<&str> = script.targets.iter().map(|target| target.name.as_str()).collect();
    let mut all = Vec::new();
    for (place, name) in names.iter().enumerate() {
        let Some(profile) = PROFILES.get(place % PROFILES.len()) else { continue };
        for (scope, weight) in SCOPES.iter().enumerate() {
            let mut at_h = 0.0;
            loop {
                at_h = after_gap(at_h, profile, *weight, &mut random);
                if at_h >= end_h {
                    break;
                }
                let length_h = length_h(profile, &mut random);
                let outage = Outage { at_h, length_h, scope };
                all.extend(outage.of(&[name], &mut random));
                if scope == EVERYTHING && unit(&mut random) < 0.3 {
                    all.extend(outage.displaces(name, &names, &mut random));
                }
                at_h += length_h;
            }
        }
    }
    all.extend(together(&names, end_h, &mut random));
    all
}

/// Weekends and nights are quiet: the gap is used up by the hour, quickly or slowly.
fn after_gap(from_h: f64, profile: &Profile, weight: f64, random: &mut Random) -> f64 {
    let mut left = profile.gap_h / weight
        * libm::pow(-libm::log(unit(random).max(1e-12)), 1.0 / profile.shape);
    let mut at_h = from_h;
    while left > 0.0 && at_h < 20.0 * YEAR_H {
        let until_next = 4.0 - at_h % 4.0;
        let is_weekend = (at_h / 24.0) as u64 % 7 >= 5;
        let bin = DAY.get((at_h % 24.0 / 4.0) as usize).copied().unwrap_or(1.0);
        let pace = bin * if is_weekend { WEEKEND } else { 1.0 };
        let step = until_next.min(left / pace);
        left -= step * pace;
        at_h += step.max(1e-6);
    }
    at_h
}

fn length_h(profile: &Profile, random: &mut Random) -> f64 {
    let minutes = log_normal(random, profile.minutes, profile.spread).clamp(1.0, 2880.0);
    minutes / 60.0 * if unit(random) < 0.02 { 10.0 } else { 1.0 }
}

/// What fails together: an edge that several share, and a model that is withdrawn everywhere.
fn together(names: &[&str], end_h: f64, random: &mut Random) -> Vec<Timed> {
    let mut all = Vec::new();
    let mut at_h = 0.0;
    loop {
        at_h += -libm::log(unit(random).max(1e-12)) * YEAR_H / 2.0;
        if at_h >= end_h {
            break;
        }
        let whom: Vec<&str> = names.iter().copied().filter(|_| unit(random) < 0.5).collect();
        let length_h = log_normal(random, 99.5, 0.6) / 60.0;
        let html = Fault::Status { status: 520, body: BodyKind::Html, retry_after: None };
        let outage = Outage { at_h, length_h, scope: EVERYTHING };
        all.extend(outage.shaped(&whom, Ailment::Fault(html), 1.0, random));
    }
    let at_h = -libm::log(unit(random).max(1e-12)) * YEAR_H;
    if at_h < end_h
        && let Some(name) = names.get(random.below(names.len() as u64) as usize)
    {
        let length_h = 24.0 * (1.0 + 13.0 * unit(random));
        let outage = Outage { at_h, length_h, scope: EVERYTHING };
        let gone = Ailment::Fault(Fault::ModelGone);
        all.push(outage.timed(&[name], gone, (0.0, 1.0), (1.0, 1.0)));
    }
    all
}

/// One outage.
#[derive(Clone, Copy)]
struct Outage {
    at_h: f64,
    length_h: f64,
    scope: usize,
}

impl Outage {
    fn of(self, whom: &[&str], random: &mut Random) -> Vec<Timed> {
        let (ailment, share) = self.kind(random);
        self.shaped(whom, ailment, share, random)
    }

    /// What goes wrong, and for which share of the attempts.
    fn kind(self, random: &mut Random) -> (Ailment, f64) {
        let fault = |fault| Ailment::Fault(fault);
        if self.scope == KEY {
            return (fault(Fault::Unauthorized), 1.0);
        }
        let status = |status| Fault::Status { status, body: BodyKind::Json, retry_after: None };
        match unit(random) {
            at if at < 0.60 => (fault(status(500)), severity(random)),
            at if at < 0.77 => {
                let log_uniform = |random: &mut Random, from: f64, to: f64| {
                    libm::exp(libm::log(from) + unit(random) * libm::log(to / from))
                };
                if unit(random) < 0.1 {
                    return (fault(Fault::BlackHole), beta(2, 8, random));
                }
                let first_token = log_uniform(random, 3.0, 30.0);
                (Ailment::Slower { first_token, gaps: 1.0 / (0.1 + 0.5 * unit(random)) }, 1.0)
            }
            at if at < 0.82 => (fault(status(503)), 1.0),
            at if at < 0.87 => (fault(Fault::Refuse), 1.0),
            at if at < 0.95 => (fault(Fault::Overloaded), severity(random)),
            at if at < 0.97 => {
                let after_words = 1 + random.below(400) as u32;
                (
                    fault(Fault::CutStream {
                        after_words,
                        how: CutKind::Reset,
                        inside_event: false,
                    }),
                    severity(random),
                )
            }
            at if at < 0.985 => (fault(Fault::Unauthorized), 1.0),
            _ => (fault(Fault::InvalidRequest), 1.0),
        }
    }

    /// With its beginning and its end: a step, a ramp, or on and off.
    fn shaped(
        self,
        whom: &[&str],
        ailment: Ailment,
        share: f64,
        random: &mut Random,
    ) -> Vec<Timed> {
        let minute = (1.0 / 60.0) / self.length_h;
        let onset = if unit(random) < 0.4 { (5.0 * minute).min(0.5) } else { 0.0 };
        let mut all = Vec::new();
        if onset > 0.0 {
            all.push(self.timed(whom, ailment, (0.0, onset), (0.0, share)));
        }
        let ending = unit(random);
        let ramp = if (0.4..0.8).contains(&ending) { (10.0 * minute).min(0.5) } else { 0.0 };
        all.push(self.timed(whom, ailment, (onset, 1.0 - ramp), (share, share)));
        if ramp > 0.0 {
            all.push(self.timed(whom, ailment, (1.0 - ramp, 1.0), (share, 0.0)));
        }
        if ending >= 0.8 {
            let on = Duration::from_secs(20 + random.below(100));
            let times = 3.0 + unit(random) * 3.0;
            let more = times * 2.0 * on.as_secs_f64() / HOUR / self.length_h;
            let flap = self.timed(whom, ailment, (1.0, 1.0 + more), (share, share));
            all.push(Timed { flap: Some((on, on)), ..flap });
        }
        all
    }

    /// The others are overloaded by those who come over.
    fn displaces(self, name: &str, names: &[&str], random: &mut Random) -> Vec<Timed> {
        let others: Vec<&str> = names.iter().copied().filter(|other| *other != name).collect();
        let share = 0.1 + 0.3 * unit(random);
        let late = ((2.0 + 8.0 * unit(random)) / 60.0 / self.length_h).min(1.0);
        let overloaded = Ailment::Fault(Fault::Overloaded);
        vec![self.timed(&others, overloaded, (late, 1.0), (share, share))]
    }

    /// A part of it, from and to these shares of its length.
    fn timed(self, whom: &[&str], ailment: Ailment, part: (f64, f64), share: (f64, f64)) -> Timed {
        let at = |part: f64| Duration::from_secs_f64((self.at_h + part * self.length_h) * HOUR);
        Timed {
            targets: whom.iter().map(|name| (*name).to_owned()).collect(),
            at: at(part.0),
            until: at(part.1),
            share,
            flap: None,
            replica: None,
            ailment,
        }
    }
}

fn severity(random: &mut Random) -> f64 {
    match unit(random) {
        at if at < 0.75 => beta(2, 10, random),
        at if at < 0.95 => beta(5, 5, random),
        _ => beta(20, 1, random),
    }
}

/// A beta-distributed number: the `one`-th smallest of `one + other - 1` uniform ones.
fn beta(one: usize, other: usize, random: &mut Random) -> f64 {
    let mut draws: Vec<f64> = (1..one + other).map(|_| unit(random)).collect();
    draws.sort_by(f64::total_cmp);
    draws.get(one - 1).copied().unwrap_or(0.5)
}
