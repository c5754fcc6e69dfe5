//! Where does an answer end, if its target does not know the stop texts? Where the first of them
//! begins, wherever the pieces of the stream were cut.
//!
//! Text is held back only as long as a stop text may still come out of it. Source: wire-formats.md
//! 2.2 (stop) and 7 (case 63).

/// Looks for stop texts in a stream of text.
#[derive(Clone, Debug, Default)]
pub struct StopScanner {
    stops: Vec<String>,
    held: String,
    is_over: bool,
}

impl StopScanner {
    /// Looks for these; empty texts stop nothing.
    #[must_use]
    pub fn new(stops: &[String]) -> Self {
        let stops = stops.iter().filter(|stop| !stop.is_empty()).cloned().collect();
        Self { stops, ..Self::default() }
    }

    /// Whether there is anything to look for.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.stops.is_empty()
    }

    /// Whether a stop text came: the answer is over, whatever else follows.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Takes more text, gives what is sure to belong to the answer.
    pub fn push(&mut self, more: &str) -> String {
        if self.is_over {
            return String::new();
        }
        self.held.push_str(more);
        if let Some(at) = self.stops.iter().filter_map(|stop| self.held.find(stop)).min() {
            self.is_over = true;
            self.held.truncate(at);
            return std::mem::take(&mut self.held);
        }
        let keep_from = self.held.len() - self.undecided();
        let rest = self.held.split_off(keep_from);
        std::mem::replace(&mut self.held, rest)
    }

    /// What was held back, once no text follows.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// How many bytes at the end may be the beginning of a stop text.
    fn undecided(&self) -> usize {
        let begins = |stop: &String| {
            let longest = self.held.len().min(stop.len().saturating_sub(1));
            (1..=longest).rev().find(|len| {
                stop.get(..*len).is_some_and(|beginning| self.held.ends_with(beginning))
            })
        };
        self.stops.iter().filter_map(begins).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(stops: &[&str], pieces: &[&str]) -> (String, bool) {
        let stops: Vec<String> = stops.iter().map(|stop| (*stop).to_owned()).collect();
        let mut scanner = StopScanner::new(&stops);
        let mut text: String = pieces.iter().map(|piece| scanner.push(piece)).collect();
        let is_over = scanner.is_over();
        text.push_str(&scanner.finish());
        (text, is_over)
    }

    #[test]
    fn every_split_ends_in_the_same_place() {
        let text = "eins ENDE zwei ü END";
        for at in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
            let (one, other) = text.split_at(at);
            assert_eq!(scan(&["ENDE"], &[one, other]), ("eins ".to_owned(), true), "{at}");
            assert_eq!(scan(&["zwei", "ENDE"], &[one, other]).0, "eins ", "{at}");
            assert_eq!(scan(&["DREI", "ü END!"], &[one, other]), (text.to_owned(), false), "{at}");
        }
    }

    #[test]
    fn nothing_is_held_back_that_can_be_no_stop() {
        let mut scanner = StopScanner::new(&["\n\n".to_owned()]);
        assert_eq!(scanner.push("a\n"), "a");
        assert_eq!(scanner.push("b"), "\nb");
        assert_eq!(scanner.push("\n\nc"), "");
        assert!(scanner.is_over());
        assert_eq!(scanner.push("d"), "");
        assert!(StopScanner::new(&[String::new()]).is_idle());
    }
}
