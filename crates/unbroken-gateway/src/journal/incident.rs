//! What went wrong, told as a story: when it began, when it was noticed, who noticed it the hard
//! way, where the traffic went, and when it was over.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::Serialize;
use unbroken_engine::breaker::Change;
use unbroken_engine::cause::FailureCause;
use unbroken_engine::event::{CellKind, ChangeReason};

use super::call::millis;
use super::words;

/// Incidents are remembered up to this number, the oldest go first.
const INCIDENTS_MAX: usize = 200;
/// Lines of one story. The first and the last ones matter: beyond it, lines in between are dropped.
const LINES_MAX: usize = 40;
/// What comes back within this time is the same incident.
const SAME_WITHIN_MS: u64 = 60_000;
/// Targets whose failures are counted before an incident is known.
const STREAKS_MAX: usize = 10_000;
/// Targets that traffic moved to, per incident.
const MOVED_MAX: usize = 32;

/// One incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Incident {
    /// Counts incidents, from 1.
    pub(crate) number: u64,
    /// What is ill: `serving`, `endpoint`, `key`, `capacity`, `quota`, `model`, `family`,
    /// `slowness` or `network`.
    pub(crate) cell: &'static str,
    /// Its name.
    pub(crate) name: String,
    /// What is wrong, in words.
    pub(crate) words: String,
    /// The first failure of the row that led to it, in milliseconds since 1970.
    pub(crate) began_ms: u64,
    /// When traffic was kept off.
    pub(crate) detected_ms: u64,
    /// When it was over; absent while it goes on.
    pub(crate) ended_ms: Option<u64>,
    /// Attempts that failed because of it.
    pub(crate) victims: u64,
    /// Calls that others answered after they had failed here, by who answered.
    pub(crate) moved: BTreeMap<String, u64>,
    /// Calls that nobody answered in the end.
    pub(crate) client_failures: u64,
    /// What happened, in its order.
    pub(crate) timeline: VecDeque<Line>,
    /// When a block ends by itself.
    #[serde(skip)]
    until_ms: Option<u64>,
    /// Whether it has changed since it was written down.
    #[serde(skip)]
    is_changed: bool,
    /// Whether it is slow beside all else.
    #[serde(skip)]
    is_slow: bool,
    /// Whether its traffic comes back.
    #[serde(skip)]
    is_returning: bool,
}

/// One line of a story.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Line {
    /// When, in milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// What.
    pub(crate) text: String,
}

impl Incident {
    fn tell(&mut self, at_ms: u64, text: String) {
        self.is_changed = true;
        if self.timeline.len() >= LINES_MAX {
            self.timeline.remove(LINES_MAX / 2);
        }
        self.timeline.push_back(Line { at_ms, text });
    }

    fn end(&mut self, at_ms: u64, text: String) {
        self.ended_ms = Some(at_ms);
        self.until_ms = None;
        self.tell(at_ms, text);
    }

    /// A block that has passed is over, whether or not anybody called since.
    fn settle(&mut self, now: u64) {
        if let Some(until) = self.until_ms.filter(|until| *until <= now) {
            self.end(until, "its time has passed".to_owned());
        }
    }

    fn concerns(&self, names: &Names) -> bool {
        match self.cell {
            "serving" | "slowness" => self.name == names.target,
            "endpoint" => self.name == names.endpoint,
            "key" | "quota" => self.name == names.key,
            "capacity" => self.name == format!("{}/{}", names.key, names.model),
            "model" => self.name == names.target || self.name == names.model,
            "family" => names.model.ends_with(&self.name),
            "network" => true,
            _ => false,
        }
    }
}

/// What a target consists of, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) target: String,
    pub(super) model: String,
    pub(super) endpoint: String,
    pub(super) key: String,
}

/// Failures of a target in a row.
#[derive(Debug)]
struct Streak {
    since: u64,
    failures: u64,
    names: Names,
    cause: FailureCause,
}

/// All incidents.
#[derive(Debug, Default)]
pub(super) struct Incidents {
    all: VecDeque<Incident>,
    count: u64,
    streaks: BTreeMap<String, Streak>,
    /// What targets that have failed consist of.
    names: BTreeMap<String, Names>,
}

impl Incidents {
    pub(super) fn newest_first(&mut self, now: u64) -> Vec<Incident> {
        self.all.iter_mut().for_each(|incident| incident.settle(now));
        self.all.iter().rev().cloned().collect()
    }

    /// Those that have changed since the last time.
    pub(super) fn changed(&mut self, now: u64) -> Vec<Incident> {
        let mut changed = Vec::new();
        for incident in &mut self.all {
            incident.settle(now);
            if std::mem::take(&mut incident.is_changed) {
                changed.push(incident.clone());
            }
        }
        changed
    }

    /// Whether anything is wrong anywhere.
    pub(super) fn some_are_open(&self) -> bool {
        self.all.iter().any(|incident| incident.ended_ms.is_none())
    }

    /// Whether a target is left alone: slow ones are not.
    pub(super) fn is_down(&mut self, names: &Names, now: u64) -> bool {
        self.all.iter_mut().for_each(|incident| incident.settle(now));
        let mut open = self.all.iter().filter(|incident| incident.ended_ms.is_none());
        open.any(|incident| {
            incident.cell != "slowness" && !incident.is_returning && incident.concerns(names)
        })
    }

    /// A target answers: what failed before was not the beginning of anything.
    pub(super) fn answered(&mut self, target: &str) {
        self.streaks.remove(target);
    }

    /// An attempt failed.
    pub(super) fn failed(&mut self, names: Names, cause: FailureCause, now: u64) {
        for incident in self.all.iter_mut().filter(|incident| incident.ended_ms.is_none()) {
            incident.settle(now);
            if incident.ended_ms.is_none() && incident.concerns(&names) {
                incident.victims += 1;
                incident.is_changed = true;
            }
        }
        if self.names.len() < STREAKS_MAX && !self.names.contains_key(&names.target) {
            self.names.insert(names.target.clone(), names.clone());
        }
        if self.streaks.len() >= STREAKS_MAX && !self.streaks.contains_key(&names.target) {
            return;
        }
        let streak = self.streaks.entry(names.target.clone());
        let streak = streak.or_insert(Streak { since: now, failures: 0, names, cause });
        streak.failures += 1;
    }

    /// A call failed at a target and was answered by another.
    pub(super) fn moved(&mut self, from: &str, to: &str) {
        self.each_open_of(from, |incident| {
            if incident.moved.len() < MOVED_MAX || incident.moved.contains_key(to) {
                *incident.moved.entry(to.to_owned()).or_default() += 1;
            }
        });
    }

    /// A call failed at a target, and everywhere else.
    pub(super) fn client_failed(&mut self, target: &str) {
        self.each_open_of(target, |incident| incident.client_failures += 1);
    }

    fn each_open_of(&mut self, target: &str, mut then: impl FnMut(&mut Incident)) {
        // Its streak may be over by now: a call that was under way when it failed has answered.
        let Some(names) = self.names.get(target) else { return };
        let open = self.all.iter_mut().filter(|incident| incident.ended_ms.is_none());
        for incident in open.filter(|incident| incident.concerns(names)) {
            incident.is_changed = true;
            then(incident);
        }
    }

    /// A breaker changed.
    pub(super) fn breaker_changed(
        &mut self,
        cell: CellKind,
        name: &str,
        change: &Change,
        reason: ChangeReason,
        now: u64,
    ) {
        let why = words::reason(reason);
        let wait = seconds(change.wait);
        if let Some(incident) = self.open(cell.name(), name) {
            incident.is_returning = change.to == "ramp";
        }
        match change.to {
            "open" if change.from == "closed" || change.from == "ramp" => {
                let text = format!("traffic is kept off for {wait}: {why}");
                self.begin(cell.name(), name, &why, text, now);
            }
            "forced_open" | "draining" => {
                let what = if change.to == "draining" { "drained" } else { "shut" };
                let text = format!("{what} by an operator");
                self.begin(cell.name(), name, &text.clone(), text, now);
            }
            "open" => self.tell(cell.name(), name, now, format!("off for another {wait}: {why}")),
            "half_open" => self.tell(cell.name(), name, now, why),
            "ramp" => {
                let text = format!("its traffic comes back in steps: {why}");
                self.tell(cell.name(), name, now, text);
            }
            // `closed` and `forced_closed`.
            _ => self.over(cell.name(), name, now, &why),
        }
    }

    /// A cell is blocked until a known time.
    pub(super) fn blocked(
        &mut self,
        cell: CellKind,
        name: &str,
        wait: Duration,
        cause: FailureCause,
        now: u64,
    ) {
        let why = cause.to_string();
        let text = format!("blocked for {}: {why}", seconds(wait));
        self.begin(cell.name(), name, &why, text, now);
        if let Some(incident) = self.open(cell.name(), name) {
            incident.until_ms = Some(now.saturating_add(millis(wait)));
        }
    }

    /// A target became slow, or is quick again.
    pub(super) fn slowness_changed(&mut self, name: &str, is_degraded: bool, now: u64) {
        if is_degraded {
            let why = "its first content takes longer than usual";
            self.begin("slowness", name, why, format!("others are preferred: {why}"), now);
        } else {
            self.over("slowness", name, now, "it is quick again");
        }
    }

    /// Our own network fails, or works again.
    pub(super) fn local_fault(&mut self, begins: bool, now: u64) {
        if begins {
            let why = "almost nothing can be reached: look at this machine's network";
            self.begin("network", "this machine", why, why.to_owned(), now);
        } else {
            self.over("network", "this machine", now, "something was reached again");
        }
    }

    /// Something more about a key.
    pub(super) fn key_told(&mut self, key: &str, text: &str, now: u64) {
        self.tell("key", key, now, text.to_owned());
    }

    fn begin(&mut self, cell: &'static str, name: &str, why: &str, text: String, now: u64) {
        self.all.iter_mut().for_each(|incident| incident.settle(now));
        let again = self.all.iter_mut().rev().find(|incident| {
            let is_recent =
                incident.ended_ms.is_none_or(|at| now.saturating_sub(at) < SAME_WITHIN_MS);
            is_kin(incident.cell, cell) && incident.name == name && is_recent
        });
        if let Some(incident) = again {
            let is_shut = incident.cell == "serving" && incident.ended_ms.is_none();
            incident.ended_ms = None;
            incident.is_slow |= cell == "slowness";
            // Slow is the lesser evil: it does not rename what is worse.
            if !(cell == "slowness" && is_shut) {
                incident.cell = cell;
                why.clone_into(&mut incident.words);
            }
            incident.tell(now, text);
            return;
        }
        self.add(cell, name, why, text, now);
    }

    fn add(&mut self, cell: &'static str, name: &str, why: &str, text: String, now: u64) {
        self.count += 1;
        let mut incident = Incident {
            number: self.count,
            cell,
            name: name.to_owned(),
            words: why.to_owned(),
            began_ms: now,
            detected_ms: now,
            ended_ms: None,
            victims: 0,
            moved: BTreeMap::new(),
            client_failures: 0,
            timeline: VecDeque::new(),
            until_ms: None,
            is_changed: true,
            is_slow: cell == "slowness",
            is_returning: false,
        };
        let streaks: Vec<&Streak> =
            self.streaks.values().filter(|streak| incident.concerns(&streak.names)).collect();
        incident.victims = streaks.iter().map(|streak| streak.failures).sum();
        if let Some(first) = streaks.iter().min_by_key(|streak| streak.since) {
            incident.began_ms = first.since;
            incident.tell(first.since, format!("the first failure: {}", first.cause));
        }
        incident.tell(now, text);
        if self.all.len() >= INCIDENTS_MAX {
            self.all.pop_front();
        }
        self.all.push_back(incident);
    }

    fn open(&mut self, cell: &str, name: &str) -> Option<&mut Incident> {
        let mut open = self.all.iter_mut().rev().filter(|incident| incident.ended_ms.is_none());
        open.find(|incident| incident.cell == cell && incident.name == name)
    }

    fn tell(&mut self, cell: &str, name: &str, now: u64, text: String) {
        if let Some(incident) = self.open(cell, name) {
            incident.tell(now, text);
        }
    }

    fn over(&mut self, cell: &str, name: &str, now: u64, why: &str) {
        let mut open = self.all.iter_mut().rev().filter(|incident| incident.ended_ms.is_none());
        let kin = open.find(|incident| is_kin(incident.cell, cell) && incident.name == name);
        if let Some(incident) = kin {
            if cell == "slowness" {
                incident.is_slow = false;
            }
            if incident.cell != cell {
                return incident.tell(now, why.to_owned());
            }
            if cell == "serving" && incident.is_slow {
                incident.cell = "slowness";
                return incident.tell(now, format!("in use again, but still slow: {why}"));
            }
            let took = Duration::from_millis(now.saturating_sub(incident.began_ms));
            incident.end(now, format!("over after {}: {why}", seconds(took)));
        }
    }
}

/// A target that goes slow and then trips, or the other way round, has one trouble, not two.
fn is_kin(one: &str, other: &str) -> bool {
    let is_of_target = |cell| matches!(cell, "serving" | "slowness");
    one == other || is_of_target(one) && is_of_target(other)
}

/// `0.3 s`, `45 s`, `12 min`, `3.0 h`.
fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        ..10.0 => format!("{seconds:.1} s"),
        ..120.0 => format!("{seconds:.0} s"),
        ..7_200.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3_600.0),
    }
}

#[cfg(test)]
mod tests;
