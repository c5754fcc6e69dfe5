//! Streams that are long in coming, that end without their last event, and clients that leave.

use std::time::Duration;

use tokio::time::Instant;
use unbroken::providers;
use unbroken_drill::fake_provider::{FakeDialect, Tape};
use unbroken_drill::fault::{Fault, StreamEnd};

use crate::seams::{PROVIDERS, World, natural_end, plain, whole, words};
use crate::seams_manners::cut;

#[tokio::test]
async fn a_finish_without_the_last_events_is_an_end_and_keeps_its_usage() {
    for then in [StreamEnd::Clean, StreamEnd::Close, StreamEnd::Silence] {
        for first in PROVIDERS.into_iter().filter(|provider| provider.dialect.name != "gemini") {
            let world = World::new(first, &providers::GEMINI).await;
            world.first.fault(Fault::LastEventsMissing { events: 1, then });
            for client in PROVIDERS.map(|provider| provider.dialect) {
                let case = format!("{then:?}: {} from {}", client.name, first.dialect.name);
                let begun = Instant::now();
                let (_, bytes) = world.ask(client, &plain(client)).await;
                let answer = whole(client, &bytes, &case);
                assert_eq!(answer.text, words(), "{case}");
                assert_eq!(answer.finish.as_deref(), Some(natural_end(client)), "{case}");
                assert!(answer.output_tokens.is_some_and(|n| n > 0), "{case}: usage");
                assert!(begun.elapsed() < Duration::from_secs(8), "{case}");
            }
            assert!(world.second.journal().is_empty(), "{then:?}: it was whole");
        }
    }
}

/// What a Chat provider says that ends for this reason and then tells an error.
fn ends_and_fails(reason: &str) -> Tape {
    let chunk = |delta: &str, finish: &str| {
        let head = r#""id":"c","object":"chat.completion.chunk","created":1,"model":"m""#;
        let choice = format!(r#"{{"index":0,"delta":{delta},"finish_reason":{finish}}}"#);
        format!("data: {{{head},\"choices\":[{choice}]}}\n\n")
    };
    let text = chunk(r#"{"role":"assistant","content":"w1 w2 w3"}"#, "null");
    let finish = chunk("{}", &format!("\"{reason}\""));
    Tape::events([text, finish, FakeDialect::OpenaiChat.error_event()].concat())
}

#[tokio::test]
async fn an_error_behind_the_finish_reason_starts_no_other_answer() {
    let world = World::new(&providers::OPENAI_COMPATIBLE, &providers::ANTHROPIC).await;
    world.first.set_tape("m", ends_and_fails("stop"));
    for client in PROVIDERS.map(|provider| provider.dialect) {
        let (_, bytes) = world.ask(client, &plain(client)).await;
        let answer = whole(client, &bytes, client.name);
        assert_eq!(answer.text, "w1 w2 w3", "{}", client.name);
        assert_eq!(answer.finish.as_deref(), Some(natural_end(client)), "{}", client.name);
    }
    assert!(world.second.journal().is_empty(), "everything was said");
}

#[tokio::test]
async fn a_limit_that_stands_for_an_error_is_no_end() {
    let world = World::new(&providers::OPENAI_COMPATIBLE, &providers::ANTHROPIC).await;
    world.first.set_tape("m", ends_and_fails("length"));
    for client in PROVIDERS.map(|provider| provider.dialect) {
        // Who was told of the limit before the error came has a whole answer, too.
        if client.name == "openai-chat" {
            continue;
        }
        let (_, bytes) = world.ask(client, &plain(client)).await;
        let answer = whole(client, &bytes, client.name);
        assert_eq!(answer.text, words(), "{}", client.name);
    }
}

#[tokio::test]
async fn a_client_that_waits_for_the_first_word_gets_signs_of_life() {
    for client in PROVIDERS.map(|provider| provider.dialect) {
        let mut world = World::new(&providers::OPENAI_COMPATIBLE, &providers::ANTHROPIC).await;
        world.route.stream.early_keep_alive = Duration::from_millis(100);
        world.route.stream.keep_alive = Duration::from_millis(100);
        world.first.fault(Fault::SlowFirstToken { ms: 700 });
        let (status, bytes) = world.ask(client, &plain(client)).await;
        let answer = whole(client, &bytes, client.name);
        assert_eq!((status, answer.text), (200, words()), "{}", client.name);
        let text = String::from_utf8_lossy(&bytes);
        let signs = match client.name {
            // Its Python SDK takes comments for broken JSON, and skips blank lines.
            "gemini" => text.split("data:").next().unwrap_or_default().matches("\r\n").count(),
            _ => text.matches(": keep-alive").count(),
        };
        assert!(signs >= 3, "{}: {signs} in {text}", client.name);
    }
}

#[tokio::test]
async fn after_an_early_head_a_failure_is_told_in_the_stream() {
    for client in PROVIDERS.map(|provider| provider.dialect) {
        let mut world = World::new(&providers::OPENAI_COMPATIBLE, &providers::ANTHROPIC).await;
        world.route.stream.early_keep_alive = Duration::from_millis(100);
        world.route.limits.first_token = Duration::from_millis(300);
        world.route.limits.total = Duration::from_millis(900);
        world.first.fault(Fault::BlackHole);
        world.second.fault(Fault::BlackHole);
        let (status, bytes) = world.ask(client, &plain(client)).await;
        let verdict = crate::seams::judged(client, &bytes, client.name);
        assert!(status == 200 && verdict.is_error, "{}: {verdict:?}", client.name);
        let error = verdict.error.unwrap_or_default();
        assert!(error.contains("no target of `r`"), "{}: {error}", client.name);
    }
}

#[tokio::test]
async fn a_stall_in_the_middle_gets_signs_of_life_too() {
    for client in PROVIDERS.map(|provider| provider.dialect) {
        let mut world = World::new(&providers::ANTHROPIC, &providers::OPENAI_COMPATIBLE).await;
        world.route.stream.keep_alive = Duration::from_millis(60);
        world.first.fault(Fault::Stall { after_words: 20, pings: false });
        let (_, bytes) = world.ask(client, &plain(client)).await;
        assert_eq!(whole(client, &bytes, client.name).text, words(), "{}", client.name);
        let text = String::from_utf8_lossy(&bytes);
        let signs = match client.name {
            "gemini" => text.matches("\r\n\r\n\r\n").count(),
            "anthropic-messages" => text.matches("event: ping").count(),
            _ => text.matches(": keep-alive").count(),
        };
        assert!(signs >= 3, "{}: {signs} in {text}", client.name);
    }
}

#[tokio::test]
async fn a_break_while_the_first_content_is_kept_back_leaves_no_seam() {
    for client in PROVIDERS.map(|provider| provider.dialect) {
        let mut world = World::new(&providers::ANTHROPIC, &providers::OPENAI_COMPATIBLE).await;
        world.route.stream.commit_hold = Duration::from_secs(1);
        world.first.fault(cut(5));
        let (_, bytes) = world.ask(client, &plain(client)).await;
        let answer = whole(client, &bytes, client.name);
        assert_eq!(answer.text, words(), "{}", client.name);
        assert!(!answer.comments.iter().any(|c| c.contains("seams")), "{:?}", answer.comments);
        let wishes: Vec<_> = world.second.journal().iter().map(|entry| entry.wish).collect();
        assert_eq!(wishes, [unbroken_drill::fake_provider::Wish::Anew], "{}", client.name);
    }
}

#[tokio::test]
async fn a_client_that_leaves_at_a_seam_is_noticed_upstream_at_once() {
    let world = World::new(&providers::ANTHROPIC, &providers::OPENAI_COMPATIBLE).await;
    world.first.fault(cut(20));
    world.second.fault(Fault::SlowTokens { ms: 50 });
    let client = providers::ANTHROPIC.dialect;
    let body = plain(client);
    let asked = tokio::time::timeout(Duration::from_millis(400), world.ask(client, &body));
    assert!(asked.await.is_err(), "still under way");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let entries = world.second.journal();
    assert!(entries.iter().all(|entry| entry.client_left) && entries.len() == 1, "{entries:?}");
}
