use futures_util::future::join_all;
use unbroken_drill::scenario::DRILLS;

use super::*;

/// Takes 80 s; `cargo xtask check` plays it beside other checks.
const SLOW: &str = "referee-recovery";

/// Every fault of the referee, in a stream and in a whole answer, live, with the settings that
/// everybody gets.
#[tokio::test]
async fn the_referee_is_content() {
    let mut scenarios = Vec::new();
    for (name, _) in DRILLS.iter().filter(|(name, _)| name.starts_with("referee-")) {
        let scenario = Scenario::built_in(name).unwrap();
        assert!(scenario.settings.is_empty(), "{name}: default settings");
        if *name != SLOW {
            let whole = scenario.whole().map(|whole| (format!("{name}, whole"), whole));
            scenarios.push(((*name).to_owned(), scenario));
            scenarios.extend(whole);
        }
    }
    assert!(scenarios.len() >= 28, "{}", scenarios.len());
    let played = scenarios.iter().map(|(name, scenario)| async move {
        let failures = rehearse(scenario).await.failures;
        (!failures.is_empty()).then(|| format!("{name}: {}", failures.join("; ")))
    });
    let failed: Vec<String> = join_all(played).await.into_iter().flatten().collect();
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}

/// What the referee would not let pass.
#[tokio::test]
async fn a_rehearsal_can_fail() {
    let scenario = Scenario::built_in("referee-unavailable").unwrap();
    let mut impossible = scenario.clone();
    impossible.expect.models = Some(vec!["first".to_owned()]);
    impossible.expect.attempts[0].max = Some(0);
    let card = rehearse(&impossible).await;
    assert!(!card.passed);
    let failures = card.failures.join("; ");
    assert!(failures.contains("models are [\"second\"]"), "{failures}");
    assert!(failures.contains("attempts at target 0"), "{failures}");
}
