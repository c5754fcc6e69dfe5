//! Was this very call made before? A client that names its call with an idempotency key gets one
//! call and one answer, however often it asks.
//!
//! | the name is | and the request is | then |
//! |---|---|---|
//! | new | | the call is made |
//! | of a call under way | the same | the client follows that call: one flight |
//! | of an answer that is kept | the same | the client reads that answer again: a replay |
//! | known | another | refused: 409 |
//! | of a call that failed | | forgotten: the next one is a new call |
//!
//! Good answers are kept for ten minutes, failures not at all: whoever repeats a failed call wants
//! another attempt. A name is the client's key and whoever the client is, so that nobody reads the
//! answer of somebody else who chose the same key.
//!
//! Invariants: at most one call is under way per name; what is kept never exceeds `calls_max` and
//! `bytes_max`; a call that was forgotten while under way cannot touch the one that took its name.
//! Source: engine.md 4.10.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use core::time::Duration;

use crate::time::Timestamp;

/// Settings of what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdempotencyConfig {
    /// How long a good answer can be read again. Default: 10 min.
    pub keep: Duration,
    /// The most calls that are remembered. Default: 10,000.
    pub calls_max: usize,
    /// The most bytes of answers that are kept, of all calls together. Default: 64 MiB.
    pub bytes_max: usize,
    /// A longer answer is not kept. Default: 4 MiB.
    pub answer_max: usize,
}

impl Default for IdempotencyConfig {
    fn default() -> Self {
        Self {
            keep: Duration::from_secs(600),
            calls_max: 10_000,
            bytes_max: 64 << 20,
            answer_max: 4 << 20,
        }
    }
}

/// Who asks, as a number that tells callers apart, and the key that they chose.
pub type Name = (u64, Arc<str>);

/// Names one flight: a later call of the same name has another number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flight {
    name: Name,
    number: u64,
}

/// What to do with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim<T> {
    /// Make the call; say how its flight goes.
    First(T),
    /// Follow the call under way, or read its answer again.
    Again(T),
    /// The key was used for another request.
    Mismatch,
    /// Make the call; there is no room to remember it.
    Untracked,
}

/// Calls that have a name. `T` is what a second client needs to follow the first one's call.
#[derive(Debug)]
pub struct Named<T> {
    config: IdempotencyConfig,
    calls: BTreeMap<Name, Known<T>>,
    /// Good answers, the oldest first.
    ended: VecDeque<(Timestamp, Flight)>,
    bytes: usize,
    count: u64,
}

#[derive(Debug)]
struct Known<T> {
    fingerprint: u64,
    number: u64,
    call: T,
    bytes: usize,
}

impl<T: Clone> Named<T> {
    /// Nothing is known.
    #[must_use]
    pub const fn new(config: IdempotencyConfig) -> Self {
        Self { config, calls: BTreeMap::new(), ended: VecDeque::new(), bytes: 0, count: 0 }
    }

    /// A request of this name and content has come; `make` makes what others may follow.
    pub fn claim(
        &mut self,
        name: &Name,
        fingerprint: u64,
        now: Timestamp,
        make: impl FnOnce(Flight) -> T,
    ) -> Claim<T> {
        while self.ended.front().is_some_and(|(at, _)| now.since(*at) >= self.config.keep) {
            self.forget_oldest();
        }
        match self.calls.get(name) {
            Some(known) if known.fingerprint == fingerprint => {
                return Claim::Again(known.call.clone());
            }
            Some(_) => return Claim::Mismatch,
            None => {}
        }
        if self.calls.len() >= self.config.calls_max && !self.forget_oldest() {
            return Claim::Untracked;
        }
        self.count += 1;
        let number = self.count;
        let call = make(Flight { name: name.clone(), number });
        let known = Known { fingerprint, number, call: call.clone(), bytes: 0 };
        self.calls.insert(name.clone(), known);
        Claim::First(call)
    }

    /// The answer has grown by so many bytes. False if it is too long to be kept: then it is
    /// forgotten, and nobody else will follow it.
    pub fn grew(&mut self, flight: &Flight, by: usize) -> bool {
        let Some(known) = self.known(flight) else { return false };
        known.bytes = known.bytes.saturating_add(by);
        let is_short = known.bytes <= self.config.answer_max;
        self.bytes = self.bytes.saturating_add(by);
        while is_short && self.bytes > self.config.bytes_max && self.forget_oldest() {}
        let fits = is_short && self.bytes <= self.config.bytes_max;
        if !fits {
            self.forget(flight);
        }
        fits
    }

    /// The call is over. Only a good answer is kept.
    pub fn ended(&mut self, flight: &Flight, is_good: bool, now: Timestamp) {
        if self.known(flight).is_none() {
            return;
        }
        if is_good {
            self.ended.push_back((now, flight.clone()));
        } else {
            self.forget(flight);
        }
    }

    fn known(&mut self, flight: &Flight) -> Option<&mut Known<T>> {
        self.calls.get_mut(&flight.name).filter(|known| known.number == flight.number)
    }

    /// False if no call has ended.
    fn forget_oldest(&mut self) -> bool {
        let Some((_, flight)) = self.ended.pop_front() else { return false };
        self.forget(&flight);
        true
    }

    fn forget(&mut self, flight: &Flight) {
        if self.known(flight).is_some()
            && let Some(known) = self.calls.remove(&flight.name)
        {
            self.bytes = self.bytes.saturating_sub(known.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    const fn at(seconds: u64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    fn name(key: &str) -> Name {
        (1, key.into())
    }

    /// What others follow is the flight itself.
    type Flights = Named<Flight>;

    fn claim(named: &mut Flights, key: &str, fingerprint: u64, now: Timestamp) -> Claim<Flight> {
        named.claim(&name(key), fingerprint, now, |flight| flight)
    }

    fn first(named: &mut Flights, key: &str, now: Timestamp) -> Flight {
        match claim(named, key, 7, now) {
            Claim::First(flight) => flight,
            other => panic!("{key} is known: {other:?}"),
        }
    }

    fn named(config: IdempotencyConfig) -> Flights {
        Named::new(config)
    }

    #[test]
    fn one_name_is_one_flight_and_one_answer() {
        let mut named = named(IdempotencyConfig::default());
        let flight = first(&mut named, "a", at(0));
        let again = Claim::Again(flight.clone());
        assert_eq!(claim(&mut named, "a", 7, at(1)), again, "under way");
        assert!(named.grew(&flight, 100));
        named.ended(&flight, true, at(2));
        assert_eq!(claim(&mut named, "a", 7, at(601)), again, "kept");
        assert_ne!(first(&mut named, "a", at(602)), flight, "forgotten");
        assert_eq!(named.bytes, 0);
    }

    #[test]
    fn a_flight_is_followed_for_as_long_as_it_takes() {
        let mut named = named(IdempotencyConfig::default());
        let flight = first(&mut named, "a", at(0));
        assert_eq!(claim(&mut named, "a", 7, at(5_000)), Claim::Again(flight));
    }

    #[test]
    fn another_request_or_another_client_is_not_mistaken_for_the_first() {
        let mut named = named(IdempotencyConfig::default());
        let flight = first(&mut named, "a", at(0));
        assert_eq!(claim(&mut named, "a", 8, at(0)), Claim::Mismatch);
        named.ended(&flight, true, at(0));
        assert_eq!(claim(&mut named, "a", 8, at(1)), Claim::Mismatch);
        let other = (2, "a".into());
        assert!(matches!(named.claim(&other, 8, at(1), |flight| flight), Claim::First(_)));
    }

    #[test]
    fn a_failure_is_not_replayed_and_cannot_touch_its_successor() {
        let mut named = named(IdempotencyConfig::default());
        let failed = first(&mut named, "a", at(0));
        assert!(named.grew(&failed, 10));
        named.ended(&failed, false, at(1));
        let second = first(&mut named, "a", at(1));
        assert!(!named.grew(&failed, 10), "late news of the failed one");
        named.ended(&failed, false, at(2));
        assert!(named.grew(&second, 10));
        assert_eq!(named.bytes, 10);
        named.ended(&second, true, at(2));
        assert_eq!(claim(&mut named, "a", 7, at(3)), Claim::Again(second));
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_answer_goes_first() {
        let config = IdempotencyConfig {
            calls_max: 3,
            bytes_max: 100,
            answer_max: 60,
            ..IdempotencyConfig::default()
        };
        let mut named = named(config);
        for (n, key) in ["a", "b"].iter().enumerate() {
            let flight = first(&mut named, key, at(n as u64));
            assert!(named.grew(&flight, 50));
            named.ended(&flight, true, at(n as u64));
        }
        let long = first(&mut named, "long", at(3));
        assert!(named.grew(&long, 60), "pushes the oldest out");
        assert_eq!(named.bytes, 60, "both had to go: 110 bytes are too many");
        assert!(!named.grew(&long, 1), "longer than any answer that is kept");
        assert_eq!((named.bytes, named.calls.len()), (0, 0));
        for n in 0..3 {
            let _flight = first(&mut named, &format!("under way {n}"), at(4));
        }
        assert_eq!(claim(&mut named, "fourth", 7, at(4)), Claim::Untracked);
    }

    #[test]
    fn calls_under_way_alone_cannot_fill_the_memory() {
        let config =
            IdempotencyConfig { bytes_max: 100, answer_max: 60, ..IdempotencyConfig::default() };
        let mut named = named(config);
        let (one, other) = (first(&mut named, "a", at(0)), first(&mut named, "b", at(0)));
        assert!(named.grew(&one, 60));
        assert!(!named.grew(&other, 60), "there is no answer to forget instead");
        assert_eq!(named.bytes, 60);
    }
}
