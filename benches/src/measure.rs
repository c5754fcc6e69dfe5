//! What is measured, in which order?

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::Failed;
use crate::load::{self, Load};
use crate::process::{Folder, Process};
use crate::seam;
use crate::table::{self, Round, Rounds};

const PROVIDER: &str = "127.0.0.1:4190";
const FLOOR: &str = "127.0.0.1:4191";
const GATEWAY: &str = "127.0.0.1:4192";
/// Another provider, that comes and goes.
const SHAKY: &str = "127.0.0.1:4193";

const CHAT: &str = "/v1/chat/completions";
const JSON_END: &str = "}";
const STREAM_END: &str = "data: [DONE]\n\n";

/// The gateway's configuration: everything that is on by default is on.
const CONFIGURATION: &str = r#"
listen = "127.0.0.1:4192"
[server]
connections_max = 20000
[[provider]]
name = "bench"
dialect = "openai-chat"
base_url = "http://127.0.0.1:4190/v1"
key = "sk-bench"
[[provider]]
name = "shaky"
dialect = "openai-chat"
base_url = "http://127.0.0.1:4193/v1"
key = "sk-shaky"
[[provider]]
name = "dead"
dialect = "openai-chat"
base_url = "http://127.0.0.1:9/v1"
key = "sk-dead"
[[route]]
name = "whole"
targets = ["bench/whole"]
[[route]]
name = "burst"
targets = ["bench/burst"]
[[route]]
name = "paced"
targets = ["bench/paced"]
[[route]]
name = "open"
targets = ["bench/open"]
[[route]]
name = "dead"
targets = ["dead/whole", "bench/whole"]
[[route]]
name = "hang"
targets = ["bench/hang", "bench/whole"]
[route.limits]
first_token = "1s"
answer = "1s"
[[route]]
name = "shaky"
targets = ["shaky/whole", "bench/whole"]
"#;

/// How much is done.
struct Scale {
    rounds: usize,
    length: Duration,
    streams: usize,
    only: Option<String>,
}

impl Scale {
    fn of(options: &[&str]) -> Result<Self, Failed> {
        let mut scale =
            Self { rounds: 5, length: Duration::from_secs(5), streams: 5_000, only: None };
        let mut options = options.iter();
        while let Some(option) = options.next() {
            match *option {
                "--quick" => {
                    scale.rounds = 3;
                    scale.length = Duration::from_millis(1_200);
                    scale.streams = 1_000;
                }
                "--only" => scale.only = options.next().map(|word| (*word).to_owned()),
                other => return Err(format!("unknown option {other}").into()),
            }
        }
        Ok(scale)
    }

    fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.contains(only.as_str()))
    }
}

/// Everything that runs.
struct Bench {
    provider: Process,
    floor: Process,
    gateway: Process,
    scale: Scale,
    own: PathBuf,
}

/// Measures and prints.
pub(crate) async fn run(options: &[&str]) -> Result<(), Failed> {
    let scale = Scale::of(options)?;
    let own = std::env::current_exe()?;
    let gateway_program = own.with_file_name("unbroken");
    // Removed last, with what the gateway has written down in it.
    let folder = Folder::new("unbroken-bench")?;
    let file = folder.write(CONFIGURATION)?;
    let provider = Process::start(&own, &["provider", PROVIDER], PROVIDER).await?;
    let floor = Process::start(&own, &["floor", FLOOR, PROVIDER], FLOOR).await?;
    let gateway = gateway(&gateway_program, &file).await?;
    let bench = Bench { provider, floor, gateway, scale, own };
    let is_all = bench.scale.only.is_none();
    bench.all().await?;
    drop(bench);
    if is_all { crate::translate::run() } else { Ok(()) }
}

async fn gateway(program: &Path, configuration: &str) -> Result<Process, Failed> {
    Process::start(program, &["serve", "--config", configuration], GATEWAY).await
}

impl Bench {
    async fn all(&self) -> Result<(), Failed> {
        self.start().await?;
        println!("\n{}", table::heading());
        for bytes in [1, 40] {
            for connections in [1, 64, 512] {
                let name = format!("whole, {bytes} KB, {connections} connections");
                let body = load::chat("whole", bytes * 1024, false);
                self.compare(&name, &self.load(body, JSON_END, connections)).await?;
            }
        }
        let body = load::chat("burst", 1024, true);
        self.compare("stream of 100 events, 1 connection", &self.load(body.clone(), STREAM_END, 1))
            .await?;
        self.compare("stream of 100 events, 64 connections", &self.load(body, STREAM_END, 64))
            .await?;
        let body = load::chat("paced", 1024, true);
        self.compare("paced stream of 20 events, 64 connections", &self.load(body, STREAM_END, 64))
            .await?;
        self.translation().await?;
        self.outages().await?;
        self.open_streams().await?;
        self.seams().await
    }

    /// What a stream that breaks costs.
    async fn seams(&self) -> Result<(), Failed> {
        if !self.scale.wants("seam") {
            return Ok(());
        }
        let folder = Folder::new("unbroken-bench-seam")?;
        let file = folder.write(seam::CONFIGURATION)?;
        let program = self.own.with_file_name("unbroken");
        let arguments = ["serve", "--config", file.as_str()];
        let start = || Process::start(&program, &arguments, seam::GATEWAY);
        let gateway = start().await?;
        seam::times(PROVIDER, self.scale.rounds * 20).await?;
        drop(gateway);
        let streams = self.scale.streams.min(500);
        println!("\nKiB for each of {streams} open streams:");
        for (model, name) in [("open", "without a seam"), ("linger", "behind a seam")] {
            // Memory that was held before would be used again.
            let gateway = start().await?;
            println!("  {name}: {:.1}", seam::open(&gateway, model, streams).await?);
        }
        Ok(())
    }

    fn load(&self, body: hyper::body::Bytes, ends_with: &'static str, connections: usize) -> Load {
        let length = self.scale.length;
        Load { address: String::new(), path: CHAT, body, ends_with, connections, length }
    }

    /// One load to one system: what the client saw, and what it cost the system.
    async fn round(process: &Process, load: &Load) -> Result<Round, Failed> {
        let load = Load { address: process.address.clone(), ..load.clone() };
        let before = process.cpu();
        let outcome = load::send(&load).await?;
        let cpu_per_call = (process.cpu() - before) / outcome.calls.max(1) as f64;
        Ok(Round { outcome, cpu_per_call })
    }

    /// The provider, the floor and the gateway in turns.
    async fn compare(&self, name: &str, load: &Load) -> Result<(), Failed> {
        if !self.scale.wants(name) {
            return Ok(());
        }
        let mut rounds = Rounds::default();
        for _ in 0..self.scale.rounds {
            rounds.direct.push(Self::round(&self.provider, load).await?);
            rounds.floor.push(Self::round(&self.floor, load).await?);
            rounds.gateway.push(Self::round(&self.gateway, load).await?);
        }
        println!("{}", table::row(name, &rounds));
        Ok(())
    }

    /// The gateway with one load, against itself with another.
    async fn against_itself(&self, name: &str, load: &Load, usual: &Load) -> Result<(), Failed> {
        let mut rounds = Rounds::default();
        for _ in 0..self.scale.rounds {
            rounds.floor.push(Self::round(&self.gateway, usual).await?);
            rounds.gateway.push(Self::round(&self.gateway, load).await?);
        }
        println!("{}", table::row(name, &rounds));
        Ok(())
    }

    /// Another dialect in than out, against the same dialect.
    async fn translation(&self) -> Result<(), Failed> {
        for (bytes, model, ends_with) in
            [(1, "whole", JSON_END), (40, "whole", JSON_END), (1, "burst", STREAM_END)]
        {
            let name = format!("translated against native, {model}, {bytes} KB");
            if !self.scale.wants(&name) {
                continue;
            }
            let is_stream = model == "burst";
            let native = self.load(load::chat(model, bytes * 1024, is_stream), ends_with, 64);
            let mut other = native.clone();
            other.path = "/v1/messages";
            other.body = load::messages(model, bytes * 1024, is_stream);
            other.ends_with = if is_stream { "{\"type\":\"message_stop\"}\n\n" } else { JSON_END };
            self.against_itself(&name, &other, &native).await?;
        }
        Ok(())
    }

    /// The first target dead, silent, or coming and going, against all well.
    async fn outages(&self) -> Result<(), Failed> {
        let usual = self.load(load::chat("whole", 1024, false), JSON_END, 64);
        for model in ["dead", "hang"] {
            let name = format!("outage against healthy, {model}");
            if !self.scale.wants(&name) {
                continue;
            }
            let load = self.load(load::chat(model, 1024, false), JSON_END, 64);
            // Until the breaker knows.
            Self::round(&self.gateway, &load).await?;
            self.against_itself(&name, &load, &usual).await?;
        }
        if self.scale.wants("outage against healthy, flapping") {
            let load = self.load(load::chat("shaky", 1024, false), JSON_END, 64);
            let flapping = async {
                loop {
                    let shaky = Process::start(&self.own, &["provider", SHAKY], SHAKY).await?;
                    tokio::time::sleep(Duration::from_millis(700)).await;
                    drop(shaky);
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            };
            tokio::select! {
                done = self.against_itself("outage against healthy, flapping", &load, &usual) => done?,
                failed = flapping => return failed,
            }
        }
        Ok(())
    }

    /// Streams that stay open: memory for each.
    async fn open_streams(&self) -> Result<(), Failed> {
        if !self.scale.wants("open streams") {
            return Ok(());
        }
        println!("\nopen streams, KiB each of {}:", self.scale.streams);
        for (name, process) in [("floor", &self.floor), ("gateway", &self.gateway)] {
            let before = process.memory();
            let body = load::chat("open", 1024, true);
            let mut load = self.load(body, STREAM_END, 1);
            load.address = process.address.clone();
            let mut tasks = Vec::new();
            for _ in 0..self.scale.streams {
                let mut sender = load::connect(&load.address).await?;
                let load = load.clone();
                tasks.push(tokio::spawn(async move {
                    drop(load::one_call(&mut sender, &load).await);
                }));
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
            let open = tasks.iter().filter(|task| !task.is_finished()).count();
            let each = (process.memory() - before) / 1024.0 / open.max(1) as f64;
            println!("  {name}: {each:.1} ({open} open)");
            for task in tasks {
                task.abort();
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    }

    /// From nothing to the first answer, and what an idle gateway holds.
    async fn start(&self) -> Result<(), Failed> {
        let start = Instant::now();
        let mut load = self.load(load::chat("whole", 1024, false), JSON_END, 1);
        load.address = self.gateway.address.clone();
        let idle = self.gateway.memory() / 1024.0 / 1024.0;
        let mut sender = load::connect(&load.address).await?;
        load::one_call(&mut sender, &load).await?;
        let first_call = start.elapsed() + self.gateway.started_in;
        println!(
            "gateway: {idle:.1} MiB idle, {:.0} ms from its start to its first answer",
            first_call.as_secs_f64() * 1000.0
        );
        Ok(())
    }
}
