//! What is written down survives the process, however it ends.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use rusqlite::Connection;
use serde_json::Value;
use unbroken::Clock;
use unbroken_drill::fake_provider::FakeProvider;
use unbroken_drill::fault::{CutKind, Fault};

use crate::stage::{Stage, finish, with_admin};

/// The same with prices: `a` costs, what `b` costs nobody has said.
pub(crate) fn with_prices(providers: &[FakeProvider]) -> String {
    let file = with_admin(providers);
    let price = "models = [{ name = \"*\", price = { input = 3.0, output = 15.0 } }]\n";
    file.replacen("dialect", &format!("{price}dialect"), 1)
}

fn ledger(stage: &Stage) -> Connection {
    Connection::open(stage.folder.join("unbroken.db")).unwrap()
}

fn number(ledger: &Connection, sql: &str) -> i64 {
    ledger.query_row(sql, [], |row| row.get(0)).unwrap()
}

async fn newest_call(stage: &Stage) -> Value {
    stage.admin("/admin/calls?limit=1").await.json()["calls"][0].clone()
}

#[tokio::test]
async fn a_call_is_told_from_the_ledger_as_it_was_told_from_memory() {
    let mut stage = Stage::set("ledger-call", 2, with_prices).await;
    assert_eq!(stage.call("chat").await.target, "a/m");
    let plain = newest_call(&stage).await;
    let tokens = &plain["attempts"][0]["tokens"];
    let (input, output) = (tokens["input"].as_f64().unwrap(), tokens["output"].as_f64().unwrap());
    assert!(input > 0.0 && output > 0.0 && tokens["estimated"] == false, "{plain}");
    let cost = plain["cost_usd"].as_f64().unwrap();
    assert!((cost - (3.0 * input + 15.0 * output) / 1e6).abs() < 1e-9, "{plain}");

    stage.providers[0].fault(Fault::CutStream {
        after_words: 30,
        how: CutKind::Reset,
        inside_event: false,
    });
    let streamed = finish(stage.begin("chat", true)).await;
    assert!(streamed.text.contains("w60") && streamed.text.contains("[DONE]"), "{streamed:?}");
    let cut = newest_call(&stage).await;
    assert_eq!((&cut["outcome"], &cut["cost_usd"]), (&"rescued".into(), &Value::Null), "{cut}");
    assert!(cut["saved_tokens"].as_u64().unwrap() >= 1, "{cut}");
    let purposes: Vec<_> =
        cut["attempts"].as_array().unwrap().iter().map(|a| &a["purpose"]).collect();
    assert_eq!(purposes, ["answer", "continuation"], "{cut}");

    let path = |call: &Value| format!("/admin/calls/{}", call["id"].as_str().unwrap());
    assert_eq!(stage.admin(&path(&cut)).await.json(), cut);
    let both = "SELECT count(*) FROM calls";
    stage.until("both are written", async |stage| number(&ledger(stage), both) == 2).await;
    stage.kill();
    stage.start_again().await;
    assert_eq!(stage.admin(&path(&plain)).await.json(), plain);
    assert_eq!(stage.admin(&path(&cut)).await.json(), cut);
    assert_eq!(finish(stage.operate(Method::GET, "/admin/calls/no-such")).await.status, 404);
    let text = std::fs::read(stage.folder.join("unbroken.db")).unwrap();
    let has = |needle: &str| text.windows(needle.len()).any(|part| part == needle.as_bytes());
    assert!(!has("Count.") && !has("w59"), "no prompt and no answer");
}

/// Clients that never stop asking, and when each of their calls was over.
struct Load {
    is_over: Arc<AtomicBool>,
    ended: Arc<Mutex<Vec<(String, u64)>>>,
    clients: Vec<std::thread::JoinHandle<()>>,
}

impl Load {
    fn begin(url: &str, clients: usize) -> Self {
        let (is_over, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let count = Arc::new(AtomicU64::new(0));
        let address = url.trim_start_matches("http://").to_owned();
        let client = |_| {
            let (is_over, ended, count) = (is_over.clone(), Arc::clone(&ended), count.clone());
            let address = address.clone();
            std::thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let id = format!("load-{}", count.fetch_add(1, Ordering::Relaxed));
                    if ask(&address, &id).is_some() {
                        ended.lock().unwrap().push((id, Clock::unix_millis()));
                    }
                }
            })
        };
        let clients = (0..clients).map(client).collect();
        Self { is_over, ended, clients }
    }

    fn end(self) -> Vec<(String, u64)> {
        self.is_over.store(true, Ordering::Relaxed);
        self.clients.into_iter().for_each(|client| client.join().unwrap());
        std::mem::take(&mut self.ended.lock().unwrap())
    }
}

/// One call on a connection of its own; nothing, if the gateway is gone.
fn ask(address: &str, id: &str) -> Option<()> {
    use std::io::{Read as _, Write as _};
    let mut socket = std::net::TcpStream::connect(address).ok()?;
    let body = r#"{"model":"chat","messages":[{"role":"user","content":"Count."}]}"#;
    let length = body.len();
    write!(
        socket,
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-request-id: {id}\r\nconnection: close\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).ok()?;
    answer.contains("HTTP/1.1 200").then_some(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_gateway_loses_its_last_second_at_most() {
    let mut stage = Stage::set("ledger-kill", 2, with_prices).await;
    let load = Load::begin(&stage.url, 8);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    stage.providers[0].fault(Fault::Overloaded);
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    stage.kill();
    let killed = Clock::unix_millis();
    let ended = load.end();
    let ledger = ledger(&stage);
    let check: String = ledger.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    let mut ids = ledger.prepare("SELECT id FROM calls").unwrap();
    let ids = ids.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let written: BTreeSet<String> = ids.map(|id| id.unwrap()).collect();
    let due = ended.iter().filter(|(_, at)| *at + 1_000 <= killed);
    let lost: Vec<_> = due.clone().filter(|(id, _)| !written.contains(id)).collect();
    println!("{} calls, {} written, {} due", ended.len(), written.len(), due.count());
    assert!(ended.len() > 200, "a load: {}", ended.len());
    assert!(lost.is_empty(), "{} of {}: {lost:?}", lost.len(), ended.len());
    let sums = number(&ledger, "SELECT sum(calls) FROM route_minutes");
    assert_eq!(usize::try_from(sums).unwrap(), written.len(), "sums and calls agree");
    assert!(number(&ledger, "SELECT count(*) FROM transitions WHERE to_state = 'open'") >= 1);
    assert!(number(&ledger, "SELECT count(*) FROM incidents WHERE name = 'a/m'") == 1);
    assert_eq!(number(&ledger, "SELECT count(*) FROM runs WHERE ended_ms IS NULL"), 1);
    the_report_agrees(&stage, written.len());
}

fn the_report_agrees(stage: &Stage, calls: usize) {
    let (code, text) = stage.run(&["report", "--since", "1h", "--format", "json"]);
    assert_eq!(code, Some(0), "{text}");
    let report: Value = serde_json::from_str(&text).unwrap();
    let chat = &report["routes"][0];
    assert_eq!((&chat["route"], &chat["calls"]), (&"chat".into(), &calls.into()), "{chat}");
    assert_eq!(chat["seen"]["share"], 1.0, "no client saw it");
    let (saved, valid) = (chat["saved"].as_u64().unwrap(), chat["valid"].as_u64().unwrap());
    assert!(chat["rescued"].as_u64().unwrap() >= 3, "{chat}");
    assert!(
        chat["avoided"].as_u64().unwrap() >= 50,
        "an open breaker sends calls elsewhere: {chat}"
    );
    let alone = chat["without_failover"]["share"].as_f64().unwrap();
    assert!((alone - (valid - saved) as f64 / valid as f64).abs() < 1e-9, "{chat}");
    let of = |name: &str| {
        let mut targets = report["targets"].as_array().unwrap().iter();
        targets.find(|target| target["target"] == name).unwrap().clone()
    };
    let (ill, well) = (of("a/m"), of("b/m"));
    assert!(ill["available"]["share"].as_f64().unwrap() < 1.0, "{ill}");
    assert_eq!(well["available"]["share"], 1.0, "{well}");
    assert!(ill["used"]["usd"].as_f64().unwrap() > 0.0, "{ill}");
    assert_eq!(
        (&well["used"]["usd"], &well["used"]["unpriced"]),
        (&Value::Null, &well["answered"])
    );
    let incident = &report["incidents"][0];
    assert_eq!((&incident["name"], &incident["ended_ms"]), (&"a/m".into(), &Value::Null));
    assert!(incident["detected_ms"].as_u64().unwrap() >= incident["began_ms"].as_u64().unwrap());
    // Those that ended before it was detected are not counted with it.
    assert!(incident["moved"]["b/m"].as_u64() >= Some(1), "{incident}");
    let (code, text) = stage.run(&["report"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("Clients saw 100 % of") && text.contains("INCIDENTS"), "{text}");
    let (_, page) = stage.run(&["report", "--format", "html"]);
    assert!(page.starts_with("<!doctype html>") && page.contains("a/m"), "{page}");
    let (code, text) = stage.run(&["report", "--ledger", "nowhere.db"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("there is no ledger at nowhere.db"), "{text}");
}

#[tokio::test]
async fn a_ledger_that_cannot_be_written_stops_nobody() {
    let broken = |providers: &[FakeProvider]| {
        with_admin(providers) + "[ledger]\npath = \"/proc/no/such/place.db\"\n"
    };
    let stage = Stage::set("ledger-broken", 2, broken).await;
    assert_eq!(stage.call("chat").await.status, 200);
    assert!(stage.log().contains("no ledger: calls are answered"), "{}", stage.log());
    let page = stage.get("/metrics").await.text;
    assert!(page.contains("unbroken_ledger_open 0"), "{page}");

    let off = |providers: &[FakeProvider]| with_admin(providers) + "[ledger]\nenabled = false\n";
    let stage = Stage::set("ledger-off", 2, off).await;
    assert_eq!(stage.call("chat").await.status, 200);
    assert!(!stage.folder.join("unbroken.db").exists() && !stage.log().contains("no ledger"));
}
