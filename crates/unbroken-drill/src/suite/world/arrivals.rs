//! Who arrives, and what do they ask for?

use super::*;

impl World<'_> {
    pub(super) fn next_arrival(&mut self, number: usize) {
        let (from, until, factor) = self.script.load.burst;
        let now_s = self.since_start().as_secs_f64();
        let is_burst = !self.play.quiet && (from..until).contains(&now_s);
        let is_over = self.since_start() >= self.script.length;
        let rate = if is_over { 0.2 } else { self.play.rate };
        let rate = rate * if is_burst { factor } else { 1.0 };
        let Some(replica) = self.replicas.get_mut(number) else { return };
        let gap = -libm::log(unit(&mut replica.arrivals).max(1e-12)) / rate;
        let next = self.now + Duration::from_secs_f64(gap);
        if next.since(Timestamp::ZERO) < self.end_of_calls() {
            self.at(next, Step::Arrive { replica: number });
        }
    }

    pub(super) fn arrive(&mut self, number: usize) -> Result<(), Violation> {
        let at_s = self.since_start().as_secs_f64();
        let Some(replica) = self.replicas.get_mut(number) else { return Ok(()) };
        replica.arrived += 1;
        if replica.arrived <= self.play.skip {
            return Ok(());
        }
        let seed = mix(self.play.seed, number as u64, replica.arrived);
        let load = &self.script.load;
        let wish = Wish::draw(load, seed, at_s);
        let routes = load.routes.len().max(1);
        let route = ((wish.draw * routes as f64) as usize).min(routes - 1);
        let tiers = self.tiers(number, route);
        let kind = match (wish.whole, wish.reasoning) {
            (true, _) => Kind::Whole,
            (false, true) => Kind::ReasoningStream,
            (false, false) => Kind::Stream,
        };
        let mut limits = self.limits;
        if self.play.canary == Some(Canary::TooLong) {
            limits.total *= 2;
        }
        let ask = Ask {
            input_tokens: wish.input_tokens,
            conversation: wish.conversation.filter(|_| self.play.canary != Some(Canary::Wanders)),
            fingerprint: seed,
            effect: if wish.effectful && self.play.canary != Some(Canary::EffectsTwice) {
                Effect::Effectful
            } else {
                Effect::Pure
            },
            ..Ask::new("chat", tiers, limits, kind)
        };
        let now = self.now;
        let Some(replica) = self.replicas.get_mut(number) else { return Ok(()) };
        let call = replica.fleet.begin(&ask, now);
        self.checker.begun(&wish);
        let index = self.calls.len() as u32;
        self.calls.push(Some(Box::new(Live {
            call,
            replica: number,
            begun: now,
            ends: now + self.limits.total,
            wish,
            route,
            starts: Vec::new(),
            relayed: None,
            first_at: None,
            ended: Vec::new(),
            terminals: 0,
            tick_at: u64::MAX,
        })));
        if let Some(after) = wish.leaves_after {
            self.at(now + after, Step::Leave { call: index });
        }
        self.perform(index)
    }

    /// The tiers of a route, from the targets that are configured now.
    pub(super) fn tiers(&self, number: usize, route: usize) -> Vec<Tier> {
        let name = self.script.load.routes.get(route);
        let now = self.since_start();
        let Some(replica) = self.replicas.get(number) else { return Vec::new() };
        let mut tiers: Vec<(u32, Tier)> = Vec::new();
        for (place, target) in self.script.targets.iter().enumerate() {
            let is_on_route = target.route.as_ref().is_none_or(|route| Some(route) == name);
            let is_there = now >= Duration::from_secs(target.from_s);
            if !is_on_route || !is_there || self.removed.get(place) == Some(&true) {
                continue;
            }
            let Some(id) = replica.ids.get(place) else { continue };
            let rank = target.tier.unwrap_or(100 + place as u32);
            match tiers.iter_mut().find(|(number, _)| *number == rank) {
                Some((_, tier)) => tier.targets.push((*id, 1)),
                None => {
                    let targets = vec![(*id, 1)];
                    tiers.push((rank, Tier { targets, order: TierOrder::Balanced }));
                }
            }
        }
        tiers.sort_by_key(|(rank, _)| *rank);
        if self.play.arm == Arm::Oracle {
            // Stable: among the well ones the order stays.
            tiers.sort_by_key(|(_, tier)| {
                tier.targets.iter().any(|(id, _)| {
                    let place = replica.ids.iter().position(|known| known == id);
                    place.is_some_and(|place| self.ailments.is_ill(place, now))
                })
            });
        }
        let mut tiers: Vec<Tier> = tiers.into_iter().map(|(_, tier)| tier).collect();
        if self.play.arm == Arm::NoFailover {
            tiers.truncate(1);
        }
        tiers
    }
}
