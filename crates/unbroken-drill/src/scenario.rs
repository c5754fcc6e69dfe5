//! What is rehearsed? One TOML file per scenario: what goes wrong when, and what must hold.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::fake_provider::Manner;
use crate::fault::Fault;

mod expect;

pub use expect::{AttemptsExpect, Expect};

/// The scenarios that come with the program, by name. The test `every_drill_is_listed` compares
/// them with the folder `drills/`.
pub const DRILLS: &[(&str, &str)] = &[
    ("auth-outage", include_str!("../../../drills/auth-outage.toml")),
    ("bad-requests", include_str!("../../../drills/bad-requests.toml")),
    ("blackhole", include_str!("../../../drills/blackhole.toml")),
    ("clients-own-mistake", include_str!("../../../drills/clients-own-mistake.toml")),
    ("conn-refused", include_str!("../../../drills/conn-refused.toml")),
    ("dns-stall", include_str!("../../../drills/dns-stall.toml")),
    ("edge-html", include_str!("../../../drills/edge-html.toml")),
    ("empty-200", include_str!("../../../drills/empty-200.toml")),
    ("error-in-200", include_str!("../../../drills/error-in-200.toml")),
    ("flap", include_str!("../../../drills/flap.toml")),
    ("hard-5xx", include_str!("../../../drills/hard-5xx.toml")),
    ("long-thinking", include_str!("../../../drills/long-thinking.toml")),
    ("malformed", include_str!("../../../drills/malformed.toml")),
    ("midstream-cut", include_str!("../../../drills/midstream-cut.toml")),
    ("model-withdrawn", include_str!("../../../drills/model-withdrawn.toml")),
    ("overloaded", include_str!("../../../drills/overloaded.toml")),
    ("partial-30", include_str!("../../../drills/partial-30.toml")),
    ("rate-limit", include_str!("../../../drills/rate-limit.toml")),
    ("referee-broken-chunk", include_str!("../../../drills/referee-broken-chunk.toml")),
    ("referee-content-policy", include_str!("../../../drills/referee-content-policy.toml")),
    ("referee-context-length", include_str!("../../../drills/referee-context-length.toml")),
    ("referee-cut", include_str!("../../../drills/referee-cut.toml")),
    ("referee-named-fallback", include_str!("../../../drills/referee-named-fallback.toml")),
    ("referee-no-done", include_str!("../../../drills/referee-no-done.toml")),
    ("referee-one-500", include_str!("../../../drills/referee-one-500.toml")),
    ("referee-prefill-refused", include_str!("../../../drills/referee-prefill-refused.toml")),
    (
        "referee-rate-limit-for-ever",
        include_str!("../../../drills/referee-rate-limit-for-ever.toml"),
    ),
    ("referee-rate-limit-once", include_str!("../../../drills/referee-rate-limit-once.toml")),
    ("referee-recovery", include_str!("../../../drills/referee-recovery.toml")),
    ("referee-reset-once", include_str!("../../../drills/referee-reset-once.toml")),
    ("referee-silence", include_str!("../../../drills/referee-silence.toml")),
    ("referee-slow-first-token", include_str!("../../../drills/referee-slow-first-token.toml")),
    ("referee-stall", include_str!("../../../drills/referee-stall.toml")),
    ("referee-unavailable", include_str!("../../../drills/referee-unavailable.toml")),
    ("reset", include_str!("../../../drills/reset.toml")),
    ("silent-truncation", include_str!("../../../drills/silent-truncation.toml")),
    ("tls-failure", include_str!("../../../drills/tls-failure.toml")),
    ("total-outage", include_str!("../../../drills/total-outage.toml")),
];

/// One scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What happens, in one line.
    pub title: String,
    /// What it shows, if it passes.
    pub proves: String,
    /// How long clients make calls.
    pub length: Duration,
    /// Calls per second.
    pub rate: f64,
    /// Whether clients ask for streams.
    pub stream: bool,
    /// The clients' dialect: `openai-chat`, `anthropic-messages` or `gemini`.
    pub dialect: String,
    /// Who can answer.
    pub stage: StageKind,
    /// What goes wrong, in the order of the file.
    pub faults: Vec<Timed>,
    /// How targets speak, if not as usual: 0 is the first one.
    pub manners: Vec<(usize, Manner)>,
    /// What must hold.
    pub expect: Expect,
    /// What must hold if clients ask for whole answers instead of streams, if that can be played.
    pub expect_whole: Option<Expect>,
    /// Tables of the gateway's configuration, such as `[breaker]`, as TOML.
    pub settings: String,
}

/// Who can answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageKind {
    /// Three providers, one per dialect.
    #[default]
    Three,
    /// Two models, `first` and `second`, of one provider at one address, in Chat Completions.
    Shared,
}

impl StageKind {
    /// How many targets there are.
    #[must_use]
    pub const fn targets(self) -> usize {
        match self {
            Self::Three => 3,
            Self::Shared => 2,
        }
    }
}

/// A fault and when it strikes.
#[derive(Clone, Debug, PartialEq)]
pub struct Timed {
    /// From when.
    pub at: Duration,
    /// For how long; to the end if absent.
    pub length: Option<Duration>,
    /// Whom: 0 is the first target.
    pub target: usize,
    /// The share of requests, in thousandths.
    pub share_per_mille: u32,
    /// How often at most.
    pub times: Option<u32>,
    /// What.
    pub fault: Fault,
}

/// Why a file is no scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError(String);

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ScenarioError {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    title: String,
    proves: String,
    length: String,
    #[serde(default = "five")]
    rate: f64,
    #[serde(default = "yes")]
    stream: bool,
    #[serde(default = "chat")]
    dialect: String,
    #[serde(default)]
    stage: StageKind,
    #[serde(default)]
    fault: Vec<toml::Table>,
    #[serde(default)]
    manner: Vec<toml::Table>,
    #[serde(default)]
    expect: Expect,
    expect_whole: Option<Expect>,
    #[serde(default)]
    settings: toml::Table,
}

const fn five() -> f64 {
    5.0
}

const fn yes() -> bool {
    true
}

fn chat() -> String {
    "openai-chat".to_owned()
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn read(name: &str, source: &str) -> Result<Self, ScenarioError> {
        let wrong = |what: String| ScenarioError(format!("{name}: {what}"));
        let file: File = toml::from_str(source).map_err(|error| wrong(error.to_string()))?;
        let mut faults = Vec::new();
        for (number, table) in file.fault.into_iter().enumerate() {
            let fault = timed(table);
            faults.push(fault.map_err(|what| wrong(format!("fault {}: {what}", number + 1)))?);
        }
        let manners = file.manner.into_iter().map(manner);
        let manners = manners.collect::<Result<_, _>>().map_err(wrong)?;
        if !(0.1..=200.0).contains(&file.rate) {
            return Err(wrong(format!(
                "rate = {}: expected 0.1 to 200 calls per second",
                file.rate
            )));
        }
        Ok(Self {
            title: file.title,
            proves: file.proves,
            length: duration(&file.length).map_err(wrong)?,
            rate: file.rate,
            stream: file.stream,
            dialect: file.dialect,
            stage: file.stage,
            faults,
            manners,
            expect: file.expect,
            expect_whole: file.expect_whole,
            settings: file.settings.to_string(),
        })
    }

    /// The same, with clients that ask for whole answers; `None` if that is not to be played.
    #[must_use]
    pub fn whole(&self) -> Option<Self> {
        let expect = self.expect_whole.clone()?;
        Some(Self { stream: false, expect, expect_whole: None, ..self.clone() })
    }

    /// A scenario that comes with the program.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn built_in(name: &str) -> Result<Self, ScenarioError> {
        let Some((name, source)) = DRILLS.iter().find(|(listed, _)| *listed == name) else {
            let names: Vec<&str> = DRILLS.iter().map(|(name, _)| *name).collect();
            let names = names.join(", ");
            return Err(ScenarioError(format!("there is no drill `{name}`; there are {names}")));
        };
        Self::read(name, source)
    }
}

fn timed(mut table: toml::Table) -> Result<Timed, String> {
    let mut text = |key: &str| match table.remove(key) {
        Some(toml::Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(format!("`{key}` is {other}, expected text")),
        None => Ok(None),
    };
    let at = text("at")?.ok_or("`at` is missing")?;
    let length = text("for")?;
    let target = target(text("target")?.as_deref())?;
    let share = match table.remove("share") {
        Some(toml::Value::Float(share)) if (0.0..=1.0).contains(&share) => share,
        Some(other) => return Err(format!("share = {other}: expected 0.0 to 1.0")),
        None => 1.0,
    };
    let times = table.remove("times").map(|times| times.try_into().map_err(|e| e.to_string()));
    let fault: Fault = table.clone().try_into().map_err(|error| error.to_string())?;
    // Faults without settings would swallow any.
    let known = toml::Table::try_from(fault).map_err(|error| error.to_string())?;
    if let Some(unknown) = table.keys().find(|key| !known.contains_key(*key)) {
        return Err(format!("unknown field `{unknown}`"));
    }
    Ok(Timed {
        at: duration(&at)?,
        length: length.map(|length| duration(&length)).transpose()?,
        target,
        share_per_mille: (share * 1000.0) as u32,
        times: times.transpose()?,
        fault,
    })
}

fn manner(mut table: toml::Table) -> Result<(usize, Manner), String> {
    let named = table.remove("target");
    let target = target(named.as_ref().and_then(toml::Value::as_str))?;
    let manner = table.try_into().map_err(|error| format!("manner: {error}"))?;
    Ok((target, manner))
}

fn target(name: Option<&str>) -> Result<usize, String> {
    match name {
        Some("first") | None => Ok(0),
        Some("second") => Ok(1),
        Some("third") => Ok(2),
        Some(other) => Err(format!("target = \"{other}\": expected first, second or third")),
    }
}

/// `250ms`, `10s`, `2m`; at most an hour.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let units = [("ms", 1_u64), ("s", 1_000), ("m", 60_000)];
    let read = |(unit, millis): &(&str, u64)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(*millis).filter(|millis| *millis <= 3_600_000)
    };
    let millis = units.iter().find_map(read);
    let expected =
        || format!("\"{text}\": expected a duration such as \"250ms\", \"10s\" or \"2m\"");
    millis.map(Duration::from_millis).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_drill_is_listed_and_reads() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../drills");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file())
            .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        files.sort();
        let listed: Vec<&str> = DRILLS.iter().map(|(name, _)| *name).collect();
        assert_eq!(files, listed);
        for name in listed {
            let scenario = Scenario::built_in(name).unwrap();
            assert!(!scenario.title.is_empty() && !scenario.proves.is_empty(), "{name}");
            assert!(scenario.length <= Duration::from_secs(80), "{name} is quick");
        }
    }

    #[test]
    fn mistakes_are_named() {
        let fault = "title='t'\nproves='p'\nlength='1s'\n[[fault]]\nat='1s'\n";
        for (source, part) in [
            ("title = 't'", "missing field"),
            ("title='t'\nproves='p'\nlength='soon'", "\"soon\": expected a duration"),
            (&format!("{fault}do = 'explode'"), "unknown variant `explode`"),
            (&format!("{fault}do = 'reset'\nafter_words = 3"), "unknown field `after_words`"),
            (&format!("{fault}do = 'reset'\ntarget = 'tenth'"), "expected first, second or third"),
            (&format!("{fault}do = 'reset'\nshare = 2.0"), "expected 0.0 to 1.0"),
            (&format!("{fault}do = 'reset'\n[[manner]]\nsays = 'no'"), "unknown variant `no`"),
            (&format!("{fault}do = 'reset'\n[[expect.attempts]]\nmax = 1\nx = 2"), "unknown field"),
        ] {
            let error = Scenario::read("x", source).unwrap_err().to_string();
            assert!(error.contains(part), "{source}: {error}");
        }
        assert!(Scenario::built_in("nope").unwrap_err().to_string().contains("hard-5xx"));
    }
}
