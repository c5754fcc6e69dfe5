//! `unbroken fake-provider`: a provider to test against, which fails on command.

use std::net::SocketAddr;
use std::process::ExitCode;

use unbroken_drill::fake_provider::{FakeConfig, FakeProvider};

use super::serve::stop_signal;
use crate::terminal::{print, say};

/// Serves until SIGTERM or SIGINT.
pub(crate) async fn run(listen: SocketAddr, key: Option<String>, words: u32) -> ExitCode {
    let config = FakeConfig { listen, key, words, ..FakeConfig::default() };
    match FakeProvider::start(config).await {
        Ok(provider) => {
            print(&format!("listening on {}", provider.url()));
            stop_signal().await;
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&format!("unbroken: cannot listen on {listen}: {error}"));
            ExitCode::FAILURE
        }
    }
}
