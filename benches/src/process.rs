//! The processes that are measured, and what the system says they cost.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::Failed;

/// The kernel counts processor time in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;
/// A process that does not listen by then has failed.
const START_MAX: Duration = Duration::from_secs(10);

/// Listens for as many clients at once as the gateway does.
pub(crate) fn listen(address: &str) -> Result<TcpListener, Failed> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address.parse()?)?;
    Ok(socket.listen(4_096)?)
}

/// A folder for one run, that ends with its owner.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Result<Self, Failed> {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// Writes a gateway's configuration; its path.
    pub(crate) fn write(&self, configuration: &str) -> Result<String, Failed> {
        let file = self.0.join("unbroken.toml");
        std::fs::write(&file, configuration)?;
        Ok(file.display().to_string())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays is the system's to remove.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A child that ends with its owner.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// Where it listens.
    pub(crate) address: String,
    /// From its start to its listening.
    pub(crate) started_in: Duration,
}

impl Process {
    /// Starts a program that listens at `address`.
    pub(crate) async fn start(
        program: &Path,
        arguments: &[&str],
        address: &str,
    ) -> Result<Self, Failed> {
        let start = Instant::now();
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", program.display()))?;
        let mut process = Self { child, address: address.to_owned(), started_in: Duration::ZERO };
        while TcpStream::connect(address).await.is_err() {
            if start.elapsed() > START_MAX || process.child.try_wait()?.is_some() {
                return Err(format!("{} does not listen at {address}", program.display()).into());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        process.started_in = start.elapsed();
        Ok(process)
    }

    /// Processor time so far, in seconds.
    pub(crate) fn cpu(&self) -> f64 {
        let path = format!("/proc/{}/stat", self.child.id());
        let stat = std::fs::read_to_string(path).unwrap_or_default();
        // The second field is the name in brackets; utime and stime are the 14th and 15th.
        let rest = stat.rsplit(')').next().unwrap_or_default();
        let field = |place: usize| -> f64 {
            rest.split_whitespace().nth(place).and_then(|text| text.parse().ok()).unwrap_or(0.0)
        };
        (field(11) + field(12)) / TICKS_PER_SECOND
    }

    /// Resident memory, in bytes.
    pub(crate) fn memory(&self) -> f64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        kib.unwrap_or(0.0) * 1024.0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It is gone already, then.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
