//! Times as people read them, in UTC.

/// `25 Nov 2026`.
pub(super) fn date(unix_ms: u64) -> String {
    let (year, month, day) = civil(unix_ms / 86_400_000);
    format!("{day} {} {year}", name(month))
}

/// `25 Nov 04:15`.
pub(super) fn minute(unix_ms: u64) -> String {
    let (_, month, day) = civil(unix_ms / 86_400_000);
    let minutes = unix_ms / 60_000 % 1_440;
    format!("{day} {} {:02}:{:02}", name(month), minutes / 60, minutes % 60)
}

/// `04:15`.
pub(super) fn hour(unix_ms: u64) -> String {
    let minutes = unix_ms / 60_000 % 1_440;
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// `04:15:09`.
pub(super) fn clock(unix_ms: u64) -> String {
    let seconds = unix_ms / 1_000 % 86_400;
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// `0.3 s`, `45 s`, `12 min`, `3.0 h`, `29 days`.
pub(super) fn span(ms: u64) -> String {
    let seconds = ms as f64 / 1_000.0;
    match seconds {
        ..10.0 => format!("{seconds:.1} s"),
        ..120.0 => format!("{seconds:.0} s"),
        ..7_200.0 => format!("{:.0} min", seconds / 60.0),
        ..172_800.0 => format!("{:.1} h", seconds / 3_600.0),
        _ => format!("{:.0} days", seconds / 86_400.0),
    }
}

fn name(month: u64) -> &'static str {
    let names =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let index = usize::try_from(month.saturating_sub(1)).unwrap_or(0);
    names.get(index).copied().unwrap_or("?")
}

/// Year, month and day of a day since 1970.
///
/// Source: H. Hinnant, "chrono-compatible low-level date algorithms".
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let era = z / 146_097;
    let of_era = z % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right_around_leap_days() {
        let days = [0, 11_016, 11_017, 19_782, 20_782].map(|day| date(day * 86_400_000));
        let expected = ["1 Jan 1970", "29 Feb 2000", "1 Mar 2000", "29 Feb 2024", "25 Nov 2026"];
        assert_eq!(days, expected);
        let at = 20_782 * 86_400_000 + 4 * 3_600_000 + 15 * 60_000 + 9_000;
        assert_eq!((minute(at), clock(at)), ("25 Nov 04:15".to_owned(), "04:15:09".to_owned()));
    }

    #[test]
    fn spans_are_short() {
        let told = [300, 45_000, 720_000, 10_800_000, 2_505_600_000].map(span);
        assert_eq!(told, ["0.3 s", "45 s", "12 min", "3.0 h", "29 days"]);
    }
}
