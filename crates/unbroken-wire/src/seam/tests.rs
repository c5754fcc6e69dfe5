use super::*;

fn words(range: std::ops::RangeInclusive<u32>) -> String {
    range.map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ")
}

/// All that is handed on when `said` comes in pieces of `size` bytes; `None` if it does not fit.
fn joined(way: Way, before: &str, said: &str, size: usize) -> Option<String> {
    let mut seam = Seam::new(way, before.to_owned(), vec![]);
    let mut out = String::new();
    let chars: Vec<char> = said.chars().collect();
    for piece in chars.chunks(size) {
        match seam.push(&piece.iter().collect::<String>()) {
            Joined::Text(text) => out.push_str(&text),
            Joined::Nothing => {}
            Joined::Unfit => return None,
            Joined::Stopped => panic!("no stop texts"),
        }
    }
    match seam.finish() {
        Joined::Text(text) => out.push_str(&text),
        Joined::Nothing => {}
        Joined::Unfit => return None,
        Joined::Stopped => panic!("no stop texts"),
    }
    Some(out)
}

#[track_caller]
fn check(way: Way, before: &str, said: &str, expected: Option<&str>) {
    for size in [1, 2, 3, 7, 40, 10_000] {
        let out = joined(way, before, said, size);
        assert_eq!(out.as_deref(), expected, "{way:?} {before:?} {said:?} in {size}s");
    }
}

const WAYS: [Way; 3] = [Way::Anew, Way::Beginning, Way::ToGoOn];

#[test]
fn an_answer_told_anew_goes_on_where_the_delivered_text_ends_wherever_it_was_cut() {
    let texts = [
        words(1..=60),
        "Ärger mit 日本語 und 👩‍👩‍👧 emoji:\n\n- one\n- two\n\n```rust\nfn main() {}\n```\n".to_owned(),
        "{\"a\": [1, 2, {\"b\": \"x\\ny\"}], \"c\": null}".to_owned(),
    ];
    for text in &texts {
        for (at, _) in text.char_indices().skip(1) {
            let (before, after) = text.split_at(at);
            for way in WAYS {
                let out = joined(way, before, text, 5);
                let whole = out.map(|out| format!("{before}{out}"));
                assert_eq!(whole.as_deref(), Some(text.as_str()), "{way:?} at {at}: {after:?}");
            }
        }
    }
}

#[test]
fn a_continuation_is_taken_and_words_do_not_run_together() {
    let before = words(1..=40);
    let after = words(41..=60);
    check(Way::ToGoOn, &before, &after, Some(&format!(" {after}")));
    check(Way::ToGoOn, &before, &format!(" {after}"), Some(&format!(" {after}")));
    check(Way::ToGoOn, &format!("{before} "), &after, Some(&after));
    check(Way::Beginning, &before, &format!(" {after}"), Some(&format!(" {after}")));
    // One word in two halves stands elsewhere, too.
    let halves = ("The return value is what we retu", "rn at the end of all functions.");
    check(Way::ToGoOn, halves.0, halves.1, Some(halves.1));
    // A target that was given the beginning knows where in the word it stands.
    check(Way::Beginning, "The elep", "hant sleeps.", Some("hant sleeps."));
    check(
        Way::ToGoOn,
        "日本",
        "語で話しましょう。これは長い文です、とても長い。",
        Some("語で話しましょう。これは長い文です、とても長い。"),
    );
    check(Way::Anew, &before, &after, None);
}

#[test]
fn white_space_that_was_delivered_is_not_delivered_again() {
    check(Way::Beginning, "one\n", "\n    two", Some("    two"));
    check(Way::Beginning, "one\n\n", "\n\ntwo", Some("two"));
    check(Way::Beginning, "one ", " two", Some("two"));
    check(Way::Beginning, "one ", "\n\ntwo", Some("\n\ntwo"));
    check(Way::Beginning, "one", "\n\ntwo", Some("\n\ntwo"));
}

#[test]
fn repeated_last_words_are_left_out_and_say_exactly_where_to_go_on() {
    let before = "The quick brown fox jumps over the la";
    check(Way::ToGoOn, before, "fox jumps over the lazy dog, twice.", Some("zy dog, twice."));
    check(Way::ToGoOn, before, "jumps over the la", Some(""));
    // Less than twelve characters are chance.
    check(Way::Beginning, "he said no", "no way", Some("no way"));
}

#[test]
fn text_that_repeats_itself_is_taken_as_it_comes_unless_it_is_what_was_asked_for() {
    let line = "| 0.000 | 0.000 | 0.000 |\n";
    let before = line.repeat(20) + "| 0.000 | 0.0";
    let after = "00 | 0.000 |\n".to_owned() + &line.repeat(20);
    check(Way::ToGoOn, &before, &after, Some(&after));
    let repeated = format!("{}{after}", last_words(&before));
    check(Way::ToGoOn, &before, &repeated, Some(&after));
    check(Way::Beginning, &before, &after, Some(&after));
}

#[test]
fn preambles_and_new_beginnings_in_other_words_do_not_fit() {
    let before = "Tokyo is the capital of Japan and has many inhabitants. It lies";
    for said in [
        "Sure, here is the rest: on the eastern coast of Honshu.",
        "Continuing from where I left off, on the eastern coast.",
        "Tokyo is the capital of Japan, which is an island country in East Asia.",
    ] {
        check(Way::ToGoOn, before, said, None);
    }
    check(
        Way::Beginning,
        before,
        "Tokyo is the capital of Japan, which is an island country.",
        None,
    );
    check(
        Way::ToGoOn,
        before,
        "on the eastern coast of Honshu.",
        Some(" on the eastern coast of Honshu."),
    );
}

#[test]
fn a_code_block_is_not_opened_twice() {
    let before = "Here:\n\n```rust\nfn main() {\n";
    let said = "```rust\n    println!(\"hello, world\");\n}\n```\n";
    check(Way::ToGoOn, before, said, Some("    println!(\"hello, world\");\n}\n```\n"));
    let closes = "```\nThat was all there is to say about it.";
    check(Way::ToGoOn, "```rust\nfn main() {}\n", closes, Some(closes));
}

#[test]
fn silence_is_an_end_only_from_a_target_that_was_given_the_beginning() {
    check(Way::Beginning, "All is said.", "", Some(""));
    check(Way::ToGoOn, "All is said.", "", None);
    check(Way::Anew, "All is said.", "", None);
    check(Way::Anew, "All is said.", "All is sa", None);
    check(Way::ToGoOn, &words(1..=40), &words(1..=20), None);
}

#[test]
fn a_stop_text_across_the_seam_ends_the_answer() {
    let stops = vec!["END".to_owned(), "\n\nHuman:".to_owned()];
    let push = |before: &str, said: &str| {
        let mut seam = Seam::new(Way::Beginning, before.to_owned(), stops.clone());
        let first = seam.push(said);
        if first == Joined::Nothing { seam.finish() } else { first }
    };
    assert_eq!(push("so it is E", "ND of it"), Joined::Stopped);
    assert_eq!(push("so it is EN", "D"), Joined::Stopped);
    assert_eq!(push("so it is.\n\nHu", "man: and"), Joined::Stopped);
    assert_eq!(push("so it is E", "NOUGH"), Joined::Text("NOUGH".to_owned()));
    let mut seam = Seam::new(Way::Beginning, "so E".to_owned(), stops.clone());
    assert_eq!(seam.push("N"), Joined::Nothing, "perhaps");
    assert_eq!(seam.push("D"), Joined::Stopped);
}

#[test]
fn a_tool_call_goes_on_without_a_word() {
    for way in WAYS {
        let mut seam = Seam::new(way, "Let me see.".to_owned(), vec![]);
        assert_eq!((seam.turn(), seam.is_open()), (Joined::Nothing, true), "{way:?}");
        let mut seam = Seam::new(way, "Let me see.".to_owned(), vec![]);
        assert_eq!(seam.push("Let me see."), Joined::Nothing);
        assert_eq!(seam.turn(), Joined::Nothing, "{way:?}");
    }
    let mut seam = Seam::new(Way::ToGoOn, "Let me see.".to_owned(), vec![]);
    assert_eq!(seam.push("Sure, I will call the tool."), Joined::Nothing);
    assert_eq!(seam.turn(), Joined::Unfit);
}
