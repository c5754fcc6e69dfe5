//! Answers that pause or trickle, and attempts beside each other.

use super::broken::{content, delivering, fail, next_start};
use super::*;

fn says(world: &mut World, call: &mut Call, attempt: AttemptId, flow: Flow) {
    call.handle(&mut world.fleet, Input::Content { attempt, flow, tokens: 1 }, world.now);
}

/// Answers of the first target with one pause in `flow`.
fn answers_with_a_pause(world: &mut World, flow: Flow, pause: Duration) {
    for _ in 0..20 {
        let (mut call, attempt) = delivering(world, Delivered::Text);
        says(world, &mut call, attempt, flow);
        world.now += pause;
        says(world, &mut call, attempt, flow);
        let ended = Input::Ended { attempt, output_tokens: 100 };
        call.handle(&mut world.fleet, ended, world.now);
        world.now += Duration::from_secs(1);
    }
}

#[test]
fn what_is_usual_for_a_target_is_no_stall() {
    let mut world = World::new(&["a", "b"]);
    answers_with_a_pause(&mut world, Flow::Text, Duration::from_millis(7_900));
    let (call, _) = delivering(&mut world, Delivered::Text);
    let limit = call.deadline().unwrap().since(world.now);
    assert!(limit > Duration::from_secs(10), "{limit:?}");
}

#[test]
fn thinking_that_usually_flows_may_pause_for_half_a_minute() {
    let mut world = World::new(&["a", "b"]);
    answers_with_a_pause(&mut world, Flow::Thinking, Duration::from_secs(2));
    let (mut call, attempt) = delivering(&mut world, Delivered::Thinking);
    says(&mut world, &mut call, attempt, Flow::Thinking);
    assert_eq!(call.deadline(), Some(world.now + Duration::from_secs(30)));
    // Arguments of tools have not been seen: they keep their time.
    says(&mut world, &mut call, attempt, Flow::Call);
    assert_eq!(call.deadline(), Some(world.now + Duration::from_secs(120)));
}

#[test]
fn a_trickle_is_a_stall_although_no_pause_is_too_long() {
    let mut world = World::new(&["a", "b"]);
    let (mut call, attempt) = delivering(&mut world, Delivered::Text);
    let begun = world.now;
    for _ in 0..3 {
        world.now += Duration::from_secs(5);
        says(&mut world, &mut call, attempt, Flow::Text);
    }
    assert_eq!(call.deadline(), Some(begun + Duration::from_secs(20)));
    world.now = begun + Duration::from_secs(20);
    call.handle(&mut world.fleet, Input::Tick, world.now);
    assert_eq!(call.next_command(), Some(Command::Cancel { attempt }));
    assert!(matches!(world.next(&mut call), Next::Started(AttemptId(2), 1)));
}

#[test]
fn a_trickle_is_better_than_nothing() {
    let mut world = World::new(&["a"]);
    let (mut call, attempt) = delivering(&mut world, Delivered::Text);
    for _ in 0..40 {
        world.now += Duration::from_secs(5);
        call.handle(&mut world.fleet, Input::Tick, world.now);
        says(&mut world, &mut call, attempt, Flow::Text);
    }
    assert_eq!(call.next_command(), None);
}

#[test]
fn a_late_attempt_with_another_beside_it_gets_half_a_minute() {
    let mut world = World::new(&["a", "b", "c"]);
    world.may_hedge = true;
    let begun = world.now;
    let mut call = world.begin();
    let Next::Started(first, 0) = world.next(&mut call) else { panic!() };
    call.handle(&mut world.fleet, Input::Connected { attempt: first }, world.now);
    let Next::Started(second, 1) = world.next(&mut call) else { panic!("a hedge") };
    call.handle(&mut world.fleet, Input::Connected { attempt: second }, world.now);
    assert_eq!(world.now, begun + Duration::from_secs(5));
    world.now = begun + Duration::from_secs(12);
    call.handle(&mut world.fleet, Input::Tick, world.now);
    assert_eq!(call.next_command(), None, "both may still answer");
    // The other one fails: now it keeps a third target waiting.
    fail(&mut world, &mut call, second, FailureCause::Malformed);
    assert!(matches!(world.next(&mut call), Next::Started(AttemptId(3), 2)));
    assert_eq!(world.now, begun + Duration::from_secs(12));
    assert_eq!(call.trail().first().and_then(|tried| tried.cause), Some(FailureCause::Silent));
}

#[test]
fn an_answer_that_goes_on_is_hedged_too() {
    let mut world = World::new(&["a", "b", "c"]);
    world.may_hedge = true;
    let (mut call, first) = delivering(&mut world, Delivered::Text);
    fail(&mut world, &mut call, first, FailureCause::Truncated);
    let (second, 1, How::Instructed) = next_start(&mut world, &mut call).unwrap() else { panic!() };
    call.handle(&mut world.fleet, Input::Connected { attempt: second }, world.now);
    let (third, 2, How::Instructed) = next_start(&mut world, &mut call).unwrap() else { panic!() };
    // One of them fails: the other one goes on, and nobody else is asked.
    fail(&mut world, &mut call, second, FailureCause::EmptyAnswer);
    assert_eq!(call.next_command(), None);
    content(&mut world, &mut call, third);
    assert_eq!(call.next_command(), Some(Command::Relay { attempt: third }));
    call.handle(&mut world.fleet, Input::Ended { attempt: third, output_tokens: 9 }, world.now);
    assert_eq!(world.next(&mut call), Next::Completed);
}

#[test]
fn who_speaks_although_it_is_not_certain_that_it_fits_is_not_hedged() {
    let mut world = World::new(&["a", "b", "c"]);
    world.may_hedge = true;
    let (mut call, first) = delivering(&mut world, Delivered::Text);
    fail(&mut world, &mut call, first, FailureCause::Truncated);
    let (second, ..) = next_start(&mut world, &mut call).unwrap();
    call.handle(&mut world.fleet, Input::Joining { attempt: second }, world.now);
    assert!(call.deadline() >= Some(world.now + Duration::from_secs(10)));
}
