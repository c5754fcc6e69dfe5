use super::*;

fn names(target: &str) -> Names {
    let (endpoint, model) = target.split_once('/').unwrap();
    Names {
        target: target.to_owned(),
        model: model.to_owned(),
        endpoint: format!("https://{endpoint}"),
        key: endpoint.to_owned(),
    }
}

const fn change(from: &'static str, to: &'static str) -> Change {
    Change { from, to, wait: Duration::from_secs(5), trips: 1 }
}

const OVERLOADED: FailureCause = FailureCause::Overloaded { retry_after: None };

fn lines(incident: &Incident) -> Vec<(u64, &str)> {
    incident.timeline.iter().map(|line| (line.at_ms, line.text.as_str())).collect()
}

#[test]
fn an_outage_is_told_from_its_first_failure_to_its_end() {
    let mut incidents = Incidents::default();
    incidents.failed(names("a/m"), OVERLOADED, 900);
    incidents.answered("a/m");
    for at in [1_000, 1_200, 1_500] {
        incidents.failed(names("a/m"), OVERLOADED, at);
    }
    let failed = ChangeReason::Failed(OVERLOADED);
    incidents.breaker_changed(CellKind::Serving, "a/m", &change("closed", "open"), failed, 1_500);
    incidents.moved("a/m", "b/m");
    incidents.moved("a/m", "b/m");
    incidents.client_failed("a/m");
    let probing = ChangeReason::Probing;
    incidents.breaker_changed(
        CellKind::Serving,
        "a/m",
        &change("open", "half_open"),
        probing,
        6_500,
    );
    incidents.failed(names("a/m"), OVERLOADED, 6_600);
    incidents.breaker_changed(
        CellKind::Serving,
        "a/m",
        &change("half_open", "open"),
        failed,
        6_600,
    );
    let well = ChangeReason::Delivered;
    incidents.breaker_changed(CellKind::Serving, "a/m", &change("half_open", "ramp"), well, 12_000);
    incidents.breaker_changed(CellKind::Serving, "a/m", &change("ramp", "closed"), well, 21_000);

    let told = incidents.newest_first(22_000).remove(0);
    assert_eq!((told.began_ms, told.detected_ms, told.ended_ms), (1_000, 1_500, Some(21_000)));
    assert_eq!((told.victims, told.client_failures), (4, 1));
    assert_eq!(told.moved, BTreeMap::from([("b/m".to_owned(), 2)]));
    assert_eq!(
        lines(&told),
        [
            (1_000, "the first failure: it is overloaded"),
            (1_500, "traffic is kept off for 5.0 s: it is overloaded"),
            (6_500, "one call tries it"),
            (6_600, "off for another 5.0 s: it is overloaded"),
            (12_000, "its traffic comes back in steps: it answers"),
            (21_000, "over after 20 s: it answers"),
        ]
    );
}

#[test]
fn a_block_ends_by_itself_and_one_that_comes_back_soon_is_the_same_incident() {
    let mut incidents = Incidents::default();
    let cause = FailureCause::RateLimited { retry_after: None };
    let block = |incidents: &mut Incidents, at| {
        incidents.failed(names("a/m"), cause, at);
        incidents.blocked(CellKind::Capacity, "a/m", Duration::from_secs(2), cause, at);
    };
    block(&mut incidents, 1_000);
    assert_eq!(incidents.newest_first(2_999)[0].ended_ms, None);
    assert_eq!(incidents.newest_first(3_000)[0].ended_ms, Some(3_000));
    block(&mut incidents, 30_000);
    assert_eq!(incidents.newest_first(30_000).len(), 1);
    assert_eq!(incidents.newest_first(30_000)[0].ended_ms, None);
    block(&mut incidents, 200_000);
    assert_eq!(incidents.newest_first(200_000).len(), 2);
}

#[test]
fn an_endpoints_incident_counts_the_failures_of_all_its_models() {
    let mut incidents = Incidents::default();
    incidents.failed(names("a/m"), FailureCause::ConnectionLost, 1_000);
    incidents.failed(names("a/n"), FailureCause::ConnectionLost, 1_100);
    incidents.failed(names("b/m"), FailureCause::ConnectionLost, 1_100);
    let failed = ChangeReason::Failed(FailureCause::ConnectionLost);
    let opens = change("closed", "open");
    incidents.breaker_changed(CellKind::Endpoint, "https://a", &opens, failed, 1_200);
    let told = incidents.newest_first(2_000).remove(0);
    assert_eq!((told.victims, told.began_ms), (2, 1_000));
}

#[test]
fn stories_and_their_number_are_bounded() {
    let mut incidents = Incidents::default();
    let reason = ChangeReason::Operator;
    for number in 0..300 {
        let name = format!("a/{number}");
        incidents.breaker_changed(CellKind::Serving, &name, &change("closed", "open"), reason, 0);
    }
    for _ in 0..300 {
        let name = "a/299";
        incidents.breaker_changed(CellKind::Serving, name, &change("half_open", "open"), reason, 1);
    }
    let all = incidents.newest_first(2);
    assert_eq!(all.len(), INCIDENTS_MAX);
    assert_eq!(all[0].timeline.len(), LINES_MAX);
    assert_eq!(all[0].timeline[0].at_ms, 0, "the beginning stays");
}

#[test]
fn a_target_that_goes_slow_and_then_trips_has_one_incident() {
    let mut incidents = Incidents::default();
    incidents.slowness_changed("a/m", true, 1_000);
    incidents.failed(names("a/m"), OVERLOADED, 2_000);
    let failed = ChangeReason::Failed(OVERLOADED);
    incidents.breaker_changed(CellKind::Serving, "a/m", &change("closed", "open"), failed, 3_000);
    incidents.slowness_changed("a/m", true, 3_500);
    let told = incidents.newest_first(4_000);
    assert_eq!((told.len(), told[0].cell, told[0].began_ms), (1, "serving", 1_000));
    assert_eq!(told[0].words, "it is overloaded");

    let well = ChangeReason::Delivered;
    incidents.breaker_changed(CellKind::Serving, "a/m", &change("ramp", "closed"), well, 9_000);
    let told = incidents.newest_first(9_000).remove(0);
    assert_eq!((told.cell, told.ended_ms), ("slowness", None), "it is still slow");
    incidents.slowness_changed("a/m", false, 11_000);
    let told = incidents.newest_first(12_000);
    assert_eq!((told.len(), told[0].ended_ms), (1, Some(11_000)));
}

#[test]
fn a_shut_target_that_is_quick_again_is_still_shut() {
    let mut incidents = Incidents::default();
    let failed = ChangeReason::Failed(OVERLOADED);
    incidents.slowness_changed("a/m", true, 1_000);
    incidents.breaker_changed(CellKind::Serving, "a/m", &change("closed", "open"), failed, 2_000);
    incidents.slowness_changed("a/m", false, 3_000);
    let told = incidents.newest_first(4_000).remove(0);
    assert_eq!((told.cell, told.ended_ms), ("serving", None));
    let well = ChangeReason::Delivered;
    incidents.breaker_changed(CellKind::Serving, "a/m", &change("ramp", "closed"), well, 5_000);
    assert_eq!(incidents.newest_first(6_000)[0].ended_ms, Some(5_000));
}
