//! Another configuration for a running gateway.

use unbroken_drill::fake_provider::FakeConfig;
use unbroken_drill::fault::Fault;

use crate::stage::{Stage, finish, providers_named, read_to, two_targets};

fn breaker(health: &serde_json::Value, target: &str) -> String {
    let targets = health["targets"].as_array().unwrap();
    let found = targets.iter().find(|t| t["target"] == target);
    found.map_or("", |t| t["breaker"].as_str().unwrap()).to_owned()
}

#[tokio::test]
async fn a_new_route_is_served_and_what_is_known_about_targets_is_kept() {
    let stage = Stage::set("reload-keeps", 2, two_targets).await;
    stage.providers[0].fault(Fault::Overloaded);
    stage
        .until("a/m is shut", async |stage| {
            assert_eq!(stage.call("chat").await.target, "b/m");
            breaker(&stage.get("/health").await.json(), "a/m") == "open"
        })
        .await;
    assert_eq!(stage.call("other").await.status, 404);

    let more = "[[route]]\nname = \"other\"\ntargets = [\"b/m2\"]\n[breaker]\nrecovery = \"1h\"\n";
    stage.write(&(two_targets(&stage.providers) + more));
    stage.signal("-HUP");
    stage.until("the new route", async |stage| stage.call("other").await.status == 200).await;
    assert_eq!(breaker(&stage.get("/health").await.json(), "a/m"), "open");
    let metrics = stage.get("/metrics").await.text;
    assert!(metrics.contains("unbroken_config_reloads_total{result=\"loaded\"} 1"), "{metrics}");
    assert!(metrics.contains("unbroken_config_generation 2"), "{metrics}");
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_is_told() {
    let stage = Stage::set("reload-bad", 2, two_targets).await;
    stage.write(&(two_targets(&stage.providers) + "[breaker]\nfailure_treshold = 3\n"));
    // No signal: the change is seen.
    stage
        .until("it is refused", async |stage| {
            stage.get("/metrics").await.text.contains("unbroken_config_refused 1")
        })
        .await;
    assert_eq!(stage.call("chat").await.target, "a/m");
    stage
        .until("it is logged", async |stage| {
            let log = stage.log();
            log.contains("the configuration was refused")
                && log.contains("did you mean `failure_threshold`?")
        })
        .await;

    stage.write(&two_targets(&stage.providers));
    stage
        .until("it is mended", async |stage| {
            stage.get("/metrics").await.text.contains("unbroken_config_refused 0")
        })
        .await;
}

#[tokio::test]
async fn a_call_ends_on_the_plan_that_it_began_with() {
    let stage = Stage::set("reload-in-flight", 2, two_targets).await;
    stage.providers[0].fault(Fault::SlowTokens { ms: 30 });
    let mut stream = stage.begin("chat", true);
    read_to(&mut stream, " w2\"").await;

    // Its route and its provider are gone, and so is the limit it began with.
    let route = "[[route]]\nname = \"new\"\ntargets = [\"b/m\"]\n[limits]\nsilence = \"1ms\"\n";
    stage.write(&(providers_named(&["b"], &stage.providers[1..]) + route));
    stage.signal("-HUP");
    stage.until("the new route", async |stage| stage.call("new").await.status != 404).await;
    assert_eq!(stage.call("chat").await.status, 404);
    let rest = finish(stream).await;
    assert!(rest.text.contains("w60") && rest.text.ends_with("data: [DONE]\n\n"), "{}", rest.text);
}

#[tokio::test]
async fn a_key_that_changes_in_its_file_is_taken_up() {
    let config = FakeConfig { key: Some("right".to_owned()), ..FakeConfig::default() };
    let key = std::env::temp_dir().join(format!("unbroken-key-{}", std::process::id()));
    std::fs::write(&key, "wrong\n").unwrap();
    let stage = Stage::set_with("reload-key", vec![config], |providers| {
        let route = "[[route]]\nname = \"chat\"\ntargets = [\"a/m\"]\n";
        format!("{}key_file = {key:?}\n{route}", providers_named(&["a"], providers))
    })
    .await;
    let refused = stage.call("chat").await;
    assert!(refused.text.contains("does not accept the key"), "{}", refused.text);
    std::fs::write(&key, "right\n").unwrap();
    stage.until("the new key", async |stage| stage.call("chat").await.status == 200).await;
    std::fs::remove_file(key).unwrap();
}
