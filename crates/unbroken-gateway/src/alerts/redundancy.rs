//! How many targets of a route are left? Pure: what can be used, and for how long it has been so.

use std::time::Duration;

use super::Severity;
use super::burn::Burning;

/// Since when a route has had only one target left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watch {
    alone_since_ms: Option<u64>,
}

impl Watch {
    /// What is wrong with a route of these targets, each with whether it can be used. A route that
    /// has one target only is as it was configured.
    pub(crate) fn look(
        &mut self,
        targets: &[(&str, bool)],
        now_ms: u64,
        after: Duration,
    ) -> Option<Burning> {
        let left: Vec<&str> =
            targets.iter().filter(|(_, is_usable)| *is_usable).map(|(name, _)| *name).collect();
        match left.as_slice() {
            [] if !targets.is_empty() => Some(Burning {
                name: "nobody_left",
                severity: Severity::Page,
                words: format!("none of its {} targets can be used", targets.len()),
            }),
            [last] if targets.len() > 1 => {
                let since = *self.alone_since_ms.get_or_insert(now_ms);
                let alone = Duration::from_millis(now_ms.saturating_sub(since));
                (alone >= after).then(|| Burning {
                    name: "one_left",
                    severity: Severity::Ticket,
                    words: format!(
                        "only {last} is left of its {} targets, for {} s",
                        targets.len(),
                        alone.as_secs()
                    ),
                })
            }
            [] | [_] | [_, _, ..] => {
                self.alone_since_ms = None;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_secs(900);

    #[test]
    fn one_left_is_told_after_a_while_and_nobody_left_at_once() {
        let mut watch = Watch::default();
        let mut look =
            |a, b, now| watch.look(&[("a", a), ("b", b)], now, AFTER).map(|burning| burning.name);
        assert_eq!(look(true, true, 0), None);
        assert_eq!(look(false, true, 1_000), None);
        assert_eq!(look(false, true, 900_999), None);
        assert_eq!(look(false, true, 901_000), Some("one_left"));
        assert_eq!(look(false, false, 901_001), Some("nobody_left"));
        assert_eq!(look(true, false, 902_000), Some("one_left"), "it is the same trouble");
        assert_eq!(look(true, true, 903_000), None);
        assert_eq!(look(true, false, 904_000), None, "a new one");
    }

    #[test]
    fn a_route_of_one_target_is_as_it_was_configured() {
        let mut watch = Watch::default();
        let mut look = |usable, now| watch.look(&[("a", usable)], now, AFTER).map(|b| b.name);
        assert_eq!((look(true, 0), look(true, 10_000_000)), (None, None));
        assert_eq!(look(false, 10_000_001), Some("nobody_left"));
        assert_eq!(watch.look(&[], 0, AFTER), None);
    }
}
