//! How fast does the engine decide, and how much does it remember?
//!
//! `cargo xtask bench-engine` prints times and bytes beside what they are meant to stay under.
//! Times depend on the machine and on its other work, so nothing fails here; the quickest of all
//! batches says most about the code, the median about the machine.

#![expect(clippy::print_stdout, reason = "a program for the terminal")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::alloc::System;
use std::hint::black_box;
use std::time::{Duration, Instant};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use unbroken_engine::breaker::Forced;
use unbroken_engine::call::{Ask, AttemptId, Call, Input};
use unbroken_engine::cause::FailureCause;
use unbroken_engine::deadline::{Kind, Limits};
use unbroken_engine::fleet::{Fleet, FleetConfig};
use unbroken_engine::resume::Flow;
use unbroken_engine::target::{TargetSpec, Tier, TierOrder};
use unbroken_engine::time::Timestamp;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TARGETS: usize = 16;
/// Calls that are timed together, and how often.
const BATCH: usize = 200;
const ROUNDS: usize = 401;

fn main() {
    let well = Bench::new();
    let shut = Bench::new().with_half_shut();
    println!(
        "{TARGETS} targets in two tiers, {ROUNDS} times {BATCH} calls: median, quickest, wanted"
    );
    for (name, mut bench) in [("all well", well), ("half of them shut", shut)] {
        let times = bench.run();
        show(&format!("{name}: a decision"), &times.decision, "2,000 ns");
        show(&format!("{name}: first content"), &times.content, "1,000 ns");
        show(&format!("{name}: an outcome"), &times.outcome, "1,000 ns");
        show(&format!("{name}: a failover"), &times.failover, "2,000 ns");
    }
    let (fresh, learned) = memory();
    println!("memory of a target and all cells of its own, in bytes:");
    println!("  {:<36} {fresh:>8}   under 4,096", "nothing learned");
    println!("  {:<36} {learned:>8}   under 4,096", "every size and kind learned");
}

fn show(what: &str, time: &Time, under: &str) {
    let (median, quickest) = (time.median.as_nanos(), time.quickest.as_nanos());
    println!("  {what:<36} {median:>5} ns {quickest:>5} ns   under {under}");
}

/// What one step takes.
struct Time {
    median: Duration,
    quickest: Duration,
}

struct Times {
    decision: Time,
    content: Time,
    outcome: Time,
    failover: Time,
}

struct Bench {
    fleet: Fleet,
    ask: Ask,
    now: Timestamp,
}

fn spec(endpoint: usize, model: usize) -> TargetSpec {
    TargetSpec {
        label: format!("provider-{endpoint}/a-model-of-some-length-{model}").into(),
        endpoint: format!("https://api.provider-{endpoint}.example.com/v1").into(),
        model: format!("a-model-of-some-length-{model}").into(),
        key: format!("PROVIDER_{endpoint}_API_KEY").into(),
    }
}

impl Bench {
    fn new() -> Self {
        let mut fleet = Fleet::new(FleetConfig::default(), 42);
        let now = Timestamp::after_start(Duration::from_secs(1));
        let mut tiers = Vec::new();
        for tier in 0..2 {
            let targets = (0..TARGETS / 2).map(|n| (fleet.target(&spec(n, tier), now), 1));
            tiers.push(Tier { targets: targets.collect(), order: TierOrder::Balanced });
        }
        let ask = Ask {
            input_tokens: 500,
            conversation: Some(7),
            ..Ask::new("chat", tiers, Limits::default(), Kind::Stream)
        };
        Self { fleet, ask, now }
    }

    /// An operator has shut the first tier.
    fn with_half_shut(mut self) -> Self {
        for target in 0..TARGETS / 2 {
            let label = spec(target, 0).label;
            let forced = self.fleet.force(&label, Some(Forced::Open), self.now);
            assert!(forced.is_ok(), "{label} is not known");
        }
        self
    }

    fn run(&mut self) -> Times {
        let mut rounds: Vec<[Duration; 4]> = (0..ROUNDS).map(|_| self.round()).collect();
        let calls = u32::try_from(BATCH).unwrap_or(1);
        let mut time = |place: usize| {
            rounds.sort_unstable_by_key(|times| times.get(place).copied());
            let at = |round: usize| rounds.get(round).and_then(|times| times.get(place)).copied();
            let of = |round| at(round).unwrap_or_default() / calls;
            Time { median: of(ROUNDS / 2), quickest: of(0) }
        };
        Times { decision: time(0), content: time(1), outcome: time(2), failover: time(3) }
    }

    fn round(&mut self) -> [Duration; 4] {
        self.now += Duration::from_millis(300);
        let mut calls: Vec<Call> = Vec::with_capacity(BATCH);
        let decision = timed(|| {
            for _ in 0..BATCH {
                let mut call = self.fleet.begin(black_box(&self.ask), self.now);
                black_box(call.next_command());
                calls.push(call);
            }
        });
        let (attempt, now) = (AttemptId(1), self.now + Duration::from_millis(700));
        let fleet = &mut self.fleet;
        let content = timed(|| {
            for call in &mut calls {
                call.handle(
                    fleet,
                    Input::Content { attempt, flow: Flow::default(), tokens: 1 },
                    now,
                );
                black_box(call.next_command());
            }
        });
        let outcome = timed(|| {
            for call in &mut calls {
                call.handle(fleet, Input::Ended { attempt, output_tokens: 300 }, now);
                black_box(call.next_command());
            }
        });
        // A failure that blames nobody, so that the next round finds everything as it was.
        let mut calls: Vec<Call> = (0..BATCH).map(|_| fleet.begin(&self.ask, now)).collect();
        let cause = FailureCause::TargetCannot(unbroken_engine::cause::Limitation::Context);
        let failover = timed(|| {
            for call in &mut calls {
                call.handle(fleet, Input::Failed { attempt, cause }, now);
                black_box(call.next_command());
            }
        });
        for call in &mut calls {
            call.handle(fleet, Input::ClientGone, now);
        }
        while fleet.next_event().is_some() {}
        self.now = now;
        [decision, content, outcome, failover]
    }
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Bytes per target: made, and with every sketch of latency in use.
fn memory() -> (usize, usize) {
    const MANY: usize = 512;
    let mut fleet = Fleet::new(FleetConfig::default(), 1);
    let region = Region::new(ALLOCATOR);
    let held = |region: &Region<'_, System>| {
        let change = region.change();
        (change.bytes_allocated - change.bytes_deallocated) / MANY
    };
    let now = Timestamp::after_start(Duration::from_secs(1));
    let ids: Vec<_> = (0..MANY).map(|n| fleet.target(&spec(n, n), now)).collect();
    let fresh = held(&region);
    for id in ids {
        for kind in [Kind::Stream, Kind::ReasoningStream, Kind::Whole] {
            for size in 0..8 {
                let tier = Tier { targets: vec![(id, 1)], order: TierOrder::Balanced };
                let ask = Ask {
                    input_tokens: 2_000 << size,
                    ..Ask::new("chat", vec![tier], Limits::default(), kind)
                };
                let mut call = fleet.begin(&ask, now);
                let attempt = AttemptId(1);
                call.handle(&mut fleet, Input::Ended { attempt, output_tokens: 300 }, now);
                while fleet.next_event().is_some() {}
            }
        }
    }
    (fresh, held(&region))
}
