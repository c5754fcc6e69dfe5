//! What happens every second, whoever calls: health checks, probes, hints between replicas.

use super::*;

impl World<'_> {
    /// What happens every second: health checks, probes, replicas, and a look at the primary.
    pub(super) fn second(&mut self) {
        for number in 0..self.replicas.len() {
            self.check_health(number);
            self.probe(number);
        }
        let second = self.since_start().as_secs();
        if self.script.sharing && second.is_multiple_of(2) && self.store_is_up {
            self.share_hints();
        }
        self.look_at_primary();
        if self.play.liveness && self.since_start() + LAST_LOOK >= self.end_of_calls() {
            for (number, replica) in self.replicas.iter().enumerate() {
                self.checker.look(number, &replica.fleet, &replica.ids, self.now);
            }
        }
        if self.since_start() < self.end_of_calls() + Duration::from_secs(120) {
            self.at(self.now + Duration::from_secs(1), Step::Second);
        }
    }

    pub(super) fn check_health(&mut self, number: usize) {
        let now = self.now;
        loop {
            let Some(replica) = self.replicas.get_mut(number) else { return };
            let Ok(endpoint) = replica.fleet.next_health_check(now) else { return };
            let target = replica.specs.iter().position(|spec| spec.endpoint == endpoint);
            let Some(target) = target else { return };
            let struck = self.ailments.strike(target, self.since_start(), number, 0.5);
            let is_gone = struck.is_some_and(|timed| is_of_the_network(timed.ailment));
            let health = if is_gone { Health::Ill } else { Health::Well };
            let wait = if is_gone { self.config.health.timeout } else { Duration::from_millis(50) };
            self.at(now + wait, Step::HealthResult { replica: number, target, health });
        }
    }

    pub(super) fn probe(&mut self, number: usize) {
        let now = self.now;
        for _ in 0..self.script.targets.len() {
            let Some(replica) = self.replicas.get_mut(number) else { return };
            let Ok(id) = replica.fleet.next_synthetic(now) else { return };
            let Some(target) = replica.ids.iter().position(|known| *known == id) else { return };
            self.tally.synthetic += 1;
            let wish = Wish {
                output_tokens: 1,
                input_tokens: 20,
                ..Wish::draw(&self.script.load, mix(self.play.seed, now.as_nanos(), 7), 0.0)
            };
            let wish = Wish { whole: false, reasoning: false, bad: false, ..wish };
            let now_s = self.since_start().as_secs_f64();
            let (_, steps) = self.play_attempt(target, &wish, AttemptId(1), number, now_s);
            let verdict = steps.iter().find_map(|(at, input)| match input {
                Input::Content { .. } | Input::Ended { .. } => Some((*at, None)),
                Input::Failed { cause, .. } => Some((*at, Some(*cause))),
                _ => None,
            });
            let limit = self.limits.first_token;
            let (at, cause) = verdict
                .filter(|(at, _)| *at < limit)
                .unwrap_or((limit, Some(FailureCause::Silent)));
            self.at(now + at, Step::Probed { replica: number, target, cause });
        }
    }

    pub(super) fn share_hints(&mut self) {
        let now = self.now;
        let mut all = Vec::new();
        for (number, replica) in self.replicas.iter_mut().enumerate() {
            replica.version += 1;
            for hint in replica.fleet.hints(number as u64, replica.version, now) {
                if !replica.board.is_contradicted(&hint, now) {
                    all.push(hint);
                }
            }
        }
        for (number, replica) in self.replicas.iter_mut().enumerate() {
            for hint in &all {
                replica.board.hear(hint.clone(), Duration::ZERO, now);
            }
            replica.board.forget_stale(now);
            let board = std::mem::take(&mut replica.board);
            replica.fleet.hear(&board, number as u64, now);
            replica.board = board;
        }
    }

    pub(super) fn look_at_primary(&mut self) {
        let (now, until) = (self.now, self.window.1);
        if self.recovered || self.play.quiet || self.since_start() < until {
            return;
        }
        let Some(replica) = self.replicas.first() else { return };
        // The most preferred one that was ill.
        let mut places = 0..self.script.targets.len();
        let primary = places.find(|place| self.ailments.is_ever_ill(*place));
        // A ramp gets one call per step, which of little traffic is all.
        let of_step =
            (1.0 / (self.play.rate * self.config.breaker.ramp_step.as_secs_f64())).min(1.0);
        let ramp_share = |per_mille: Option<u32>| f64::from(per_mille.unwrap_or(1000)) / 1000.0;
        let ramp_share = |per_mille| f64::max(ramp_share(per_mille), of_step);
        let is_back = primary.is_none_or(|place| {
            let report = replica.ids.get(place).and_then(|id| replica.fleet.report_of(*id, now));
            report.is_some_and(|report| {
                let is_used = matches!(report.state, "closed" | "forced_closed");
                let is_used = is_used
                    || (report.state == "ramp"
                        && replica
                            .ids
                            .get(place)
                            .and_then(|id| replica.fleet.vitals(*id))
                            .is_some_and(|vitals| ramp_share(vitals.share_per_mille) >= 0.9));
                is_used && report.refusal.is_none() && !report.is_degraded
            })
        });
        let after = self.since_start().saturating_sub(until).as_secs_f64();
        if is_back || self.since_start() >= self.script.length {
            self.recovered = true;
            self.tally.recover_s.push(after);
        }
    }
}

/// Whether a health check sees it, too.
const fn is_of_the_network(ailment: Ailment) -> bool {
    matches!(
        ailment,
        Ailment::Fault(
            Fault::Refuse
                | Fault::BlackHole
                | Fault::DnsFailure
                | Fault::DnsStall { .. }
                | Fault::TlsFailure
                | Fault::Reset
        )
    )
}
