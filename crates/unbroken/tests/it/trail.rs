//! What a client is told of a stream that went on elsewhere, and what it is not.

use unbroken::providers;
use unbroken_wire::dialects::DIALECTS;

use crate::seams::{World, plain, whole, words};
use crate::seams_manners::cut;

const CLAUDE: &str = "claude-sonnet-4-5";

async fn world() -> World {
    World::with_models(&providers::OPENAI_COMPATIBLE, &providers::ANTHROPIC, "m", CLAUDE).await
}

/// The trail of a stream, if it has one, and the events behind it.
fn trail(stream: &str) -> Option<(&str, &str)> {
    let (_, rest) = stream.split_once(": unbroken ")?;
    rest.split_once("\n\n")
}

#[tokio::test]
async fn a_stream_with_a_seam_says_who_spoke_how_and_what_it_cost_just_before_its_end() {
    let world = world().await;
    world.first.fault(cut(20));
    for client in DIALECTS.iter().copied() {
        let (_, bytes) = world.ask(client, &plain(client)).await;
        assert_eq!(whole(client, &bytes, client.name).text, words());
        let stream = String::from_utf8(bytes).unwrap();
        if client.name == "gemini" {
            assert_eq!(trail(&stream), None, "its Python SDK does not skip comments");
            continue;
        }
        let (said, behind) = trail(&stream).unwrap_or_else(|| panic!("{stream}"));
        let (who, added) = said.split_once(" added_tokens=").unwrap();
        assert_eq!(who, format!("targets=first/m,second/{CLAUDE} seams=1 how=prefix"));
        // The input once more, and the twenty words along with it.
        let tokens: u64 = added.strip_suffix(" usage=estimated").unwrap().parse().unwrap();
        assert!((20..=60).contains(&tokens), "{}: {tokens}", client.name);
        let is_text = |line: &str| {
            ["text_delta", "output_text.delta", r#""content":"w"#].iter().any(|s| line.contains(s))
        };
        assert!(!behind.lines().any(is_text), "{}: only the end follows: {behind}", client.name);
    }
}

#[tokio::test]
async fn an_answer_told_anew_costs_what_was_left_out_of_it() {
    use unbroken_drill::fake_provider::{Continues, Manner};
    let tokens = |stream: &str| -> u64 {
        let (said, _) = trail(stream).unwrap();
        let (_, added) = said.split_once(" added_tokens=").unwrap();
        added.split(' ').next().unwrap().parse().unwrap()
    };
    let client = DIALECTS[0];
    let anew = World::new(&providers::OPENAI_COMPATIBLE, &providers::OPENAI_COMPATIBLE).await;
    let manner = Manner { continues: Continues::Restart, ..Manner::default() };
    anew.second.set_manner("m", manner);
    let mut added = Vec::new();
    for world in [world().await, anew] {
        world.first.fault(cut(40));
        let (_, bytes) = world.ask(client, &plain(client)).await;
        added.push(tokens(&String::from_utf8(bytes).unwrap()));
    }
    // Who was given the beginning says nothing twice; the other one says forty words again.
    assert!(added[1] >= added[0] + 30, "{added:?}");
}

#[tokio::test]
async fn who_turns_it_off_or_has_no_seam_reads_nothing_of_it() {
    let mut world = world().await;
    let client = DIALECTS[0];
    let (_, bytes) = world.ask(client, &plain(client)).await;
    assert_eq!(trail(&String::from_utf8(bytes).unwrap()), None, "no seam");
    world.first.fault(cut(20));
    world.route.stream.trail = false;
    let (_, bytes) = world.ask(client, &plain(client)).await;
    assert_eq!(whole(client, &bytes, client.name).text, words());
    assert_eq!(world.second.journal().len(), 1, "it went on elsewhere");
    assert_eq!(trail(&String::from_utf8(bytes).unwrap()), None);
}
