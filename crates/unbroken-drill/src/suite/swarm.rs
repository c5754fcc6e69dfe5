//! What has nobody thought of? Random scripts, random settings, random order of events: only the
//! invariants are held.

use std::fmt::Write as _;
use std::time::Duration;

use unbroken_engine::random::Random;

use super::invariants::Violation;
use super::provider::unit;
use super::script::{Act, Action, Ailment, Load, Pass, Script, TargetScript, Timed};
use super::seeds::in_parallel;
use super::world::{Play, run};
use crate::fault::{BodyKind, CutKind, Fault};

/// Its name where scenarios have theirs.
pub const NAME: &str = "swarm";

/// Plays seeds; those that fail, each with its script.
#[must_use]
pub fn failing(seeds: &[u64], threads: usize) -> Vec<(Script, Play, Violation)> {
    let results = in_parallel(seeds, threads, |seed| {
        let script = script(*seed);
        let play = play(&script, *seed);
        run(&script, play).err().map(|violation| (script, play, violation))
    });
    results.into_iter().flatten().collect()
}

/// How a seed plays its script. Where limits are shorter than a usual answer takes, not everything
/// heals.
#[must_use]
pub fn play(script: &Script, seed: u64) -> Play {
    Play { liveness: !is_tight(seed), ..Play::of(script.rate_of(seed), seed) }
}

/// Every third seed plays with limits that are too short.
const fn is_tight(seed: u64) -> bool {
    seed.is_multiple_of(3)
}

/// A script that nobody wrote.
#[must_use]
pub fn script(seed: u64) -> Script {
    let mut random = Random::seeded(seed ^ 0x0005_3A23);
    let targets = targets(&mut random);
    let length = Duration::from_secs(120 + random.below(900));
    let replicas = 1 + random.below(3) as usize;
    let load = load(length, &mut random);
    Script {
        name: NAME.to_owned(),
        number: 0,
        title: "random".to_owned(),
        proves: "whatever happens, the invariants hold".to_owned(),
        needs: None,
        rates: vec![0.05 + 4.0 * unit(&mut random) * unit(&mut random)],
        replicas,
        sharing: random.chance(500),
        ailments: ailments(&targets, length, replicas, &mut random),
        actions: actions(&targets, length, &mut random),
        settings: settings(is_tight(seed), &mut random),
        pass: Pass::default(),
        is_traced: false,
        is_shuffled: random.chance(500),
        targets,
        length,
        load,
    }
}

/// One to six targets, some of which share an endpoint, a model, a key or a tier.
fn targets(random: &mut Random) -> Vec<TargetScript> {
    let count = 1 + random.below(6);
    let mut targets: Vec<TargetScript> = Vec::new();
    for place in 0..count {
        let shared = |prefix: char, random: &mut Random| {
            let some = random.chance(500).then(|| random.below(count));
            Some(format!("{prefix}{}", some.unwrap_or(place)))
        };
        let target = TargetScript {
            name: format!("T{place}"),
            endpoint: shared('e', random),
            model: shared('m', random),
            key: shared('k', random),
            tier: random.chance(500).then(|| random.below(2) as u32),
            from_s: if random.chance(100) { random.below(200) } else { 0 },
            median_ms: 100 + random.below(3_000),
            route: None,
        };
        // Two targets of the same three names are one.
        let names = |t: &TargetScript| (t.endpoint.clone(), t.model.clone(), t.key.clone());
        if !targets.iter().any(|known| names(known) == names(&target)) {
            targets.push(target);
        }
    }
    targets
}

fn load(length: Duration, random: &mut Random) -> Load {
    let mut share = |per_mille: u32, most: f64| {
        if random.chance(per_mille) { most * unit(random) } else { 0.0 }
    };
    Load {
        whole: share(700, 0.5),
        sticky: share(500, 1.0),
        reasoning: share(200, 0.5),
        bad: share(300, 0.2),
        effectful: share(300, 0.5),
        leave: share(300, 0.9),
        leave_after_s: 3.0,
        leave_between_s: (0.0, length.as_secs_f64()),
        thinking_s: 20.0,
        background: share(800, 0.05),
        input_tokens: if random.chance(200) { 30_000.0 } else { 1_500.0 },
        ..Load::default()
    }
}

fn ailments(
    targets: &[TargetScript],
    length: Duration,
    replicas: usize,
    random: &mut Random,
) -> Vec<Timed> {
    let some = |random: &mut Random| {
        let whom = |_: &&TargetScript| unit(random) < 0.4;
        targets.iter().filter(whom).map(|target| target.name.clone()).collect()
    };
    let count = random.below(7);
    let mut all = Vec::new();
    for _ in 0..count {
        let at = random.up_to(length);
        // Liveness is looked at after the end: what goes wrong ends before.
        let until = at + random.up_to(length.saturating_sub(at));
        let (from, to) = (unit(random), unit(random));
        let share = if random.chance(500) { (1.0, 1.0) } else { (from, to) };
        let flap = random.chance(200).then(|| {
            (Duration::from_secs(1 + random.below(60)), Duration::from_secs(1 + random.below(60)))
        });
        let replica = random.chance(100).then(|| random.below(replicas as u64) as usize);
        let ailment = ailment(random);
        all.push(Timed { targets: some(random), at, until, share, flap, replica, ailment });
    }
    all
}

fn ailment(random: &mut Random) -> Ailment {
    let ms = 1 + random.below(40_000) as u32;
    let after_words = random.below(300) as u32;
    let retry_after = random.chance(500).then(|| random.below(400) as u32);
    let body = if random.chance(300) { BodyKind::Html } else { BodyKind::Json };
    let status = [408, 409, 429, 500, 502, 503, 520, 529];
    let status = status.get(random.below(8) as usize).copied().unwrap_or(500);
    let faults = [
        Fault::Status { status, body, retry_after },
        Fault::Status { status, body, retry_after },
        Fault::BlackHole,
        Fault::BlackHole,
        Fault::Refuse,
        Fault::DnsFailure,
        Fault::DnsStall { ms },
        Fault::TlsFailure,
        Fault::Reset,
        Fault::Close,
        Fault::Unauthorized,
        Fault::RateLimit { retry_after },
        Fault::Quota,
        Fault::Overloaded,
        Fault::ModelGone,
        Fault::UnsupportedParameter,
        Fault::ContextTooLong,
        Fault::InvalidRequest,
        Fault::Empty200,
        Fault::ErrorIn200,
        Fault::SlowFirstToken { ms },
        Fault::SlowTokens { ms: ms / 40 },
        Fault::CutStream { after_words, how: CutKind::Reset, inside_event: false },
        Fault::NoEnd { after_words, inside_event: false },
        Fault::Stall { after_words, pings: random.chance(500) },
        Fault::Malformed { after_words },
        Fault::ErrorEvent { after_words },
    ];
    let slower =
        Ailment::Slower { first_token: 1.0 + 20.0 * unit(random), gaps: 1.0 + 20.0 * unit(random) };
    let others = [
        slower,
        slower,
        Ailment::RequestsPerMinute { limit: 1.0 + 60.0 * unit(random) },
        Ailment::TokensPerMinute { limit: 1e5 * (0.1 + unit(random)) },
        Ailment::Acceleration { floor: 30.0 },
        Ailment::Capacity { per_s: 0.1 + unit(random) },
        Ailment::Relapse { above: unit(random) },
    ];
    let place = random.below((faults.len() + others.len()) as u64) as usize;
    let fault = faults.get(place).copied().map(Ailment::Fault);
    fault.or_else(|| others.get(place.wrapping_sub(faults.len())).copied()).unwrap_or(slower)
}

/// Reloads, pauses, stores that fail; what is forced is released before the end.
fn actions(targets: &[TargetScript], length: Duration, random: &mut Random) -> Vec<Action> {
    let mut all = Vec::new();
    for _ in 0..random.below(4) {
        let at = random.up_to(length);
        let what = match random.below(5) {
            0 => Act::Reload,
            1 => Act::ReloadOther,
            2 => Act::Store { up: random.chance(500) },
            3 => Act::Pause { ms: random.below(8_000) },
            _ => {
                let place = random.below(targets.len() as u64) as usize;
                let Some(target) = targets.get(place).map(|target| target.name.clone()) else {
                    continue;
                };
                let hows = ["open", "closed", "drain"];
                let how = hows.get(random.below(3) as usize).copied().unwrap_or("open");
                let release = Act::Force { target: target.clone(), how: "release".to_owned() };
                let until = at + random.up_to(length.saturating_sub(at));
                all.push(Action { at: until, what: release });
                Act::Force { target, how: how.to_owned() }
            }
        };
        all.push(Action { at, what });
    }
    all.sort_by_key(|action| action.at);
    all
}

fn settings(is_tight: bool, random: &mut Random) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    if random.chance(500) {
        let _ = writeln!(text, "[breaker]\nrecovery = \"{}s\"", 1 + random.below(30));
        let _ = writeln!(text, "recovery_max = \"{}s\"", 30 + random.below(60));
        let _ = writeln!(text, "ramp_start = {}", 0.01 + 0.99 * unit(random));
        if random.chance(500) {
            let _ = writeln!(text, "failure_threshold = {}", 2 + random.below(5));
        }
    }
    if is_tight {
        let _ = writeln!(text, "[limits]\nfirst_token = \"{}s\"", 2 + random.below(60));
        let _ = writeln!(text, "total = \"{}s\"", 20 + random.below(600));
    }
    if random.chance(300) {
        let _ = writeln!(text, "[retry]\npatience = \"{}s\"", random.below(10));
    }
    text
}
