//! The `unbroken` program.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Calls allocate and free many small things on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod admin;
mod alerts;
mod commands;
mod config;
mod explain;
mod import;
mod journal;
mod ledger;
mod log;
mod metrics;
mod rehearsal;
mod reload;
mod report;
mod routing;
mod server;
mod terminal;

/// One unbroken answer, as long as any AI provider can still give it.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    Serve {
        /// The configuration; unbroken.toml if it is there, else keys from the environment
        #[arg(long)]
        config: Option<PathBuf>,
        /// Listen here instead of where the configuration says
        #[arg(long)]
        listen: Option<SocketAddr>,
    },
    /// Play an outage with three fake providers: no key and no network needed
    Demo {
        /// End when the outage is over instead of serving on
        #[arg(long)]
        exit: bool,
        /// Print the scoreboard as one JSON object, and nothing else
        #[arg(long)]
        json: bool,
    },
    /// Rehearse an outage against fake providers and say whether it went as it should
    Drill {
        /// A drill that comes with the program, or a .toml file; without it, the list of drills
        drill: Option<String>,
        /// List the drills
        #[arg(long)]
        list: bool,
        /// Print the scorecard as one JSON object, and nothing else
        #[arg(long)]
        json: bool,
    },
    /// Write an unbroken.toml to start from, made from the keys in the environment
    Init(commands::init::Options),
    /// Make an unbroken.toml from another gateway's configuration
    #[command(subcommand)]
    Import(commands::import::From),
    /// Show the targets of a running gateway, through its admin API
    Status(commands::status::Options),
    /// Show who would answer a request now, and who is skipped and why
    Explain(commands::explain::Options),
    /// Tell how available it was and what failover did, from the ledger
    Report(commands::report::Options),
    /// Check the configuration and print what it says
    Check {
        /// The configuration; unbroken.toml if it is there, else keys from the environment
        #[arg(long)]
        config: Option<PathBuf>,
    },
    /// Print the JSON Schema of unbroken.toml, for editors
    Schema {
        /// Print the tables of the reference page instead
        #[arg(long)]
        page: bool,
    },
    /// Run a provider that answers in numbered words and fails on command
    FakeProvider {
        /// Where to listen
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// The key that requests must carry
        #[arg(long)]
        key: Option<String>,
        /// Words per answer
        #[arg(long, default_value_t = 60)]
        words: u32,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal::say(&format!("unbroken: the runtime cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let status = runtime.block_on(async {
        match arguments.command {
            Command::Serve { config, listen } => commands::serve::run(config, listen).await,
            Command::Demo { exit, json } => commands::demo::run(exit, json).await,
            Command::Drill { drill, list, json } => commands::drill::run(drill, list, json).await,
            Command::Import(from) => commands::import::run(from),
            Command::Init(options) => commands::init::run(&options),
            Command::Status(options) => commands::status::run(options).await,
            Command::Explain(options) => commands::explain::run(options).await,
            Command::Report(options) => commands::report::run(&options),
            Command::Check { config } => commands::check::run(config),
            Command::Schema { page } => commands::schema::run(page),
            Command::FakeProvider { listen, key, words } => {
                commands::fake_provider::run(listen, key, words).await
            }
        }
    });
    log::flush();
    status
}
