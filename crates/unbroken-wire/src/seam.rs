//! Does what another attempt says go on from what the client has, and from which character on?
//!
//! The attempt may go on at once, repeat the last words first (it is asked to), begin the answer
//! anew, or say something else. Comparisons skip white space, which providers change; what is
//! handed on is the attempt's own text from the place where the delivered text ends.
//!
//! | asked how | goes on | repeats the end | begins anew, in the same words | anything else |
//! |---|---|---|---|---|
//! | as a beginning | taken | taken | left out | a new beginning in other words: no join |
//! | to go on | taken, with a space between words | left out | left out | a preamble, a new beginning: no join |
//! | anew | no join | no join | left out | no join |
//!
//! Text that repeats itself is no proof of anything: there only the very words that were asked for
//! count as a repetition. Nothing that was delivered is ever changed. Until it is certain that the text fits, nothing is
//! handed on. Source: engine.md 4.11 (seam check), wire-formats.md 6.2.

use crate::resume::last_words;

/// So many characters that are the same are a repetition, not chance.
const OVERLAP_MIN: usize = 12;
/// So many characters of a new beginning are the answer told anew, not chance.
const RETOLD_MIN: usize = 24;
/// A continuation is looked at for so many characters before it is believed.
const LOOKED_AT: usize = 24;
/// The end of the delivered text is searched for in this many characters.
const TAIL: usize = 400;
/// What models say before they do as they were asked. In small letters.
const PREAMBLES: &[&str] = &[
    "sure",
    "certainly",
    "of course",
    "continuing",
    "resuming",
    "picking up",
    "okay",
    "apologies",
    "i apologize",
    "sorry",
    "i'm sorry",
    "here is the rest",
    "here's the rest",
    "here is the continuation",
    "here's the continuation",
];

/// How the attempt was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Anew, as if nothing had been delivered.
    Anew,
    /// With the delivered text as the beginning of its answer.
    Beginning,
    /// With the delivered text and the request to go on.
    ToGoOn,
}

/// What the text so far means for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Joined {
    /// Not certain yet: nothing.
    Nothing,
    /// This goes on.
    Text(String),
    /// It does not fit.
    Unfit,
    /// A stop text of the request stands across the seam: the answer ends here.
    Stopped,
}

/// One seam.
#[derive(Debug)]
pub struct Seam {
    way: Way,
    before: String,
    stops: Vec<String>,
    held: String,
    is_open: bool,
}

impl Seam {
    /// A seam after the text `before`; `stops` are the request's stop texts.
    #[must_use]
    pub fn new(way: Way, before: String, stops: Vec<String>) -> Self {
        let is_open = before.is_empty();
        Self { way, before, stops, held: String::new(), is_open }
    }

    /// More text of the attempt.
    pub fn push(&mut self, text: &str) -> Joined {
        if self.is_open {
            return Joined::Text(text.to_owned());
        }
        self.held.push_str(text);
        self.judge(false)
    }

    /// The attempt's text is over, or something else than text follows.
    pub fn finish(&mut self) -> Joined {
        if self.is_open { Joined::Nothing } else { self.judge(true) }
    }

    /// Something else than text follows. If nothing was said before it, that goes on at once.
    pub fn turn(&mut self) -> Joined {
        if self.held.trim().is_empty() {
            self.is_open = true;
        }
        self.finish()
    }

    /// Whether the seam is behind us.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.is_open
    }

    fn judge(&mut self, is_over: bool) -> Joined {
        let place = match self.place(is_over) {
            Place::Unknown => return Joined::Nothing,
            Place::None => return Joined::Unfit,
            Place::At(place) => place,
        };
        let rest = self.held.get(place.from..).unwrap_or_default();
        // White space that was delivered may come once more.
        let may_come = self.before.ends_with(char::is_whitespace) && rest.trim().is_empty();
        if may_come && !is_over {
            return Joined::Nothing;
        }
        let joined = join(&self.before, rest, place.is_exact);
        match straddles(&self.before, &joined, &self.stops) {
            Straddle::Yes => return Joined::Stopped,
            Straddle::Unknown if !is_over => return Joined::Nothing,
            Straddle::Unknown | Straddle::No => {}
        }
        self.is_open = true;
        self.held = String::new();
        if joined.is_empty() { Joined::Nothing } else { Joined::Text(joined) }
    }

    /// From which byte of the held text on the answer goes on.
    fn place(&self, is_over: bool) -> Place {
        let retold = Retold::of(&self.before, &self.held);
        if let Retold::Whole { from } = retold {
            return Place::At(At { from, is_exact: true });
        }
        if let (Retold::SoFar, false) = (&retold, is_over) {
            return Place::Unknown;
        }
        if self.way == Way::Anew {
            return Place::None;
        }
        if let Retold::SoFar | Retold::Until(RETOLD_MIN..) = retold {
            let is_nothing = self.held.trim().is_empty();
            return if is_nothing { self.nothing_more() } else { Place::None };
        }
        if self.way == Way::Beginning {
            return Place::At(At { from: 0, is_exact: true });
        }
        match Overlap::of(&self.before, &self.held) {
            Overlap::Possible { .. } if !is_over => Place::Unknown,
            Overlap::Possible { same: OVERLAP_MIN.. } => Place::None,
            Overlap::Ends { from } => Place::At(At { from, is_exact: true }),
            Overlap::Possible { .. } | Overlap::None => self.continuation(is_over),
        }
    }

    /// An attempt without a word: a target that was given the beginning may have nothing to add.
    fn nothing_more(&self) -> Place {
        let at = At { from: self.held.len(), is_exact: true };
        if self.way == Way::Beginning { Place::At(at) } else { Place::None }
    }

    fn continuation(&self, is_over: bool) -> Place {
        let seen = self.held.chars().filter(|c| !c.is_whitespace()).count();
        if seen < LOOKED_AT && !is_over {
            return Place::Unknown;
        }
        let lower = self.held.trim_start().to_lowercase();
        if PREAMBLES.iter().any(|words| lower.starts_with(words)) {
            return Place::None;
        }
        Place::At(At { from: self.after_fence(), is_exact: false })
    }

    /// A code block that is open already is not opened again.
    fn after_fence(&self) -> usize {
        let is_inside = self.before.matches("```").count() % 2 == 1;
        let start = self.held.len() - self.held.trim_start().len();
        let rest = self.held.get(start..).unwrap_or_default();
        if !is_inside || !rest.starts_with("```") || rest.starts_with("```\n") {
            return 0;
        }
        rest.find('\n').map_or(0, |end| start + end + 1)
    }
}

enum Place {
    Unknown,
    None,
    At(At),
}

struct At {
    from: usize,
    /// Whether white space at the seam is as the attempt wrote it.
    is_exact: bool,
}

/// How far the attempt tells the answer anew, in the same words.
enum Retold {
    /// All that was delivered; what follows begins at this byte.
    Whole { from: usize },
    /// All of what it said, so far.
    SoFar,
    /// So many characters.
    Until(usize),
}

impl Retold {
    fn of(before: &str, held: &str) -> Self {
        let mut expected = before.chars().filter(|c| !c.is_whitespace()).peekable();
        let mut matched = 0;
        for (at, char) in held.char_indices().filter(|(_, c)| !c.is_whitespace()) {
            match expected.next() {
                Some(next) if next == char => matched += 1,
                Some(_) => return Self::Until(matched),
                None => return Self::Whole { from: at },
            }
            if expected.peek().is_none() {
                return Self::Whole { from: at + char.len_utf8() };
            }
        }
        Self::SoFar
    }
}

/// Whether the attempt begins with the last words that were delivered.
enum Overlap {
    /// It may: so far it stands inside of them, with so many characters.
    Possible { same: usize },
    /// It does; what follows begins at this byte.
    Ends { from: usize },
    /// It does not.
    None,
}

impl Overlap {
    fn of(before: &str, held: &str) -> Self {
        let tail = solid(before.get(tail_start(before)..).unwrap_or(before));
        let asked_for = solid(last_words(before)).len();
        let said: Vec<(usize, char)> =
            held.char_indices().filter(|(_, c)| !c.is_whitespace()).collect();
        let mut repeated = Vec::new();
        for start in 0..tail.len() {
            let last = tail.get(start..).unwrap_or_default();
            let same = last.iter().zip(&said).take_while(|(one, (_, other))| *one == other).count();
            if same == said.len() && same < last.len() {
                return Self::Possible { same };
            }
            if same == last.len() && same >= OVERLAP_MIN {
                repeated.push(same);
            }
        }
        // More than one way to lay them over each other: the text repeats itself.
        let is_asked_for = |same: &&usize| **same == asked_for;
        let same = match repeated.as_slice() {
            [only] => Some(*only),
            several => several.iter().find(is_asked_for).copied(),
        };
        let last = same.and_then(|same| said.get(same - 1));
        last.map_or(Self::None, |(at, char)| Self::Ends { from: at + char.len_utf8() })
    }
}

fn solid(text: &str) -> Vec<char> {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

fn tail_start(text: &str) -> usize {
    text.char_indices().rev().nth(TAIL).map_or(0, |(at, _)| at)
}

/// The rest, with the white space that belongs between.
fn join(before: &str, rest: &str, is_exact: bool) -> String {
    let ends_in = before.get(before.trim_end().len()..).unwrap_or_default();
    let begins_with = rest.get(..rest.len() - rest.trim_start().len()).unwrap_or_default();
    // White space that was delivered is not delivered again.
    let again = ends_in
        .char_indices()
        .filter_map(|(at, _)| ends_in.get(at..))
        .find(|end| begins_with.starts_with(end));
    let rest = again.and_then(|again| rest.strip_prefix(again)).unwrap_or(rest);
    if !is_exact && runs_together(before, rest) { format!(" {rest}") } else { rest.to_owned() }
}

/// Whether two words meet at the seam, and not two halves of one that stands elsewhere, too.
/// Models leave the space out at the beginning of a reply.
fn runs_together(before: &str, rest: &str) -> bool {
    // Scripts without spaces between words begin here.
    let is_word = |c: char| c.is_alphanumeric() && c < '\u{2e80}';
    let end = before.len() - before.trim_end_matches(is_word).len();
    let beginning = rest.len() - rest.trim_start_matches(is_word).len();
    if end == 0 || beginning == 0 {
        return false;
    }
    let last = before.get(before.len() - end..).unwrap_or_default();
    let first = rest.get(..beginning).unwrap_or_default();
    let one = format!("{last}{first}");
    let stands_in = |text: &str| text.split(|c| !is_word(c)).any(|word| word == one);
    !stands_in(before.get(tail_start(before)..).unwrap_or(before)) && !stands_in(rest)
}

enum Straddle {
    Yes,
    No,
    Unknown,
}

/// Whether a stop text begins in what was delivered and ends in what follows.
fn straddles(before: &str, after: &str, stops: &[String]) -> Straddle {
    let mut answer = Straddle::No;
    for stop in stops {
        for (at, _) in stop.char_indices().skip(1) {
            let (one, other) = stop.split_at(at);
            if !before.ends_with(one) {
                continue;
            }
            if after.starts_with(other) {
                return Straddle::Yes;
            }
            if other.starts_with(after) {
                answer = Straddle::Unknown;
            }
        }
    }
    answer
}

#[cfg(test)]
mod tests;
