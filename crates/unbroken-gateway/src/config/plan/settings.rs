//! What do the tables of numbers say? Each is checked against its bounds and laid over the
//! defaults.

use std::num::NonZeroU32;
use std::ops::Range;
use std::time::Duration;

use unbroken::route::StreamOptions;
use unbroken_engine::breaker::BreakerConfig;
use unbroken_engine::deadline::Limits;
use unbroken_engine::detector::DetectorConfig;
use unbroken_engine::fleet::FleetConfig;

use super::{Checker, Plan, ServerPlan};
use crate::config::file::{
    BreakerFile, File, HealthFile, LimitsFile, RetryFile, ServerFile, Span, StreamFile,
};

/// Nobody waits longer for a first token that is there.
const COMMIT_HOLD_MAX: Duration = Duration::from_secs(10);

impl Checker<'_> {
    /// Everything that holds for the whole program.
    pub(super) fn settings(&mut self, file: &File, plan: &mut Plan) {
        let fleet = &mut plan.failover.fleet;
        self.breaker(&file.breaker, &mut fleet.breaker);
        self.retry(&file.retry, fleet);
        self.health(&file.health, fleet);
        self.server(&file.server, &mut plan.server);
    }

    /// How a route's streams are delivered.
    pub(super) fn stream_options(&mut self, typed: &StreamFile) -> StreamOptions {
        let base = StreamOptions::default();
        let is_early = typed.early_keep_alive.unwrap_or(!base.early_keep_alive.is_zero());
        if let Some(hold) = typed.commit_hold.as_ref().filter(|h| h.get_ref().0 > COMMIT_HOLD_MAX) {
            self.wrong(hold, "expected a duration of at most `10s`");
        }
        let commit_hold = typed.commit_hold.as_ref().map(|span| span.get_ref().0);
        StreamOptions {
            continues: typed.continues.unwrap_or(base.continues),
            hold_tool_calls: typed.hold_tool_calls.unwrap_or(base.hold_tool_calls),
            commit_hold: commit_hold.unwrap_or(base.commit_hold),
            keep_alive: typed.keep_alive.map_or(base.keep_alive, |span| span.0),
            early_keep_alive: if is_early { base.early_keep_alive } else { Duration::ZERO },
            trail: typed.trail.unwrap_or(base.trail),
        }
    }

    pub(super) fn limits(
        &mut self,
        file: &LimitsFile,
        base: Limits,
        at: Option<&Range<usize>>,
    ) -> Limits {
        let or = |typed: Option<Span>, default: Duration| typed.map_or(default, |span| span.0);
        let limits = Limits {
            connect: or(file.connect, base.connect),
            first_token: or(file.first_token, base.first_token),
            first_token_reasoning: or(file.first_token_reasoning, base.first_token_reasoning),
            answer: or(file.answer, base.answer),
            silence: or(file.silence, base.silence),
            between_tokens: or(file.between_tokens, base.between_tokens),
            stall: or(file.stall, base.stall),
            total: or(file.total, base.total),
        };
        for (name, limit) in [("connect", limits.connect), ("first_token", limits.first_token)] {
            if limit > limits.total {
                let (limit, total) = (limit.as_secs_f32(), limits.total.as_secs_f32());
                let message = format!("`{name}` ({limit} s) is longer than `total` ({total} s)");
                self.errors.add(at.cloned(), message);
            }
        }
        limits
    }

    fn breaker(&mut self, file: &BreakerFile, breaker: &mut BreakerConfig) {
        if let Some(threshold) = &file.failure_threshold
            && let Some(failure_threshold) = NonZeroU32::new(self.whole(threshold, 1..=1_000))
        {
            breaker.detector = DetectorConfig::Consecutive { failure_threshold };
        }
        set(&mut breaker.recovery, file.recovery);
        match &file.recovery_max {
            Some(longest) if longest.get_ref().0 < breaker.recovery => {
                self.wrong(longest, "expected a duration that is not below `recovery`");
            }
            typed => set(&mut breaker.recovery_max, typed.as_ref().map(|typed| *typed.get_ref())),
        }
        set(&mut breaker.probe_timeout, file.probe_timeout);
        set(&mut breaker.ramp_step, file.ramp_step);
        breaker.recovery_max = breaker.recovery_max.max(breaker.recovery);
        if let Some(share) = &file.ramp_start {
            breaker.ramp_start_per_mille = (share.get_ref().clamp(0.001, 1.0) * 1000.0) as u32;
            if !(0.001..=1.0).contains(share.get_ref()) {
                self.wrong(share, "expected a number from 0.001 to 1");
            }
        }
        if let Some(successes) = &file.ramp_successes {
            breaker.ramp_successes = self.whole(successes, 0..=1_000);
        }
    }

    fn retry(&mut self, file: &RetryFile, fleet: &mut FleetConfig) {
        let retry = &mut fleet.retry;
        if let Some(attempts) = &file.max_attempts {
            retry.max_attempts = self.whole(attempts, 1..=16);
        }
        if let Some(revisits) = &file.revisits {
            retry.revisits = self.whole(revisits, 0..=16);
        }
        retry.patience = file.patience.map_or(retry.patience, |span| span.0);
        set(&mut retry.backoff.base, file.backoff);
        set(&mut retry.backoff.cap, file.backoff_max);
        if let Some(budget) = &file.budget {
            retry.budget.capacity = self.whole(budget, 0..=10_000);
        }
    }

    fn health(&mut self, file: &HealthFile, fleet: &mut FleetConfig) {
        let health = &mut fleet.health;
        health.enabled = file.enabled.unwrap_or(health.enabled);
        set(&mut health.interval, file.interval);
        health.interval_when_ill = health.interval_when_ill.min(health.interval);
        set(&mut health.timeout, file.timeout);
        let synthetic = &mut fleet.synthetic;
        synthetic.enabled = file.probes.unwrap_or(synthetic.enabled);
        if let Some(probes) = &file.probes_per_day {
            synthetic.daily_max = self.whole(probes, 0..=86_400);
        }
        synthetic.exercise = file.exercise.map(|span| span.0);
    }

    fn server(&mut self, file: &ServerFile, server: &mut ServerPlan) {
        set(&mut server.drain, file.drain);
        server.substitute = file.substitute.unwrap_or(server.substitute);
        if let Some(connections) = &file.connections_max {
            server.connections_max = self.whole(connections, 1..=1_000_000);
        }
        if let Some(size) = &file.body_max {
            match read_size(size.get_ref()) {
                Some(bytes) => server.body_max = bytes,
                None => self.wrong(size, "expected a size such as \"32MiB\", up to \"1GiB\""),
            }
        }
    }
}

fn set(value: &mut Duration, typed: Option<Span>) {
    if let Some(span) = typed {
        *value = span.0;
    }
}

/// `64KiB`, `32MiB`, `1GiB`.
pub(super) fn read_size(text: &str) -> Option<usize> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let (number, unit) =
        units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))?;
    let bytes = number.trim().parse::<usize>().ok()?.checked_mul(unit)?;
    (1..=1 << 30).contains(&bytes).then_some(bytes)
}
