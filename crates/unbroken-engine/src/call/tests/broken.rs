//! Answers that break after their first content.

use super::*;
use crate::resume::{CONTINUATIONS_MAX, PREFIX_REFUSED_FOR};

const CUT: FailureCause = FailureCause::Truncated;

/// Starts of a call, with how they were asked.
pub(super) fn next_start(world: &mut World, call: &mut Call) -> Option<(AttemptId, usize, How)> {
    for _ in 0..1000 {
        match call.next_command() {
            Some(Command::Start { attempt, target, how }) => {
                let place = world.targets.iter().position(|t| *t == target).unwrap();
                return Some((attempt, place, how));
            }
            Some(Command::Fail(_) | Command::Complete { .. }) => return None,
            Some(Command::Relay { .. } | Command::Cancel { .. }) => {}
            None if call.is_over() => return None,
            None => {
                world.now = world.now.max(call.deadline().unwrap());
                call.handle(&mut world.fleet, Input::Tick, world.now);
            }
        }
    }
    panic!("the call does not end");
}

pub(super) fn content(world: &mut World, call: &mut Call, attempt: AttemptId) {
    call.handle(
        &mut world.fleet,
        Input::Content { attempt, flow: Flow::Text, tokens: 1 },
        world.now,
    );
}

pub(super) fn fail(world: &mut World, call: &mut Call, attempt: AttemptId, cause: FailureCause) {
    call.handle(&mut world.fleet, Input::Failed { attempt, cause }, world.now);
}

/// A call whose first attempt has delivered.
pub(super) fn delivering(world: &mut World, delivered: Delivered) -> (Call, AttemptId) {
    let mut call = world.begin();
    let (attempt, _, how) = next_start(world, &mut call).unwrap();
    assert_eq!(how, How::Fresh);
    content(world, &mut call, attempt);
    assert_eq!(call.next_command(), Some(Command::Relay { attempt }));
    call.handle(&mut world.fleet, Input::Delivered(delivered), world.now);
    (call, attempt)
}

#[test]
fn a_broken_answer_goes_on_elsewhere_as_what_was_delivered_allows() {
    for (delivered, takes_prefix, expected) in [
        (Delivered::Nothing, true, Some(How::Fresh)),
        (Delivered::Thinking, true, Some(How::Restart)),
        (Delivered::Text, true, Some(How::Prefix)),
        (Delivered::Text, false, Some(How::Instructed)),
        (Delivered::Json, true, Some(How::Prefix)),
        (Delivered::Json, false, Some(How::Restart)),
        (Delivered::Refusal, true, None),
        (Delivered::Calls, true, None),
        (Delivered::Sealed, true, None),
    ] {
        let mut world = World::new(&["a", "b"]);
        world.prefix = if takes_prefix { vec![0, 1] } else { vec![] };
        let (mut call, attempt) = delivering(&mut world, delivered);
        fail(&mut world, &mut call, attempt, CUT);
        if let Some(how) = expected {
            let next = next_start(&mut world, &mut call);
            assert_eq!(next, Some((AttemptId(2), 1, how)), "{delivered:?}");
        } else {
            let broken = Failure::Broken { attempt, cause: CUT };
            assert_eq!(world.next(&mut call), Next::Failed(broken), "{delivered:?}");
            assert_eq!(world.outcome(), Outcome::Broken);
        }
    }
}

#[test]
fn an_answer_that_goes_on_is_one_answer_and_its_seam_is_reported() {
    let mut world = World::new(&["a", "b"]);
    let (mut call, first) = delivering(&mut world, Delivered::Text);
    fail(&mut world, &mut call, first, CUT);
    let (second, 1, How::Instructed) = next_start(&mut world, &mut call).unwrap() else { panic!() };
    world.now += Duration::from_millis(300);
    content(&mut world, &mut call, second);
    assert_eq!(call.next_command(), Some(Command::Relay { attempt: second }));
    call.handle(&mut world.fleet, Input::Ended { attempt: second, output_tokens: 9 }, world.now);
    assert_eq!(world.next(&mut call), Next::Completed);
    let events = world.events();
    let of_seam =
        |event: &&Event| matches!(event, Event::StreamBroke { .. } | Event::StreamContinued { .. });
    let seam: Vec<&Event> = events.iter().filter(of_seam).collect();
    let (call, delivered) = (1, Delivered::Text);
    let labels: Vec<Arc<str>> =
        world.targets.iter().map(|t| world.fleet.spec(*t).unwrap().label.clone()).collect();
    let expected = [
        Event::StreamBroke { call, attempt: 1, target: labels[0].clone(), cause: CUT, delivered },
        Event::StreamContinued {
            call,
            attempt: 2,
            target: labels[1].clone(),
            how: How::Instructed,
            gap: Duration::from_millis(300),
        },
    ];
    assert_eq!(seam, expected.iter().collect::<Vec<_>>());
    let last = events.last();
    assert!(matches!(last, Some(Event::CallEnded { outcome: Outcome::Rescued, .. })), "{last:?}");
}

#[test]
fn a_beginning_that_is_refused_is_put_another_way_and_the_fleet_remembers() {
    let mut world = World::new(&["a", "b"]);
    world.prefix = vec![0, 1];
    let (mut call, first) = delivering(&mut world, Delivered::Text);
    fail(&mut world, &mut call, first, CUT);
    let (second, _, how) = next_start(&mut world, &mut call).unwrap();
    assert_eq!(how, How::Prefix);
    fail(&mut world, &mut call, second, FailureCause::PrefixRefused);
    let third = next_start(&mut world, &mut call);
    assert_eq!(third, Some((AttemptId(3), 1, How::Instructed)), "the same target, at once");
    call.handle(&mut world.fleet, Input::ClientGone, world.now);
    let again = |world: &mut World| {
        let (mut call, attempt) = delivering(world, Delivered::Text);
        fail(world, &mut call, attempt, CUT);
        let (_, place, how) = next_start(world, &mut call).unwrap();
        call.handle(&mut world.fleet, Input::ClientGone, world.now);
        (place, how)
    };
    assert_eq!(again(&mut world), (1, How::Instructed));
    world.now += PREFIX_REFUSED_FOR;
    assert_eq!(again(&mut world), (1, How::Prefix), "a day later it is tried again");
}

#[test]
fn whatever_the_next_targets_say_the_client_hears_of_the_break_only() {
    for cause in FailureCause::ALL.iter().copied().filter(|c| c.remedy() != Remedy::Resend) {
        let mut world = World::new(&["a", "b", "c"]);
        let (mut call, first) = delivering(&mut world, Delivered::Text);
        fail(&mut world, &mut call, first, FailureCause::Unjoinable);
        let (second, 1, _) = next_start(&mut world, &mut call).unwrap() else {
            panic!("{cause:?}")
        };
        fail(&mut world, &mut call, second, cause);
        let (third, 2, _) = next_start(&mut world, &mut call).unwrap() else { panic!("{cause:?}") };
        content(&mut world, &mut call, third);
        call.handle(&mut world.fleet, Input::Ended { attempt: third, output_tokens: 1 }, world.now);
        assert_eq!(world.next(&mut call), Next::Completed, "{cause:?}");
        let mut world = World::new(&["a", "b"]);
        let (mut call, first) = delivering(&mut world, Delivered::Text);
        fail(&mut world, &mut call, first, CUT);
        while let Some((attempt, ..)) = next_start(&mut world, &mut call) {
            fail(&mut world, &mut call, attempt, cause);
        }
        assert_eq!(world.outcome(), Outcome::Broken, "{cause:?}");
    }
}

#[test]
fn an_answer_is_continued_twice_at_most() {
    let mut world = World::new(&["a", "b", "c", "d"]);
    let (mut call, first) = delivering(&mut world, Delivered::Text);
    let mut attempt = first;
    for _ in 0..CONTINUATIONS_MAX {
        fail(&mut world, &mut call, attempt, CUT);
        attempt = next_start(&mut world, &mut call).unwrap().0;
        content(&mut world, &mut call, attempt);
    }
    fail(&mut world, &mut call, attempt, CUT);
    assert_eq!(world.next(&mut call), Next::Failed(Failure::Broken { attempt, cause: CUT }));
}

#[test]
fn the_broken_target_goes_on_itself_only_when_nobody_else_is_left() {
    let mut world = World::new(&["a"]);
    for cause in [CUT, FailureCause::Stalled, FailureCause::Malformed] {
        let (mut call, attempt) = delivering(&mut world, Delivered::Text);
        fail(&mut world, &mut call, attempt, cause);
        let next = next_start(&mut world, &mut call);
        assert_eq!(next, Some((AttemptId(2), 0, How::Instructed)), "{cause:?}");
        call.handle(&mut world.fleet, Input::ClientGone, world.now);
        world = World::new(&["a"]);
    }
}

#[test]
fn nothing_goes_on_that_must_not() {
    let mut off = World::new(&["a", "b"]);
    off.continues = false;
    let mut effectful = World::new(&["a", "b"]);
    effectful.effect = Effect::Effectful;
    for mut world in [off, effectful] {
        let (mut call, attempt) = delivering(&mut world, Delivered::Text);
        fail(&mut world, &mut call, attempt, CUT);
        assert_eq!(world.next(&mut call), Next::Failed(Failure::Broken { attempt, cause: CUT }));
    }
}

#[test]
fn an_answer_that_has_all_its_tokens_is_complete_although_it_broke() {
    let mut world = World::new(&["a", "b"]);
    let (mut call, attempt) = delivering(&mut world, Delivered::Full);
    fail(&mut world, &mut call, attempt, CUT);
    assert_eq!(world.next(&mut call), Next::Completed);
    assert!(call.is_over() && call.deadline().is_none());
}

#[test]
fn text_may_pause_for_seconds_and_thinking_and_calls_for_minutes() {
    for (flow, limit) in [(Flow::Text, 8), (Flow::Thinking, 120), (Flow::Call, 120)] {
        let mut world = World::new(&["a", "b"]);
        let (mut call, attempt) = delivering(&mut world, Delivered::Text);
        call.handle(&mut world.fleet, Input::Content { attempt, flow, tokens: 1 }, world.now);
        let ends = world.now + Duration::from_secs(limit);
        world.now += Duration::from_secs(limit - 1);
        call.handle(&mut world.fleet, Input::Alive { attempt }, world.now);
        assert_eq!(call.deadline(), Some(ends), "{flow:?}: pings are life, not progress");
        world.now = ends;
        call.handle(&mut world.fleet, Input::Tick, world.now);
        assert_eq!(call.next_command(), Some(Command::Cancel { attempt }));
        assert!(matches!(world.next(&mut call), Next::Started(AttemptId(2), 1)), "{flow:?}");
    }
}

#[test]
fn where_nobody_else_could_go_on_a_slow_answer_gets_its_time() {
    let mut world = World::new(&["a"]);
    let (mut call, attempt) = delivering(&mut world, Delivered::Text);
    assert_eq!(call.deadline(), Some(world.now + Duration::from_secs(45)));
    let begun = world.now;
    for _ in 0..8 {
        world.now += Duration::from_secs(14);
        call.handle(&mut world.fleet, Input::Alive { attempt }, world.now);
    }
    assert_eq!(call.deadline(), Some(begun + Duration::from_secs(120)));
}

#[test]
fn a_finish_without_the_protocols_last_event_is_an_end() {
    let mut world = World::new(&["a", "b"]);
    let (mut call, attempt) = delivering(&mut world, Delivered::Text);
    call.handle(&mut world.fleet, Input::Finishing { attempt }, world.now);
    assert_eq!(call.deadline(), Some(world.now + LAST_EVENT_WAIT));
    assert_eq!(world.next(&mut call), Next::Completed);
    assert_eq!(world.outcome(), Outcome::Answered);
}

#[test]
fn a_call_behind_a_finish_is_waited_for() {
    let mut world = World::new(&["a", "b"]);
    let (mut call, attempt) = delivering(&mut world, Delivered::Calls);
    call.handle(&mut world.fleet, Input::Finishing { attempt }, world.now);
    call.handle(
        &mut world.fleet,
        Input::Content { attempt, flow: Flow::Call, tokens: 1 },
        world.now,
    );
    assert!(call.deadline() > Some(world.now + LAST_EVENT_WAIT));
    assert_eq!(call.next_command(), None);
}

#[test]
fn a_stall_is_waited_for_while_everybody_else_is_shut() {
    let mut world = World::new(&["a", "b"]);
    let limited = FailureCause::RateLimited { retry_after: Some(Duration::from_secs(100)) };
    for _ in 0..2 {
        let mut call = world.begin();
        let (attempt, ..) = next_start(&mut world, &mut call).unwrap();
        fail(&mut world, &mut call, attempt, CUT);
        let Some((attempt, 1, _)) = next_start(&mut world, &mut call) else { break };
        fail(&mut world, &mut call, attempt, limited);
        call.handle(&mut world.fleet, Input::ClientGone, world.now);
    }
    let begun = world.now;
    let (mut call, attempt) = delivering(&mut world, Delivered::Text);
    assert_eq!(call.deadline(), Some(begun + Duration::from_secs(8)));
    world.now += Duration::from_secs(8);
    call.handle(&mut world.fleet, Input::Tick, world.now);
    assert_eq!(
        (call.next_command(), call.deadline()),
        (None, Some(begun + Duration::from_secs(45)))
    );
    world.now = begun + Duration::from_secs(45);
    call.handle(&mut world.fleet, Input::Tick, world.now);
    assert_eq!(call.next_command(), Some(Command::Cancel { attempt }));
}

#[test]
fn after_silence_the_answer_is_asked_for_anew() {
    let mut world = World::new(&["a", "b"]);
    let (mut call, first) = delivering(&mut world, Delivered::Text);
    fail(&mut world, &mut call, first, CUT);
    let (second, _, how) = next_start(&mut world, &mut call).unwrap();
    assert_eq!(how, How::Instructed);
    fail(&mut world, &mut call, second, FailureCause::EmptyAnswer);
    let (_, _, how) = next_start(&mut world, &mut call).unwrap();
    assert_eq!(how, How::Restart);
}
