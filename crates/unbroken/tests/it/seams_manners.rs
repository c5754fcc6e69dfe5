//! Streams that break: how the next target goes on, and what is made of it.

use unbroken::providers::{self, Provider};
use unbroken_drill::fake_provider::{Armed, Continues, FakeProvider, Manner, Prefill, Wish};
use unbroken_drill::fault::{CutKind, Fault};

use crate::seams::{
    PROVIDERS, World, faults, judged, natural_end, pairs, plain, whole, with, words,
};

const CLAUDE: &str = "claude-sonnet-4-5";

pub(crate) const fn cut(after_words: u32) -> Fault {
    Fault::CutStream { after_words, how: CutKind::Reset, inside_event: false }
}

fn strike_once(fake: &FakeProvider, fault: Fault) {
    let (model, share_per_mille) = ("*".to_owned(), 1000);
    fake.arm(Armed { model, fault, times: Some(1), share_per_mille });
}

fn wishes(fake: &FakeProvider) -> Vec<(Wish, String)> {
    fake.journal().into_iter().map(|entry| (entry.wish, entry.outcome)).collect()
}

async fn claude_second() -> World {
    World::with_models(&providers::OPENAI_COMPATIBLE, &providers::ANTHROPIC, "m", CLAUDE).await
}

#[tokio::test]
async fn a_stream_goes_on_wherever_it_breaks() {
    let cases = pairs().map(|(first, second)| async move {
        let world = World::new(first, second).await;
        for after in [1, 2, 3, 30, 59, 60] {
            for client in PROVIDERS.map(|provider| provider.dialect) {
                // One more target would be asked if this one had to rest.
                strike_once(&world.first, cut(after));
                let (from, to) = (first.dialect.name, second.dialect.name);
                let case = format!("after {after}: {} from {from} to {to}", client.name);
                let (_, bytes) = world.ask(client, &plain(client)).await;
                let answer = whole(client, &bytes, &case);
                assert_eq!(answer.text, words(), "{case}");
                assert_eq!(answer.finish.as_deref(), Some(natural_end(client)), "{case}");
            }
        }
    });
    futures_util::future::join_all(cases).await;
}

#[tokio::test]
async fn a_model_that_takes_a_beginning_gets_one() {
    let world = claude_second().await;
    world.first.fault(cut(20));
    for client in PROVIDERS.map(|provider| provider.dialect) {
        let (_, bytes) = world.ask(client, &plain(client)).await;
        assert_eq!(whole(client, &bytes, client.name).text, words());
    }
    let expected = vec![(Wish::Prefill, "answered".to_owned()); 3];
    assert_eq!(wishes(&world.second), expected);
    let sent: Vec<u32> = world.second.journal().iter().map(|entry| entry.words_sent).collect();
    assert_eq!(sent, [40, 40, 40], "nothing is told twice");
}

/// Field case S-2.
#[tokio::test]
async fn a_beginning_that_is_refused_is_seen_by_nobody_and_not_tried_again() {
    let world = claude_second().await;
    let manner = Manner { prefill: Prefill::Refuse, ..Manner::default() };
    world.second.set_manner(CLAUDE, manner);
    world.first.fault(cut(20));
    for client in PROVIDERS.map(|provider| provider.dialect) {
        let (_, bytes) = world.ask(client, &plain(client)).await;
        assert_eq!(whole(client, &bytes, client.name).text, words());
    }
    let continued = (Wish::Continue, "answered".to_owned());
    let refused = (Wish::Prefill, "prefill_refused".to_owned());
    let expected = [refused, continued.clone(), continued.clone(), continued];
    assert_eq!(wishes(&world.second), expected);
}

#[tokio::test]
async fn an_answer_told_anew_is_left_out_as_far_as_the_client_has_it() {
    for (prefill, continues) in
        [(Prefill::Ignore, Continues::Exact), (Prefill::Refuse, Continues::Restart)]
    {
        for fault in faults(33) {
            let world = claude_second().await;
            let manner = Manner { prefill, continues, ..Manner::default() };
            world.second.set_manner(CLAUDE, manner);
            world.first.fault(fault);
            for client in PROVIDERS.map(|provider| provider.dialect) {
                let case = format!("{fault:?}, {prefill:?}, {continues:?}, {}", client.name);
                let (_, bytes) = world.ask(client, &plain(client)).await;
                assert_eq!(whole(client, &bytes, &case).text, words(), "{case}");
            }
        }
    }
}

#[tokio::test]
async fn a_preamble_is_shown_to_nobody_and_the_next_target_is_asked() {
    for client in PROVIDERS.map(|provider| provider.dialect) {
        let world = World::new(&providers::OPENAI_COMPATIBLE, &providers::ANTHROPIC).await;
        let manner = Manner { continues: Continues::Preamble, ..Manner::default() };
        world.second.set_manner("m", manner);
        strike_once(&world.first, cut(20));
        let (_, bytes) = world.ask(client, &plain(client)).await;
        let answer = whole(client, &bytes, client.name);
        assert_eq!(answer.text, words(), "{}", client.name);
        assert_eq!(wishes(&world.second).len(), 1, "asked, and not believed");
        assert_eq!(wishes(&world.first).len(), 2, "nobody else was left");
    }
}

#[tokio::test]
async fn when_nobody_can_go_on_the_client_hears_it_and_sees_no_end() {
    let hopeless = [
        Fault::Status { status: 500, body: Default::default(), retry_after: None },
        Fault::Refuse,
        Fault::Unauthorized,
        Fault::InvalidRequest,
        Fault::ContextTooLong,
        Fault::RateLimit { retry_after: Some(30) },
        Fault::Empty200,
        cut(0),
    ];
    for fault in hopeless {
        for client in PROVIDERS.map(|provider| provider.dialect) {
            let case = format!("{fault:?}, {}", client.name);
            let world = World::new(&providers::ANTHROPIC, &providers::OPENAI_COMPATIBLE).await;
            let manner = Manner { continues: Continues::Preamble, ..Manner::default() };
            world.first.set_manner("m", manner);
            world.first.fault(cut(20));
            world.second.fault(fault);
            let (status, bytes) = world.ask(client, &plain(client)).await;
            let verdict = judged(client, &bytes, &case);
            assert!(status == 200 && verdict.is_error && !verdict.is_whole, "{case}: {verdict:?}");
            assert_eq!(verdict.finish, None, "{case}");
            assert!(words().starts_with(&verdict.text) && verdict.text.ends_with("w20"), "{case}");
            let error = verdict.error.unwrap_or_default();
            assert!(error.contains("broke off"), "{case}: {error}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_breaks_twice_goes_on_twice() {
    for client in PROVIDERS.map(|provider| provider.dialect) {
        let world = claude_second().await;
        strike_once(&world.first, cut(20));
        strike_once(&world.second, cut(10));
        let (_, bytes) = world.ask(client, &plain(client)).await;
        let answer = whole(client, &bytes, client.name);
        assert_eq!(answer.text, words(), "{}", client.name);
        let trail = answer.comments.iter().find(|comment| comment.contains("seams=2"));
        assert_eq!(trail.is_some(), client.name != "gemini", "{:?}", answer.comments);
    }
}

#[tokio::test]
async fn who_does_not_want_it_gets_an_error_and_nobody_else_is_asked() {
    let mut world = World::new(&providers::ANTHROPIC, &providers::OPENAI_COMPATIBLE).await;
    world.route.stream.continues = false;
    world.first.fault(cut(20));
    for client in PROVIDERS.map(|provider| provider.dialect) {
        let (_, bytes) = world.ask(client, &plain(client)).await;
        let verdict = judged(client, &bytes, client.name);
        assert!(verdict.is_error && verdict.text.ends_with("w20"), "{}: {verdict:?}", client.name);
    }
    let mut world = World::new(&providers::ANTHROPIC, &providers::OPENAI_COMPATIBLE).await;
    world.first.fault(cut(20));
    world.headers.insert("x-unbroken-continue", http::HeaderValue::from_static("false"));
    let client = providers::ANTHROPIC.dialect;
    let (_, bytes) = world.ask(client, &plain(client)).await;
    assert!(judged(client, &bytes, "by header").is_error);
    assert!(world.second.journal().is_empty());
}

#[tokio::test]
async fn several_answers_side_by_side_are_not_gone_on_with() {
    let world = World::new(&providers::OPENAI_COMPATIBLE, &providers::OPENAI_COMPATIBLE).await;
    world.first.fault(cut(20));
    let client = providers::OPENAI_COMPATIBLE.dialect;
    for more in [r#","n":2"#, r#","logprobs":true"#] {
        let (_, bytes) = world.ask(client, &with(client, "Count", more)).await;
        assert!(judged(client, &bytes, more).is_error, "{more}");
    }
    assert!(world.second.journal().is_empty());
}

#[tokio::test]
async fn limits_and_stop_texts_hold_across_the_seam() {
    let limit = |provider: &Provider, n: u32| match provider.dialect.name {
        "gemini" => format!(r#","generationConfig":{{"maxOutputTokens":{n}}}"#),
        "anthropic-messages" => format!(r#","max_tokens":{n}"#),
        _ => format!(r#","max_completion_tokens":{n}"#),
    };
    let stop = |provider: &Provider, text: &str| match provider.dialect.name {
        "gemini" => format!(r#","generationConfig":{{"stopSequences":["{text}"]}}"#),
        "anthropic-messages" => format!(r#","stop_sequences":["{text}"]"#),
        _ => format!(r#","stop":["{text}"]"#),
    };
    for client in PROVIDERS {
        let name = client.dialect.name;
        let world = claude_second().await;
        world.first.fault(cut(20));
        let (_, bytes) =
            world.ask(client.dialect, &with(client.dialect, "Count", &limit(client, 40))).await;
        let answer = whole(client.dialect, &bytes, name);
        let said = answer.text.split(' ').count();
        assert_eq!(said, 40, "{name}: {}", answer.text);
        assert!(words().starts_with(&answer.text), "{name}: {}", answer.text);
        let finish = answer.finish.unwrap_or_default().to_lowercase();
        assert!(finish == "length" || finish == "max_tokens", "{name}: {finish}");
        let body = with(client.dialect, "Count", &stop(client, "w40 w41"));
        let (_, bytes) = world.ask(client.dialect, &body).await;
        let answer = whole(client.dialect, &bytes, name);
        assert!(answer.text.trim_end().ends_with("w39"), "{name}: {}", answer.text);
        assert!(words().starts_with(&answer.text), "{name}: {}", answer.text);
    }
}
