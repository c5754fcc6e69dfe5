//! Checks and chores of the repository: `cargo xtask check`, `tidy`, `docs`, `bench`,
//! `bench-engine`, `simulate`, `evidence`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

mod dialects;
mod docs;
mod ratchet;
/// The gateway is a program and not a library; this part of it needs nothing of the rest.
#[path = "../../crates/unbroken-gateway/src/config/reference/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the schema is the gateway's")]
mod reference;
mod tidy;

/// Takes 80 s, beside the acceptance tests. Every other drill of the referee is a test.
const SLOW_DRILL: &str = "referee-recovery";

fn main() -> ExitCode {
    let root = root();
    let result = match env::args().nth(1).as_deref() {
        Some("check") => check(&root),
        Some("tidy") => tidy(&root),
        Some("simulate" | "evidence") => laboratory(&root),
        Some("docs") => write_docs(&root).map_err(|error| error.to_string()),
        Some("bench") => bench(&root, env::args().skip(2)),
        Some("bench-engine") => bench_engine(&root),
        _ => Err("usage: cargo xtask check|tidy|docs|bench|bench-engine|simulate|evidence\n\n  \
                  check  everything that must hold before a commit\n  \
                  tidy   the rules of the house that a program can check\n  \
                  docs   writes the generated parts of docs/\n  \
                  bench  what the gateway costs, beside a minimal proxy [--quick] [--only WORD]\n  \
                  bench-engine  how fast the engine decides, and how much it remembers\n  \
                  simulate, evidence  the laboratory: many seeds of drills/suite/, docs/evidence.md"
            .to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

fn tidy(root: &Path) -> Result<(), String> {
    let faults = tidy::faults(root);
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

/// Every check, in the order in which they are quick to fail.
fn check(root: &Path) -> Result<(), String> {
    run(root, "cargo", &["fmt", "--all", "--check"])?;
    println!("== tidy");
    tidy(root)?;
    run(root, "cargo", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    run(root, "cargo", &["test", "--workspace"])?;
    run(root, "cargo", &["build", "--package", "unbroken-gateway"])?;
    let mut slow = Command::new("cargo");
    slow.args(["run", "--quiet", "--package", "unbroken-gateway", "--", "drill", SLOW_DRILL]);
    let slow = slow.current_dir(root).stdout(Stdio::null()).spawn();
    let mut slow = slow.map_err(|error| format!("{SLOW_DRILL} cannot be played: {error}"))?;
    let accepted = run(root, "acceptance/run", &[]);
    println!("== drill {SLOW_DRILL}");
    let has_passed = slow.wait().is_ok_and(|status| status.success());
    accepted?;
    if has_passed { Ok(()) } else { Err(format!("drill {SLOW_DRILL} failed")) }
}

/// Writes what is generated.
fn write_docs(root: &Path) -> std::io::Result<()> {
    docs::write(root)?;
    ratchet::write(root, &tidy::sources(root))
}

/// Builds what is measured, and measures it.
fn bench(root: &Path, options: impl Iterator<Item = String>) -> Result<(), String> {
    let options: Vec<String> = options.collect();
    let mut build = vec!["build", "--release", "--package", "unbroken-bench"];
    // A translation is measured without the gateway around it.
    if !options.iter().any(|option| option == "translate") {
        build.extend(["--package", "unbroken-gateway"]);
    }
    run(root, "cargo", &build)?;
    let folder = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let program = folder.join("release/unbroken-bench").display().to_string();
    let words: Vec<&str> =
        std::iter::once("run").chain(options.iter().map(String::as_str)).collect();
    run(root, &program, &words)
}

fn bench_engine(root: &Path) -> Result<(), String> {
    run(root, "cargo", &["bench", "--package", "unbroken-engine", "--bench", "engine"])
}

/// The laboratory takes the arguments as they are, and is fast.
fn laboratory(root: &Path) -> Result<(), String> {
    let mut arguments: Vec<String> =
        ["run", "--quiet", "--release", "--package", "unbroken-drill", "--bin", "laboratory", "--"]
            .map(str::to_owned)
            .to_vec();
    arguments.extend(env::args().skip(1));
    let status = Command::new("cargo").args(&arguments).current_dir(root).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("the laboratory has something to say, above".to_owned()),
        Err(error) => Err(format!("`cargo` cannot be run: {error}")),
    }
}

fn run(root: &Path, program: &str, arguments: &[&str]) -> Result<(), String> {
    println!("== {program} {}", arguments.join(" "));
    let status = Command::new(program).args(arguments).current_dir(root).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{program} {}` failed: {status}", arguments.join(" "))),
        Err(error) => Err(format!("`{program}` cannot be run: {error}")),
    }
}
