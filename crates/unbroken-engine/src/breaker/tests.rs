use alloc::vec;
use alloc::vec::Vec;

use super::*;

/// One thing that happens to a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// A call asks, and takes the permit if it gets one.
    Admit,
    /// The oldest attempt delivers its first content.
    Deliver,
    /// The oldest attempt ends well.
    Succeed,
    /// The oldest attempt fails.
    Fail,
    /// The oldest attempt is cancelled.
    Cancel,
    /// Seconds pass.
    Wait(u64),
}
use Step::{Admit, Cancel, Deliver, Fail, Succeed, Wait};

struct Played {
    breaker: Breaker,
    now: Timestamp,
    random: Random,
    permits: Vec<Permit>,
}

fn config() -> BreakerConfig {
    BreakerConfig {
        recovery: Duration::from_secs(8),
        recovery_max: Duration::from_secs(8),
        ramp_start_per_mille: 500,
        ramp_successes: 2,
        detector: DetectorConfig::consecutive(3),
        ..BreakerConfig::default()
    }
}

const fn at(seconds: u64) -> Timestamp {
    Timestamp::from_nanos(seconds * 1_000_000_000)
}

/// Plays a history and checks the invariants after every step.
fn play(steps: &[Step]) -> Played {
    play_with(config(), steps)
}

fn play_with(config: BreakerConfig, steps: &[Step]) -> Played {
    let mut played = Played {
        breaker: Breaker::new(config, Timestamp::ZERO),
        now: Timestamp::ZERO,
        random: Random::seeded(1),
        permits: vec![],
    };
    for step in steps {
        let before = (played.breaker.epoch, played.breaker.state.clone());
        play_step(&mut played, *step);
        check_invariants(&played, &before, *step);
    }
    played
}

fn play_step(played: &mut Played, step: Step) {
    let Played { breaker, now, random, permits } = played;
    match step {
        Admit => match breaker.standing(*now) {
            Standing::Refused { retry_at } => assert!(retry_at > *now, "a refusal without a time"),
            Standing::Ready | Standing::Share(_) | Standing::Probe => {
                permits.push(breaker.admit(*now).0);
            }
        },
        Wait(seconds) => *now += Duration::from_secs(seconds),
        Deliver | Succeed | Fail | Cancel if permits.is_empty() => {}
        Deliver => permits[0] = breaker.delivered(permits[0], *now).0,
        Succeed => {
            let _ = breaker.succeeded(permits.remove(0), *now);
        }
        Fail => {
            let _ = breaker.failed(permits.remove(0), WHOLE, None, *now, random);
        }
        Cancel => {
            let _ = breaker.censored(permits.remove(0), *now);
        }
    }
}

fn check_invariants(played: &Played, before: &(u64, State), step: Step) {
    let breaker = &played.breaker;
    let longest = breaker.config.probe_timeout.max(breaker.config.recovery_max);
    if breaker.state.name() != before.1.name() {
        assert!(breaker.epoch > before.0, "a change without a new epoch");
    }
    let current = played.permits.iter().filter(|p| p.epoch == breaker.epoch).count();
    match breaker.state {
        State::HalfOpen { probe_until } => {
            assert!(current <= 1, "two probes after {step:?}");
            assert!(probe_until <= played.now + longest);
        }
        State::Open { until } => {
            assert_eq!(current, 0, "a permit that could count in an open breaker");
            assert!(until <= played.now + longest, "no end in sight");
        }
        State::Ramp { share_per_mille, .. } => assert!((1..=1000).contains(&share_per_mille)),
        State::Closed { .. } => {}
    }
}

fn trip() -> Vec<Step> {
    vec![Admit, Fail, Admit, Fail, Admit, Fail]
}

fn after(mut first: Vec<Step>, then: &[Step]) -> Vec<Step> {
    first.extend_from_slice(then);
    first
}

#[test]
fn the_third_failure_in_a_row_trips_and_names_the_wait() {
    assert_eq!(play(&[Admit, Fail, Admit, Fail]).breaker.state().name(), "closed");
    let State::Open { until } = play(&trip()).breaker.state else { panic!("not open") };
    assert!((6_800_000_000..=8_000_000_000).contains(&until.as_nanos()), "{until:?}");
}

#[test]
fn a_success_between_failures_keeps_it_closed() {
    let steps = [Admit, Fail, Admit, Fail, Admit, Succeed, Admit, Fail, Admit, Fail];
    assert_eq!(play(&steps).breaker.state().name(), "closed");
}

#[test]
fn an_open_breaker_lets_one_probe_through_when_the_wait_is_over() {
    let played = play(&after(trip(), &[Wait(8), Admit, Admit, Admit]));
    assert_eq!(played.breaker.state, State::HalfOpen { probe_until: at(38) });
    assert_eq!(played.permits.len(), 1);
}

#[test]
fn a_probe_that_delivers_starts_the_ramp_and_a_broken_rest_counts() {
    let ramp = play(&after(trip(), &[Wait(8), Admit, Deliver]));
    let expected =
        State::Ramp { share_per_mille: 500, successes: 0, grown_at: at(8), active_at: at(8) };
    assert_eq!(ramp.breaker.state, expected);
    let broken = play(&after(trip(), &[Wait(8), Admit, Deliver, Fail]));
    assert_eq!(broken.breaker.state().name(), "open");
}

#[test]
fn the_ramp_grows_with_successes_and_closes_at_the_whole_share() {
    let steps = [Wait(8), Admit, Succeed, Wait(2), Admit, Succeed];
    let half = play(&after(trip(), &steps));
    assert!(matches!(half.breaker.state, State::Ramp { share_per_mille: 751, successes: 2, .. }));
    let whole = play(&after(after(trip(), &steps), &[Wait(2), Admit, Succeed]));
    assert_eq!(whole.breaker.state, State::Closed { since: at(12) });
}

#[test]
fn a_burst_of_successes_cannot_close_the_ramp() {
    let mut steps = after(trip(), &[Wait(8)]);
    for _ in 0..20 {
        steps.extend([Admit, Succeed]);
    }
    assert!(matches!(play(&steps).breaker.state, State::Ramp { share_per_mille: 500, .. }));
}

#[test]
fn a_ramp_without_traffic_closes() {
    let played = play(&after(trip(), &[Wait(8), Admit, Succeed, Wait(600), Admit]));
    assert_eq!(played.breaker.state().name(), "closed");
}

#[test]
fn a_failed_probe_opens_again_for_longer_up_to_the_cap() {
    let config = BreakerConfig {
        recovery: Duration::from_secs(2),
        recovery_max: Duration::from_secs(15),
        ..config()
    };
    let mut steps = trip();
    let mut waits = vec![];
    for _ in 0..6 {
        let played = play_with(config, &steps);
        let State::Open { until } = played.breaker.state else { panic!("not open") };
        waits.push(until.since(played.now).as_millis());
        steps.extend([Wait(15), Admit, Fail]);
    }
    for (wait, base) in waits.iter().zip([2_000, 4_000, 8_000, 15_000, 15_000, 15_000]) {
        let range = base * 85 / 100..=(base * 115 / 100).min(15_000);
        assert!(range.contains(wait), "{wait} is not around {base}");
    }
}

#[test]
fn a_result_from_before_the_outage_does_not_count() {
    // The first attempt is slow: it succeeds only after the breaker has opened.
    let steps = [Admit, Admit, Admit, Admit, Wait(1)];
    let mut played = play(&steps);
    let slow = played.permits.remove(0);
    for permit in played.permits.split_off(0) {
        let _ = played.breaker.failed(permit, WHOLE, None, played.now, &mut played.random);
    }
    let open = played.breaker.state.clone();
    assert_eq!(open.name(), "open");
    assert_eq!(played.breaker.succeeded(slow, played.now), None);
    assert_eq!(played.breaker.state, open);
}

#[test]
fn a_cancelled_probe_gives_its_lease_back_and_blames_nobody() {
    let played = play(&after(trip(), &[Wait(8), Admit, Cancel, Admit]));
    assert_eq!(played.breaker.state().name(), "half_open");
    assert_eq!(played.breaker.trips, 1);
    assert_eq!(played.permits.len(), 1, "the next call may probe at once");
}

#[test]
fn a_lost_probe_ends_by_itself() {
    let played = play(&after(trip(), &[Wait(8), Admit, Wait(30), Admit]));
    assert_eq!(played.breaker.state, State::HalfOpen { probe_until: at(68) });
}

#[test]
fn the_wait_that_the_target_asked_for_is_kept() {
    let mut played = play(&[Admit, Fail, Admit, Fail, Admit]);
    let asked = Some(Duration::from_secs(120));
    let permit = played.permits.remove(0);
    let _ = played.breaker.failed(permit, WHOLE, asked, played.now, &mut played.random);
    assert_eq!(played.breaker.state, State::Open { until: at(120) });
}

#[test]
fn trips_are_forgiven_after_ten_quiet_minutes() {
    let recovered = [Wait(8), Admit, Succeed, Wait(2), Admit, Succeed, Wait(2), Admit, Succeed];
    let steps = after(trip(), &recovered);
    assert_eq!(play(&after(steps.clone(), &[Wait(599), Admit, Succeed])).breaker.trips, 1);
    assert_eq!(play(&after(steps, &[Wait(600), Admit, Succeed])).breaker.trips, 0);
    let never = play(&[Wait(600), Admit, Succeed]).breaker;
    assert_eq!((never.trips, never.closed_since()), (0, Some(at(0))), "nothing to forgive");
}

#[test]
fn a_health_check_closes_or_keeps_open_but_never_ends_a_probe() {
    let mut open = play(&trip());
    assert_eq!(open.breaker.proved_ill(open.now, &mut open.random), None);
    assert_eq!(open.breaker.state, State::Open { until: at(8) });
    let change = open.breaker.proved_well(open.now).expect("it closes");
    assert_eq!((change.from, change.to), ("open", "closed"));

    let mut probing = play(&after(trip(), &[Wait(8), Admit]));
    assert_eq!(probing.breaker.proved_ill(probing.now, &mut probing.random), None);
    assert_eq!(probing.breaker.state().name(), "half_open");
}

#[test]
fn an_endpoint_closes_without_a_ramp() {
    let steps = [Admit, Fail, Admit, Fail, Wait(3), Admit, Deliver];
    let played = play_with(BreakerConfig::endpoint(), &steps);
    assert_eq!(played.breaker.state().name(), "closed");
}

/// Every history of up to seven steps. Short ones come first, so a failure is already minimal.
#[test]
fn every_short_history_keeps_the_invariants() {
    let alphabet = [Admit, Deliver, Succeed, Fail, Cancel, Wait(8)];
    let tight = BreakerConfig { detector: DetectorConfig::consecutive(2), ..config() };
    let mut histories: Vec<Vec<Step>> = vec![vec![]];
    for _ in 0..7 {
        histories = histories
            .iter()
            .flat_map(|history| alphabet.map(|step| after(history.clone(), &[step])))
            .collect();
        for history in &histories {
            play_with(tight, history);
        }
    }
}

/// Whatever happened before: under steady success a breaker closes in bounded time.
#[test]
fn every_random_history_ends_closed_when_the_target_is_well_again() {
    let alphabet = [Admit, Admit, Deliver, Succeed, Fail, Fail, Cancel, Wait(1), Wait(8), Wait(31)];
    for seed in 0..500 {
        let mut random = Random::seeded(seed);
        let mut history: Vec<Step> = (0..60).map(|_| alphabet[random.below(10) as usize]).collect();
        // Attempts that were still out end first.
        history.extend([Cancel; 60]);
        for _ in 0..60 {
            history.extend([Wait(2), Admit, Succeed]);
        }
        assert_eq!(play(&history).breaker.state().name(), "closed", "seed {seed}");
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn endpoints_and_keys_have_settings_of_their_own() {
    let common = BreakerConfig {
        probe_timeout: seconds(30),
        recovery_max: seconds(15),
        ramp_start_per_mille: 1000,
        ramp_step: seconds(2),
        ramp_successes: 0,
        detector: DetectorConfig::consecutive(2),
        recovery: seconds(2),
    };
    assert_eq!(BreakerConfig::endpoint(), common);
    let key = BreakerConfig {
        detector: DetectorConfig::consecutive(1),
        recovery: seconds(30),
        recovery_max: seconds(60),
        ..common
    };
    assert_eq!(BreakerConfig::key(), key);
}

#[test]
fn only_a_probe_is_one() {
    let mut breaker = play(&[]).breaker;
    assert!(!breaker.admit(at(1)).0.is_probe());
    let mut shut = play(&trip());
    let (probe, change) = shut.breaker.admit(at(8));
    assert!(probe.is_probe() && change.is_some());
    let (joined, change) = shut.breaker.admit(at(9));
    assert!(!joined.is_probe() && change.is_none(), "a lease is joined, not replaced");
    assert_eq!(shut.breaker.state, State::HalfOpen { probe_until: at(38) });
    assert!(shut.breaker.is_probing(at(37)) && !shut.breaker.is_probing(at(38)));
    assert!(!play(&trip()).breaker.is_probing(at(0)));
    let delivered = shut.breaker.delivered(probe, at(10)).0;
    assert!(!delivered.is_probe(), "it has proved its point");
}

#[test]
fn what_an_operator_forces_holds_and_is_left_by_a_probe() {
    let names = [Forced::Open, Forced::Closed, Forced::Drain].map(Forced::name);
    assert_eq!(names, ["forced_open", "forced_closed", "draining"]);
    for forced in [Forced::Open, Forced::Drain] {
        let mut breaker = play(&[]).breaker;
        let change = breaker.force(Some(forced), at(1)).unwrap();
        assert_eq!((change.from, change.to, change.trips), ("closed", forced.name(), 0));
        assert_eq!(breaker.force(Some(forced), at(1)), None, "already");
        assert_eq!(breaker.forced(), Some(forced));
        assert_eq!(breaker.standing(at(5)), Standing::Refused { retry_at: at(65) });
        assert!(!breaker.is_forgettable());
        let change = breaker.force(None, at(9)).unwrap();
        assert_eq!((change.from, change.to), (forced.name(), "open"));
        assert_eq!(breaker.standing(at(9)), Standing::Probe);
    }
}

#[test]
fn a_breaker_that_is_forced_closed_survives_failures_and_forgets_them() {
    let mut played = play(&[Admit, Fail, Admit]);
    let early = played.permits.remove(0);
    assert!(played.breaker.own_level() > 0.0);
    played.breaker.force(Some(Forced::Closed), at(1));
    assert!(played.breaker.own_level() < f64::EPSILON, "what was known is forgotten");
    assert_eq!(played.breaker.standing(at(1)), Standing::Ready);
    let epoch = played.breaker.epoch();
    assert_eq!(epoch, 1, "a change of state");
    assert_eq!(played.breaker.succeeded(early, at(1)), None);
    for _ in 0..9 {
        let (permit, change) = played.breaker.admit(at(2));
        assert!(!permit.is_probe() && change.is_none());
        assert_eq!(played.breaker.failed(permit, WHOLE, None, at(2), &mut played.random), None);
    }
    assert_eq!((played.breaker.epoch(), played.breaker.trips()), (epoch, 0));
    assert_eq!(played.breaker.state_name(), "forced_closed");
}

#[test]
fn a_share_is_asked_for_until_it_is_whole_or_a_step_has_passed() {
    let slow = BreakerConfig { ramp_step: seconds(3600), ..config() };
    let ramp = play_with(slow, &after(trip(), &[Wait(8), Admit, Deliver]));
    assert_eq!(ramp.breaker.standing(at(607)), Standing::Share(500));
    assert_eq!(ramp.breaker.standing(at(608)), Standing::Ready, "idle for ten minutes");
    let whole = BreakerConfig { ramp_start_per_mille: 1000, ..slow };
    let ramp = play_with(whole, &after(trip(), &[Wait(8), Admit, Deliver]));
    assert_eq!(ramp.breaker.state().name(), "ramp");
    assert_eq!(ramp.breaker.standing(at(8)), Standing::Ready);
    let ramp = play(&after(trip(), &[Wait(8), Admit, Deliver, Wait(1), Admit]));
    assert_eq!(ramp.breaker.standing(at(10)), Standing::Share(500));
    assert_eq!(ramp.breaker.standing(at(11)), Standing::Ready, "one call per step");
}

#[test]
fn a_ramp_closes_only_with_its_share_and_its_successes() {
    let three = BreakerConfig { ramp_start_per_mille: 1000, ramp_successes: 3, ..config() };
    let start = after(trip(), &[Wait(8), Admit, Deliver, Succeed]);
    let two = after(start, &[Admit, Succeed]);
    assert_eq!(play_with(three, &two).breaker.state().name(), "ramp");
    assert_eq!(play_with(three, &after(two, &[Admit, Succeed])).breaker.state().name(), "closed");
    // Without a number of successes a partial share still ramps.
    let none = BreakerConfig { ramp_start_per_mille: 999, ramp_successes: 0, ..config() };
    let ramp = play_with(none, &after(trip(), &[Wait(8), Admit, Deliver]));
    assert_eq!(ramp.breaker.state().name(), "ramp");
}

#[test]
fn early_in_its_ramp_one_whole_failure_shuts_it_and_later_half_of_what_trips() {
    let of = |share, detector| BreakerConfig { ramp_start_per_mille: share, detector, ..config() };
    let weak = |config: BreakerConfig, weights: &[u32]| {
        let mut played = play_with(config, &after(trip(), &[Wait(8), Admit, Deliver]));
        let _ = played.permits.remove(0);
        for weight in weights {
            let permit = played.breaker.admit(at(9)).0;
            let _ = played.breaker.failed(permit, *weight, None, at(9), &mut played.random);
        }
        played.breaker.state().name()
    };
    let three = DetectorConfig::consecutive(3);
    assert_eq!(weak(of(500, three), &[999]), "ramp");
    assert_eq!(weak(of(500, three), &[1000]), "open");
    assert_eq!(weak(of(501, three), &[1000]), "ramp", "a third is less than a half");
    assert_eq!(weak(of(501, three), &[1000, 500]), "open", "half of three");
}

#[test]
fn hints_and_reports_halve_what_is_needed_and_never_trip_alone() {
    let fail = |played: &mut Played, now| {
        let permit = played.breaker.admit(now).0;
        played.breaker.failed(permit, WHOLE, None, now, &mut played.random).is_some()
    };
    let mut reported = play(&[]);
    reported.breaker.suspect(true);
    assert!(reported.breaker.level(at(0)) < f64::EPSILON);
    assert!(!fail(&mut reported, at(1)));
    assert!((reported.breaker.level(at(1)) - 2.0 / 3.0).abs() < 1e-9);
    assert!((reported.breaker.own_level() - 1.0 / 3.0).abs() < 1e-9);
    assert!(fail(&mut reported, at(1)), "two of three");
    let mut over = play(&[]);
    over.breaker.suspect(true);
    over.breaker.suspect(false);
    assert!(!fail(&mut over, at(1)) && !fail(&mut over, at(1)));

    let mut armed = play(&[]);
    armed.breaker.arm(7.0, at(1));
    assert!(armed.breaker.level(at(1)) < f64::EPSILON, "none of its own");
    assert!(fail(&mut armed, at(10)), "hints and one failure");
    let mut stale = play(&[]);
    stale.breaker.arm(7.0, at(1));
    assert!(!fail(&mut stale, at(11)), "ten seconds later");
    let mut half = play(&[]);
    half.breaker.arm(0.5, at(1));
    assert!(!fail(&mut half, at(1)));
    assert!((half.breaker.level(at(1)) - 0.52).abs() < 1e-9, "{}", half.breaker.level(at(1)));
    let mut weak = play(&[]);
    weak.breaker.arm(7.0, at(1));
    let permit = weak.breaker.admit(at(1)).0;
    let change = weak.breaker.failed(permit, 400, None, at(1), &mut weak.random);
    assert_eq!(change, None, "less than half a failure is too little");
}

#[test]
fn the_trips_of_others_are_followed_for_as_long_as_they_last() {
    let mut played = play(&[]);
    let change = played.breaker.adopt_open(seconds(5), at(1)).unwrap();
    assert_eq!((change.to, change.wait, change.trips), ("open", seconds(5), 1));
    assert_eq!(played.breaker.state, State::Open { until: at(6) });
    assert_eq!((played.breaker.changed_at(), played.breaker.trips()), (at(1), 1));
    assert_eq!(played.breaker.adopt_open(seconds(5), at(2)), None, "it is open");
    let mut long = play(&[]);
    long.breaker.adopt_open(seconds(500), at(1));
    assert_eq!(long.breaker.state, State::Open { until: at(9) }, "no longer than its own");
    long.breaker.probe_now(at(3));
    assert_eq!(long.breaker.state, State::Open { until: at(3) });
    long.breaker.probe_now(at(4));
    assert_eq!(long.breaker.state, State::Open { until: at(3) }, "never later");
    let mut probing = play(&after(trip(), &[Wait(8), Admit]));
    assert_eq!(probing.breaker.adopt_open(seconds(5), at(8)), None, "its probe knows better");
}

#[test]
fn a_changed_target_starts_over_in_its_ramp() {
    let mut played = play(&trip());
    played.breaker.reconfigure(BreakerConfig { ramp_start_per_mille: 0, ..config() });
    let change = played.breaker.start_over(at(4));
    assert_eq!((change.from, change.to, change.trips), ("open", "ramp", 0));
    let ramp = State::Ramp { share_per_mille: 1, successes: 0, grown_at: at(4), active_at: at(4) };
    assert_eq!(played.breaker.state, ramp);
    assert_eq!((played.breaker.trips(), played.breaker.closed_since()), (0, None));
    assert_eq!(*played.breaker.detector(), Detector::default());
    assert_eq!(play(&[]).breaker.closed_since(), Some(at(0)));
}

#[test]
fn lost_probes_are_counted_until_one_delivers() {
    let lost = play(&after(trip(), &[Wait(8), Admit, Cancel, Admit, Cancel]));
    assert_eq!(lost.breaker.lost_probes(), 2);
    assert_eq!(lost.breaker.state, State::Open { until: at(8) });
    let found = play(&after(trip(), &[Wait(8), Admit, Cancel, Admit, Deliver]));
    assert_eq!(found.breaker.lost_probes(), 0);
    let ordinary = play(&[Admit, Cancel]);
    assert_eq!((ordinary.breaker.lost_probes(), ordinary.breaker.epoch()), (0, 0));
    let late = play(&after(vec![Admit], &after(trip(), &[Cancel])));
    assert_eq!(late.breaker.lost_probes(), 0, "no probe");
}

#[test]
fn health_checks_count_like_calls_where_nothing_is_shut() {
    let mut played = play(&[]);
    assert_eq!(played.breaker.proved_ill(at(1), &mut played.random), None);
    assert_eq!(played.breaker.proved_ill(at(1), &mut played.random), None);
    assert_eq!(played.breaker.proved_well(at(1)), None);
    assert!(played.breaker.own_level() < f64::EPSILON, "a good one between them");
    for _ in 0..2 {
        assert_eq!(played.breaker.proved_ill(at(1), &mut played.random), None);
    }
    assert_eq!(played.breaker.proved_ill(at(1), &mut played.random).unwrap().to, "open");
    let mut open = play(&trip());
    open.breaker.proved_ill(at(5), &mut open.random);
    assert_eq!(open.breaker.state, State::Open { until: at(13) }, "another wait");
}

#[test]
fn only_what_has_nothing_to_remember_is_forgotten() {
    assert!(play(&[]).breaker.is_forgettable());
    assert!(!play(&[Admit, Fail]).breaker.is_forgettable());
    assert!(play(&[Admit, Fail, Admit, Succeed]).breaker.is_forgettable());
    assert!(!play(&trip()).breaker.is_forgettable());
    let hundred = BreakerConfig { detector: DetectorConfig::consecutive(100), ..config() };
    let one = play_with(hundred, &[Admit, Fail]).breaker;
    assert!((one.own_level() - 0.01).abs() < f64::EPSILON && !one.is_forgettable());
}

#[test]
fn an_idle_ramp_closes_with_the_next_call_and_starts_afresh() {
    let idle = after(trip(), &[Wait(8), Admit, Deliver, Wait(599), Admit]);
    assert_eq!(play(&idle).breaker.state().name(), "ramp");
    let closed = play(&after(trip(), &[Wait(8), Admit, Deliver, Wait(600), Admit]));
    assert_eq!(closed.breaker.state, State::Closed { since: at(608) });
    assert_eq!(closed.breaker.closed_since(), Some(at(608)));
}
