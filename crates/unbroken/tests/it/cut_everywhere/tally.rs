//! How did the cases end? Counted, by kind of stream and by reason.

use std::collections::BTreeMap;
use std::fmt;

use unbroken_drill::scorekeeper::Verdict;

/// How one case ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// One whole answer, and nobody else was needed.
    Untouched,
    /// One whole answer all the same.
    Rescued,
    /// An honest error after a beginning that is right.
    Honest(String),
    /// Whole, but for a space inside of a word: the fallback went on within it, did not say the end
    /// once more as it was told to, and nobody could know.
    Spaced,
    /// An error instead of an answer.
    Refused(String),
    /// Cut by a clean end, behind something that is a whole answer of its own.
    Short(String),
    /// Something that claims to be whole and is not, or that the dialect does not allow.
    Wrong(String),
}

/// What a client gets of a stream that nobody cuts.
pub(super) type Baseline = Verdict;

/// Judges what a client got against what it would have got.
pub(super) fn outcome(status: u16, got: &Verdict, uncut: &Baseline, was_rescued: bool) -> Outcome {
    if status != 200 {
        return Outcome::Refused(got.error.clone().unwrap_or_else(|| status.to_string()));
    }
    let allowed = |rule: &&String| !uncut.broken_rules.contains(*rule);
    if let Some(rule) = got.broken_rules.iter().find(allowed) {
        return Outcome::Wrong(format!("corrupt: {rule}"));
    }
    if got.is_error {
        let is_right = uncut.text.starts_with(&got.text) && uncut.calls.starts_with(&got.calls);
        return if is_right {
            Outcome::Honest(reason(got.error.as_deref().unwrap_or_default()))
        } else {
            Outcome::Wrong(format!("before an error: {}", differs(&uncut.text, &got.text)))
        };
    }
    if !got.is_whole {
        return Outcome::Wrong("no end".to_owned());
    }
    if is_spaced(&uncut.text, &got.text) {
        return Outcome::Spaced;
    }
    // White space at the very end is nobody's loss.
    if got.text.trim_end() != uncut.text.trim_end() {
        return Outcome::Wrong(differs(&uncut.text, &got.text));
    }
    if got.calls != uncut.calls {
        return Outcome::Wrong(format!("calls: {:?} became {:?}", uncut.calls, got.calls));
    }
    if was_rescued { Outcome::Rescued } else { Outcome::Untouched }
}

/// Whether one space between two letters is all that differs.
fn is_spaced(uncut: &str, got: &str) -> bool {
    let same = uncut.bytes().zip(got.bytes()).take_while(|(one, other)| one == other).count();
    let is_letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let (Some(before), Some(after)) = (got.get(..same), got.get(same..)) else { return false };
    after.strip_prefix(' ').is_some_and(|after| {
        uncut.get(same..) == Some(after)
            && is_letter(before.chars().next_back())
            && is_letter(after.chars().next())
    })
}

/// The part of a message that says why.
fn reason(message: &str) -> String {
    let (_, why) = message.split_once(": ").unwrap_or(("", message));
    why.split(" (").next().unwrap_or_default().chars().take(60).collect()
}

fn differs(uncut: &str, got: &str) -> String {
    let common = uncut.chars().zip(got.chars()).take_while(|(one, other)| one == other).count();
    let tail =
        |text: &str| text.chars().skip(common.saturating_sub(8)).take(40).collect::<String>();
    let kind = if got.len() > uncut.len() { "repeated" } else { "lost" };
    format!("{kind}: {:?} became {:?}", tail(uncut), tail(got))
}

/// All cases.
#[derive(Debug, Default)]
pub(super) struct Tally {
    kinds: BTreeMap<&'static str, [usize; 7]>,
    reasons: BTreeMap<(&'static str, String), usize>,
    /// What must never be, with the case.
    pub(super) wrong: Vec<String>,
    /// What nobody could know, with the case.
    pub(super) short: Vec<String>,
}

impl Tally {
    pub(super) fn count(&mut self, kind: &'static str, case: &str, outcome: Outcome) {
        let place = match outcome {
            Outcome::Untouched => 0,
            Outcome::Rescued => 1,
            Outcome::Honest(_) => 2,
            Outcome::Spaced => 3,
            Outcome::Refused(_) => 4,
            Outcome::Short(_) => 5,
            Outcome::Wrong(_) => 6,
        };
        self.kinds.entry(kind).or_default()[place] += 1;
        match outcome {
            Outcome::Untouched | Outcome::Rescued | Outcome::Spaced => {}
            Outcome::Honest(why) => {
                *self.reasons.entry((kind, why)).or_default() += 1;
            }
            Outcome::Refused(why) => {
                *self.reasons.entry((kind, format!("refused: {why}"))).or_default() += 1;
            }
            Outcome::Short(what) => self.short.push(format!("{case}: {what}")),
            Outcome::Wrong(what) => self.wrong.push(format!("{case}: {what}")),
        }
    }

    /// Untouched, rescued, honest, spaced, refused, short and wrong ones, of all kinds.
    pub(super) fn sums(&self) -> [usize; 7] {
        let mut sums = [0; 7];
        for counts in self.kinds.values() {
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count;
            }
        }
        sums
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |name: &str, counts: &[usize; 7]| {
            let [untouched, rescued, honest, spaced, refused, short, wrong] = counts;
            let cases: usize = counts.iter().sum();
            format!(
                "{name:<14} {cases:>7} {untouched:>10} {rescued:>8} {honest:>7} {spaced:>7} {refused:>8} {short:>6} {wrong:>6}"
            )
        };
        writeln!(
            f,
            "kind             cases  untouched  rescued  honest  spaced  refused  short  wrong"
        )?;
        for (kind, counts) in &self.kinds {
            writeln!(f, "{}", row(kind, counts))?;
        }
        writeln!(f, "{}", row("all", &self.sums()))?;
        for ((kind, why), count) in &self.reasons {
            writeln!(f, "  {count:>6}  {kind}: {why}")?;
        }
        Ok(())
    }
}
