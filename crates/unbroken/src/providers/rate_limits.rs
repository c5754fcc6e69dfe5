//! How much of a rate limit is left? The headers of answers, in the spelling of every provider.
//!
//! The families are data: an OpenAI-compatible host may pass on those of the provider behind it,
//! so every family is looked for in every answer. A renewal comes as a Go duration (`6m0s`, `12ms`),
//! as seconds (`0.03`, `7`), as a date (RFC 3339) or as the epoch's seconds or milliseconds;
//! values that make no sense count as not said.
//!
//! Source: wire-formats.md 5.2 and the headers of the recordings, read 2026-11-25.

use std::time::Duration;

use http::HeaderMap;
use unbroken_engine::headroom::{Left, Unit};
use unbroken_wire::error::read_duration;

/// One spelling of one limit.
struct Family {
    unit: Unit,
    limit: &'static str,
    remaining: &'static str,
    reset: &'static str,
    /// When it is renewed at the latest, in seconds, if no header says so.
    window_s: u64,
}

const fn family(unit: Unit, [limit, remaining, reset]: [&'static str; 3], window_s: u64) -> Family {
    Family { unit, limit, remaining, reset, window_s }
}

use Unit::{Requests, Tokens};

const FAMILIES: &[Family] = &[
    // OpenAI, Azure, Groq, xAI (which names no renewal), Portkey and most gateways.
    family(
        Requests,
        [
            "x-ratelimit-limit-requests",
            "x-ratelimit-remaining-requests",
            "x-ratelimit-reset-requests",
        ],
        60,
    ),
    family(
        Tokens,
        ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"],
        60,
    ),
    // Anthropic.
    family(
        Requests,
        [
            "anthropic-ratelimit-requests-limit",
            "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-requests-reset",
        ],
        60,
    ),
    family(
        Tokens,
        [
            "anthropic-ratelimit-input-tokens-limit",
            "anthropic-ratelimit-input-tokens-remaining",
            "anthropic-ratelimit-input-tokens-reset",
        ],
        60,
    ),
    // Cerebras, Hugging Face.
    family(
        Requests,
        [
            "x-ratelimit-limit-requests-day",
            "x-ratelimit-remaining-requests-day",
            "x-ratelimit-reset-requests-day",
        ],
        3_600,
    ),
    family(
        Requests,
        [
            "x-ratelimit-limit-requests-minute",
            "x-ratelimit-remaining-requests-minute",
            "x-ratelimit-reset-requests-minute",
        ],
        60,
    ),
    family(
        Tokens,
        [
            "x-ratelimit-limit-tokens-minute",
            "x-ratelimit-remaining-tokens-minute",
            "x-ratelimit-reset-tokens-minute",
        ],
        60,
    ),
    // Mistral.
    family(
        Requests,
        [
            "x-ratelimit-limit-req-minute",
            "x-ratelimit-remaining-req-minute",
            "x-ratelimit-reset-req-minute",
        ],
        60,
    ),
    family(
        Tokens,
        ["ratelimitbysize-limit", "ratelimitbysize-remaining", "ratelimitbysize-reset"],
        60,
    ),
    // Together, OpenRouter, LiteLLM.
    family(Requests, ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"], 60),
    // The IETF's draft.
    family(Requests, ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"], 60),
    // Cohere's trial keys.
    family(Requests, ["x-trial-endpoint-call-limit", "x-trial-endpoint-call-remaining", ""], 60),
];

/// One of these is part of every name above.
const WORDS: &[&str] = &["ratelimit", "x-trial-endpoint-call"];

/// More than this is left of no limit: "unlimited", in the words of a 64-bit number.
const BELIEVED_MAX: u64 = 1_000_000_000_000;

/// What an answer's headers say about the limits of its key, at `now_unix` seconds since 1970. Of
/// several limits of one unit the tightest counts.
#[must_use]
pub fn rate_limits(headers: &HeaderMap, now_unix: u64) -> Vec<Left> {
    let mut said: Vec<Left> = Vec::new();
    // Most answers say nothing: one look at each name is cheaper than a search for every family.
    if !headers.keys().any(|name| WORDS.iter().any(|word| name.as_str().contains(word))) {
        return said;
    }
    for left in FAMILIES.iter().filter_map(|family| read(family, headers, now_unix)) {
        match said.iter_mut().find(|other| other.unit == left.unit) {
            Some(other) if share(&left) < share(other) => *other = left,
            Some(_) => {}
            None => said.push(left),
        }
    }
    said
}

fn read(family: &Family, headers: &HeaderMap, now_unix: u64) -> Option<Left> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let number = |name| text(name)?.trim().parse::<f64>().ok().filter(|n| n.is_finite());
    let remaining = number(family.remaining)?.max(0.0) as u64;
    if remaining > BELIEVED_MAX {
        return None;
    }
    let limit = number(family.limit).map(|n| n.max(0.0) as u64).filter(|n| *n <= BELIEVED_MAX);
    let renews_in = Some(family.reset)
        .filter(|name| !name.is_empty())
        .and_then(|name| read_reset(text(name)?, now_unix))
        .unwrap_or(Duration::from_secs(family.window_s));
    Some(Left { unit: family.unit, limit, remaining, renews_in })
}

/// What is left, in thousandths of the limit.
fn share(left: &Left) -> u64 {
    left.remaining.saturating_mul(1000) / left.limit.unwrap_or(left.remaining).max(1)
}

/// How long until the time that a header names; `None` if it makes no sense.
fn read_reset(text: &str, now_unix: u64) -> Option<Duration> {
    let text = text.trim();
    if let Some(at) = read_rfc3339(text) {
        return Some(Duration::from_secs(at.saturating_sub(now_unix)));
    }
    let seconds = match text.parse::<f64>() {
        Ok(number) if !number.is_finite() || number < 0.0 => return None,
        // The epoch's milliseconds are beyond 10^12, its seconds beyond 10^9.
        Ok(number) if number >= 1e12 => number / 1000.0 - now_unix as f64,
        Ok(number) if number >= 1e9 => number - now_unix as f64,
        Ok(number) => number,
        Err(_) => return Some(text).filter(|text| !text.is_empty()).and_then(read_duration),
    };
    Duration::try_from_secs_f64(seconds.max(0.0)).ok()
}

/// Seconds since 1970 of `2026-04-05T10:23:54Z`, fractions and numeric offsets included.
fn read_rfc3339(text: &str) -> Option<u64> {
    let (date, time) = text.split_once(['T', 't'])?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let end = time.find(['Z', 'z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at_checked(end)?;
    let mut clock = clock.splitn(3, ':').map(|part| part.parse::<f64>().ok());
    let (hours, minutes, seconds) = (clock.next()??, clock.next()??, clock.next()??);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || !(1970..=9999).contains(&year) {
        return None;
    }
    let of_day = (hours * 3600.0 + minutes * 60.0 + seconds) as i64;
    u64::try_from(days_since_1970(year, month, day) * 86_400 + of_day - offset(zone)?).ok()
}

/// Seconds east of Greenwich.
fn offset(zone: &str) -> Option<i64> {
    let sign = match zone.chars().next() {
        None | Some('Z' | 'z') => return Some(0),
        Some('-') => -1,
        Some(_) => 1,
    };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    Some(sign * (hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60))
}

/// Days from civil. Source: Hinnant, "chrono-compatible low-level date algorithms", 2013.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::replies::head;

    /// 2026-04-05T10:23:00Z.
    const NOW: u64 = 1_775_384_580;

    fn said(headers: &[(&'static str, &'static str)]) -> Vec<(Unit, Option<u64>, u64, u128)> {
        let left = rate_limits(&head(headers), NOW);
        left.iter().map(|l| (l.unit, l.limit, l.remaining, l.renews_in.as_millis())).collect()
    }

    #[test]
    fn no_family_is_overlooked_by_the_first_look() {
        for family in FAMILIES {
            for name in [family.remaining, family.limit] {
                assert!(WORDS.iter().any(|word| name.contains(word)), "{name}");
            }
        }
    }

    #[test]
    fn dates_are_counted_from_1970() {
        assert_eq!(read_rfc3339("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(read_rfc3339("2026-04-05T10:23:00Z"), Some(NOW));
        assert_eq!(read_rfc3339("2026-04-05T12:23:00.5+02:00"), Some(NOW));
        assert_eq!(read_rfc3339("2024-02-29T00:00:00Z"), Some(1_709_164_800));
        for garbage in ["T", "2026-13-01T00:00:00Z", "X-RATELIMIT-RESET-TOKENS-XXX", "2026-04-05"] {
            assert_eq!(read_rfc3339(garbage), None, "{garbage}");
        }
    }

    #[test]
    fn every_recorded_spelling_of_a_renewal_is_understood() {
        for (text, millis) in [
            ("6m0s", 360_000),
            ("12ms", 12),
            ("17m16.8s", 1_036_800),
            ("7", 7_000),
            ("0.032625675201416016", 32),
            ("24477.360426187515", 24_477_360),
            ("2026-04-05T10:23:54Z", 54_000),
            ("2026-04-05T10:22:00Z", 0),
            ("1775384600", 20_000),
            ("1775384640000", 60_000),
        ] {
            assert_eq!(read_reset(text, NOW).map(|d| d.as_millis()), Some(millis), "{text}");
        }
        for garbage in ["-1", "soon", "NaN", "X-RATELIMIT-RESET-REQUESTS-XXX", ""] {
            assert_eq!(read_reset(garbage, NOW), None, "{garbage}");
        }
    }

    #[test]
    fn the_families_of_each_provider_are_read() {
        let groq = [
            ("x-ratelimit-limit-requests", "14400"),
            ("x-ratelimit-remaining-requests", "14396"),
            ("x-ratelimit-reset-requests", "24s"),
            ("x-ratelimit-limit-tokens", "6000"),
            ("x-ratelimit-remaining-tokens", "3806"),
            ("x-ratelimit-reset-tokens", "5.42s"),
        ];
        assert_eq!(
            said(&groq),
            [(Requests, Some(14_400), 14_396, 24_000), (Tokens, Some(6_000), 3_806, 5_420)]
        );
        let anthropic = [
            ("anthropic-ratelimit-input-tokens-limit", "400000"),
            ("anthropic-ratelimit-input-tokens-remaining", "399000"),
            ("anthropic-ratelimit-input-tokens-reset", "2026-04-05T10:23:54Z"),
        ];
        assert_eq!(said(&anthropic), [(Tokens, Some(400_000), 399_000, 54_000)]);
        let openrouter = [
            ("x-ratelimit-limit", "16"),
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "1775384640000"),
        ];
        assert_eq!(said(&openrouter), [(Requests, Some(16), 0, 60_000)]);
        let mistral =
            [("x-ratelimit-limit-req-minute", "60"), ("x-ratelimit-remaining-req-minute", "50")];
        assert_eq!(said(&mistral), [(Requests, Some(60), 50, 60_000)]);
        assert_eq!(
            said(&[
                ("x-trial-endpoint-call-limit", "20"),
                ("x-trial-endpoint-call-remaining", "3")
            ]),
            [(Requests, Some(20), 3, 60_000)]
        );
    }

    #[test]
    fn the_tightest_of_several_limits_counts() {
        let both = [
            ("x-ratelimit-limit-requests-day", "1440000"),
            ("x-ratelimit-remaining-requests-day", "1439972"),
            ("x-ratelimit-limit-requests-minute", "30"),
            ("x-ratelimit-remaining-requests-minute", "1"),
        ];
        assert_eq!(said(&both), [(Requests, Some(30), 1, 60_000)]);
    }

    #[test]
    fn absurd_numbers_are_not_believed() {
        assert_eq!(said(&[("x-ratelimit-remaining-tokens-minute", "9223372036854767616")]), []);
        assert_eq!(said(&[("x-ratelimit-remaining-requests", "many")]), []);
        assert_eq!(
            said(&[("x-ratelimit-remaining-requests", "-5")]),
            [(Requests, None, 0, 60_000)]
        );
    }
}
