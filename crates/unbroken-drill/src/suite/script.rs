//! What is played in the laboratory? Targets, loads, what goes wrong, what operators do, and the
//! line that must be passed. One TOML file per scenario, in `drills/suite/`.

use std::time::Duration;

use serde::Deserialize;

use crate::fault::Fault;
use crate::scenario::duration;

/// One scenario of the suite.
#[derive(Clone, Debug)]
pub struct Script {
    /// The file's name.
    pub name: String,
    /// Its number in engine.md section 7.
    pub number: u32,
    /// What happens, in one line.
    pub title: String,
    /// What it shows, if it passes.
    pub proves: String,
    /// What has to be built before it can pass, if anything.
    pub needs: Option<String>,
    /// Who can answer, most preferred first.
    pub targets: Vec<TargetScript>,
    /// Calls per second and replica; each seed plays one of them.
    pub rates: Vec<f64>,
    /// How long clients call.
    pub length: Duration,
    /// Gateways beside each other.
    pub replicas: usize,
    /// Whether replicas hear of each other.
    pub sharing: bool,
    /// What clients ask for.
    pub load: Load,
    /// What goes wrong.
    pub ailments: Vec<Timed>,
    /// What operators and machines do.
    pub actions: Vec<Action>,
    /// Settings of the engine, as in a drill.
    pub settings: String,
    /// What must hold, over all seeds.
    pub pass: Pass,
    /// Whether each seed draws trouble of its own, as in real life, instead of `ailments`.
    pub is_traced: bool,
    /// Whether news and alarms come a little late, each by its own chance.
    pub is_shuffled: bool,
}

/// One target of a scenario.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct TargetScript {
    /// Its label.
    pub name: String,
    /// Its endpoint; its name if absent.
    pub endpoint: Option<String>,
    /// Its model; its name if absent.
    pub model: Option<String>,
    /// Its key; its name if absent.
    pub key: Option<String>,
    /// Its tier; targets of one tier are of equal preference. One of its own if absent.
    pub tier: Option<u32>,
    /// From when on it is in the configuration, in seconds.
    #[serde(default)]
    pub from_s: u64,
    /// The median time to its first token, in milliseconds. Default: 800.
    #[serde(default = "default_median")]
    pub median_ms: u64,
    /// Which clients' route it is on: `opus`, `haiku`, `eu`. All if absent.
    pub route: Option<String>,
}

impl TargetScript {
    /// A target of its own in every way.
    #[must_use]
    pub fn plain(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            endpoint: None,
            model: None,
            key: None,
            tier: None,
            from_s: 0,
            median_ms: default_median(),
            route: None,
        }
    }
}

const fn default_median() -> u64 {
    800
}

/// What clients ask for.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Load {
    /// The share of calls that want a whole answer.
    pub whole: f64,
    /// The share of calls that belong to one of twenty conversations.
    pub sticky: f64,
    /// The share of calls that ask the model to reason, and how long it thinks.
    pub reasoning: f64,
    /// Seconds of thinking, with pings between.
    pub thinking_s: f64,
    /// The share of calls that every target refuses with a 400.
    pub bad: f64,
    /// The share of calls with effects of their own.
    pub effectful: f64,
    /// The median of the input, in tokens.
    pub input_tokens: f64,
    /// The share of clients that leave, and when.
    pub leave: f64,
    /// Between these times, in seconds from the start.
    pub leave_between_s: (f64, f64),
    /// After at most so many seconds.
    pub leave_after_s: f64,
    /// A burst: between these seconds, the rate is so many times higher.
    pub burst: (f64, f64, f64),
    /// The share of failures and rate limits that happen on any day.
    pub background: f64,
    /// Every n-th call is for the second route, if there is one.
    pub routes: Vec<String>,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            whole: 0.2,
            sticky: 0.1,
            reasoning: 0.0,
            thinking_s: 0.0,
            bad: 0.0,
            effectful: 0.0,
            input_tokens: 1500.0,
            leave: 0.0,
            leave_between_s: (0.0, 0.0),
            leave_after_s: 1.0,
            burst: (0.0, 0.0, 1.0),
            background: 0.005,
            routes: Vec::new(),
        }
    }
}

/// Something that goes wrong, and when.
#[derive(Clone, Debug)]
pub struct Timed {
    /// Whom, by name; several for what is shared.
    pub targets: Vec<String>,
    /// From when.
    pub at: Duration,
    /// Until when.
    pub until: Duration,
    /// The share of attempts, from the beginning to the end of it.
    pub share: (f64, f64),
    /// On for the first so long, off for the second, again and again.
    pub flap: Option<(Duration, Duration)>,
    /// Only attempts of this replica.
    pub replica: Option<usize>,
    /// What.
    pub ailment: Ailment,
}

/// What can go wrong in virtual time.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ailment {
    /// What the fake provider plays, too.
    #[serde(skip)]
    Fault(Fault),
    /// Everything is slower.
    Slower {
        /// The first token comes so many times later.
        first_token: f64,
        /// The others come so many times later.
        gaps: f64,
    },
    /// A limit of requests per minute and key.
    RequestsPerMinute {
        /// The limit.
        limit: f64,
    },
    /// A limit of input tokens per minute and key.
    TokensPerMinute {
        /// The limit.
        limit: f64,
    },
    /// The day's quota is used up; it is renewed after so many seconds.
    DailyQuota {
        /// Until it is renewed.
        renewed_after_s: u64,
    },
    /// Refuses what grows faster than by half within a minute.
    Acceleration {
        /// Below so many requests per minute growth is free.
        floor: f64,
    },
    /// Fails what is beyond its capacity, and some of what is not.
    Capacity {
        /// Attempts per second that it can take.
        per_s: f64,
    },
    /// Fails as soon as it gets more than this share of the traffic.
    Relapse {
        /// The share.
        above: f64,
    },
}

/// Something that operators or machines do.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// When.
    pub at: Duration,
    /// What.
    pub what: Act,
}

/// What operators or machines do.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// The same configuration is read again.
    Reload,
    /// A configuration with another threshold is read.
    ReloadOther,
    /// A target is taken out.
    Remove {
        /// Which.
        target: String,
    },
    /// The shared store is down from now on, or up again.
    Store {
        /// Whether it is up.
        up: bool,
    },
    /// Nothing happens for a while: a pause of the whole process.
    Pause {
        /// How long, in milliseconds.
        ms: u64,
    },
    /// An operator forces a target.
    Force {
        /// Which.
        target: String,
        /// `open`, `closed`, `drain` or `release`.
        how: String,
    },
}

/// What must hold, over all seeds of one rate. Absent lines are not held.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "named as the fields of `Tally`, which says what they are")]
pub struct Pass {
    pub success_min: Option<f64>,
    /// `slow`: for rates below one call per second. There a probe every 15 s is one call in three.
    pub success_slow_min: Option<f64>,
    pub victims_max: Option<f64>,
    pub first_p50_added_ms_max: Option<f64>,
    pub first_p99_added_ms_max: Option<f64>,
    pub waste_max: Option<f64>,
    pub waste_slow_max: Option<f64>,
    pub first_p50_added_slow_ms_max: Option<f64>,
    pub recover_s_max: Option<f64>,
    pub recover_slow_s_max: Option<f64>,
    pub detect_calls_max: Option<f64>,
    pub detect_share_max: Option<f64>,
    pub moved_max: Option<f64>,
    pub transitions_max: Option<f64>,
    pub limited_share_max: Option<f64>,
    pub false_trips_per_h_max: Option<f64>,
    pub broken_max: Option<f64>,
    pub told_max: Option<f64>,
    pub error_after_ms_max: Option<f64>,
    pub probes_max: Option<f64>,
    pub attempts_on_ailing_max: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    number: u32,
    title: String,
    proves: String,
    needs: Option<String>,
    #[serde(default)]
    target: Vec<TargetScript>,
    #[serde(default = "default_rates")]
    rates: Vec<f64>,
    #[serde(default = "default_length")]
    length_s: u64,
    #[serde(default = "one")]
    replicas: usize,
    #[serde(default)]
    sharing: bool,
    #[serde(default)]
    load: Load,
    #[serde(default)]
    fault: Vec<toml::Table>,
    #[serde(default)]
    action: Vec<toml::Table>,
    #[serde(default)]
    settings: toml::Table,
    #[serde(default)]
    pass: Pass,
    /// Trouble is drawn by each seed, as in real life.
    #[serde(default)]
    trace: bool,
}

fn default_rates() -> Vec<f64> {
    vec![0.2, 5.0]
}

const fn default_length() -> u64 {
    1800
}

const fn one() -> usize {
    1
}

/// The window of a fault that names none.
const WINDOW: (u64, u64) = (300, 900);

impl Script {
    /// Reads a scenario of the suite.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(name: &str, source: &str) -> Result<Self, String> {
        let wrong = |what: String| format!("{name}: {what}");
        let file: File = toml::from_str(source).map_err(|error| wrong(error.to_string()))?;
        let ailments: Result<Vec<Timed>, String> = file.fault.into_iter().map(timed).collect();
        let actions: Result<Vec<Action>, String> = file.action.into_iter().map(action).collect();
        let targets = if file.target.is_empty() { default_targets() } else { file.target };
        Ok(Self {
            name: name.to_owned(),
            number: file.number,
            title: file.title,
            proves: file.proves,
            needs: file.needs,
            targets,
            rates: file.rates,
            length: Duration::from_secs(file.length_s),
            replicas: file.replicas,
            sharing: file.sharing,
            load: file.load,
            ailments: ailments.map_err(wrong)?,
            actions: actions.map_err(wrong)?,
            settings: file.settings.to_string(),
            pass: file.pass,
            is_traced: file.trace,
            is_shuffled: false,
        })
    }

    /// The first time at which anything goes wrong, and the last.
    #[must_use]
    pub fn window(&self) -> (Duration, Duration) {
        let from = self.ailments.iter().map(|timed| timed.at).min();
        let until = self.ailments.iter().map(|timed| timed.until).max();
        (from.unwrap_or(self.length), until.unwrap_or(self.length))
    }
}

/// A and A2 serve the same model at different hosts, B and C models of their own.
fn default_targets() -> Vec<TargetScript> {
    let target = |name: &str, model: &str| TargetScript {
        model: Some(model.to_owned()),
        ..TargetScript::plain(name)
    };
    vec![target("A", "m"), target("A2", "m"), target("B", "b"), target("C", "c")]
}

fn timed(mut table: toml::Table) -> Result<Timed, String> {
    let targets = match table.remove("target") {
        None => vec!["A".to_owned()],
        Some(toml::Value::String(name)) => vec![name],
        Some(list) => list.try_into().map_err(|error| format!("target: {error}"))?,
    };
    let mut seconds = |key: &str, default: u64| match table.remove(key) {
        None => Ok(Duration::from_secs(default)),
        Some(toml::Value::String(text)) => duration(&text),
        Some(other) => Err(format!("{key} = {other}: expected a duration")),
    };
    let (at, length) = (seconds("at", WINDOW.0)?, seconds("for", WINDOW.1 - WINDOW.0)?);
    let share: Option<toml::Value> = table.remove("share");
    let share = match share {
        None => (1.0, 1.0),
        Some(toml::Value::Float(share)) => (share, share),
        Some(list) => list.try_into().map_err(|error| format!("share: {error}"))?,
    };
    let flap = match table.remove("flap") {
        None => None,
        Some(list) => {
            let (on, off): (String, String) =
                list.try_into().map_err(|error| format!("flap: {error}"))?;
            Some((duration(&on)?, duration(&off)?))
        }
    };
    let replica = table.remove("replica").map(|n| n.try_into().map_err(|e| format!("{e}")));
    let fault: Result<Fault, _> = table.clone().try_into();
    let ailment = match fault {
        Ok(fault) => Ailment::Fault(fault),
        Err(_) => table.try_into().map_err(|error| format!("fault: {error}"))?,
    };
    let replica = replica.transpose()?;
    Ok(Timed { targets, at, until: at + length, share, flap, replica, ailment })
}

fn action(mut table: toml::Table) -> Result<Action, String> {
    let at = match table.remove("at") {
        Some(toml::Value::String(text)) => duration(&text)?,
        other => return Err(format!("at = {other:?}: expected a duration")),
    };
    let what = table.try_into().map_err(|error| format!("action: {error}"))?;
    Ok(Action { at, what })
}
