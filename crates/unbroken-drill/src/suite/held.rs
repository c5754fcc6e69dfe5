//! Where is each invariant of engine.md section 5 held? One list for the tests, for readers, and
//! for `docs/evidence.md`.

/// How an invariant is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// After every step of every run, with a canary.
    EveryStep,
    /// By comparing runs, with a canary.
    Pairs,
    /// Somewhere else, because virtual time has no text; where.
    Elsewhere(&'static str),
    /// Not yet; why.
    NotYet(&'static str),
}

/// An invariant: its number, what it says, and how it is held.
pub const INVARIANTS: &[(u32, &str, How)] = &[
    (1, "breakers change along their edges, epochs only grow", How::EveryStep),
    (2, "every permit comes back; one probe at a time; no wedge", How::EveryStep),
    (3, "open is finite, and everything closes once all is well", How::EveryStep),
    (4, "evidence, baselines and shares stay within their bounds", How::EveryStep),
    (5, "what was cut off by us or by a client is no evidence", How::EveryStep),
    (6, "rate limits, quotas and wrong requests are no evidence", How::EveryStep),
    (7, "one failure of one call opens nothing that was closed", How::EveryStep),
    (8, "a failure never makes a target cheaper", How::EveryStep),
    (9, "every call ends exactly once", How::EveryStep),
    (10, "attempts stay within their ceiling", How::EveryStep),
    (11, "what is forbidden is never asked, not even in panic", How::EveryStep),
    (12, "no call takes longer than it may, no alarm is later", How::EveryStep),
    (13, "one answer reaches the client", How::EveryStep),
    (14, "races end with the first content, losers are dropped", How::EveryStep),
    (15, "what has effects is sent once", How::EveryStep),
    (16, "hedges and retries stay within their budgets", How::EveryStep),
    (17, "budgets stay within their bounds", How::EveryStep),
    (18, "no text twice at a seam", How::Elsewhere("live drills: the scorekeeper counts words")),
    (
        19,
        "a tool is called once, with whole arguments",
        How::Elsewhere("live drills and the tests of the relay"),
    ),
    (20, "one start, one end", How::EveryStep),
    (21, "an answer ends well only if its own end was seen", How::EveryStep),
    (22, "usage is what was delivered", How::Elsewhere("the tests of the relay")),
    (23, "a client hears something every 15 s", How::Elsewhere("the tests of the relay")),
    (24, "stop sequences and limits hold across a seam", How::Elsewhere("the tests of the relay")),
    (25, "nobody shut is asked while somebody is well", How::EveryStep),
    (26, "a ramp gets its share", How::EveryStep),
    (27, "nobody gets more than it can take", How::EveryStep),
    (
        28,
        "exercise traffic stays within its bounds",
        How::Elsewhere("the tests of `health.exercise` in the engine"),
    ),
    (29, "a conversation moves at most once in five minutes", How::EveryStep),
    (30, "a store that is down is as none", How::Pairs),
    (31, "hints merge in any order, and never open anything alone", How::Pairs),
    (32, "no call waits for the store", How::Pairs),
    (33, "the same configuration changes nothing", How::Pairs),
    (34, "a reload changes no call under way", How::EveryStep),
    (
        35,
        "a drill leaves no trace",
        How::NotYet("drills run in processes of their own: there are none in production"),
    ),
    (36, "the same seed is the same run; names and pace do not matter", How::Pairs),
    (37, "more help is no harm, more patience is no haste", How::Pairs),
];
