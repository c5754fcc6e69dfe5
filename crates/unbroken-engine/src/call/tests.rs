use std::vec;

use super::*;
use crate::breaker::BreakerConfig;
use crate::cause::Limitation;
use crate::cause::Remedy;
use crate::event::CellKind;
use crate::fleet::{FleetConfig, RetryConfig};
use crate::retry_budget::RetryBudgetConfig;
use crate::target::{TargetSpec, TierOrder};

mod broken;
mod pace;
mod pick_up;

const fn at_ms(millis: u64) -> Timestamp {
    Timestamp::from_nanos(millis * 1_000_000)
}

/// A fleet, its targets in order of preference, and a clock.
struct World {
    fleet: Fleet,
    targets: Vec<TargetId>,
    now: Timestamp,
    kind: Kind,
    client_retries: u32,
    may_hedge: bool,
    effect: Effect,
    fingerprint: u64,
    conversation: Option<u64>,
    continues: bool,
    /// Which targets take the beginning of an answer, by their place.
    prefix: Vec<usize>,
}

impl World {
    /// Targets named by their models, each at an endpoint of its own.
    fn new(models: &[&str]) -> Self {
        Self::with(FleetConfig::default(), models)
    }

    fn with(config: FleetConfig, models: &[&str]) -> Self {
        let now = at_ms(1_000);
        let mut fleet = Fleet::new(config, 1);
        let targets = models
            .iter()
            .enumerate()
            .map(|(index, model)| {
                let host: Arc<str> = std::format!("host{index}").into();
                let label = std::format!("{host}/{model}").into();
                let spec =
                    TargetSpec { label, endpoint: host.clone(), model: (*model).into(), key: host };
                fleet.target(&spec, now)
            })
            .collect();
        Self {
            fleet,
            targets,
            now,
            kind: Kind::Stream,
            client_retries: 0,
            may_hedge: false,
            effect: Effect::Pure,
            fingerprint: 0,
            conversation: None,
            continues: true,
            prefix: vec![],
        }
    }

    fn begin(&mut self) -> Call {
        let tiers = self
            .targets
            .iter()
            .map(|target| Tier { targets: vec![(*target, 1)], order: TierOrder::Weighted })
            .collect();
        let ask = Ask {
            client_retries: self.client_retries,
            may_hedge: self.may_hedge,
            effect: self.effect,
            fingerprint: self.fingerprint,
            conversation: self.conversation,
            continues: self.continues,
            prefix: self.prefix.iter().map(|place| self.targets[*place]).collect(),
            ..Ask::new("route", tiers, Limits::default(), self.kind)
        };
        self.fleet.begin(&ask, self.now)
    }

    /// Lets the call go on until it starts an attempt or ends; time passes as it asks for.
    fn next(&mut self, call: &mut Call) -> Next {
        for _ in 0..1000 {
            match call.next_command() {
                Some(Command::Start { attempt, target, .. }) => {
                    let index = self.targets.iter().position(|t| *t == target).unwrap();
                    return Next::Started(attempt, index);
                }
                Some(Command::Fail(failure)) => return Next::Failed(failure),
                Some(Command::Complete { .. }) => return Next::Completed,
                Some(Command::Relay { .. } | Command::Cancel { .. }) => {}
                None if call.is_over() => return Next::Over,
                None => {
                    self.now = self.now.max(call.deadline().expect("a call that goes on"));
                    call.handle(&mut self.fleet, Input::Tick, self.now);
                }
            }
        }
        panic!("the call does not end");
    }

    /// Plays a whole call; `answer` says how each target answers.
    fn play(&mut self, answer: impl Fn(usize) -> Option<FailureCause>) -> (Vec<usize>, Next) {
        let mut call = self.begin();
        let mut asked = vec![];
        loop {
            match self.next(&mut call) {
                Next::Started(attempt, index) => {
                    asked.push(index);
                    let input = match answer(index) {
                        Some(cause) => Input::Failed { attempt, cause },
                        None => Input::Ended { attempt, output_tokens: 0 },
                    };
                    call.handle(&mut self.fleet, input, self.now);
                }
                end => {
                    assert!(call.is_over());
                    assert_eq!(call.next_command(), None, "nothing follows the end");
                    return (asked, end);
                }
            }
        }
    }

    fn events(&mut self) -> Vec<Event> {
        core::iter::from_fn(|| self.fleet.next_event()).collect()
    }

    fn outcome(&mut self) -> Outcome {
        let ends: Vec<Outcome> = self
            .events()
            .into_iter()
            .filter_map(|event| match event {
                Event::CallEnded { outcome, .. } => Some(outcome),
                _ => None,
            })
            .collect();
        assert_eq!(ends.len(), 1, "one end per call");
        ends[0]
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Started(AttemptId, usize),
    Completed,
    Failed(Failure),
    /// The client left.
    Over,
}

const DOWN: FailureCause = FailureCause::TargetError { status: 500 };
const LIMITED: FailureCause = FailureCause::RateLimited { retry_after: None };

const fn limited_for(seconds: u64) -> FailureCause {
    FailureCause::RateLimited { retry_after: Some(Duration::from_secs(seconds)) }
}

#[test]
fn a_healthy_target_answers_at_once() {
    let mut world = World::new(&["a", "b"]);
    assert_eq!(world.play(|_| None), (vec![0], Next::Completed));
    assert_eq!(world.outcome(), Outcome::Answered);
}

#[test]
fn the_same_model_elsewhere_is_asked_at_once() {
    let mut world = World::new(&["vendor/m", "m"]);
    let begun = world.now;
    let played = world.play(|index| (index == 0).then_some(DOWN));
    assert_eq!(played, (vec![0, 1], Next::Completed));
    assert_eq!(world.now, begun, "no pause");
    assert_eq!(world.outcome(), Outcome::Rescued);
}

#[test]
fn before_a_different_model_the_same_target_gets_one_more_chance() {
    let mut world = World::new(&["a", "b"]);
    let begun = world.now;
    let played = world.play(|index| (index == 0).then_some(DOWN));
    assert_eq!(played, (vec![0, 0, 1], Next::Completed));
    let pause = world.now.since(begun).as_millis();
    assert!((50..250).contains(&pause), "{pause} ms");
}

#[test]
fn a_short_rate_limit_is_waited_for_and_a_long_one_is_not() {
    let mut world = World::new(&["a", "b"]);
    let begun = world.now;
    let mut call = world.begin();
    let Next::Started(attempt, 0) = world.next(&mut call) else { panic!() };
    call.handle(&mut world.fleet, Input::Failed { attempt, cause: limited_for(2) }, world.now);
    let Next::Started(attempt, 0) = world.next(&mut call) else { panic!("the same target") };
    assert!(world.now.since(begun) >= Duration::from_secs(2), "no sooner than it asked for");
    call.handle(&mut world.fleet, Input::Ended { attempt, output_tokens: 0 }, world.now);
    assert_eq!(world.next(&mut call), Next::Completed);

    let mut world = World::new(&["a", "b"]);
    let begun = world.now;
    let played = world.play(|index| (index == 0).then_some(limited_for(30)));
    assert_eq!(played, (vec![0, 1], Next::Completed));
    assert_eq!(world.now, begun);
}

#[test]
fn a_rate_limit_never_trips_the_breaker() {
    let mut world = World::new(&["a", "b"]);
    for _ in 0..20 {
        world.play(|index| (index == 0).then_some(limited_for(0)));
        world.now += Duration::from_secs(1);
    }
    let is_trip = |event: &Event| matches!(event, Event::BreakerChanged { .. });
    assert!(!world.events().iter().any(is_trip));
}

#[test]
fn a_silent_target_is_left_at_its_limit_and_not_asked_again() {
    let mut world = World::new(&["a", "b"]);
    let begun = world.now;
    let mut call = world.begin();
    let Next::Started(attempt, 0) = world.next(&mut call) else { panic!() };
    call.handle(&mut world.fleet, Input::Connected { attempt }, world.now);
    let Next::Started(_, 1) = world.next(&mut call) else { panic!("the next target") };
    assert_eq!(world.now.since(begun), Duration::from_secs(10));
}

#[test]
fn pings_do_not_pass_for_content() {
    let mut world = World::new(&["a", "b"]);
    let begun = world.now;
    let mut call = world.begin();
    let Next::Started(attempt, 0) = world.next(&mut call) else { panic!() };
    call.handle(&mut world.fleet, Input::Connected { attempt }, world.now);
    world.now += Duration::from_secs(9);
    call.handle(&mut world.fleet, Input::Alive { attempt }, world.now);
    let Next::Started(_, 1) = world.next(&mut call) else { panic!() };
    assert_eq!(world.now.since(begun), Duration::from_secs(10));
}

#[test]
fn the_last_target_gets_all_the_time_that_is_left() {
    let mut world = World::new(&["a", "b"]);
    let begun = world.now;
    let mut call = world.begin();
    for _ in 0..2 {
        let Next::Started(attempt, _) = world.next(&mut call) else { panic!() };
        call.handle(&mut world.fleet, Input::Connected { attempt }, world.now);
    }
    let Next::Failed(Failure::Exhausted { .. }) = world.next(&mut call) else { panic!() };
    assert_eq!(world.now.since(begun), Duration::from_secs(600));
}

#[test]
fn connecting_has_a_limit_of_its_own() {
    let mut world = World::new(&["a", "b"]);
    let begun = world.now;
    let mut call = world.begin();
    let Next::Started(..) = world.next(&mut call) else { panic!() };
    let Next::Started(_, 1) = world.next(&mut call) else { panic!() };
    assert_eq!(world.now.since(begun), Duration::from_secs(3));
}

#[test]
fn after_three_failures_the_next_call_leaves_the_target_alone() {
    let mut world = World::new(&["a", "b"]);
    let down = |index| (index == 0).then_some(FailureCause::Malformed);
    for _ in 0..3 {
        assert_eq!(world.play(down).0, vec![0, 1]);
    }
    assert_eq!(world.play(down).0, vec![1]);
    world.now += Duration::from_secs(15);
    assert_eq!(world.play(|_| None).0, vec![0], "the probe");
}

#[test]
fn two_failed_connections_take_all_models_of_the_endpoint_out() {
    let mut world = World::new(&["a", "b"]);
    let spec = TargetSpec {
        label: "host0/other".into(),
        endpoint: "host0".into(),
        model: "other".into(),
        key: "host0".into(),
    };
    let other = world.fleet.target(&spec, world.now);
    let refused = FailureCause::Unreachable(Unreachable::Tcp);
    for _ in 0..2 {
        assert_eq!(world.play(|index| (index == 0).then_some(refused)).0, vec![0, 1]);
    }
    let refusal = world.fleet.refusal(other, world.now).expect("refused");
    assert_eq!(refusal.cell, CellKind::Endpoint);
}

#[test]
fn the_clients_own_mistake_is_told_once_and_blames_nobody() {
    let mut world = World::new(&["a", "b"]);
    let wrong = FailureCause::InvalidRequest { status: 400 };
    for _ in 0..10 {
        let (asked, end) = world.play(|_| Some(wrong));
        assert_eq!(asked, vec![0]);
        assert_eq!(end, Next::Failed(Failure::Tell { attempt: AttemptId(1) }));
    }
    assert!(!world.events().iter().any(|e| matches!(e, Event::BreakerChanged { .. })));
}

#[test]
fn asking_beside_a_target_that_is_to_blame_costs_nothing() {
    let mut world = World::new(&["a", "b"]);
    let refuses = |index| (index == 0).then_some(FailureCause::InvalidRequest { status: 400 });
    for fingerprint in 1..=5 {
        world.fingerprint = fingerprint;
        world.play(refuses);
    }
    while world.fleet.budget.withdraw() {}
    world.fingerprint = 6;
    assert_eq!(world.play(refuses), (vec![0, 1], Next::Completed));
}

#[test]
fn what_one_target_cannot_another_may_and_if_none_can_the_first_explains() {
    let mut world = World::new(&["a", "b"]);
    let too_long = FailureCause::TargetCannot(Limitation::Context);
    let played = world.play(|index| (index == 0).then_some(too_long));
    assert_eq!(played, (vec![0, 1], Next::Completed));
    let played = world.play(|_| Some(too_long));
    assert_eq!(played, (vec![0, 1], Next::Failed(Failure::Tell { attempt: AttemptId(1) })));
    let played = world.play(|index| Some(if index == 0 { too_long } else { LIMITED }));
    let Next::Failed(Failure::Exhausted { only_rate_limits: false, .. }) = played.1 else {
        panic!("the other one might have served it")
    };
}

#[test]
fn a_rejected_key_is_left_alone_and_the_client_does_not_notice() {
    let mut world = World::new(&["a", "b"]);
    let played = world.play(|index| (index == 0).then_some(FailureCause::KeyRejected));
    assert_eq!(played, (vec![0, 1], Next::Completed));
    assert_eq!(world.play(|_| None).0, vec![1]);
    world.now += Duration::from_secs(36);
    assert_eq!(world.play(|_| None).0, vec![0]);
}

#[test]
fn nobody_left_means_the_soonest_recovery_is_named() {
    let mut world = World::new(&["a", "b"]);
    let answer = |index| Some(limited_for(if index == 0 { 60 } else { 20 }));
    let begun = world.now;
    let (asked, end) = world.play(answer);
    assert_eq!(asked, vec![0, 1]);
    let retry_at = Some(begun + Duration::from_secs(20));
    assert_eq!(end, Next::Failed(Failure::Exhausted { only_rate_limits: true, retry_at }));
    // And the next call asks nobody.
    let (asked, end) = world.play(answer);
    assert!(asked.is_empty());
    assert_eq!(end, Next::Failed(Failure::Exhausted { only_rate_limits: true, retry_at }));
}

#[test]
fn a_single_target_is_asked_again_with_growing_pauses_up_to_its_bound() {
    let mut world = World::new(&["a"]);
    let config = FleetConfig::default().retry;
    let (asked, end) = world.play(|_| Some(FailureCause::Malformed));
    assert_eq!(asked.len() as u32, 1 + config.revisits);
    assert!(matches!(end, Next::Failed(Failure::Exhausted { only_rate_limits: false, .. })));
}

#[test]
fn a_client_that_repeats_itself_is_not_repeated_by_us() {
    let mut world = World::new(&["a", "b"]);
    world.client_retries = 1;
    assert_eq!(world.play(|_| Some(DOWN)).0, vec![0, 1]);
}

#[test]
fn a_stale_connection_costs_nothing() {
    let mut world = World::new(&["a", "b"]);
    let mut call = world.begin();
    let Next::Started(attempt, 0) = world.next(&mut call) else { panic!() };
    let stale = Input::Failed { attempt, cause: FailureCause::StaleConnection };
    call.handle(&mut world.fleet, stale, world.now);
    let Next::Started(attempt, 0) = world.next(&mut call) else { panic!("the same target") };
    call.handle(&mut world.fleet, Input::Ended { attempt, output_tokens: 0 }, world.now);
    assert_eq!(world.next(&mut call), Next::Completed);
    assert_eq!(world.fleet.budget.left(), 10);
}

#[test]
fn stale_connections_are_not_replaced_for_ever() {
    let mut world = World::new(&["a"]);
    let (asked, end) = world.play(|_| Some(FailureCause::StaleConnection));
    assert!(asked.len() <= 1 + 3 + 2, "{asked:?}");
    assert!(matches!(end, Next::Failed(_)));
}

#[test]
fn a_client_that_leaves_blames_nobody_and_frees_the_probe() {
    let mut world = World::new(&["a", "b"]);
    for _ in 0..3 {
        world.play(|index| (index == 0).then_some(FailureCause::Malformed));
    }
    world.now += Duration::from_secs(15);
    let mut call = world.begin();
    let Next::Started(attempt, 0) = world.next(&mut call) else { panic!("the probe") };
    call.handle(&mut world.fleet, Input::ClientGone, world.now);
    assert_eq!(call.next_command(), Some(Command::Cancel { attempt }));
    assert!(call.is_over() && call.deadline().is_none());
    assert_eq!(world.play(|_| None).0, vec![0], "the next call may probe");
}

#[test]
fn late_news_of_an_abandoned_attempt_changes_nothing() {
    let mut world = World::new(&["a", "b"]);
    let mut call = world.begin();
    let Next::Started(first, 0) = world.next(&mut call) else { panic!() };
    let cause = FailureCause::Malformed;
    call.handle(&mut world.fleet, Input::Failed { attempt: first, cause }, world.now);
    let Next::Started(second, 1) = world.next(&mut call) else { panic!() };
    call.handle(
        &mut world.fleet,
        Input::Content { attempt: first, flow: Flow::Text, tokens: 1 },
        world.now,
    );
    call.handle(&mut world.fleet, Input::Ended { attempt: first, output_tokens: 0 }, world.now);
    assert_eq!(call.next_command(), None);
    call.handle(&mut world.fleet, Input::Ended { attempt: second, output_tokens: 0 }, world.now);
    assert_eq!(call.next_command(), Some(Command::Relay { attempt: second }));
}

#[test]
fn when_everybody_is_open_a_call_probes_early_and_one_recovered_target_is_found() {
    let mut world = World::new(&["a", "b"]);
    for _ in 0..6 {
        world.play(|_| Some(FailureCause::Malformed));
    }
    // Both are open; now the second is well again, and no wait is over.
    let played = [(); 2].map(|()| {
        world.now += Duration::from_millis(1);
        world.play(|index| (index == 0).then_some(DOWN))
    });
    let rescued = played.iter().filter(|(_, end)| *end == Next::Completed).count();
    assert!(rescued >= 1, "{played:?}");
}

#[test]
fn a_total_outage_does_not_multiply_the_load() {
    let mut world = World::new(&["a", "b", "c"]);
    let mut attempts = 0;
    for _ in 0..500 {
        attempts += world.play(|_| Some(DOWN)).0.len();
        world.now += Duration::from_millis(200);
    }
    assert!(attempts <= 500 * 12 / 10, "{attempts} attempts for 500 calls");
}

#[test]
fn the_retry_budget_bounds_what_half_broken_targets_cost() {
    let budget = RetryBudgetConfig { capacity: 2, per_call_per_mille: 0 };
    let retry = RetryConfig { budget, patience: Duration::ZERO, ..RetryConfig::default() };
    let mut world =
        World::with(FleetConfig { retry, ..FleetConfig::default() }, &["a", "b", "c", "d"]);
    let (asked, _) = world.play(|_| Some(FailureCause::EmptyAnswer));
    let told = "failovers to whom nothing speaks against are free, two more are paid";
    assert_eq!(asked, vec![0, 1, 2, 3, 0, 0], "{told}");
    let (asked, _) = world.play(|_| Some(FailureCause::EmptyAnswer));
    assert_eq!(asked.len(), 2, "then the budget is empty");
    assert!(world.events().iter().any(|e| matches!(e, Event::RetryRefused { .. })));
}

#[test]
fn rotation_takes_turns() {
    let mut world = World::new(&["a", "b", "c"]);
    let targets = world.targets.iter().map(|target| (*target, 1)).collect();
    let tiers = vec![Tier { targets, order: TierOrder::Rotate }];
    let ask = Ask::new("r", tiers, Limits::default(), Kind::Stream);
    let mut firsts = vec![];
    for _ in 0..6 {
        let mut call = world.fleet.begin(&ask, world.now);
        let Next::Started(attempt, index) = world.next(&mut call) else { panic!() };
        firsts.push(index);
        call.handle(&mut world.fleet, Input::Ended { attempt, output_tokens: 0 }, world.now);
    }
    assert_eq!(firsts, vec![1, 2, 0, 1, 2, 0]);
}

#[test]
fn a_call_that_failed_everywhere_may_come_back_even_if_no_breaker_is_open() {
    let mut world = World::new(&["a", "b"]);
    let end = world.play(|_| Some(FailureCause::TargetError { status: 500 })).1;
    let Next::Failed(Failure::Exhausted { retry_at: Some(at), .. }) = end else {
        panic!("it names a time: {end:?}");
    };
    assert!(at.since(world.now) <= Duration::from_secs(15));
    let cannot = FailureCause::TargetCannot(Limitation::Feature);
    let end = World::new(&["a"]).play(|_| Some(cannot)).1;
    assert_ne!(end, Next::Completed);
    assert!(
        !matches!(end, Next::Failed(Failure::Exhausted { retry_at: Some(_), .. })),
        "it never could: {end:?}"
    );
}

/// An answer of the first target whose first content comes after so long.
fn answered_after(world: &mut World, millis: u64) {
    let mut call = world.begin();
    let Next::Started(attempt, 0) = world.next(&mut call) else { panic!("the first is asked") };
    call.handle(&mut world.fleet, Input::Connected { attempt }, world.now);
    world.now += Duration::from_millis(millis);
    call.handle(
        &mut world.fleet,
        Input::Content { attempt, flow: Flow::Text, tokens: 1 },
        world.now,
    );
    call.handle(&mut world.fleet, Input::Ended { attempt, output_tokens: 9 }, world.now);
}

#[test]
fn a_slow_target_on_trial_is_judged_by_its_own_time_and_not_by_who_was_quicker() {
    let mut world = World::new(&["a", "b"]);
    (0..30).for_each(|_| answered_after(&mut world, 500));
    (0..2).for_each(|_| answered_after(&mut world, 3_000));
    let first = world.targets[0];
    let is_slow = |world: &World| world.fleet.report_of(first, world.now).unwrap().is_degraded;
    assert!(is_slow(&world));
    let slow_at = world.now;
    world.now += Duration::from_secs(100);
    world.may_hedge = true;
    let mut call = world.begin();
    let Next::Started(_, 0) = world.next(&mut call) else { panic!("its trial is due") };
    let Next::Started(attempt, 1) = world.next(&mut call) else { panic!("and is hedged") };
    assert!(world.now < slow_at + Duration::from_secs(102), "before it is late");
    call.handle(
        &mut world.fleet,
        Input::Content { attempt, flow: Flow::Text, tokens: 1 },
        world.now,
    );
    call.handle(&mut world.fleet, Input::Ended { attempt, output_tokens: 9 }, world.now);
    world.now = slow_at + Duration::from_secs(599);
    assert!(is_slow(&world));
    world.now = slow_at + Duration::from_secs(600);
    assert!(!is_slow(&world), "a race that it lost in time says nothing about it");
}

#[test]
fn a_route_without_targets_fails_at_once() {
    let mut world = World::new(&[]);
    let (asked, end) = world.play(|_| None);
    assert!(asked.is_empty());
    let nothing = Failure::Exhausted { only_rate_limits: false, retry_at: None };
    assert_eq!(end, Next::Failed(nothing));
}

/// Random histories over every cause: a call always ends, within its time and its ceiling, and
/// afterwards every breaker recovers.
#[test]
fn every_random_history_ends_and_heals() {
    for seed in 0..400 {
        let mut random = Random::seeded(seed);
        let mut world = World::new(&["m", "x/m", "other"]);
        for _ in 0..40 {
            let begun = world.now;
            let mut call = world.begin();
            let mut started = 0;
            loop {
                let next = world.next(&mut call);
                let Next::Started(attempt, _) = next else { break };
                started += 1;
                for input in random_inputs(attempt, &mut random) {
                    world.now += random.up_to(Duration::from_secs(2));
                    call.handle(&mut world.fleet, input, world.now);
                }
            }
            assert!(started <= 6 + RESENDS_MAX, "seed {seed}: {started} attempts");
            assert!(world.now.since(begun) <= Duration::from_secs(620), "seed {seed}");
            world.outcome();
            world.now += random.up_to(Duration::from_secs(10));
        }
        heal(&mut world, seed);
    }
}

fn random_inputs(attempt: AttemptId, random: &mut Random) -> Vec<Input> {
    let pick = random.below(FailureCause::ALL.len() as u64) as usize;
    let cause = FailureCause::ALL[pick];
    let failed = Input::Failed { attempt, cause };
    match random.below(8) {
        0 => vec![],
        1 => vec![Input::Connected { attempt }],
        2 => vec![
            Input::Connected { attempt },
            Input::Content { attempt, flow: Flow::Text, tokens: 1 },
        ],
        3 => vec![
            Input::Content { attempt, flow: Flow::Text, tokens: 1 },
            Input::Alive { attempt },
            Input::Ended { attempt, output_tokens: 0 },
        ],
        4 => {
            vec![
                Input::Connected { attempt },
                Input::Content { attempt, flow: Flow::Text, tokens: 1 },
                failed,
            ]
        }
        5 => vec![Input::Connected { attempt }, Input::ClientGone, Input::ClientGone],
        _ => vec![Input::Connected { attempt }, failed],
    }
}

/// Everything is well again: within the longest block every target serves, and stays closed.
fn heal(world: &mut World, seed: u64) {
    for _ in 0..3 {
        world.now += Duration::from_secs(86_400);
        for target in world.targets.clone() {
            for _ in 0..10 {
                let mut alone = World { targets: vec![target], ..World::new(&[]) };
                core::mem::swap(&mut alone.fleet, &mut world.fleet);
                alone.now = world.now;
                let (_, end) = alone.play(|_| None);
                assert_eq!(end, Next::Completed, "seed {seed}");
                core::mem::swap(&mut alone.fleet, &mut world.fleet);
                world.now += BreakerConfig::default().ramp_step;
            }
        }
    }
    let reports = world.fleet.report(world.now);
    assert!(reports.iter().all(|r| r.state == "closed" && r.refusal.is_none()), "{reports:?}");
}
