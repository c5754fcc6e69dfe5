use std::format;
use std::vec::Vec;

use super::*;
use crate::cause::Unreachable;

const fn at(seconds: u64) -> Timestamp {
    Timestamp::from_nanos(seconds * 1_000_000_000)
}

fn spec(endpoint: &str, model: &str, key: &str) -> TargetSpec {
    TargetSpec {
        label: format!("{endpoint}/{model}").into(),
        endpoint: endpoint.into(),
        model: model.into(),
        key: key.into(),
    }
}

fn fail(fleet: &mut Fleet, target: TargetId, cause: FailureCause, now: Timestamp) {
    let permits = fleet.admit(target, 0, now).expect("a known target");
    fleet.failed(target, permits, cause, now);
}

#[test]
fn a_whole_answer_is_late_twice_as_late_as_a_first_token() {
    let spec =
        TargetSpec { label: "a".into(), endpoint: "a".into(), model: "a".into(), key: "a".into() };
    let mut fleet = Fleet::new(FleetConfig::default(), 1);
    let target = fleet.target(&spec, Timestamp::ZERO);
    for cell in fleet.serving.values_mut() {
        for kind in [crate::deadline::Kind::Stream, crate::deadline::Kind::Whole] {
            for _ in 0..50 {
                cell.latency.add(kind, 100, Duration::from_secs(1));
            }
        }
    }
    let limits = crate::deadline::Limits::default();
    let late = |kind| fleet.late_after(target, &limits, kind, 100).unwrap();
    assert_eq!(late(crate::deadline::Kind::Whole), 2 * late(crate::deadline::Kind::Stream));
}

#[test]
fn a_target_is_made_once() {
    let mut fleet = Fleet::new(FleetConfig::default(), 1);
    let one = fleet.target(&spec("e", "m", "k"), at(0));
    assert_eq!(fleet.target(&spec("e", "m", "k"), at(1)), one);
    assert_ne!(fleet.target(&spec("e", "m", "other"), at(1)), one);
}

#[test]
fn one_model_down_leaves_its_siblings_alone() {
    let mut fleet = Fleet::new(FleetConfig::default(), 1);
    let opus = fleet.target(&spec("e", "opus", "k"), at(0));
    let haiku = fleet.target(&spec("e", "haiku", "k"), at(0));
    for _ in 0..3 {
        fail(&mut fleet, opus, FailureCause::TargetError { status: 500 }, at(1));
    }
    assert_eq!(fleet.refusal(opus, at(1)).map(|r| r.cell), Some(CellKind::Serving));
    assert_eq!(fleet.refusal(haiku, at(1)), None);
}

#[test]
fn one_keys_rate_limit_leaves_other_keys_and_models_alone() {
    let mut fleet = Fleet::new(FleetConfig::default(), 1);
    let limited = fleet.target(&spec("e", "m", "k1"), at(0));
    let other_key = fleet.target(&spec("e", "m", "k2"), at(0));
    let other_model = fleet.target(&spec("e", "n", "k1"), at(0));
    let retry_after = Some(Duration::from_secs(7));
    fail(&mut fleet, limited, FailureCause::RateLimited { retry_after }, at(1));
    let refusal = Refusal { cell: CellKind::Capacity, retry_at: at(8) };
    assert_eq!(fleet.refusal(limited, at(1)), Some(refusal));
    assert_eq!(fleet.refusal(other_key, at(1)), None);
    assert_eq!(fleet.refusal(other_model, at(1)), None);
}

#[test]
fn money_that_is_gone_blocks_the_key_for_every_model() {
    let mut fleet = Fleet::new(FleetConfig::default(), 1);
    let one = fleet.target(&spec("e", "m", "k"), at(0));
    let other = fleet.target(&spec("e", "n", "k"), at(0));
    fail(&mut fleet, one, FailureCause::QuotaExhausted { retry_after: None }, at(1));
    assert_eq!(fleet.refusal(other, at(1)).map(|r| r.cell), Some(CellKind::Quota));
    assert!(!fleet.fitness(other, 0, at(1)).may_probe_early, "probing does not bring money back");
}

#[test]
fn a_vanished_model_is_blocked_for_longer_each_time() {
    let mut fleet = Fleet::new(FleetConfig::default(), 1);
    let target = fleet.target(&spec("e", "m", "k"), at(0));
    fail(&mut fleet, target, FailureCause::ModelGone, at(0));
    assert_eq!(fleet.refusal(target, at(0)).map(|r| r.retry_at), Some(at(60)));
    fail(&mut fleet, target, FailureCause::ModelGone, at(60));
    assert_eq!(fleet.refusal(target, at(60)).map(|r| r.retry_at), Some(at(300)));
}

#[test]
fn an_overloaded_target_gets_the_pause_it_asked_for() {
    let mut fleet = Fleet::new(FleetConfig::default(), 1);
    let target = fleet.target(&spec("e", "m", "k"), at(0));
    let retry_after = Some(Duration::from_secs(9));
    fail(&mut fleet, target, FailureCause::Overloaded { retry_after }, at(1));
    assert_eq!(fleet.refusal(target, at(1)).map(|r| r.retry_at), Some(at(10)));
    assert_eq!(fleet.report(at(1))[0].state, "closed", "one failure does not trip");
}

#[test]
fn a_health_check_reopens_an_endpoint_but_not_a_service() {
    let mut fleet = Fleet::new(FleetConfig::default(), 1);
    let target = fleet.target(&spec("e", "m", "k"), at(0));
    let endpoint: Arc<str> = "e".into();
    for _ in 0..3 {
        fail(&mut fleet, target, FailureCause::TargetError { status: 500 }, at(1));
    }
    fleet.health_checked(&endpoint, Health::Well, at(2));
    assert_eq!(fleet.refusal(target, at(2)).map(|r| r.cell), Some(CellKind::Serving));

    let other = fleet.target(&spec("e", "n", "k"), at(2));
    for _ in 0..2 {
        fail(&mut fleet, other, FailureCause::Unreachable(Unreachable::Tcp), at(2));
    }
    assert_eq!(fleet.refusal(other, at(2)).map(|r| r.cell), Some(CellKind::Endpoint));
    fleet.health_checked(&endpoint, Health::Well, at(3));
    assert_eq!(fleet.refusal(other, at(3)), None);
}

#[test]
fn two_failed_health_checks_take_an_endpoint_out() {
    let mut fleet = Fleet::new(FleetConfig::default(), 1);
    let target = fleet.target(&spec("e", "m", "k"), at(0));
    let endpoint: Arc<str> = "e".into();
    fleet.health_checked(&endpoint, Health::Ill, at(1));
    assert_eq!(fleet.refusal(target, at(1)), None, "one may be chance");
    fleet.health_checked(&endpoint, Health::Unclear, at(1));
    assert_eq!(fleet.refusal(target, at(1)), None, "no data is not bad news");
    fleet.health_checked(&endpoint, Health::Ill, at(2));
    assert_eq!(fleet.refusal(target, at(2)).map(|r| r.cell), Some(CellKind::Endpoint));
}

#[test]
fn every_endpoint_is_checked_in_its_interval_and_never_twice_at_once() {
    let mut fleet = Fleet::new(FleetConfig::default(), 1);
    for endpoint in ["e", "f"] {
        fleet.target(&spec(endpoint, "m", endpoint), at(0));
    }
    let mut checked = Vec::new();
    while let Ok(endpoint) = fleet.next_health_check(at(30)) {
        checked.push(endpoint);
    }
    checked.sort();
    assert_eq!(checked, ["e".into(), "f".into()]);
    for endpoint in &checked {
        fleet.health_checked(endpoint, Health::Well, at(31));
    }
    let Err(Some(next)) = fleet.next_health_check(at(31)) else { panic!() };
    assert!((27..=33).contains(&next.since(at(31)).as_secs()), "{next:?}");
}

#[test]
fn a_fleet_without_checks_says_so() {
    let health = HealthConfig { enabled: false, ..HealthConfig::default() };
    let mut fleet = Fleet::new(FleetConfig { health, ..FleetConfig::default() }, 1);
    fleet.target(&spec("e", "m", "k"), at(0));
    assert_eq!(fleet.next_health_check(at(100)), Err(None));
}

#[test]
fn targets_are_bounded_and_those_with_something_to_remember_stay() {
    let mut fleet = Fleet::new(FleetConfig::default(), 1);
    let sick = fleet.target(&spec("e", "sick", "k"), at(0));
    for _ in 0..3 {
        fail(&mut fleet, sick, FailureCause::Malformed, at(0));
    }
    for n in 0..TARGETS_MAX as u64 + 10 {
        fleet.target(&spec("e", &format!("m{n}"), "k"), at(1 + n / 1000));
    }
    assert!(fleet.targets.len() <= TARGETS_MAX);
    assert_eq!(fleet.ids.len(), fleet.targets.len());
    assert!(fleet.serving.len() <= fleet.targets.len());
    assert!(fleet.targets.contains_key(&sick));
}

#[test]
fn a_forgotten_target_is_refused_and_what_others_share_stays() {
    let mut fleet = Fleet::new(FleetConfig::default(), 1);
    let old = fleet.target(&spec("e", "m", "old"), at(0));
    let shared = fleet.target(&spec("e", "m", "new"), at(9));
    for n in 0..TARGETS_MAX as u64 {
        fleet.target(&spec(&format!("e{n}"), "m", &format!("k{n}")), at(1 + n / 1000));
    }
    assert_eq!(fleet.refusal(old, at(20)).map(|r| r.cell), Some(CellKind::Model));
    assert!(!fleet.fitness(old, 0, at(20)).may_probe_early, "not even in panic");
    assert!(matches!(fleet.standing(old, at(20)), Standing::Refused { .. }));
    assert_eq!(fleet.standing(shared, at(20)), Standing::Ready);
    assert!(fleet.admit(shared, 0, at(20)).is_some());
    assert!(fleet.endpoints.len() <= fleet.targets.len());
    assert!(fleet.keys.len() <= fleet.targets.len());
}

#[test]
fn names_that_clients_make_up_do_not_pile_up() {
    let mut fleet = Fleet::new(FleetConfig::default(), 1);
    for n in 0..FAMILIES_MAX as u64 + 5 {
        let target = fleet.target(&spec("e", &format!("m{n}"), "k"), at(n));
        fail(&mut fleet, target, FailureCause::ModelGone, at(n));
    }
    assert!(fleet.families.len() <= FAMILIES_MAX);
    for n in 0..TARGETS_MAX + 5 {
        fleet.take_turn(&format!("route{n}").into(), 0);
    }
    assert!(fleet.turns.len() <= TARGETS_MAX);
}

fn shut(fleet: &mut Fleet, name: &str) -> TargetId {
    let target = fleet.target(&spec(name, "m", name), at(0));
    for _ in 0..3 {
        fail(fleet, target, FailureCause::TargetError { status: 500 }, at(1));
    }
    target
}

#[test]
fn a_shut_target_that_no_call_probes_is_asked_something_tiny() {
    let mut fleet = Fleet::new(FleetConfig::default(), 1);
    let target = shut(&mut fleet, "e");
    let due = fleet.next_synthetic(at(1)).unwrap_err().unwrap();
    assert!((35..37).contains(&due.since(at(0)).as_secs()), "5 s open, 30 s alone: {due:?}");
    assert_eq!(fleet.next_synthetic(due), Ok(target));
    assert_eq!(fleet.next_synthetic(due), Err(None), "one at a time");
    fleet.probed(target, Some(Err(FailureCause::Silent)), due);
    assert_eq!(fleet.report_of(target, due).unwrap().state, "open");
    let again = fleet.next_synthetic(due).unwrap_err().unwrap();
    assert!(again >= due + Duration::from_secs(30), "paced");
    assert_eq!(fleet.next_synthetic(again), Ok(target));
    fleet.probed(target, None, again);
    assert_eq!(fleet.report_of(target, again).unwrap().state, "open", "nothing was proved");
    let third = fleet.next_synthetic(again).unwrap_err().unwrap();
    assert_eq!(fleet.next_synthetic(third), Ok(target));
    fleet.probed(target, Some(Ok(())), third);
    assert_eq!(fleet.report_of(target, third).unwrap().state, "ramp");
    assert_eq!(fleet.report_of(target, third).unwrap().under_way, 0);
}

#[test]
fn a_tiny_request_that_is_answered_proves_the_key_and_the_endpoint_as_well() {
    let mut fleet = Fleet::new(FleetConfig::default(), 1);
    let target = shut(&mut fleet, "e");
    for _ in 0..2 {
        fail(&mut fleet, target, FailureCause::Unreachable(Unreachable::Tcp), at(1));
    }
    let due = fleet.next_synthetic(at(40)).unwrap();
    assert!(fleet.report_of(target, at(40)).unwrap().is_probing);
    fleet.probed(due, Some(Ok(())), at(41));
    assert!(!fleet.report_of(target, at(41)).unwrap().is_probing, "no lease is left");
    assert_eq!(fleet.refusal(target, at(41)), None);
}

#[test]
fn tiny_requests_are_bounded_per_day() {
    let synthetic = SyntheticConfig { daily_max: 3, ..SyntheticConfig::default() };
    let mut fleet = Fleet::new(FleetConfig { synthetic, ..FleetConfig::default() }, 1);
    let target = shut(&mut fleet, "e");
    let mut probes = Vec::new();
    for second in 0..200_000 {
        if fleet.next_synthetic(at(second)) == Ok(target) {
            probes.push(second);
            fleet.probed(target, Some(Err(FailureCause::Silent)), at(second));
        }
    }
    assert_eq!(probes.len(), 9, "three on each of three days: {probes:?}");
    assert!(probes[3] >= 86_400 && probes[6] >= 172_800);
    let off = SyntheticConfig { enabled: false, ..SyntheticConfig::default() };
    fleet.reconfigure(FleetConfig { synthetic: off, ..FleetConfig::default() });
    assert_eq!(fleet.next_synthetic(at(300_000)), Err(None));
}

#[test]
fn a_fallback_that_nobody_asks_is_exercised_if_the_operator_wants_it() {
    let mut fleet = Fleet::new(FleetConfig::default(), 1);
    let target = fleet.target(&spec("e", "m", "k"), at(0));
    assert_eq!(fleet.next_synthetic(at(90_000)), Err(None), "it costs money: not by default");
    let exercise = Some(Duration::from_secs(900));
    let synthetic = SyntheticConfig { exercise, ..SyntheticConfig::default() };
    fleet.reconfigure(FleetConfig { synthetic, ..FleetConfig::default() });
    fail(&mut fleet, target, FailureCause::Malformed, at(100));
    assert_eq!(fleet.next_synthetic(at(100)), Err(Some(at(1_000))), "15 min after it was asked");
    let evidence = |fleet: &Fleet, now| fleet.report_of(target, now).unwrap().evidence;
    let before = evidence(&fleet, at(100));
    assert_eq!(fleet.next_synthetic(at(1_000)), Ok(target));
    fleet.probed(target, Some(Err(FailureCause::Malformed)), at(1_000));
    let added = evidence(&fleet, at(1_000)) - before * (-0.5_f64).exp();
    assert!((added / before - 0.5).abs() < 0.1, "half a failure: {added} beside {before}");
    assert_eq!(fleet.next_synthetic(at(1_000)), Err(Some(at(1_900))));
}

#[test]
fn events_that_nobody_collects_do_not_pile_up() {
    let mut fleet = Fleet::new(FleetConfig::default(), 1);
    for call in 0..EVENTS_MAX as u64 + 5 {
        fleet.emit(Event::RetryRefused { call });
    }
    assert_eq!(fleet.events.len(), EVENTS_MAX);
    assert_eq!(fleet.next_event(), Some(Event::RetryRefused { call: 5 }));
}

#[test]
fn a_reset_forgets_what_speaks_against_a_target_and_lets_its_traffic_back_in_steps() {
    let mut fleet = Fleet::new(FleetConfig::default(), 1);
    let target = fleet.target(&spec("e", "m", "k"), at(0));
    for _ in 0..3 {
        fail(&mut fleet, target, FailureCause::TargetError { status: 500 }, at(1));
    }
    fail(&mut fleet, target, FailureCause::QuotaExhausted { retry_after: None }, at(1));
    fail(&mut fleet, target, FailureCause::RateLimited { retry_after: None }, at(1));
    fail(&mut fleet, target, FailureCause::Unreachable(Unreachable::TimedOut), at(1));
    fail(&mut fleet, target, FailureCause::Unreachable(Unreachable::TimedOut), at(1));
    fleet.force("e/m", Some(crate::breaker::Forced::Drain), at(1)).unwrap();
    assert!(fleet.refusal(target, at(2)).is_some());

    fleet.reset("e/m", at(2)).unwrap();
    assert_eq!(fleet.refusal(target, at(2)), None);
    let report = fleet.report_of(target, at(2)).unwrap();
    assert_eq!((report.state, report.share_per_mille), ("ramp", Some(100)));
    assert_eq!(report.last_failure, None);
    assert_eq!(fleet.reset("e/other", at(2)), Err(Unknown));
}

#[test]
fn a_target_near_its_rate_limit_is_left_before_it_refuses() {
    let mut fleet = Fleet::new(FleetConfig::default(), 1);
    let near = fleet.target(&spec("a", "m", "a"), at(0));
    let far = fleet.target(&spec("b", "m", "b"), at(0));
    let left = Left {
        unit: crate::headroom::Unit::Requests,
        limit: Some(60),
        remaining: 3,
        renews_in: Duration::from_secs(20),
    };
    fleet.headroom(near, &left, at(0));
    let tier = |target| crate::target::Tier {
        targets: alloc::vec![(target, 1)],
        order: crate::target::TierOrder::Weighted,
    };
    let ask = Ask::new(
        "chat",
        alloc::vec![tier(near), tier(far)],
        crate::deadline::Limits::default(),
        crate::deadline::Kind::Stream,
    );
    let mut asked = |now| match fleet.begin(&ask, now).next_command() {
        Some(crate::call::Command::Start { target, .. }) => target,
        other => panic!("{other:?}"),
    };
    assert_eq!(asked(at(1)), far, "three of sixty are left");
    assert_eq!(asked(at(21)), near, "the limit was renewed");
}
