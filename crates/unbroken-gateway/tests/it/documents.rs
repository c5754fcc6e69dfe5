//! Every command of `docs/operate.md` runs, against a gateway that runs.

use std::process::{Command, Stdio};
use std::time::Duration;

use unbroken_drill::fake_provider::FakeProvider;

use crate::stage::{Stage, TOKEN, with_admin};

const PAGE: &str = include_str!("../../../../docs/operate.md");

/// A command that shows something again and again is stopped after this.
const WATCHED_FOR: Duration = Duration::from_secs(3);

/// The lines of the page's `sh` blocks, continued lines as one.
fn commands() -> Vec<String> {
    let mut commands = Vec::new();
    let (mut is_inside, mut so_far) = (false, String::new());
    for line in PAGE.lines() {
        if line.starts_with("```") {
            is_inside = line == "```sh";
            continue;
        }
        if !is_inside || line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        match line.strip_suffix('\\') {
            Some(begun) => so_far.push_str(begun),
            None => commands.push(std::mem::take(&mut so_far) + line),
        }
    }
    commands
}

/// The names that the page uses.
fn as_on_the_page(providers: &[FakeProvider]) -> String {
    let file =
        with_admin(providers).replace("\"a\"", "\"openai\"").replace("\"b\"", "\"anthropic\"");
    file.replace("a/m", "openai/gpt-5.1").replace("b/m", "anthropic/claude-sonnet-4-5")
}

#[tokio::test]
async fn every_command_of_the_operators_page_runs() {
    let stage = Stage::set("documents", 2, as_on_the_page).await;
    assert_eq!(stage.call("chat").await.status, 200);
    let id = stage.admin("/admin/calls").await.json()["calls"][0]["id"].clone();
    std::fs::write(stage.folder.join("request.json"), REQUEST).unwrap();
    let file = std::fs::read_to_string(stage.folder.join("unbroken.toml")).unwrap();
    let admin = stage.admin.trim_start_matches("http://").to_owned();
    // The commands find the gateway's ports in its configuration.
    stage.write(&file.replacen("\"127.0.0.1:0\"\ntoken", &format!("\"{admin}\"\ntoken"), 1));
    let commands = commands();
    assert!(commands.len() >= 8, "{commands:?}");
    for command in commands {
        let here = command
            .replace("127.0.0.1:4111", &admin)
            .replace("127.0.0.1:4110", stage.url.trim_start_matches("http://"))
            .replace("REQUEST-ID", id.as_str().unwrap());
        run(&stage, &here, command.contains("--watch")).await;
    }
}

const REQUEST: &str = r#"{"model":"chat","messages":[{"role":"user","content":"Count."}]}"#;

/// Runs one line; one that never ends must still run after a while.
async fn run(stage: &Stage, line: &str, never_ends: bool) {
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_unbroken")).parent().unwrap();
    let line = line.replacen("curl ", "curl -fsS ", 1);
    let script = format!("PATH={}:$PATH; exec {line}", binary.display());
    let mut child = Command::new("sh")
        .args(["-euc", &script])
        .current_dir(&stage.folder)
        .env("UNBROKEN_ADMIN_TOKEN", TOKEN)
        .env("XDG_STATE_HOME", &stage.folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    if never_ends {
        tokio::time::sleep(WATCHED_FOR).await;
        let ended = child.try_wait().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(ended, None, "{line}");
        return;
    }
    let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await.unwrap();
    let output = output.unwrap();
    assert!(output.status.success(), "{line}\n{}", String::from_utf8_lossy(&output.stderr));
}
