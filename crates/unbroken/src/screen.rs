//! How is what happened shown to whoever watches, without anybody waiting for it?
//!
//! Events are taken note of while the fleet is held, so they are in their order. One thread at a
//! time shows them, outside of all locks but its own; another that comes meanwhile leaves its events
//! to the first. So a call never waits for the log line of another.

use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use unbroken_engine::event::Event;

use crate::observer::{CallFacts, Observer, Seen};

/// More events do not wait to be shown. Bound: an observer must not block; one that does costs
/// sight, not memory.
const WAITING_MAX: usize = 100_000;

/// Where events wait until they are shown.
pub(crate) struct Screen {
    observer: Arc<dyn Observer>,
    waiting: Mutex<Vec<Noted>>,
    /// Held by whoever shows.
    showing: Mutex<()>,
    /// Whether there is something to show.
    is_wanted: AtomicBool,
}

struct Noted {
    event: Event,
    call: Option<Arc<CallFacts>>,
}

impl Screen {
    pub(crate) fn new(observer: Arc<dyn Observer>) -> Self {
        Self {
            observer,
            waiting: Mutex::default(),
            showing: Mutex::default(),
            is_wanted: AtomicBool::new(false),
        }
    }

    /// Takes note of events; `call` is whose doing they are.
    pub(crate) fn note(&self, events: impl Iterator<Item = Event>, call: Option<&Arc<CallFacts>>) {
        let mut events = events.peekable();
        if events.peek().is_none() {
            return;
        }
        let mut waiting = self.waiting();
        let room = WAITING_MAX.saturating_sub(waiting.len());
        let noted = events.map(|event| {
            let call = call.filter(|_| event.call().is_some()).cloned();
            Noted { event, call }
        });
        waiting.extend(noted.take(room));
        drop(waiting);
        self.is_wanted.store(true, Ordering::Release);
    }

    /// Shows what was taken note of. When it returns, that was shown, or is being shown.
    pub(crate) fn show(&self) {
        loop {
            // Against the one below: either whoever leaves sees what was noted, or we get the lock.
            fence(Ordering::SeqCst);
            if !self.is_wanted.load(Ordering::Acquire) {
                return;
            }
            let showing = match self.showing.try_lock() {
                Ok(showing) => showing,
                // An observer has panicked: what came after it is shown all the same.
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            while self.is_wanted.swap(false, Ordering::AcqRel) {
                let waiting = std::mem::take(&mut *self.waiting());
                for Noted { event, call } in waiting {
                    self.observer.observe(&Seen { event: &event, call: call.as_deref() });
                }
            }
            drop(showing);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Noted>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[derive(Default)]
    struct Numbers(Mutex<Vec<u64>>);

    impl Observer for Numbers {
        fn observe(&self, seen: &Seen<'_>) {
            self.0.lock().unwrap().push(seen.event.call().unwrap());
        }
    }

    #[test]
    fn everything_is_shown_once_and_in_order_whoever_shows_it() {
        let numbers = Arc::new(Numbers::default());
        let screen = Screen::new(numbers.clone());
        let next = Mutex::new(0..20_000_u64);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    loop {
                        let mut next = next.lock().unwrap();
                        let Some(call) = next.next() else { break };
                        screen.note([Event::RetryRefused { call }].into_iter(), None);
                        drop(next);
                        screen.show();
                    }
                });
            }
        });
        let shown = numbers.0.lock().unwrap().clone();
        assert_eq!(shown, (0..20_000).collect::<Vec<_>>());
    }

    /// Panics at the first event.
    #[derive(Default)]
    struct Shaky(Numbers);

    impl Observer for Shaky {
        fn observe(&self, seen: &Seen<'_>) {
            assert_ne!(seen.event.call(), Some(0), "the first one");
            self.0.observe(seen);
        }
    }

    #[test]
    fn an_observer_that_panics_once_is_shown_what_comes_later() {
        let shaky = Arc::new(Shaky::default());
        let screen = Screen::new(shaky.clone());
        let show = |call| {
            screen.note([Event::RetryRefused { call }].into_iter(), None);
            screen.show();
        };
        thread::scope(|scope| scope.spawn(|| show(0)).join().unwrap_err());
        show(1);
        assert_eq!(*shaky.0.0.lock().unwrap(), [1]);
    }

    #[test]
    fn an_observer_that_blocks_costs_sight_and_no_memory() {
        let numbers = Arc::new(Numbers::default());
        let screen = Screen::new(numbers.clone());
        let blocked = screen.showing.lock().unwrap();
        for call in 0..WAITING_MAX as u64 + 10 {
            screen.note([Event::RetryRefused { call }].into_iter(), None);
            screen.show();
        }
        drop(blocked);
        screen.show();
        assert_eq!(numbers.0.lock().unwrap().len(), WAITING_MAX);
    }
}
