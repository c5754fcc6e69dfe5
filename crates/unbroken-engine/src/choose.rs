//! Who is asked next? The order of a route's candidates, and the pick among them.
//!
//! The order is made once per call: tier by tier, inside a tier by weighted chance or in turn.
//! The pick is made for every attempt, from what each candidate's cells say at that moment:
//!
//! 1. the first untried candidate that is well; one in its ramp only if this call is part of its
//!    share, one that is slow only if a trial is due, one that waits for a probe only if this call
//!    makes a good one;
//! 2. one that is well, but in a tier that should be spared; then the first untried one in its ramp
//!    all the same: a small share is better than a failure;
//! 3. a slow one; then one that has no room: its own refusal is better than ours;
//! 4. one that failed before in a way that may pass;
//! 5. for a call that has sent nothing yet: one whose breaker is open, as an early probe (nobody is
//!    well, so there is nothing to protect); the one that was asked longest ago, so that everybody
//!    gets a turn;
//! 6. otherwise nobody, but perhaps soon.
//!
//! Inside a tier the order is by weighted chance, in turn, or *balanced*: two are drawn by weight,
//! and the one whose first content costs less comes first ("the power of two choices").
//!
//! Invariants: while an untried candidate is well, nobody slow or shut is picked, but for its own
//! probe, trial or share (I25). Sources: engine.md 4.6; seed document, first listing; Mitzenmacher,
//! "The power of two choices in randomized load balancing", 2001.

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
    /// Whether it is slow, and others are preferred.
    pub is_degraded: bool,
    /// Whether it is slow and due for a trial.
    pub is_trial: bool,
    /// Whether it takes no more at the moment.
    pub is_full: bool,
    /// Whether its tier's traffic goes elsewhere, as long as somebody there is well.
    pub is_spared: bool,
    /// Whether this call makes a good probe: small, and nothing depends on it being quick.
    pub may_probe: bool,
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
    if let Some(index) = first(|view| !view.tried && is_preferred(&with_tier(view))) {
        return Pick::Send(index);
    }
    let in_ramp =
        first(|view| !view.tried && !view.is_degraded && !view.is_full && is_admitted(view));
    let slow = || first(|view| !view.tried && !view.is_full && is_admitted(view));
    let full = || first(|view| !view.tried && is_admitted(view));
    if let Some(index) = in_ramp.or_else(slow).or_else(full) {
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

/// Who may be asked beside another: well, quick, and with room.
#[must_use]
pub fn pick_hedge(views: &[View]) -> Option<usize> {
    views.iter().position(|view| {
        !view.tried
            && !view.is_degraded
            && !view.is_full
            && !view.is_spared
            && matches!(view.standing, Standing::Ready)
    })
}

/// The same, if nobody outside its tier is well: then there is nothing to spare it for.
const fn with_tier(view: &View) -> View {
    View { is_spared: false, ..*view }
}

const fn is_preferred(view: &View) -> bool {
    if view.is_full || view.is_spared || (view.is_degraded && !view.is_trial) {
        return false;
    }
    match view.standing {
        Standing::Ready => true,
        Standing::Probe => view.may_probe,
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

/// The order inside one tier, as indices into its targets. `turn` counts the calls of the tier;
/// `price` says what the first content of each target costs at the moment.
#[must_use]
pub fn order(
    tier: &Tier,
    turn: u64,
    price: impl Fn(usize) -> f64,
    random: &mut Random,
) -> Vec<usize> {
    match tier.order {
        TierOrder::Balanced => balanced(weighted(tier, random), tier, price),
        TierOrder::Weighted => weighted(tier, random),
        TierOrder::Rotate => rotated(tier.targets.len(), turn),
    }
}

/// The cheaper one of the first two drawn comes first.
fn balanced(mut drawn: Vec<usize>, tier: &Tier, price: impl Fn(usize) -> f64) -> Vec<usize> {
    let weighed = |index: usize| {
        let weight = tier.targets.get(index).map_or(1, |(_, weight)| (*weight).max(1));
        price(index) / f64::from(weight)
    };
    if let [one, other, ..] = drawn.as_mut_slice()
        && weighed(*other) < weighed(*one)
    {
        core::mem::swap(one, other);
    }
    drawn
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
    let mut all: u64 = left.iter().map(|(_, weight)| weight).sum();
    let mut order = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let mut draw = random.below(all);
        let drawn = left.iter().position(|(_, weight)| match draw.checked_sub(*weight) {
            Some(rest) => {
                draw = rest;
                false
            }
            None => true,
        });
        let (index, weight) = left.remove(drawn.unwrap_or_default());
        all -= weight;
        order.push(index);
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
            is_degraded: false,
            is_trial: false,
            is_full: false,
            is_spared: false,
            may_probe: true,
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
            let order = order(&tier, 0, |_| 0.0, &mut random);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, vec![0, 1, 2], "everybody, once");
            firsts[order[0]] += 1;
        }
        assert!((2_800..3_200).contains(&firsts[0]), "{firsts:?}");
        assert!((850..1_150).contains(&firsts[1]) && (850..1_150).contains(&firsts[2]));
    }

    #[test]
    fn weights_decide_who_comes_second_as_well() {
        let targets = vec![(TargetId(0), 1), (TargetId(1), 1), (TargetId(2), 8)];
        let tier = Tier { targets, order: TierOrder::Weighted };
        let mut random = Random::seeded(6);
        let mut seconds = [0_u32; 3];
        for _ in 0..4000 {
            let order = order(&tier, 0, |_| 0.0, &mut random);
            if order[0] == 2 {
                seconds[order[1]] += 1;
            }
        }
        let (one, other) = (f64::from(seconds[0]), f64::from(seconds[1]));
        assert!((0.85..1.18).contains(&(one / other)), "{seconds:?}");
    }

    #[test]
    fn slow_and_full_candidates_come_after_those_that_are_well() {
        let slow = View { is_degraded: true, ..view(Standing::Ready) };
        let full = View { is_full: true, ..view(Standing::Ready) };
        let well = view(Standing::Ready);
        assert_eq!(pick(&[slow, full, well], true), Pick::Send(2));
        assert_eq!(pick(&[slow, full, view(Standing::Share(1))], true), Pick::Send(2));
        assert_eq!(pick(&[full, slow, view(REFUSED)], true), Pick::Send(1));
        assert_eq!(pick(&[full, view(REFUSED)], true), Pick::Send(0), "rather than nobody");
        let trial = View { is_trial: true, ..slow };
        assert_eq!(pick(&[trial, well], true), Pick::Send(0));
        let full_trial = View { is_full: true, ..trial };
        assert_eq!(pick(&[full_trial, well], true), Pick::Send(1));
    }

    #[test]
    fn a_spared_tier_serves_before_who_is_slow_or_has_no_room() {
        let well = view(Standing::Ready);
        let spared = View { is_spared: true, ..well };
        let full = View { is_full: true, ..well };
        let slow = View { is_degraded: true, ..well };
        assert_eq!(pick(&[spared, well], true), Pick::Send(1));
        assert_eq!(pick(&[full, spared], true), Pick::Send(1));
        assert_eq!(pick(&[slow, spared, view(Standing::Share(1))], true), Pick::Send(1));
        assert_eq!(pick_hedge(&[spared]), None);
    }

    #[test]
    fn only_a_good_probe_probes_while_others_are_well() {
        let probe = View { may_probe: false, ..view(Standing::Probe) };
        assert_eq!(pick(&[probe, view(Standing::Ready)], true), Pick::Send(1));
        assert_eq!(pick(&[probe, view(REFUSED)], true), Pick::Send(0), "nobody else is left");
    }

    #[test]
    fn only_who_is_well_is_asked_beside_another() {
        let ready = view(Standing::Ready);
        let bad = [
            view(Standing::Probe),
            view(Standing::Share(999)),
            view(REFUSED),
            View { is_degraded: true, ..ready },
            View { is_trial: true, is_degraded: true, ..ready },
            View { is_full: true, ..ready },
            View { tried: true, ..ready },
        ];
        assert_eq!(pick_hedge(&bad), None);
        assert_eq!(pick_hedge(&[bad[0], ready, ready]), Some(1));
    }

    #[test]
    fn of_two_drawn_the_cheaper_one_comes_first() {
        let targets = vec![(TargetId(0), 1), (TargetId(1), 1), (TargetId(2), 1)];
        let tier = Tier { targets, order: TierOrder::Balanced };
        let mut random = Random::seeded(4);
        let prices = [5_000.0, 800.0, 900.0];
        let mut firsts = [0_u32; 3];
        for _ in 0..3000 {
            firsts[order(&tier, 0, |index| prices[index], &mut random)[0]] += 1;
        }
        assert_eq!(firsts[0], 0, "the dearest never comes first");
        assert!(firsts[1] > 1_800 && firsts[2] > 800, "but it is no stampede: {firsts:?}");
        let heavy =
            Tier { targets: vec![(TargetId(0), 1), (TargetId(1), 3)], order: TierOrder::Balanced };
        let first = order(&heavy, 0, |index| [1_000.0, 2_000.0][index], &mut random)[0];
        assert_eq!(first, 1, "a weight divides the price");
    }

    #[test]
    fn at_the_same_price_the_draw_decides() {
        let targets = vec![(TargetId(0), 1), (TargetId(1), 1), (TargetId(2), 1)];
        let [balanced, weighted] = [TierOrder::Balanced, TierOrder::Weighted]
            .map(|order| Tier { targets: targets.clone(), order });
        for seed in 0..50 {
            let draw = |tier| order(tier, 0, |_| 700.0, &mut Random::seeded(seed));
            assert_eq!(draw(&balanced), draw(&weighted), "seed {seed}");
        }
    }

    #[test]
    fn rotation_goes_round() {
        assert_eq!(rotated(3, 4), vec![1, 2, 0]);
        assert!(rotated(0, 4).is_empty());
    }
}
