//! What time is it? The one place that reads a clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use unbroken_engine::time::Timestamp;

/// A monotonic clock that starts when it is made. Follows tokio's paused clock in tests.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::after_start(self.start.elapsed())
    }

    /// The same moment as tokio's timers name it.
    #[must_use]
    pub fn instant(&self, at: Timestamp) -> Instant {
        self.start + at.since(Timestamp::ZERO)
    }

    /// Seconds since 1970, for the `created` fields of answers.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn unix_seconds() -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
    }

    /// Milliseconds since 1970, for what people read about the past.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn unix_millis() -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    /// A number that differs from run to run, to seed the engine's choices.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn seed() -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        since.as_secs().rotate_left(32) ^ u64::from(since.subsec_nanos())
    }
}
