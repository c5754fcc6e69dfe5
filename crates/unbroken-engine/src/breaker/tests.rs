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
