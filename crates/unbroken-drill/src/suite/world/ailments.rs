//! What is wrong at this moment, and with whom? Years of trouble are looked up in no time.

use std::time::Duration;

use crate::suite::provider::strikes;
use crate::suite::script::{Script, Timed};

/// What goes wrong in a run, as the time goes on.
pub(super) struct Ailments<'a> {
    all: &'a [Timed],
    /// Whom each one concerns: one bit per target.
    whom: Vec<u64>,
    /// Those that have not begun, the next one last.
    to_come: Vec<usize>,
    /// Those under way, in the order of the file.
    active: Vec<usize>,
}

impl<'a> Ailments<'a> {
    /// Of a script; none at all in a quiet run.
    pub(super) fn new(script: &'a Script, is_quiet: bool) -> Self {
        let all: &[Timed] = if is_quiet { &[] } else { &script.ailments };
        let mut to_come: Vec<usize> = (0..all.len()).collect();
        to_come.sort_by_key(|place| std::cmp::Reverse(all.get(*place).map(|timed| timed.at)));
        let whom = all.iter().map(|timed| mask(script, timed)).collect();
        Self { all, whom, to_come, active: Vec::new() }
    }

    /// It is `now`; time never goes back.
    pub(super) fn pass_time(&mut self, now: Duration) {
        let all = self.all;
        let is_over = |place: &usize| all.get(*place).is_none_or(|timed| timed.until <= now);
        if self.active.iter().any(is_over) {
            self.active.retain(|place| !is_over(place));
        }
        while let Some(place) = self.to_come.last().copied()
            && all.get(place).is_none_or(|timed| timed.at <= now)
        {
            self.to_come.pop();
            let at = self.active.partition_point(|other| *other < place);
            self.active.insert(at, place);
        }
    }

    /// What strikes an attempt at `target` now; the last one of the file wins.
    pub(super) fn strike(
        &self,
        target: usize,
        now: Duration,
        replica: usize,
        draw: f64,
    ) -> Option<&'a Timed> {
        self.of(target).rev().find(|timed| strikes(timed, now, replica, draw))
    }

    /// Whether anything is wrong with a target now.
    pub(super) fn is_ill(&self, target: usize, now: Duration) -> bool {
        self.strike(target, now, 0, 0.0).is_some()
    }

    /// Whether anything is ever wrong with a target.
    pub(super) fn is_ever_ill(&self, target: usize) -> bool {
        self.whom.iter().any(|whom| whom & bit(target) != 0)
    }

    fn of(&self, target: usize) -> impl DoubleEndedIterator<Item = &'a Timed> {
        let concerns = move |place: &&usize| {
            self.whom.get(**place).is_some_and(|whom| whom & bit(target) != 0)
        };
        self.active.iter().filter(concerns).filter_map(|place| self.all.get(*place))
    }
}

fn mask(script: &Script, timed: &Timed) -> u64 {
    let names = script.targets.iter().map(|target| &target.name).enumerate();
    names.filter(|(_, name)| timed.targets.contains(name)).map(|(place, _)| bit(place)).sum()
}

const fn bit(target: usize) -> u64 {
    1 << (target % 64)
}
