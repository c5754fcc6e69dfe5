//! The admin API, over its own port.

use http::Method;
use serde_json::Value;
use unbroken_drill::fault::Fault;

use crate::stage::{Stage, TOKEN, finish, read_to, with_admin};

async fn target(stage: &Stage, label: &str) -> Value {
    let targets = stage.admin("/admin/targets").await.json();
    let mut targets = targets["targets"].as_array().unwrap().iter();
    targets.find(|target| target["target"] == label).unwrap_or(&Value::Null).clone()
}

/// Makes `a` fail until its breaker is open.
async fn outage(stage: &Stage) {
    stage.providers[0].fault(Fault::Overloaded);
    stage
        .until("a/m is shut", async |stage| {
            assert_eq!(stage.call("chat").await.target, "b/m");
            target(stage, "a/m").await["health"] == "shut"
        })
        .await;
}

/// Every operation of the API's own description: method, path, and what is said of it.
async fn operations(stage: &Stage) -> Vec<(Method, String, Value)> {
    let url = format!("{}/admin/openapi.json", stage.admin);
    let document = finish(stage.send(Method::GET, &url, &[], "")).await.json();
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap();
            let path = path.replace("{id}", "no-such-call");
            operations.push((method, path, operation.clone()));
        }
    }
    operations
}

#[tokio::test]
async fn nothing_is_shown_without_the_token() {
    let stage = Stage::set("admin-token", 2, with_admin).await;
    let operations = operations(&stage).await;
    assert!(operations.len() >= 19, "{operations:?}");
    for (method, path, operation) in operations {
        let url = format!("{}{path}", stage.admin);
        let is_open = operation["security"].as_array().unwrap().is_empty();
        let expected = if is_open { 200 } else { 401 };
        for headers in [&[][..], &[("authorization", "Bearer a-token-for-the-test")]] {
            let answer = finish(stage.send(method.clone(), &url, headers, "")).await;
            assert_eq!(answer.status, expected, "{method} {url}");
        }
    }
    assert_eq!(stage.get("/admin/status").await.status, 404, "not on the clients' port");
}

#[tokio::test]
async fn the_description_says_what_each_path_answers() {
    let stage = Stage::set("admin-openapi", 2, with_admin).await;
    outage(&stage).await;
    for (method, path, operation) in operations(&stage).await {
        let told = &operation["responses"];
        if told["200"]["content"].get("text/event-stream").is_some() {
            continue;
        }
        if told["200"]["content"].get("application/json").is_some() {
            assert!(told["200"]["content"]["application/json"]["schema"].is_object(), "{path}");
        }
        let parameters = operation["parameters"].as_array().unwrap();
        let needs_target = parameters.iter().any(|parameter| parameter["name"] == "target");
        let needs_body = operation.get("requestBody").is_some();
        let answer = finish(stage.operate(method.clone(), &path)).await;
        let status = answer.status.to_string();
        assert!(told[&status].is_object(), "{method} {path} answers {status}: not described");
        assert_eq!(answer.status == 400, needs_target || needs_body, "{method} {path}");
        let mut whole = answer;
        if needs_target {
            whole = finish(stage.operate(method.clone(), &format!("{path}?target=b%2Fm"))).await;
        } else if needs_body {
            whole = explain(&stage, "{\"model\":\"chat\"}").await;
        }
        if path.contains("no-such-call") {
            let id = stage.admin("/admin/calls").await.json()["calls"][0]["id"].clone();
            whole = stage.admin(&format!("/admin/calls/{}", id.as_str().unwrap())).await;
        }
        assert_eq!(whole.status, 200, "{method} {path}: {}", whole.text);
        if let Some(schema) = told["200"]["content"]["application/json"].get("schema") {
            fits(schema, &whole.json(), &path);
        }
    }
}

/// Asks who would answer.
async fn explain(stage: &Stage, question: &str) -> crate::stage::Answer {
    let token = format!("Bearer {TOKEN}");
    let url = format!("{}/admin/explain", stage.admin);
    finish(stage.send(Method::POST, &url, &[("authorization", token.as_str())], question)).await
}

/// As much of JSON Schema as the description uses.
fn fits(schema: &Value, value: &Value, at: &str) {
    if let Some(options) = schema["anyOf"].as_array() {
        if !value.is_null() {
            return fits(&options[0], value, at);
        }
        assert_eq!(options[1]["type"], "null", "{at} may not be null");
        return;
    }
    if let Some(words) = schema["enum"].as_array() {
        assert!(words.contains(value), "{at}: {value} is none of {words:?}");
        return;
    }
    let is_so = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_u64() || value.is_i64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        other => panic!("{at}: {other:?}"),
    };
    assert!(is_so, "{at}: {value} is no {}", schema["type"]);
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(value.get(name.as_str().unwrap()).is_some(), "{at} lacks {name}");
    }
    for (name, inner) in value.as_object().into_iter().flatten() {
        let place = format!("{at}.{name}");
        match (schema["properties"].get(name), &schema["additionalProperties"]) {
            (Some(schema), _) => fits(schema, inner, &place),
            (None, Value::Bool(false)) => panic!("{place} is not described"),
            (None, schema @ Value::Object(_)) => fits(schema, inner, &place),
            (None, _) => {}
        }
    }
    if let Some(items) = schema.get("items") {
        for (index, inner) in value.as_array().unwrap().iter().enumerate() {
            fits(items, inner, &format!("{at}[{index}]"));
        }
    }
}

#[tokio::test]
async fn who_would_be_asked_is_told_by_the_gateway_that_runs() {
    let stage = Stage::set("admin-explain", 2, with_admin).await;
    outage(&stage).await;
    let told = explain(&stage, "{\"model\":\"chat\"}").await.json();
    assert_eq!((&told["live"], &told["configured"]), (&true.into(), &true.into()), "{told}");
    assert_eq!(told["words"], "b/m would be asked, and nobody could stand in", "{told}");
    assert_eq!(
        told["candidates"][1]["words"],
        "left alone because it kept failing: it is overloaded"
    );
    std::fs::write(stage.folder.join("request.json"), "{\"messages\":[]}").unwrap();
    let address = stage.admin.trim_start_matches("http://");
    let live = ["explain", "--model", "chat", "request.json", "--admin", address];
    let (code, text) = stage.run_with_token(&live);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("-  a/m") && text.contains("1  b/m"), "{text}");
    // The configuration alone does not know of the outage.
    let (code, text) = stage.run(&["explain", "--model", "chat"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("the configuration alone") && text.contains("1  a/m"), "{text}");
    let (code, text) = stage.run(&["explain", "--model", "llama"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("not known here"), "{text}");
}

#[tokio::test]
async fn a_route_that_runs_out_of_targets_is_told_everywhere() {
    let hook = Hook::start();
    let configuration = |providers: &[unbroken_drill::fake_provider::FakeProvider]| {
        let alerts = format!(
            "[alerts]\nwebhook = \"http://{}/hook\"\nredundancy_after = \"1s\"\n",
            hook.address
        );
        with_admin(providers) + "[breaker]\nrecovery = \"2s\"\nrecovery_max = \"2s\"\n" + &alerts
    };
    let stage = Stage::set("admin-alerts", 2, configuration).await;
    outage(&stage).await;
    stage
        .until("one is left", async |stage| {
            stage.call("chat").await;
            let open = stage.admin("/admin/alerts").await.json()["open"].clone();
            open[0]["alert"] == "one_left" && open[0]["route"] == "chat"
        })
        .await;
    let told = "only b/m is left of its 2 targets";
    stage.until("the log says so", async |stage| stage.log().contains(told)).await;
    let page = stage.get("/metrics").await.text;
    assert!(page.contains("unbroken_alert_open{alert=\"one_left\",route=\"chat\"} 1"), "{page}");
    stage.providers[0].heal();
    stage
        .until("it is over", async |stage| {
            stage.call("chat").await;
            stage.admin("/admin/alerts").await.json()["past"][0]["alert"] == "one_left"
        })
        .await;
    stage
        .until("both are sent", async |_| hook.received().contains("\"state\":\"resolved\""))
        .await;
    let sent = hook.received();
    assert!(sent.contains("\"state\":\"raised\"") && sent.contains("route chat"), "{sent}");
    assert!(!stage.log().contains("/hook"), "the address is a secret");
}

/// A service that takes messages; it refuses the first one.
struct Hook {
    address: std::net::SocketAddr,
    received: std::sync::Arc<std::sync::Mutex<String>>,
}

impl Hook {
    fn start() -> Self {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let received = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
        let keep = received.clone();
        std::thread::spawn(move || {
            for (number, socket) in listener.incoming().enumerate() {
                let mut socket = socket.unwrap();
                let (mut text, mut bytes) = (String::new(), [0; 4096]);
                while !text.ends_with('}') {
                    let count = socket.read(&mut bytes).unwrap();
                    text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
                }
                let status = if number == 0 { "503 No" } else { "200 OK" };
                let answer =
                    format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                socket.write_all(answer.as_bytes()).unwrap();
                if number > 0 {
                    keep.lock().unwrap().push_str(&text);
                }
            }
        });
        Self { address, received }
    }

    fn received(&self) -> String {
        self.received.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn an_outage_is_told_by_targets_calls_and_incidents() {
    let stage = Stage::set("admin-outage", 2, with_admin).await;
    outage(&stage).await;
    let ill = target(&stage, "a/m").await;
    assert_eq!((&ill["state"], &ill["usable"]), (&"open".into(), &false.into()), "{ill}");
    assert_eq!(ill["words"], "left alone because it kept failing: it is overloaded");
    assert!(ill["retry_at_ms"].as_u64().unwrap() > 1_700_000_000_000, "{ill}");

    let calls = stage.admin("/admin/calls?limit=50").await.json();
    let calls = calls["calls"].as_array().unwrap();
    let rescued = calls.iter().find(|call| call["outcome"] == "rescued").unwrap();
    let id = rescued["id"].as_str().unwrap();
    let call = stage.admin(&format!("/admin/calls/{id}")).await.json();
    assert_eq!((&call["route"], &call["target"]), (&"chat".into(), &"b/m".into()), "{call}");
    assert_eq!(call["attempts"][0]["words"], "it is overloaded", "{call}");
    let last = call["attempts"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["why"], &last["result"]), (&"failover".into(), &"answered".into()), "{call}");

    let incidents = stage.admin("/admin/incidents").await.json();
    let incident = &incidents["incidents"][0];
    assert_eq!((&incident["name"], &incident["ended_ms"]), (&"a/m".into(), &Value::Null));
    assert!(incident["victims"].as_u64().unwrap() >= 2, "{incident}");
    assert_eq!(incident["client_failures"], 0);

    let lost = stage.admin("/admin/what-if?target=b/m").await.json();
    assert_eq!(lost["routes_without_an_answer"], 1, "{lost}");
    let fine = stage.admin("/admin/what-if?target=a/m").await.json();
    assert_eq!(fine["routes"][0]["to"][0]["target"], "b/m", "{fine}");
}

#[tokio::test]
async fn the_status_command_shows_the_same() {
    let stage = Stage::set("admin-status", 2, with_admin).await;
    outage(&stage).await;
    let address = stage.admin.trim_start_matches("http://").to_owned();
    let status = |arguments: &[&str], token: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_unbroken"));
        command.args(["status", "--admin", &address]).args(arguments);
        let output = command.env("UNBROKEN_ADMIN_TOKEN", token).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    };
    let (code, text) = status(&[], TOKEN);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("1 of 2 targets left alone; every route is answered"), "{text}");
    assert!(text.contains("it kept failing: it is overloaded; asked again in"), "{text}");
    assert!(text.contains("incident  a/m: it is overloaded"), "{text}");
    let (_, text) = status(&["--json"], TOKEN);
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["targets"][0]["target"], "a/m");
    let (code, text) = status(&[], "something wrong here");
    assert_eq!(code, Some(2));
    assert!(text.contains("does not accept the token"), "{text}");
    drop(stage);
    let (code, text) = status(&[], TOKEN);
    assert_eq!(code, Some(2));
    assert!(text.contains("no gateway at"), "{text}");
}

#[tokio::test]
async fn an_operator_drains_releases_and_resets() {
    let stage = Stage::set("admin-force", 2, with_admin).await;
    assert_eq!(stage.call("chat").await.target, "a/m");
    let act = async |action: &str| {
        let path = format!("/admin/targets/{action}?target=a/m");
        finish(stage.operate(Method::POST, &path)).await.status
    };
    assert_eq!(act("drain").await, 200);
    assert_eq!(stage.call("chat").await.target, "b/m");
    assert_eq!(target(&stage, "a/m").await["health"], "held");
    assert_eq!(act("release").await, 200);
    stage.until("it is back", async |stage| stage.call("chat").await.target == "a/m").await;

    assert_eq!(act("close").await, 200);
    stage.providers[0].fault(Fault::Overloaded);
    for _ in 0..8 {
        assert_eq!(stage.call("chat").await.target, "b/m");
    }
    assert_eq!(target(&stage, "a/m").await["state"], "forced_closed", "failures do not stop it");
    assert_eq!(act("release").await, 200);
    outage(&stage).await;
    stage.providers[0].heal();
    assert_eq!(act("reset").await, 200);
    assert_eq!(target(&stage, "a/m").await["health"], "returning");
    let unknown = finish(stage.operate(Method::POST, "/admin/targets/open?target=a/x")).await;
    assert_eq!(unknown.status, 404);
}

#[tokio::test]
async fn a_bad_configuration_shows_and_a_good_one_is_loaded_on_demand() {
    let stage = Stage::set("admin-reload", 2, with_admin).await;
    stage.write("[nonsense]\n");
    let refused = finish(stage.operate(Method::POST, "/admin/reload")).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    let status = stage.admin("/admin/status").await.json();
    let error = status["gateway"]["configuration"]["error"].as_str().unwrap();
    assert!(error.contains("unknown field `nonsense`"), "{error}");
    stage.write(&with_admin(&stage.providers));
    let loaded = finish(stage.operate(Method::POST, "/admin/reload")).await;
    assert_eq!(loaded.json()["generation"], 2);
    let status = stage.admin("/admin/status").await.json();
    assert_eq!(status["gateway"]["configuration"]["error"], Value::Null);
}

#[tokio::test]
async fn the_live_status_tells_what_changes() {
    let stage = Stage::set("admin-live", 2, with_admin).await;
    let mut live = stage.operate(Method::GET, "/admin/live");
    let first = read_to(&mut live, "\n\n").await;
    assert!(first.starts_with("event: status\ndata: {"), "{first}");
    assert!(first.contains("\"target\":\"a/m\""), "{first}");
    outage(&stage).await;
    let changes = read_to(&mut live, "left alone because it kept failing").await;
    assert!(changes.contains("event: change\ndata: {"), "{changes}");
    stage.call("chat").await;
    read_to(&mut live, "[\"chat\",\"b/m\",").await;
}
