//! What does the gateway cost? Loads it, a minimal proxy and the provider itself in turn, with the
//! same client, and prints ratios. Run by `cargo xtask bench`.
//!
//! ```text
//! unbroken-bench run [--quick] [--only WORD]   everything, or the measurements named so
//! unbroken-bench run --only translate          what a translation costs
//! unbroken-bench provider ADDRESS              a provider that answers at once
//! unbroken-bench floor ADDRESS UPSTREAM        the floor: what any proxy must cost
//! ```
//!
//! Every figure is a ratio of two measurements of one run, taken in turns (A B A B), with its
//! spread: another machine has other times, but about the same ratios.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock and starts tasks")]

mod floor;
mod load;
mod measure;
mod process;
mod provider;
mod seam;
mod table;
mod translate;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let Ok(runtime) = runtime else {
        eprintln!("the runtime cannot be started");
        return ExitCode::FAILURE;
    };
    let result = match words.as_slice() {
        ["provider", address] => runtime.block_on(provider::run(address)),
        ["floor", address, upstream] => runtime.block_on(floor::run(address, upstream)),
        // In this process: nothing has to be started for it.
        ["run", "--only", "translate"] => translate::run(),
        ["run", options @ ..] => runtime.block_on(measure::run(options)),
        _ => Err("usage: unbroken-bench run [--quick] [--only WORD]".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("unbroken-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whatever went wrong: a benchmark has nobody to hand it to.
type Failed = Box<dyn std::error::Error + Send + Sync>;
