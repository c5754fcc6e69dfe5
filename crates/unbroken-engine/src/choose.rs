//! Who is asked next? The order of a route's candidates, and the pick among them.
//!
//! The order is made once per call: tier by tier, inside a tier by weighted chance or in turn.
//! The pick is made for every attempt, from what each candidate's cells say at that moment:
//!
//! 1. the first untried candidate that may be sent to; one in its ramp only if this call is part
//!    of its share;
//! 2. the first untried one in its ramp all the same: a small share is better than a failure;
//! 3. one that failed before in a way that may pass;
//! 4. for a call that has sent nothing yet: one whose breaker is open, as an early probe (nobody is
//!    well, so there is nothing to protect); the one that was asked longest ago, so that everybody
//!    gets a turn;
//! 5. otherwise nobody, but perhaps soon.

use alloc::vec::Vec;

use crate::breaker::Standing;
use crate::random::Random;
use crate::target::{Tier, TierOrder};
use crate::time::Timestamp;

/// What the pick knows about one candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// What its cells say.
    pub standing: Standing,
    /// Whether it was tried in this call.
    pub tried: bool,
    /// Whether it may be asked again although it was tried.
    pub may_revisit: bool,
    /// Whether this call belongs to the share of traffic that a ramp lets through, drawn once per
    /// call: the ramp must let more than this through, in thousandths.
    pub draw: u32,
    /// Whether only its breaker refuses, and no probe is in flight: it may be probed early.
    pub may_probe_early: bool,
    /// When anybody asked it last.
    pub asked_at: Timestamp,
}

/// The outcome of a pick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// Send to this candidate.
    Send(usize),
    /// Send to this candidate, which was tried before.
    Revisit(usize),
    /// Nobody now; somebody may be ready at this time.
    Later(Timestamp),
    /// Nobody.
    Nobody,
}

/// Picks the next candidate. `may_panic`: the call has sent nothing yet.
#[must_use]
pub fn pick(views: &[View], may_panic: bool) -> Pick {
    let first = |wanted: fn(&View) -> bool| views.iter().position(wanted);
    if let Some(index) = first(|view| !view.tried && is_preferred(view)) {
        return Pick::Send(index);
    }
    if let Some(index) = first(|view| !view.tried && is_admitted(view)) {
        return Pick::Send(index);
    }
    if let Some(index) = first(|view| view.tried && view.may_revisit && is_admitted(view)) {
        return Pick::Revisit(index);
    }
    if may_panic && let Some(index) = earliest_probe(views) {
        return Pick::Send(index);
    }
    let soonest = views.iter().filter(|view| !view.tried || view.may_revisit).filter_map(retry_at);
    soonest.min().map_or(Pick::Nobody, Pick::Later)
}

fn earliest_probe(views: &[View]) -> Option<usize> {
    let may_probe = |(_, view): &(usize, &View)| !view.tried && view.may_probe_early;
    let probes = views.iter().enumerate().filter(may_probe);
    probes.min_by_key(|(_, view)| view.asked_at).map(|(index, _)| index)
}

/// How many untried candidates could still be sent to.
#[must_use]
pub fn untried_and_admitted(views: &[View]) -> usize {
    views.iter().filter(|view| !view.tried && is_admitted(view)).count()
}

const fn is_preferred(view: &View) -> bool {
    match view.standing {
        Standing::Ready | Standing::Probe => true,
        Standing::Share(per_mille) => view.draw < per_mille,
        Standing::Refused { .. } => false,
    }
}

const fn is_admitted(view: &View) -> bool {
    match view.standing {
        Standing::Ready | Standing::Probe | Standing::Share(_) => true,
        Standing::Refused { .. } => false,
    }
}

const fn retry_at(view: &View) -> Option<Timestamp> {
    match view.standing {
        Standing::Refused { retry_at } => Some(retry_at),
        Standing::Ready | Standing::Probe | Standing::Share(_) => None,
    }
}

/// The order inside one tier, as indices into its targets. `turn` counts the calls of the tier.
#[must_use]
pub fn order(tier: &Tier, turn: u64, random: &mut Random) -> Vec<usize> {
    match tier.order {
        TierOrder::Weighted => weighted(tier, random),
        TierOrder::Rotate => rotated(tier.targets.len(), turn),
    }
}

fn rotated(len: usize, turn: u64) -> Vec<usize> {
    let first = usize::try_from(turn).unwrap_or_default();
    (0..len).map(|step| first.wrapping_add(step) % len).collect()
}

/// Draws without putting back, in proportion to the weights.
fn weighted(tier: &Tier, random: &mut Random) -> Vec<usize> {
    let mut left: Vec<(usize, u64)> = tier
        .targets
        .iter()
        .enumerate()
        .map(|(index, (_, weight))| (index, u64::from(*weight).max(1)))
        .collect();
    let mut order = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let mut draw = random.below(left.iter().map(|(_, weight)| weight).sum());
        let drawn = left.iter().position(|(_, weight)| match draw.checked_sub(*weight) {
            Some(rest) => {
                draw = rest;
                false
            }
            None => true,
        });
        order.push(left.remove(drawn.unwrap_or_default()).0);
    }
    order
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::target::TargetId;

    const REFUSED: Standing = Standing::Refused { retry_at: Timestamp::from_nanos(9) };

    const fn view(standing: Standing) -> View {
        View {
            standing,
            tried: false,
            may_revisit: false,
            draw: 500,
            may_probe_early: false,
            asked_at: Timestamp::from_nanos(5),
        }
    }

    #[test]
    fn the_first_ready_candidate_is_picked() {
        let views = [view(REFUSED), view(Standing::Ready), view(Standing::Ready)];
        assert_eq!(pick(&views, true), Pick::Send(1));
        assert_eq!(pick(&[view(Standing::Probe), view(Standing::Ready)], true), Pick::Send(0));
        assert_eq!(untried_and_admitted(&views), 2);
    }

    #[test]
    fn a_ramp_gets_its_share_and_serves_as_the_last_resort() {
        let ramp = view(Standing::Share(500));
        assert_eq!(pick(&[ramp, view(Standing::Ready)], true), Pick::Send(1));
        let drawn = View { draw: 499, ..ramp };
        assert_eq!(pick(&[drawn, view(Standing::Ready)], true), Pick::Send(0));
        assert_eq!(pick(&[ramp, view(REFUSED)], true), Pick::Send(0));
    }

    #[test]
    fn a_tried_candidate_comes_last_and_only_if_its_failure_may_pass() {
        let tried = View { tried: true, may_revisit: true, ..view(Standing::Ready) };
        assert_eq!(pick(&[tried, view(Standing::Share(1))], false), Pick::Send(1));
        assert_eq!(pick(&[tried, view(REFUSED)], false), Pick::Revisit(0));
        assert_eq!(pick(&[View { may_revisit: false, ..tried }], false), Pick::Nobody);
    }

    #[test]
    fn only_a_call_that_sent_nothing_probes_early() {
        let open = View { may_probe_early: true, ..view(REFUSED) };
        assert_eq!(pick(&[view(REFUSED), open], true), Pick::Send(1));
        assert_eq!(pick(&[view(REFUSED), open], false), Pick::Later(Timestamp::from_nanos(9)));
        let longer_ago = View { asked_at: Timestamp::ZERO, ..open };
        assert_eq!(pick(&[open, longer_ago], true), Pick::Send(1), "everybody gets a turn");
        assert_eq!(pick(&[], true), Pick::Nobody);
    }

    #[test]
    fn weights_decide_how_often_a_target_comes_first() {
        let targets = vec![(TargetId(0), 3), (TargetId(1), 1), (TargetId(2), 0)];
        let tier = Tier { targets, order: TierOrder::Weighted };
        let mut random = Random::seeded(4);
        let mut firsts = [0_u32; 3];
        for _ in 0..5000 {
            let order = order(&tier, 0, &mut random);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, vec![0, 1, 2], "everybody, once");
            firsts[order[0]] += 1;
        }
        assert!((2_800..3_200).contains(&firsts[0]), "{firsts:?}");
        assert!((850..1_150).contains(&firsts[1]) && (850..1_150).contains(&firsts[2]));
    }

    #[test]
    fn rotation_goes_round() {
        assert_eq!(rotated(3, 4), vec![1, 2, 0]);
        assert!(rotated(0, 4).is_empty());
    }
}
