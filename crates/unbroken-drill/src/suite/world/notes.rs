//! What is counted, and what a failing seed shows?

use super::*;

/// A stream whose first content comes later than this is answered, but not well.
const GOOD_FIRST: Duration = Duration::from_secs(5);

impl World<'_> {
    pub(super) fn relayed(&mut self, begun: Timestamp, wish: &Wish) {
        let at = begun.since(Timestamp::ZERO);
        let is_window =
            if self.play.quiet { true } else { (self.window.0..self.window.1).contains(&at) };
        if is_window && !wish.whole && !wish.reasoning {
            self.tally.first.add(self.now.since(begun).as_secs_f64() * 1000.0);
        }
    }

    pub(super) fn ended(&mut self, index: u32, failure: Option<Failure>) {
        let Some(Some(live)) = self.calls.get(index as usize) else { return };
        let begun = live.begun.since(Timestamp::ZERO);
        if begun >= self.script.length {
            return;
        }
        if live.wish.bad {
            self.tally.bad_calls += 1;
            return;
        }
        let is_window = !self.play.quiet && (self.window.0..self.window.1).contains(&begun);
        let tally = &mut self.tally;
        tally.calls += 1;
        tally.call_attempts += live.starts.len() as u64;
        tally.window_calls += u64::from(is_window);
        let answered = failure.is_none();
        tally.answered += u64::from(answered);
        tally.broken += u64::from(matches!(failure, Some(Failure::Broken { .. })));
        tally.refused += u64::from(matches!(failure, Some(Failure::Tell { .. })));
        let first = live.first_at.map_or(Duration::MAX, |at| at.since(live.begun));
        let is_in_time = live.wish.whole || live.wish.reasoning || first <= GOOD_FIRST;
        tally.good += u64::from(answered && is_in_time);
        if !answered {
            tally.error_after.add(self.now.since(live.begun).as_secs_f64() * 1000.0);
        }
        if let Some((calls, good)) = self.hours.get_mut((begun.as_secs() / 3600) as usize) {
            *calls += 1;
            *good += u64::from(answered);
        }
        if self.script.load.routes.len() > 1 && live.route + 1 == self.script.load.routes.len() {
            tally.last_route += 1;
            let is_moved = live.starts.first().is_some_and(|first| {
                let route = self.script.load.routes.get(live.route);
                let targets = self.script.targets.iter();
                let mut own = targets.enumerate().filter(|(_, t)| t.route.as_ref() == route);
                own.next().is_some_and(|(place, _)| place != first.target)
            });
            tally.moved += u64::from(is_moved);
        }
    }

    /// Takes in what the engines say about themselves.
    pub(super) fn collect_events(&mut self) -> Result<(), Violation> {
        for number in 0..self.replicas.len() {
            while let Some(event) =
                self.replicas.get_mut(number).and_then(|replica| replica.fleet.next_event())
            {
                self.notice(number, &event);
                if self.play.checked {
                    self.checker.event(number, &event, self.now, self.play.canary)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn notice(&mut self, number: usize, event: &Event) {
        let is_ailing = |name: &str| {
            let place = self.script.targets.iter().position(|target| target.name == name);
            place.is_some_and(|place| self.ailments.is_ever_ill(place))
        };
        let now = self.since_start();
        let is_on = !self.play.quiet && now >= self.window.0;
        let keeps_off = match event {
            Event::BreakerChanged { cell: CellKind::Serving, name, change, .. } => {
                let is_trip = change.to == "open" && change.from == "closed";
                if is_trip {
                    self.tally.trips += 1;
                    let is_quiet = self.play.quiet || now < self.window.0;
                    self.tally.false_trips += u64::from(is_quiet);
                }
                is_trip && is_ailing(name)
            }
            Event::BreakerChanged { change, .. } => change.to == "open",
            Event::CellBlocked { .. } => true,
            Event::SlownessChanged { name, is_degraded } => *is_degraded && is_ailing(name),
            Event::AttemptStarted { why, .. } => {
                self.tally.hedges += u64::from(why.name() == "hedge");
                false
            }
            _ => false,
        };
        if keeps_off && is_on && !self.detected && number == 0 {
            self.detected = true;
            self.tally.detect_calls.push(self.tally.window_calls as f64);
            let length = self.window.1.saturating_sub(self.window.0).as_secs_f64();
            let since = now.saturating_sub(self.window.0).as_secs_f64();
            self.tally.detect_share.push(since / length.max(1e-9));
        }
        if self.play.checked && !is_dull(event) {
            if self.trace.len() >= TRACE_MAX {
                self.trace.pop_front();
            }
            self.trace.push_back((self.now, number, event.clone()));
        }
    }

    /// The last things that happened, one per line.
    pub(super) fn told(&self) -> Vec<String> {
        let line = |(at, replica, event): &(Timestamp, usize, Event)| {
            let at = at.since(Timestamp::ZERO).as_secs_f64();
            format!("{at:>10.3} s  replica {replica}  {event:?}")
        };
        self.trace.iter().map(line).collect()
    }
}

const fn is_dull(event: &Event) -> bool {
    matches!(
        event,
        Event::AttemptEnded { result: AttemptResult::Answered, .. } | Event::HealthChecked { .. }
    )
}
