//! Which incidents were there, and how long did they last?

use super::gather::{ALIVE_MS, Window};
use super::{IncidentReport, Times};
use crate::ledger::{Database, Fault, Row};

/// Incidents of one report, the newest ones.
const INCIDENTS_MAX: u64 = 1_000;

/// What one incident says of a name: operators' own actions do not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Effect {
    pub(super) name: String,
    /// From the first failure to its detection.
    pub(super) detect_ms: u64,
    /// From the first failure to the end, if it has come.
    pub(super) recover_ms: Option<u64>,
}

pub(super) fn gather(
    database: &Database,
    window: Window,
) -> Result<(Vec<IncidentReport>, Vec<Effect>), Fault> {
    let rows = database.rows(INCIDENTS, &[window.since_ms.into(), INCIDENTS_MAX.into()])?;
    let incidents: Vec<IncidentReport> = rows.iter().map(|row| incident(row, window)).collect();
    let effect = |incident: &IncidentReport| Effect {
        name: incident.name.clone(),
        detect_ms: incident.detected_ms.saturating_sub(incident.began_ms),
        recover_ms: incident.ended_ms.map(|ended| ended.saturating_sub(incident.began_ms)),
    };
    let effects = incidents.iter().filter(|incident| incident.victims > 0).map(effect).collect();
    Ok((incidents, effects))
}

fn incident(row: &Row, window: Window) -> IncidentReport {
    let json = |column| serde_json::from_str(row.text(column)).unwrap_or_default();
    let ended = row.int(5).and_then(|ended| u64::try_from(ended).ok());
    IncidentReport {
        cell: row.text(0).to_owned(),
        name: row.text(1).to_owned(),
        words: row.text(2).to_owned(),
        began_ms: row.count(3),
        detected_ms: row.count(4),
        ended_ms: ended,
        is_open: ended.is_none()
            && row.count(10) + ALIVE_MS >= window.until_ms
            && row.int(11).is_none(),
        victims: row.count(6),
        client_failures: row.count(7),
        moved: json(8),
        timeline: json(9),
    }
}

/// The middle and the longest; nothing of nothing.
pub(super) fn times(all: impl Iterator<Item = u64>) -> Option<Times> {
    let mut all: Vec<u64> = all.collect();
    all.sort_unstable();
    let median = *all.get(all.len() / 2)?;
    Some(Times { median, longest: *all.last()? })
}

const INCIDENTS: &str = "
SELECT cell, name, words, began_ms, detected_ms, incidents.ended_ms, victims, client_failures,
    moved, timeline, runs.last_ms, runs.ended_ms
FROM incidents LEFT JOIN runs ON runs.run = incidents.run
WHERE began_ms >= $1 OR incidents.ended_ms >= $1 ORDER BY began_ms DESC LIMIT $2";
