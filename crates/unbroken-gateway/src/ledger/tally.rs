//! Sums by the minute: what reports are made of, long after the calls themselves have gone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::database::{Database, Fault, Value};
use crate::journal::{AttemptRecord, CallRecord, Tokens};

/// This many names of routes and of targets have sums of their own, the others are `other`: clients
/// may invent names.
const NAMES_MAX: usize = 500;

/// Sums that have not been written.
#[derive(Default)]
pub(super) struct Tallies {
    routes: BTreeMap<(u64, Arc<str>), [u64; 10]>,
    targets: BTreeMap<(u64, Arc<str>), [u64; 4]>,
    spending: BTreeMap<Key, Spending>,
    names: BTreeSet<Arc<str>>,
}

/// Minute, route, target and purpose.
type Key = (u64, Arc<str>, Arc<str>, &'static str);

#[derive(Clone, Copy, Default)]
struct Spending {
    attempts: u64,
    unpriced: u64,
    estimated: u64,
    input: u64,
    output: u64,
    cost_nanos: i64,
}

impl Tallies {
    /// Adds a call.
    pub(super) fn add(&mut self, call: &CallRecord) {
        let minute = call.begun_ms.saturating_add(call.took_ms) / 60_000;
        let route = self.name(&Arc::from(call.route.as_str()));
        let is = |outcome: &str| u64::from(call.outcome == outcome);
        let more = [
            1,
            is("answered"),
            is("rescued"),
            is("client_error"),
            is("failed"),
            is("broken"),
            is("client_gone"),
            u64::from(call.avoided && call.outcome == "answered"),
            call.attempts.len() as u64,
            call.saved_tokens,
        ];
        let sums = self.routes.entry((minute, route.clone())).or_default();
        sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        for attempt in &call.attempts {
            self.attempt(minute, &route, attempt);
        }
    }

    fn attempt(&mut self, minute: u64, route: &Arc<str>, attempt: &AttemptRecord) {
        let target = self.name(&attempt.target);
        let has_answered = attempt.result == "answered";
        let more = [
            1,
            u64::from(has_answered),
            u64::from(attempt.is_blamed),
            u64::from(!has_answered && !attempt.is_blamed),
        ];
        let sums = self.targets.entry((minute, target.clone())).or_default();
        sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        let Some((answer, extra)) = attempt.shares() else { return };
        let none = Tokens::default();
        for (tokens, purpose) in [(answer, "answer"), (extra, attempt.purpose)] {
            if (tokens.input, tokens.output) == (none.input, none.output) {
                continue;
            }
            let key = (minute, route.clone(), target.clone(), purpose);
            self.spending.entry(key).or_default().add(attempt, tokens);
        }
    }

    /// Writes the sums and begins anew.
    pub(super) fn write(&mut self, database: &Database) -> Result<(), Fault> {
        for ((minute, route), sums) in std::mem::take(&mut self.routes) {
            let mut values = vec![minute.into(), (&*route).into()];
            values.extend(sums.map(Value::from));
            database.execute(ADD_ROUTE, &values)?;
        }
        for ((minute, target), sums) in std::mem::take(&mut self.targets) {
            let mut values = vec![minute.into(), (&*target).into()];
            values.extend(sums.map(Value::from));
            database.execute(ADD_TARGET, &values)?;
        }
        for ((minute, route, target, purpose), sums) in std::mem::take(&mut self.spending) {
            let values = [
                minute.into(),
                (&*route).into(),
                (&*target).into(),
                purpose.into(),
                sums.attempts.into(),
                sums.unpriced.into(),
                sums.estimated.into(),
                sums.input.into(),
                sums.output.into(),
                sums.cost_nanos.into(),
            ];
            database.execute(ADD_SPENDING, &values)?;
        }
        Ok(())
    }

    fn name(&mut self, name: &Arc<str>) -> Arc<str> {
        if self.names.contains(name) {
            return name.clone();
        }
        if self.names.len() >= NAMES_MAX {
            return "other".into();
        }
        self.names.insert(name.clone());
        name.clone()
    }
}

impl Spending {
    /// Its part of what an attempt cost, by its part of the tokens.
    fn add(&mut self, attempt: &AttemptRecord, tokens: Tokens) {
        self.attempts += 1;
        self.estimated += u64::from(tokens.estimated);
        self.input += tokens.input;
        self.output += tokens.output;
        match attempt.part_of_cost(tokens) {
            Some(nanos) => self.cost_nanos = self.cost_nanos.saturating_add(nanos),
            None => self.unpriced += 1,
        }
    }
}

const ADD_ROUTE: &str = "
INSERT INTO route_minutes (minute, route, calls, answered, rescued, told, failed, broken, gone,
    avoided, attempts, saved_tokens)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (minute, route) DO UPDATE SET
    calls = route_minutes.calls + excluded.calls,
    answered = route_minutes.answered + excluded.answered,
    rescued = route_minutes.rescued + excluded.rescued,
    told = route_minutes.told + excluded.told,
    failed = route_minutes.failed + excluded.failed,
    broken = route_minutes.broken + excluded.broken,
    gone = route_minutes.gone + excluded.gone,
    avoided = route_minutes.avoided + excluded.avoided,
    attempts = route_minutes.attempts + excluded.attempts,
    saved_tokens = route_minutes.saved_tokens + excluded.saved_tokens";

const ADD_TARGET: &str = "
INSERT INTO target_minutes (minute, target, attempts, answered, failed, excused)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (minute, target) DO UPDATE SET
    attempts = target_minutes.attempts + excluded.attempts,
    answered = target_minutes.answered + excluded.answered,
    failed = target_minutes.failed + excluded.failed,
    excused = target_minutes.excused + excluded.excused";

const ADD_SPENDING: &str = "
INSERT INTO spending (minute, route, target, purpose, attempts, unpriced, estimated,
    input_tokens, output_tokens, cost_nanos)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (minute, route, target, purpose) DO UPDATE SET
    attempts = spending.attempts + excluded.attempts,
    unpriced = spending.unpriced + excluded.unpriced,
    estimated = spending.estimated + excluded.estimated,
    input_tokens = spending.input_tokens + excluded.input_tokens,
    output_tokens = spending.output_tokens + excluded.output_tokens,
    cost_nanos = spending.cost_nanos + excluded.cost_nanos";
