//! Streams of answers that their provider stores: what broke is picked up there, byte for byte.

use unbroken::providers::OPENAI_RESPONSES_COMPATIBLE;
use unbroken_drill::fault::{CutKind, Fault};
use unbroken_wire::dialects::OPENAI_RESPONSES;

use crate::seams::{World, faults, judged, whole, with, words};

const BACKGROUND: &str = r#","background":true,"store":true"#;

async fn world() -> World {
    World::new(&OPENAI_RESPONSES_COMPATIBLE, &OPENAI_RESPONSES_COMPATIBLE).await
}

fn outcomes(world: &World) -> Vec<String> {
    world.first.journal().into_iter().map(|entry| entry.outcome).collect()
}

/// The events, without signs of life and the trail.
fn events(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let blocks = text.split_inclusive("\n\n").filter(|block| !block.starts_with(':'));
    blocks.map(ToOwned::to_owned).collect()
}

#[tokio::test]
async fn a_stored_answer_goes_on_at_its_very_event() {
    let body = with(&OPENAI_RESPONSES, "Count", BACKGROUND);
    let (_, uncut) = world().await.ask(&OPENAI_RESPONSES, &body).await;
    let uncut = events(&uncut);
    for after in [1, 20, 60] {
        let breaks = faults(after).into_iter();
        // What is an error of the answer itself is none of its stream.
        for fault in breaks.filter(|fault| !matches!(fault, Fault::ErrorEvent { .. })) {
            let world = world().await;
            world.first.fault(fault);
            let case = format!("{fault:?}");
            let (status, bytes) = world.ask(&OPENAI_RESPONSES, &body).await;
            assert_eq!(status, 200, "{case}");
            assert_eq!(whole(&OPENAI_RESPONSES, &bytes, &case).text, words(), "{case}");
            assert_eq!(events(&bytes), uncut, "{case}");
            assert_eq!(outcomes(&world).last().map(String::as_str), Some("picked_up"), "{case}");
            assert_eq!(world.second.journal().len(), 0, "{case}: it is nobody else's to give");
        }
    }
}

#[tokio::test]
async fn calls_of_a_stored_answer_come_once_and_whole() {
    let tools = r#","tools":[{"type":"function","name":"weather","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}]"#;
    let body = with(&OPENAI_RESPONSES, "call weather", &format!("{BACKGROUND}{tools}"));
    let (_, uncut) = world().await.ask(&OPENAI_RESPONSES, &body).await;
    for after_words in [1, 2, 3] {
        let world = world().await;
        let how = CutKind::Reset;
        world.first.fault(Fault::CutStream { after_words, how, inside_event: true });
        let (_, bytes) = world.ask(&OPENAI_RESPONSES, &body).await;
        let verdict = whole(&OPENAI_RESPONSES, &bytes, "calls");
        assert_eq!(verdict.calls.len(), 1, "after {after_words}");
        assert_eq!(events(&bytes), events(&uncut), "after {after_words}");
    }
}

#[tokio::test]
async fn what_the_client_did_not_ask_to_be_stored_is_not_stored() {
    let world = world().await;
    world.first.fault(Fault::CutStream {
        after_words: 20,
        how: CutKind::Reset,
        inside_event: false,
    });
    let body = with(&OPENAI_RESPONSES, "Count", "");
    let (_, bytes) = world.ask(&OPENAI_RESPONSES, &body).await;
    assert_eq!(whole(&OPENAI_RESPONSES, &bytes, "elsewhere").text, words());
    assert_eq!((outcomes(&world).len(), world.second.journal().len()), (1, 1));
}

#[tokio::test]
async fn an_answer_that_failed_is_an_honest_error_and_blames_no_other() {
    let world = world().await;
    world.first.fault(Fault::ErrorEvent { after_words: 20 });
    let body = with(&OPENAI_RESPONSES, "Count", BACKGROUND);
    let (_, bytes) = world.ask(&OPENAI_RESPONSES, &body).await;
    let verdict = judged(&OPENAI_RESPONSES, &bytes, "failed");
    assert!(verdict.is_error && !verdict.is_whole, "{verdict:?}");
    assert_eq!((outcomes(&world).len(), world.second.journal().len()), (1, 0));
}
