//! What does an operator do meanwhile: reloads, targets taken out, a store that fails?

use super::*;

impl World<'_> {
    pub(super) fn act(&mut self, place: usize) -> Result<(), Violation> {
        let Some(action) = self.script.actions.get(place) else { return Ok(()) };
        let now = self.now;
        let before: Vec<_> = self.deadlines();
        match &action.what {
            Act::Reload => {
                let mut config = self.config;
                if self.play.canary == Some(Canary::ReloadForgets) {
                    config.breaker.detector = DetectorConfig::consecutive(2);
                }
                for replica in &mut self.replicas {
                    replica.fleet.reconfigure(config);
                }
            }
            Act::ReloadOther => {
                self.config.breaker.detector = DetectorConfig::sequential(5_000);
                self.limits.first_token = Duration::from_secs(12);
                for replica in &mut self.replicas {
                    replica.fleet.reconfigure(self.config);
                }
            }
            Act::Remove { target } => {
                let gone = self.script.targets.iter().position(|known| known.name == *target);
                if let Some(removed) = gone.and_then(|gone| self.removed.get_mut(gone)) {
                    *removed = true;
                }
                for replica in &mut self.replicas {
                    let kept: Vec<TargetSpec> = replica
                        .specs
                        .iter()
                        .enumerate()
                        .filter(|(place, _)| self.removed.get(*place) != Some(&true))
                        .map(|(_, spec)| spec.clone())
                        .collect();
                    replica.fleet.keep_only(&kept, now);
                }
            }
            Act::Store { up } => self.store_is_up = *up,
            Act::Pause { ms } => self.frozen_until = now + Duration::from_millis(*ms),
            Act::Force { target, how } => {
                let forced = match how.as_str() {
                    "open" => Some(Forced::Open),
                    "closed" => Some(Forced::Closed),
                    "drain" => Some(Forced::Drain),
                    _ => None,
                };
                for replica in &mut self.replicas {
                    // A name that is not there is the scenario's mistake, seen by its pass line.
                    let _ = replica.fleet.force(target, forced, now);
                }
            }
        }
        if self.play.canary == Some(Canary::ReloadChangesCalls)
            && let Some(live) = self.calls.iter_mut().rev().flatten().next()
            && let Some(replica) = self.replicas.get_mut(live.replica)
        {
            live.call.handle(&mut replica.fleet, Input::ClientGone, now);
        }
        if !self.play.checked {
            return Ok(());
        }
        self.checker.reloaded(&before, &self.deadlines(), now)
    }

    /// The deadlines of all calls under way: what a reload must not change.
    pub(super) fn deadlines(&self) -> Vec<Option<Timestamp>> {
        self.calls.iter().rev().take(2_000).flatten().map(|live| live.call.deadline()).collect()
    }
}
