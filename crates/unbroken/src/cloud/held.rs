//! Something that ends and is fetched anew before it does, by one at a time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use unbroken_engine::time::Timestamp;

/// It is fetched anew this long before its end, or at nine tenths of its life if that is later.
const EARLY: Duration = Duration::from_secs(300);
/// It counts as ended this long before its end: requests take their time.
const MARGIN: Duration = Duration::from_secs(20);
/// After a fetch that failed, the next one waits so long, while there is something to go on with.
const PUT_OFF: Duration = Duration::from_secs(30);
/// Nothing lasts longer, whatever its giver says.
const LASTS_MAX: Duration = Duration::from_secs(24 * 3600);

/// What is held.
#[derive(Debug)]
pub(super) struct Held<T> {
    kept: Mutex<Option<Kept<T>>>,
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Kept<T> {
    value: T,
    aging: Timestamp,
    end: Timestamp,
}

/// What can be had without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lent<T> {
    /// Good for a while.
    Fresh(T),
    /// Still good, but it should be fetched anew.
    Aging(T),
    /// Ended, or never fetched.
    Nothing,
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self { kept: Mutex::new(None), turn: tokio::sync::Mutex::new(()) }
    }
}

impl<T: Clone> Held<T> {
    /// What is there.
    pub(super) fn lend(&self, now: Timestamp) -> Lent<T> {
        match &*self.kept() {
            Some(kept) if now < kept.aging => Lent::Fresh(kept.value.clone()),
            Some(kept) if now < kept.end => Lent::Aging(kept.value.clone()),
            Some(_) | None => Lent::Nothing,
        }
    }

    /// Keeps what was fetched and lasts so long.
    pub(super) fn keep(&self, value: T, lasts: Duration, now: Timestamp) {
        let lasts = lasts.min(LASTS_MAX);
        let early = EARLY.min(lasts / 10);
        let end = now + lasts.saturating_sub(MARGIN.min(lasts / 20));
        *self.kept() = Some(Kept { value, aging: now + lasts.saturating_sub(early), end });
    }

    /// A fetch has failed: what is there is used for a while before the next one.
    pub(super) fn put_off(&self, now: Timestamp) {
        if let Some(kept) = &mut *self.kept() {
            kept.aging = kept.end.min(now + PUT_OFF);
        }
    }

    /// What is there is worth nothing.
    pub(super) fn forget(&self) {
        *self.kept() = None;
    }

    /// Waits until nobody else fetches.
    pub(super) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    fn kept(&self) -> MutexGuard<'_, Option<Kept<T>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ages_before_it_ends() {
        let held = Held::default();
        let start = Timestamp::after_start(Duration::from_secs(7));
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert_eq!(held.lend(start), Lent::Nothing);
        held.keep(1, Duration::from_secs(3_600), start);
        assert_eq!(held.lend(at(3_299)), Lent::Fresh(1));
        assert_eq!(held.lend(at(3_301)), Lent::Aging(1));
        held.put_off(at(3_301));
        assert_eq!(held.lend(at(3_301)), Lent::Fresh(1), "for half a minute");
        assert_eq!(held.lend(at(3_332)), Lent::Aging(1));
        assert_eq!(held.lend(at(3_581)), Lent::Nothing, "twenty seconds before its end");
        held.keep(2, Duration::from_secs(60), start);
        assert_eq!(held.lend(at(53)), Lent::Fresh(2), "a short life ages late");
        held.forget();
        assert_eq!(held.lend(at(53)), Lent::Nothing);
        held.keep(3, Duration::MAX, start);
        assert_eq!(held.lend(at(24 * 3600)), Lent::Nothing, "nothing lasts for ever");
    }
}
