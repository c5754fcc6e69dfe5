//! A target that refuses a hint is asked again without it, at once; the client is told, and the
//! next call does not have it any more.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use unbroken::endpoint::Endpoint;
use unbroken::providers::OPENAI_COMPATIBLE;
use unbroken::route::Choice;

use crate::whole::{call, failover};

/// A host that refuses fields, one after the other, and keeps what it was asked.
///
/// With an empty list it refuses nothing, and says that its limit is used up.
struct Picky {
    url: String,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Picky {
    async fn start(refused: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<Value>>> = Arc::default();
        let kept = asked.clone();
        drop(unbroken::spawn("picky", async move {
            while let Ok((stream, _)) = listener.accept().await {
                drop(unbroken::spawn("picky line", serve(stream, refused, kept.clone())));
            }
        }));
        Self { url, asked }
    }

    fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().clone()
    }

    fn choice(&self) -> Choice {
        let endpoint = Endpoint::new(&OPENAI_COMPATIBLE, None).at(&self.url);
        Choice::new(Arc::new(endpoint), "m".to_owned())
    }
}

async fn serve(
    mut stream: TcpStream,
    refused: &'static [&'static str],
    asked: Arc<Mutex<Vec<Value>>>,
) {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = text.split_once("\r\n\r\n").and_then(|(_, b)| serde_json::from_str(b).ok());
        let Some(body) = body else {
            let mut piece = [0; 4_096];
            match stream.read(&mut piece).await {
                Ok(0) | Err(_) => return,
                Ok(count) => bytes.extend_from_slice(&piece[..count]),
            }
            continue;
        };
        bytes.clear();
        let body: Value = body;
        asked.lock().unwrap().push(body.clone());
        let wrong = refused.iter().find(|field| body.get(**field).is_some());
        let (status, reply) = match wrong {
            Some(field) => {
                let message = format!("Unsupported parameter: '{field}' is not supported.");
                let code = "unsupported_parameter";
                let error = json!({ "message": message, "param": field, "code": code,
                    "type": "invalid_request_error" });
                ("400 Bad Request", json!({ "error": error }))
            }
            None => {
                let message = json!({ "role": "assistant", "content": "well" });
                let choice = json!({ "index": 0, "message": message, "finish_reason": "stop" });
                ("200 OK", json!({ "id": "a", "model": "m", "choices": [choice] }))
            }
        };
        let reply = reply.to_string();
        let limits = match refused.is_empty() {
            true => {
                "x-ratelimit-limit-requests: 100\r\nx-ratelimit-remaining-requests: 0\r\n\
                     x-ratelimit-reset-requests: 60s\r\n"
            }
            false => "",
        };
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{limits}content-length: {}\r\n\r\n",
            reply.len()
        );
        if stream.write_all((head + &reply).as_bytes()).await.is_err() {
            return;
        }
    }
}

fn asking(more: &Value) -> Value {
    let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "a" }] });
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

#[tokio::test]
async fn a_refused_hint_is_left_out_at_once_and_from_then_on() {
    let picky = Picky::start(&["temperature", "max_tokens"]).await;
    let failover = failover();
    let body = asking(&json!({ "temperature": 0.2, "max_tokens": 9, "seed": 1 }));
    let (reply, answer) = call(&failover, vec![picky.choice()], &body).await;
    assert_eq!((reply.status, &answer["choices"][0]["message"]["content"]), (200, &"well".into()));
    assert_eq!(reply.headers["x-unbroken-warnings"], "dropped:temperature");
    assert_eq!(reply.headers["x-unbroken-attempts"], "1", "one attempt, however often it asked");
    let asked = picky.asked();
    assert_eq!(asked.len(), 3);
    let last = asking(&json!({ "max_completion_tokens": 9, "seed": 1 }));
    assert_eq!(asked[2], last, "nothing else was changed");
    // What was learned needs no refusal any more.
    let (reply, _) = call(&failover, vec![picky.choice()], &body).await;
    assert_eq!(reply.headers["x-unbroken-warnings"], "dropped:temperature");
    assert_eq!(picky.asked().len(), 4);
    assert_eq!(picky.asked()[3], last);
}

#[tokio::test]
async fn what_the_client_needs_is_never_left_out() {
    let picky = Picky::start(&["logprobs"]).await;
    let body = asking(&json!({ "logprobs": true }));
    let (reply, answer) = call(&failover(), vec![picky.choice()], &body).await;
    assert_eq!(reply.status, 400);
    assert!(answer["error"]["message"].as_str().unwrap().contains("logprobs"), "{answer}");
    assert_eq!(picky.asked().len(), 1);
}

#[tokio::test]
async fn a_host_that_refuses_everything_is_not_asked_for_ever() {
    let picky = Picky::start(&["temperature", "top_p", "seed", "user", "store"]).await;
    let body = asking(&json!({
        "temperature": 0.2, "top_p": 0.5, "seed": 1, "user": "u", "store": true,
    }));
    let (reply, _) = call(&failover(), vec![picky.choice()], &body).await;
    assert_eq!((reply.status, picky.asked().len()), (400, 4), "three fields are its share");
}

#[tokio::test]
async fn a_target_that_says_its_limit_is_used_up_is_left_before_it_refuses() {
    let (first, second) = (Picky::start(&[]).await, Picky::start(&["nothing"]).await);
    let failover = failover();
    let body = asking(&json!({}));
    for _ in 0..3 {
        let choices = vec![first.choice(), second.choice()];
        let (reply, _) = call(&failover, choices, &body).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.headers["x-unbroken-attempts"], "1", "nobody had to refuse");
    }
    assert_eq!((first.asked().len(), second.asked().len()), (1, 2));
}
