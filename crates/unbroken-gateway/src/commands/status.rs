//! `unbroken status`: how are the targets of a running gateway?

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use unbroken::http::{HttpClient, HttpConfig, Progress};

use super::serve::plan;
use crate::config::{AdminPlan, Environment};
use crate::terminal::{print, say};

/// What can be chosen.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// The configuration of the gateway; unbroken.toml if it is there
    #[arg(long)]
    config: Option<PathBuf>,
    /// The admin address, instead of the configuration's; the token is UNBROKEN_ADMIN_TOKEN then
    #[arg(long)]
    admin: Option<SocketAddr>,
    /// Show it again every 2 seconds
    #[arg(long, conflicts_with = "json")]
    watch: bool,
    /// Print it as one JSON object
    #[arg(long)]
    json: bool,
}

/// An answer takes no longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time between two looks.
const AGAIN: Duration = Duration::from_secs(2);
/// The name of the variable with the token, if no configuration says it.
const TOKEN: &str = "UNBROKEN_ADMIN_TOKEN";

/// Shows the status. Fails if a route has nobody left, or the gateway does not answer.
pub(crate) async fn run(options: Options) -> ExitCode {
    let environment = Environment::of_process();
    let admin = match door(options.config.clone(), options.admin, &environment) {
        Ok(admin) => admin,
        Err(error) => {
            say(&format!("unbroken: {error}"));
            return ExitCode::from(2);
        }
    };
    let has_colour = std::io::stdout().is_terminal() && environment.get("NO_COLOR").is_none();
    loop {
        let status = match fetch(&admin).await {
            Ok(status) => status,
            Err(error) if options.watch => {
                print(&format!("\u{1b}[2J\u{1b}[H{error}"));
                tokio::time::sleep(AGAIN).await;
                continue;
            }
            Err(error) => {
                say(&format!("unbroken: {error}"));
                return ExitCode::from(2);
            }
        };
        let page = Page { status: &status, has_colour };
        if options.watch {
            print(&format!("\u{1b}[2J\u{1b}[H{}", page.render()));
            tokio::time::sleep(AGAIN).await;
            continue;
        }
        print(&if options.json { status.to_string() } else { page.render() });
        return if page.lost_routes().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
}

/// Where to ask, and with which token.
pub(super) fn door(
    config: Option<PathBuf>,
    address: Option<SocketAddr>,
    environment: &Environment,
) -> Result<AdminPlan, String> {
    let token = environment.get(TOKEN).map(SecretString::from);
    match (address, token) {
        (Some(listen), Some(token)) => Ok(AdminPlan { listen, token }),
        (Some(_), None) => Err(format!("set {TOKEN} to the token of that gateway")),
        (None, _) => {
            plan(config, environment).map_err(|errors| errors.to_string())?.admin.ok_or_else(|| {
                "the configuration has no `[admin]`, so there is nobody to ask".to_owned()
            })
        }
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Unanswered {
    pub(super) words: String,
    /// Whether nobody is there at all.
    pub(super) is_absent: bool,
}

async fn fetch(admin: &AdminPlan) -> Result<Value, String> {
    ask(admin, Method::GET, "/admin/status", &Value::Null).await.map_err(|fault| fault.words)
}

/// Asks a running gateway's admin API.
pub(super) async fn ask(
    admin: &AdminPlan,
    method: Method,
    path: &str,
    body: &Value,
) -> Result<Value, Unanswered> {
    let there = |words: String| Unanswered { words, is_absent: false };
    let url = format!("http://{}{path}", admin.listen);
    let token = format!("Bearer {}", admin.token.expose_secret());
    let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
    let request = Request::builder().method(method).uri(&url).header("authorization", token);
    let request = request.header("content-type", "application/json").body(body);
    let request = request.map_err(|_| there("the token cannot be sent in a header".to_owned()))?;
    let mut exchange = HttpClient::new(&HttpConfig::default()).send(request, false);
    let (mut status, mut body) = (0, Vec::new());
    let answer = async {
        loop {
            match exchange.next().await {
                Progress::Connected { .. } => {}
                Progress::Head(head) => status = head.status.as_u16(),
                Progress::Bytes(bytes) => body.extend_from_slice(&bytes),
                Progress::End => return Ok(()),
                Progress::Failed(cause) => {
                    let words = format!("no gateway at {url}: {cause}");
                    return Err(Unanswered { words, is_absent: true });
                }
            }
        }
    };
    match tokio::time::timeout(PATIENCE, answer).await {
        Err(_) => {
            return Err(there(format!("no answer from {url} within {} s", PATIENCE.as_secs())));
        }
        Ok(result) => result?,
    }
    let json: Option<Value> = serde_json::from_slice(&body).ok();
    match (status, json) {
        (200, Some(json)) => Ok(json),
        (401, _) => Err(there(format!("{url} does not accept the token"))),
        (400, Some(json)) if json.get("error").is_some() => {
            Err(there(text(&json, "error").to_owned()))
        }
        _ => Err(there(format!("{url} answers {status}: is that the admin address?"))),
    }
}

/// What is shown.
struct Page<'a> {
    status: &'a Value,
    has_colour: bool,
}

pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn number(value: &Value, name: &str) -> Option<u64> {
    value.get(name).and_then(Value::as_u64)
}

pub(super) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

impl Page<'_> {
    fn paint(&self, colour: &str, text: &str) -> String {
        if self.has_colour { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn targets(&self) -> Vec<&Value> {
        let mut targets: Vec<&Value> = list(self.status, "targets").iter().collect();
        targets.sort_by_key(|target| (text(target, "health") == "well", text(target, "target")));
        targets
    }

    fn is_usable(&self, label: &str) -> bool {
        let targets = list(self.status, "targets");
        let target = targets.iter().find(|target| text(target, "target") == label);
        target.is_none_or(|target| target.get("usable") != Some(&Value::Bool(false)))
    }

    /// Routes that nobody can answer now.
    fn lost_routes(&self) -> Vec<&str> {
        let is_lost = |route: &&Value| {
            let tiers = list(route, "tiers").iter();
            let mut choices = tiers.flat_map(|tier| list(tier, "targets"));
            !choices.any(|choice| self.is_usable(text(choice, "target")))
        };
        list(self.status, "routes").iter().filter(is_lost).map(|r| text(r, "route")).collect()
    }

    fn render(&self) -> String {
        let mut out = self.head();
        for route in list(self.status, "routes") {
            let tiers = list(route, "tiers").iter().map(|tier| {
                let labels = list(tier, "targets").iter().map(|choice| {
                    let label = text(choice, "target");
                    let colour = if self.is_usable(label) { "0" } else { "31;9" };
                    self.paint(colour, label)
                });
                labels.collect::<Vec<_>>().join(" | ")
            });
            let chain = tiers.collect::<Vec<_>>().join(", then ");
            let _ = writeln!(out, "  route  {:<18} {chain}", text(route, "route"));
        }
        out.push('\n');
        for target in self.targets() {
            self.target(&mut out, target);
        }
        self.incidents(&mut out);
        out.trim_end().to_owned()
    }

    fn head(&self) -> String {
        let none = Value::Null;
        let gateway = self.status.get("gateway").unwrap_or(&none);
        let configuration = gateway.get("configuration").unwrap_or(&none);
        let now = number(self.status, "now_ms").unwrap_or(0);
        let up = now.saturating_sub(number(gateway, "started_ms").unwrap_or(now));
        let mut out = format!(
            "unbroken {} at {}, up {}, configuration #{}\n",
            text(gateway, "version"),
            text(gateway, "listen"),
            span(up),
            number(configuration, "generation").unwrap_or(0),
        );
        if let Some(error) = configuration.get("error").and_then(Value::as_str) {
            let told = format!("the configuration file is wrong; the one before goes on:\n{error}");
            let _ = writeln!(out, "{}", self.paint("31", &told));
        }
        let lost = self.lost_routes();
        let targets = list(self.status, "targets");
        let ill = targets.iter().filter(|target| !self.is_usable(text(target, "target"))).count();
        let verdict = match (lost.as_slice(), ill) {
            ([], 0) => self.paint("32", "every target can be used"),
            ([], ill) => {
                let all = targets.len();
                self.paint(
                    "33",
                    &format!("{ill} of {all} targets left alone; every route is answered"),
                )
            }
            (lost, _) => self.paint("31;1", &format!("nobody can answer: {}", lost.join(", "))),
        };
        let _ = writeln!(out, "{verdict}\n");
        out
    }

    fn target(&self, out: &mut String, target: &Value) {
        let (mark, colour) = match text(target, "health") {
            "well" => ("\u{25cf}", "32"),
            "slow" => ("\u{25b2}", "33"),
            "returning" => ("\u{25c6}", "34"),
            "held" => ("\u{2016}", "35"),
            "retired" => ("-", "2"),
            _ => ("\u{25a0}", "31"),
        };
        let first =
            number(target, "first_token_ms").map_or("-".to_owned(), |ms| format!("{ms} ms"));
        let counts = format!(
            "{} ok, {} failed",
            number(target, "answered").unwrap_or(0),
            number(target, "failed").unwrap_or(0)
        );
        let mut words = text(target, "words").to_owned();
        let now = number(self.status, "now_ms").unwrap_or(0);
        if let Some(at) = number(target, "retry_at_ms").filter(|at| *at > now) {
            let _ = write!(words, "; asked again in {}", span(at - now));
        }
        let label = text(target, "target");
        let mark = self.paint(colour, mark);
        let _ = writeln!(out, "  {mark} {label:<34} {first:>9}  {counts:<22} {words}");
    }

    fn incidents(&self, out: &mut String) {
        let now = number(self.status, "now_ms").unwrap_or(0);
        let incidents = list(self.status, "incidents");
        let open = incidents.iter().filter(|incident| number(incident, "ended_ms").is_none());
        for (index, incident) in open.take(10).enumerate() {
            let lead = if index == 0 { "\n" } else { "" };
            let since = now.saturating_sub(number(incident, "began_ms").unwrap_or(now));
            let _ = writeln!(
                out,
                "{lead}  incident  {}: {}, for {}; {} attempts failed, {} clients saw it",
                text(incident, "name"),
                text(incident, "words"),
                span(since),
                number(incident, "victims").unwrap_or(0),
                number(incident, "client_failures").unwrap_or(0),
            );
        }
    }
}

/// Milliseconds for people.
fn span(ms: u64) -> String {
    match ms / 1_000 {
        0..10 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        seconds @ 10..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status(a_is_usable: bool, b_is_usable: bool) -> Value {
        let target = |label: &str, usable: bool| {
            json!({
                "target": label, "usable": usable, "health": if usable { "well" } else { "shut" },
                "words": if usable { "well" } else { "left alone because it kept failing" },
                "retry_at_ms": if usable { Value::Null } else { json!(104_000) },
                "first_token_ms": 23, "answered": 7, "failed": 2,
            })
        };
        json!({
            "now_ms": 100_000,
            "gateway": {
                "version": "0.1.0", "listen": "127.0.0.1:4110", "started_ms": 40_000,
                "configuration": { "generation": 2, "error": null },
            },
            "routes": [{ "route": "chat", "tiers": [
                { "targets": [{ "target": "b/m" }] }, { "targets": [{ "target": "a/m" }] },
            ] }],
            "targets": [target("a/m", a_is_usable), target("b/m", b_is_usable)],
            "incidents": [{
                "name": "b/m", "words": "it is overloaded", "began_ms": 88_000, "ended_ms": null,
                "victims": 3, "client_failures": 0,
            }],
        })
    }

    #[test]
    fn an_ill_target_comes_first_with_its_reason_and_its_time() {
        let status = status(true, false);
        let page = Page { status: &status, has_colour: false };
        assert_eq!(
            page.render(),
            "unbroken 0.1.0 at 127.0.0.1:4110, up 60 s, configuration #2\n\
             1 of 2 targets left alone; every route is answered\n\n  \
             route  chat               b/m, then a/m\n\n  \
             \u{25a0} b/m                                    23 ms  7 ok, 2 failed         \
             left alone because it kept failing; asked again in 4.0 s\n  \
             \u{25cf} a/m                                    23 ms  7 ok, 2 failed         well\n\n  \
             incident  b/m: it is overloaded, for 12 s; 3 attempts failed, 0 clients saw it"
        );
        assert!(page.lost_routes().is_empty());
    }

    #[test]
    fn a_route_that_nobody_can_answer_is_told_first() {
        let status = status(false, false);
        let page = Page { status: &status, has_colour: false };
        assert_eq!(page.lost_routes(), ["chat"]);
        assert!(page.render().contains("nobody can answer: chat"), "{}", page.render());
    }
}
