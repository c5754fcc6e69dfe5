//! Answers that their provider stores.

use super::broken::{content, fail, next_start};
use super::*;
use crate::resume::PICKUPS_MAX;

/// A call of which the first target stores the answer.
fn stored(world: &mut World) -> (Call, AttemptId) {
    world.effect = Effect::Effectful;
    let mut call = world.begin();
    let (attempt, 0, How::Fresh) = next_start(world, &mut call).unwrap() else { panic!() };
    call.handle(&mut world.fleet, Input::Connected { attempt }, world.now);
    call.handle(&mut world.fleet, Input::Stored { attempt }, world.now);
    (call, attempt)
}

#[test]
fn a_stored_answer_is_picked_up_where_it_is_stored_and_nowhere_else() {
    for begins in [true, false] {
        let mut world = World::new(&["a", "b"]);
        let (mut call, first) = stored(&mut world);
        if begins {
            content(&mut world, &mut call, first);
            let text = Input::Delivered(Delivered::Sealed);
            call.handle(&mut world.fleet, text, world.now);
        }
        let mut attempt = first;
        for _ in 0..2 {
            fail(&mut world, &mut call, attempt, FailureCause::Truncated);
            let next = next_start(&mut world, &mut call);
            let Some((next, 0, How::PickedUp)) = next else { panic!("{begins}: {next:?}") };
            attempt = next;
        }
        content(&mut world, &mut call, attempt);
        call.handle(&mut world.fleet, Input::Ended { attempt, output_tokens: 9 }, world.now);
        assert_eq!(world.next(&mut call), Next::Completed, "{begins}");
    }
}

#[test]
fn it_is_not_asked_for_without_end_and_the_client_hears_of_the_break() {
    for begins in [true, false] {
        let mut world = World::new(&["a", "b"]);
        world.fleet.config.breaker.detector = crate::detector::DetectorConfig::consecutive(99);
        let (mut call, mut attempt) = stored(&mut world);
        if begins {
            content(&mut world, &mut call, attempt);
        }
        let mut asked = 0;
        loop {
            fail(&mut world, &mut call, attempt, FailureCause::ConnectionLost);
            let Some((next, 0, _)) = next_start(&mut world, &mut call) else { break };
            (attempt, asked) = (next, asked + 1);
        }
        assert!((1..=PICKUPS_MAX).contains(&asked), "{begins}: {asked}");
        let outcome = if begins { Outcome::Broken } else { Outcome::Failed };
        assert_eq!(world.outcome(), outcome);
    }
}

#[test]
fn an_answer_that_failed_itself_is_not_picked_up() {
    let mut world = World::new(&["a", "b"]);
    let (mut call, attempt) = stored(&mut world);
    content(&mut world, &mut call, attempt);
    let cause = FailureCause::TargetError { status: 500 };
    fail(&mut world, &mut call, attempt, cause);
    assert_eq!(world.next(&mut call), Next::Failed(Failure::Broken { attempt, cause }));
}

#[test]
fn what_is_not_known_to_be_stored_is_not_picked_up() {
    let mut world = World::new(&["a", "b"]);
    world.effect = Effect::Effectful;
    let mut call = world.begin();
    let (attempt, ..) = next_start(&mut world, &mut call).unwrap();
    fail(&mut world, &mut call, attempt, FailureCause::Truncated);
    assert!(matches!(world.next(&mut call), Next::Failed(Failure::Exhausted { .. })));
}

#[test]
fn a_stored_answer_that_stalls_is_picked_up_even_if_nobody_else_is_there() {
    let mut world = World::new(&["a"]);
    let (mut call, attempt) = stored(&mut world);
    content(&mut world, &mut call, attempt);
    assert_eq!(call.deadline(), Some(world.now + Duration::from_secs(8)));
    let next = next_start(&mut world, &mut call);
    assert_eq!(next, Some((AttemptId(2), 0, How::PickedUp)));
    assert_eq!(call.trail()[0].cause, Some(FailureCause::Stalled));
}
