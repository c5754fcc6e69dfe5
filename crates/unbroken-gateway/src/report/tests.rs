use super::*;

fn empty() -> Report {
    Report {
        since_ms: 1_795_581_300_000 - 3_600_000,
        until_ms: 1_795_581_300_000,
        covered_ms: 3_600_000,
        unclean_stops: 0,
        total: RouteReport::default(),
        routes: Vec::new(),
        targets: Vec::new(),
        extra: Vec::new(),
        detect_ms: None,
        recover_ms: None,
        incidents: Vec::new(),
        over_time: Vec::new(),
    }
}

/// A report with long names and large numbers.
fn large() -> Report {
    let route = |name: &str, failed: u64| RouteReport {
        route: name.to_owned(),
        slo: 0.999,
        calls: 1_284_220,
        valid: 1_284_000,
        seen: Share::of(1_284_000 - failed, 1_284_000),
        without_failover: Share::of(1_250_000, 1_284_000),
        saved: 34_000 - failed,
        failed,
        amplification: 1.026,
        budget: Budget::of(0.999, 1_284_000, failed),
        saved_tokens: 120_000,
        ..RouteReport::default()
    };
    let timeline: Vec<Json> = (0..40)
        .map(|n| serde_json::json!({ "at_ms": 1_795_581_000_000_u64 + n, "text": "off again" }))
        .collect();
    let incident = IncidentReport {
        cell: "serving".to_owned(),
        name: "openai/gpt-5.1".to_owned(),
        words: "it is overloaded".to_owned(),
        began_ms: 1_795_581_000_000,
        detected_ms: 1_795_581_002_000,
        ended_ms: Some(1_795_581_200_000),
        is_open: false,
        victims: 7,
        client_failures: 0,
        moved: serde_json::json!({
            "<b>&": 5, "another/model-with-a-long-name": 118, "a-third-one/which-is-long-as-well": 3,
        }),
        timeline: Json::Array(timeline),
    };
    let rich = Money {
        attempts: 1_284_220,
        estimated: 7,
        input_tokens: 1_035_400_000,
        output_tokens: 345_300_000,
        usd: Some(5_178.1),
        unpriced: 624,
    };
    let times = Some(Times { median: 2_000, longest: 9_000_000 });
    let target = TargetReport {
        target: "a-provider-with-a-long-name/and-a-model-with-a-longer-one".to_owned(),
        attempts: 1_284_220,
        answered: 1_250_000,
        failed: 34_220,
        available: Share::of(1_250_000, 1_284_220),
        incidents: 1,
        detect_ms: times,
        recover_ms: times,
        used: Money::default(),
    };
    Report {
        total: RouteReport { answers: rich, rescued: 34_000, avoided: 34_000, ..route("", 200) },
        routes: vec![route("chat", 200), route("a-route-with-a-long-name-<script>", 9_000)],
        targets: vec![target],
        extra: vec![Extra { purpose: "failed".to_owned(), used: rich }],
        detect_ms: times,
        recover_ms: times,
        incidents: vec![incident],
        over_time: vec![Bin { valid: 9, saved: 1, failed: 1, ..Bin::default() }; 60],
        ..empty()
    }
}

#[test]
fn the_text_fits_into_a_hundred_columns() {
    for report in [empty(), large()] {
        let page = text::render(&report, false);
        for line in page.lines() {
            assert!(line.chars().count() <= 100, "{}: {line}\n{page}", line.chars().count());
            assert_eq!(line, line.trim_end(), "nothing invisible at the end");
        }
    }
    assert!(text::render(&empty(), false).contains("No call was written down"));
}

#[test]
fn a_budget_that_is_overspent_is_told_and_a_story_keeps_its_ends() {
    let page = text::render(&large(), false);
    assert!(page.contains("of 99.9: spent 7.0×"), "{page}");
    assert!(page.contains("of 99.9: 84 % left"), "{page}");
    assert!(page.contains("… 28 more lines"), "{page}");
}

#[test]
fn the_page_needs_nothing_else_and_names_are_harmless_in_it() {
    let page = html::render(&large());
    for outside in ["http:", "https:", "<script", "<link", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(
        page.contains("a-route-with-a-long-name-&lt;script&gt;") && page.contains("&lt;b&gt;&amp;")
    );
    assert!(page.contains("prefers-color-scheme: dark"));
}
