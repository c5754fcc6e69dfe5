//! Where are calls written down, and for how long?

use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use super::Checker;
use super::settings::read_size;
use crate::config::Environment;
use crate::config::file::LedgerFile;

/// The ledger's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LedgerPlan {
    /// Whether it is kept. Default: true.
    pub(crate) enabled: bool,
    /// The file; absent if no place for it is known. Default: `ledger.db` in
    /// `STATE_DIRECTORY`; else `unbroken.db` beside `unbroken.toml`; without a configuration,
    /// `unbroken/ledger.db` in the user's state directory.
    pub(crate) path: Option<PathBuf>,
    /// It takes no more than this on disk, in bytes; the oldest calls go first. Default: 1 GiB.
    pub(crate) max_size: u64,
    /// What is older goes. Default: 90 days.
    pub(crate) max_age: Duration,
}

/// About four million calls; sums by the minute and the hour outlive them.
const MAX_SIZE: u64 = 1 << 30;
/// A quarter of a year: three monthly reports.
const MAX_AGE: Duration = Duration::from_secs(90 * 86_400);
/// Below this a ledger is mostly overhead.
const SIZE_MIN: usize = 1 << 20;

impl LedgerPlan {
    /// The ledger of a gateway without a configuration file: in the state directory of the service
    /// or of the user.
    pub(super) fn without_a_file(environment: &Environment) -> Self {
        let home = || environment.get("HOME").map(|home| Path::new(home).join(".local/state"));
        let of_user = || environment.get("XDG_STATE_HOME").map(PathBuf::from).or_else(home);
        let folder = of_service(environment).or_else(|| Some(of_user()?.join("unbroken")));
        let path = folder.map(|folder| folder.join("ledger.db"));
        Self { enabled: true, path, max_size: MAX_SIZE, max_age: MAX_AGE }
    }
}

/// What systemd made for the service; it may be a list, whose first counts.
fn of_service(environment: &Environment) -> Option<PathBuf> {
    Some(PathBuf::from(environment.get("STATE_DIRECTORY")?.split(':').next()?))
}

pub(super) fn check(checker: &mut Checker<'_>, file: &LedgerFile, config: &Path) -> LedgerPlan {
    let of_service = of_service(checker.environment).map(|folder| folder.join("ledger.db"));
    let typed = file.path.as_ref().map(|path| PathBuf::from(path.get_ref()));
    let mut plan = LedgerPlan {
        enabled: file.enabled.unwrap_or(true),
        path: typed.or(of_service).or_else(|| Some(config.with_extension("db"))),
        max_size: MAX_SIZE,
        max_age: MAX_AGE,
    };
    if let Some(size) = &file.max_size {
        match read_size(size.get_ref()).filter(|bytes| *bytes >= SIZE_MIN) {
            Some(bytes) => plan.max_size = bytes as u64,
            None => checker.wrong(size, "expected a size from \"1MiB\" to \"1GiB\""),
        }
    }
    if let Some(age) = &file.max_age {
        match read_age(age.get_ref()) {
            Some(age) => plan.max_age = age,
            None => wrong_age(checker, age),
        }
    }
    plan
}

fn wrong_age(checker: &mut Checker<'_>, at: &Spanned<String>) {
    checker.wrong(at, "expected an age such as \"12h\", \"30d\" or \"400d\"");
}

/// `30m`, `12h`, `30d`: up to ten years.
pub(crate) fn read_age(text: &str) -> Option<Duration> {
    let text = text.trim();
    let units = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let (number, unit) =
        units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))?;
    let seconds = number.parse::<u64>().ok()?.checked_mul(unit)?;
    (1..=3_650 * 86_400).contains(&seconds).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_read_up_to_ten_years() {
        assert_eq!(read_age("30d"), Some(Duration::from_secs(2_592_000)));
        assert_eq!(read_age("90m"), Some(Duration::from_secs(5_400)));
        for wrong in ["", "0d", "d", "4000d", "30", "-1d", "1.5h", "3 d"] {
            assert_eq!(read_age(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_service_has_its_place_and_a_user_another() {
        let of = |pairs: &[(&str, &str)]| {
            let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            LedgerPlan::without_a_file(&pairs.iter().map(own).collect()).path
        };
        let home = ("HOME", "/home/u");
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[home]), Some("/home/u/.local/state/unbroken/ledger.db".into()));
        assert_eq!(of(&[home, ("XDG_STATE_HOME", "/s")]), Some("/s/unbroken/ledger.db".into()));
        let service = ("STATE_DIRECTORY", "/var/lib/unbroken:/var/lib/other");
        assert_eq!(of(&[home, service]), Some("/var/lib/unbroken/ledger.db".into()));
    }
}
