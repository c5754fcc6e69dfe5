//! A provider that fails on command: six dialects on one loopback port, and the places where
//! clouds give out credentials.
//!
//! It answers in numbered words (`w1 w2 … w60`), so that a lost, repeated or reordered word is seen
//! exactly, and behaves otherwise as the recordings of real providers do: asked anew it says the
//! same again, whoever it is; asked for the rest of an answer it goes on, starts again or refuses, as
//! its [`Manner`] says. It shares no code with the gateway's own dialects: who judges must not share
//! the blind spots of the judged.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::background;
use crate::fault::Fault;

mod answer;
mod clouds;
mod conversation;
mod dialect;
mod frames;
mod manner;
mod play;
mod refuse;
mod serve;
mod stored;
mod tape;
mod tls;
mod words;

pub use dialect::FakeDialect;
pub use manner::{Continues, Manner, Prefill, Said, Says};
pub use tape::Tape;

use conversation::Begun;
use words::Asked;

/// The journal keeps this many entries; older ones are dropped.
const JOURNAL_MAX: usize = 100_000;

/// How the fake provider behaves while nothing is wrong with it.
#[derive(Clone, Debug)]
pub struct FakeConfig {
    /// Words per answer. Default: 60.
    pub words: u32,
    /// Time to the first word. Default: 20 ms.
    pub first_token: Duration,
    /// Time between words. Default: 2 ms.
    pub gap: Duration,
    /// The key that requests must carry; none is asked for if absent.
    pub key: Option<String>,
    /// Whether it speaks TLS (and then HTTP/2, too), with a certificate of its own. Default: no.
    pub tls: bool,
    /// Where to listen. Default: any port of the loopback address.
    pub listen: SocketAddr,
}

impl Default for FakeConfig {
    fn default() -> Self {
        Self {
            words: 60,
            first_token: Duration::from_millis(20),
            gap: Duration::from_millis(2),
            key: None,
            tls: false,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        }
    }
}

/// A fault that is set for a model.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Armed {
    /// The model; `*` for all.
    pub model: String,
    /// What goes wrong.
    pub fault: Fault,
    /// How often it strikes before it is used up; for ever if absent.
    #[serde(default)]
    pub times: Option<u32>,
    /// The share of requests it strikes, in thousandths. Default: all.
    #[serde(default = "everybody")]
    pub share_per_mille: u32,
}

const fn everybody() -> u32 {
    1000
}

/// The manner of a model, as commanded.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mannered {
    model: String,
    manner: Manner,
}

/// What a request asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// An answer.
    Anew,
    /// The rest of an answer, by an assistant's message at the end.
    Prefill,
    /// The rest of an answer, by a user's message that says so.
    Continue,
}

/// One request as the fake provider saw it.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Milliseconds since the start.
    pub at_ms: u64,
    /// The dialect it was made in.
    pub dialect: FakeDialect,
    /// The model it named.
    pub model: String,
    /// Whether it asked for a stream.
    pub stream: bool,
    /// Whether it asked for a new answer or for the rest of one.
    pub wish: Wish,
    /// What happened to it: `answered`, the fault's name, `prefill_refused`, `picked_up`, or `rejected`.
    pub outcome: String,
    /// Words that were sent.
    pub words_sent: u32,
    /// Whether the client closed the connection before the end.
    pub client_left: bool,
}

/// A provider in this process. Stops when dropped.
#[derive(Debug)]
pub struct FakeProvider {
    address: SocketAddr,
    state: Arc<State>,
    server: AbortHandle,
    certificate: Option<String>,
}

/// The name of a fake provider, as a resolver sees it.
#[derive(Clone, Debug)]
pub struct FakeName {
    state: Arc<State>,
    address: SocketAddr,
}

/// What the server and its owner share.
#[derive(Debug)]
struct State {
    config: FakeConfig,
    started: Instant,
    inner: Mutex<Inner>,
    /// Whether the port refuses connections.
    refuses: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Inner {
    armed: Vec<Armed>,
    manners: BTreeMap<String, Manner>,
    tapes: BTreeMap<String, Tape>,
    /// Answers that were stored, by their ids.
    stored: BTreeMap<String, String>,
    journal: VecDeque<Entry>,
    /// Entries that were dropped from the journal's front.
    dropped: usize,
    draws: u64,
    /// Connections that were accepted so far.
    connections: u64,
    /// Faults that have been set so far.
    faults: u64,
    clouds: clouds::Clouds,
}

impl FakeProvider {
    /// Starts to listen.
    ///
    /// # Errors
    /// When the port cannot be bound.
    pub async fn start(config: FakeConfig) -> io::Result<Self> {
        let listener = tokio::net::TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            config,
            started: Instant::now(),
            inner: Mutex::default(),
            refuses: watch::Sender::new(false),
        });
        let tls = if state.config.tls { Some(tls::Tls::generate()?) } else { None };
        let certificate = tls.as_ref().map(|tls| tls.certificate_pem.clone());
        let acceptor = tls.map(|tls| tls.acceptor);
        let server = background::spawn(serve::run(listener, address, acceptor, state.clone()));
        Ok(Self { address, state, server, certificate })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address as a URL without a path.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.state.config.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Its certificate as PEM, for clients to trust; `None` without TLS.
    #[must_use]
    pub fn certificate(&self) -> Option<&str> {
        self.certificate.as_deref()
    }

    /// Its name, which resolves as well or as badly as faults allow.
    #[must_use]
    pub fn name(&self) -> FakeName {
        FakeName { state: self.state.clone(), address: self.address }
    }

    /// Sets a fault; the last one set for a model counts.
    pub fn arm(&self, armed: Armed) {
        self.state.arm(armed);
    }

    /// Sets a fault for every model.
    pub fn fault(&self, fault: Fault) {
        let (model, times) = ("*".to_owned(), None);
        self.arm(Armed { model, fault, times, share_per_mille: everybody() });
    }

    /// Nothing is wrong any more.
    pub fn heal(&self) {
        self.state.disarm(None);
    }

    /// Nothing is wrong with this model any more.
    pub fn heal_model(&self, model: &str) {
        self.state.disarm(Some(model));
    }

    /// From now on a model speaks like this; `*` are all models without a manner of their own.
    pub fn set_manner(&self, model: &str, manner: Manner) {
        self.state.inner().manners.insert(model.to_owned(), manner);
    }

    /// From now on a model's streams are played from a tape.
    pub fn set_tape(&self, model: &str, tape: Tape) {
        self.state.inner().tapes.insert(model.to_owned(), tape);
    }

    /// Forgets the manner and the tape of a model.
    pub fn forget(&self, model: &str) {
        let mut inner = self.state.inner();
        inner.manners.remove(model);
        inner.tapes.remove(model);
    }

    /// Connections that were accepted so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.state.inner().connections
    }

    /// How many requests have named this model.
    #[must_use]
    pub fn journal_of(&self, model: &str) -> usize {
        self.state.inner().journal.iter().rev().take(10_000).filter(|e| e.model == model).count()
    }

    /// What has arrived, in its order.
    #[must_use]
    pub fn journal(&self) -> Vec<Entry> {
        self.state.inner().journal.iter().cloned().collect()
    }
}

impl FakeName {
    /// The address.
    ///
    /// # Errors
    /// While [`Fault::DnsFailure`] is set.
    pub async fn resolve(&self) -> io::Result<SocketAddr> {
        match self.state.peek() {
            Some(Fault::DnsFailure) => Err(io::Error::other("no such name")),
            Some(Fault::DnsStall { ms }) => {
                tokio::time::sleep(Duration::from_millis(u64::from(ms))).await;
                Ok(self.address)
            }
            _ => Ok(self.address),
        }
    }
}

impl Drop for FakeProvider {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl State {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arm(&self, armed: Armed) {
        let refuses = armed.fault == Fault::Refuse;
        let mut inner = self.inner();
        inner.armed.retain(|other| other.model != armed.model);
        inner.armed.push(armed);
        inner.faults += 1;
        drop(inner);
        self.refuses.send_replace(refuses);
    }

    fn disarm(&self, model: Option<&str>) {
        let mut inner = self.inner();
        inner.armed.retain(|armed| model.is_some_and(|model| armed.model != model));
        let refuses = inner.armed.iter().any(|armed| armed.fault == Fault::Refuse);
        drop(inner);
        self.refuses.send_replace(refuses);
    }

    /// The fault that strikes this request, if one does.
    fn strike(&self, model: &str) -> Option<Fault> {
        let mut inner = self.inner();
        inner.draws = inner.draws.wrapping_add(1);
        // A fixed sequence, evenly spread: the same share in every run.
        let draw = (inner.draws.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % 1000;
        let matches = |armed: &&mut Armed| {
            (armed.model == model || armed.model == "*") && armed.times != Some(0)
        };
        let armed = inner.armed.iter_mut().rev().find(matches)?;
        if draw >= u64::from(armed.share_per_mille) {
            return None;
        }
        if let Some(times) = &mut armed.times {
            *times -= 1;
        }
        Some(armed.fault)
    }

    fn manner(&self, model: &str) -> Manner {
        let inner = self.inner();
        inner.manners.get(model).or_else(|| inner.manners.get("*")).cloned().unwrap_or_default()
    }

    fn tape(&self, model: &str) -> Option<Tape> {
        self.inner().tapes.get(model).cloned()
    }

    /// Writes a journal entry; the number finds it again.
    fn note(&self, dialect: FakeDialect, asked: &Asked, outcome: &str) -> usize {
        let at_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut inner = self.inner();
        if inner.journal.len() >= JOURNAL_MAX {
            inner.journal.pop_front();
            inner.dropped += 1;
        }
        let wish = match asked.begun {
            None => Wish::Anew,
            Some(Begun::Prefill { .. }) => Wish::Prefill,
            Some(Begun::Asked { .. }) => Wish::Continue,
        };
        inner.journal.push_back(Entry {
            at_ms,
            dialect,
            model: asked.model.clone(),
            stream: asked.stream,
            wish,
            outcome: outcome.to_owned(),
            words_sent: 0,
            client_left: false,
        });
        inner.dropped + inner.journal.len() - 1
    }

    fn amend(&self, number: usize, change: impl FnOnce(&mut Entry)) {
        let mut inner = self.inner();
        let place = number.checked_sub(inner.dropped);
        if let Some(entry) = place.and_then(|place| inner.journal.get_mut(place)) {
            change(entry);
        }
    }
}

#[cfg(test)]
mod tests;
