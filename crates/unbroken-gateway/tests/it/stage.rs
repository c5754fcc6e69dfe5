//! A gateway in a process of its own, in front of fake providers in this one.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use unbroken::http::{Exchange, HttpClient, HttpConfig, Progress};
use unbroken_drill::fake_provider::{FakeConfig, FakeProvider};

/// Nothing in a test takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A gateway and what is in front of and behind it.
pub(crate) struct Stage {
    pub(crate) providers: Vec<FakeProvider>,
    pub(crate) url: String,
    /// Where the admin API is, if it is on.
    pub(crate) admin: String,
    pub(crate) folder: PathBuf,
    process: Child,
    log: Arc<Mutex<String>>,
    http: HttpClient,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) target: String,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }
}

/// Providers `a` and `b`, and a route `chat` over their model `m`.
pub(crate) fn two_targets(providers: &[FakeProvider]) -> String {
    let mut file = providers_named(&["a", "b"], providers);
    file.push_str("[[route]]\nname = \"chat\"\ntargets = [\"a/m\", \"b/m\"]\n");
    file
}

/// The same with the admin API.
pub(crate) fn with_admin(providers: &[FakeProvider]) -> String {
    let admin = format!("[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"\n");
    two_targets(providers) + &admin
}

/// What lets operators in.
pub(crate) const TOKEN: &str = "a-token-for-the-tests";

/// The providers of a configuration, by name.
pub(crate) fn providers_named(names: &[&str], providers: &[FakeProvider]) -> String {
    let mut file = "listen = \"127.0.0.1:0\"\n".to_owned();
    for (name, provider) in names.iter().zip(providers) {
        let url = provider.url();
        write!(
            file,
            "[[provider]]\nname = \"{name}\"\ndialect = \"openai-chat\"\nbase_url = \"{url}/v1\"\n"
        )
        .unwrap();
    }
    file
}

impl Stage {
    /// Starts `count` providers and a gateway with the configuration that is made for them.
    pub(crate) async fn set(
        test: &str,
        count: usize,
        configuration: impl Fn(&[FakeProvider]) -> String,
    ) -> Self {
        let configs = (0..count).map(|_| FakeConfig::default()).collect();
        Self::set_with(test, configs, configuration).await
    }

    /// The same with providers of these configurations.
    pub(crate) async fn set_with(
        test: &str,
        configs: Vec<FakeConfig>,
        configuration: impl Fn(&[FakeProvider]) -> String,
    ) -> Self {
        let mut providers = Vec::new();
        for config in configs {
            providers.push(FakeProvider::start(config).await.unwrap());
        }
        let folder = std::env::temp_dir().join(format!("unbroken-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("unbroken.toml"), configuration(&providers)).unwrap();
        let (process, url, log) = serve(&folder).await;
        let admin = dashboard(&log);
        let http = HttpClient::new(&HttpConfig::default());
        Self { providers, url, admin, folder, process, log, http }
    }

    /// Kills the gateway: it gets no chance to tidy up.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts the gateway once more, in the same folder.
    pub(crate) async fn start_again(&mut self) {
        let (process, url, log) = serve(&self.folder).await;
        (self.process, self.url, self.log) = (process, url, log);
        self.admin = dashboard(&self.log);
    }

    /// The same, with the token in the environment.
    pub(crate) fn run_with_token(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_unbroken"));
        command.args(arguments).current_dir(&self.folder).env("UNBROKEN_ADMIN_TOKEN", TOKEN);
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    }

    /// What another command of the program prints, in the gateway's folder.
    pub(crate) fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_unbroken"));
        command.args(arguments).current_dir(&self.folder).env_clear();
        let output = command.env("XDG_STATE_HOME", &self.folder).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    }

    /// Writes another configuration, without telling the gateway.
    pub(crate) fn write(&self, configuration: &str) {
        std::fs::write(self.folder.join("unbroken.toml"), configuration).unwrap();
    }

    /// Sends the gateway a signal.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// A call for a model, begun.
    pub(crate) fn begin(&self, model: &str, stream: bool) -> Exchange {
        let messages = serde_json::json!([{ "role": "user", "content": "Count." }]);
        let body = serde_json::json!({ "model": model, "stream": stream, "messages": messages });
        self.send(
            Method::POST,
            &format!("{}/v1/chat/completions", self.url),
            &[],
            &body.to_string(),
        )
    }

    /// A call for a model, to its end.
    pub(crate) async fn call(&self, model: &str) -> Answer {
        finish(self.begin(model, false)).await
    }

    /// A request, begun.
    pub(crate) fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Exchange {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.header("content-type", "application/json");
        self.http.send(request.body(Bytes::from(body.to_owned())).unwrap(), false)
    }

    /// A page of the gateway.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        finish(self.send(Method::GET, &format!("{}{path}", self.url), &[], "")).await
    }

    /// A request of an operator, with the right token.
    pub(crate) fn operate(&self, method: Method, path: &str) -> Exchange {
        let token = format!("Bearer {TOKEN}");
        let url = format!("{}{path}", self.admin);
        self.send(method, &url, &[("authorization", token.as_str())], "")
    }

    /// A page of the admin API.
    pub(crate) async fn admin(&self, path: &str) -> Answer {
        finish(self.operate(Method::GET, path)).await
    }

    /// The log so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until something holds.
    pub(crate) async fn until(&self, what: &str, mut holds: impl AsyncFnMut(&Self) -> bool) {
        let wait = async {
            while !holds(self).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let came = tokio::time::timeout(PATIENCE, wait).await;
        assert!(came.is_ok(), "never: {what}\n{}", self.log());
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Where the banner says that the dashboard is.
fn dashboard(log: &Mutex<String>) -> String {
    let banner = log.lock().unwrap().clone();
    let admin = banner.split("dashboard ").nth(1).and_then(|rest| rest.lines().next());
    admin.unwrap_or_default().trim().to_owned()
}

/// Starts the program and waits for its banner.
async fn serve(folder: &std::path::Path) -> (Child, String, Arc<Mutex<String>>) {
    let mut process = Command::new(env!("CARGO_BIN_EXE_unbroken"))
        .arg("serve")
        .current_dir(folder)
        .env_clear()
        .env("XDG_STATE_HOME", folder)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = Arc::new(Mutex::new(String::new()));
    let mut lines = BufReader::new(process.stderr.take().unwrap());
    let written = log.clone();
    std::thread::spawn(move || {
        let mut line = String::new();
        while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
            written.lock().unwrap().push_str(&line);
            line.clear();
        }
    });
    for _ in 0..2_000 {
        let text = log.lock().unwrap().clone();
        let url = text.split_whitespace().find(|word| word.starts_with("http://127.0.0.1:"));
        if let (Some(url), true) = (url, text.contains("try:")) {
            return (process, url.to_owned(), log);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    process.kill().unwrap();
    process.wait().unwrap();
    panic!("it does not start:\n{}", log.lock().unwrap());
}

/// Reads an exchange to its end.
pub(crate) async fn finish(mut exchange: Exchange) -> Answer {
    let mut answer = Answer { status: 0, target: String::new(), text: String::new() };
    loop {
        match tokio::time::timeout(PATIENCE, exchange.next()).await.expect("an answer in time") {
            Progress::Connected { .. } => {}
            Progress::Head(head) => {
                answer.status = head.status.as_u16();
                let target = head.headers.get("x-unbroken-target");
                answer.target = target.map_or("", |t| t.to_str().unwrap()).to_owned();
            }
            Progress::Bytes(bytes) => answer.text.push_str(std::str::from_utf8(&bytes).unwrap()),
            Progress::End => return answer,
            Progress::Failed(cause) => panic!("{cause} after {answer:?}"),
        }
    }
}

/// Reads an exchange up to some text.
pub(crate) async fn read_to(exchange: &mut Exchange, end: &str) -> String {
    let mut text = String::new();
    while !text.contains(end) {
        match tokio::time::timeout(PATIENCE, exchange.next()).await.expect("an answer in time") {
            Progress::Connected { .. } | Progress::Head(_) => {}
            Progress::Bytes(bytes) => text.push_str(std::str::from_utf8(&bytes).unwrap()),
            Progress::End => panic!("it ended without {end}: {text}"),
            Progress::Failed(cause) => panic!("{cause} after {text}"),
        }
    }
    text
}
