//! What goes, so that the ledger stays within its bounds? First what is too old, then the oldest
//! calls; sums by the minute become sums by the hour and stay longest.

use super::database::{Database, Fault};
use crate::config::LedgerPlan;

/// Rows that go at once: a long statement would keep calls waiting for their turn to be written.
const AT_ONCE: u64 = 5_000;
/// Statements per look: what is left goes at the next one.
const ROUNDS_MAX: u32 = 40;
/// Sums by the minute are kept this long, in minutes: two days.
const MINUTES_KEPT: u64 = 2 * 24 * 60;
/// The file is brought below this share of its bound, in hundredths: it is not pruned again at once.
const LOW_WATER: u64 = 95;

/// Removes what must go; the size of the file afterwards, in bytes.
pub(super) fn prune(database: &Database, plan: &LedgerPlan, now_ms: u64) -> Result<u64, Fault> {
    let age_ms = u64::try_from(plan.max_age.as_millis()).unwrap_or(u64::MAX);
    let oldest_ms = now_ms.saturating_sub(age_ms);
    let minute = oldest_ms / 60_000;
    for (table, column, bound) in [
        ("transitions", "at_ms", oldest_ms),
        ("incidents", "began_ms", oldest_ms),
        ("runs", "last_ms", oldest_ms),
        ("route_minutes", "minute", minute),
        ("target_minutes", "minute", minute),
        ("spending", "minute", minute),
    ] {
        let sql = format!("DELETE FROM {table} WHERE {column} < $1");
        database.execute(&sql, &[bound.into()])?;
    }
    compact(database, now_ms / 60_000)?;
    let mut rounds = 0;
    while rounds < ROUNDS_MAX && remove_calls(database, oldest_ms)? {
        rounds += 1;
    }
    let bound = plan.max_size;
    if size(database)? > bound {
        while rounds < ROUNDS_MAX && size(database)? > bound / 100 * LOW_WATER {
            if !remove_calls(database, u64::MAX)? {
                break;
            }
            rounds += 1;
        }
    }
    database.rows("PRAGMA incremental_vacuum", &[])?;
    size(database)
}

/// Removes the oldest calls up to a time, not too many at once; whether there were any.
fn remove_calls(database: &Database, before_ms: u64) -> Result<bool, Fault> {
    let until = "SELECT max(at_ms) FROM (SELECT at_ms FROM calls WHERE at_ms < $1
                 ORDER BY at_ms LIMIT $2)";
    let found = database.rows(until, &[before_ms.into(), AT_ONCE.into()])?;
    let Some(until) = found.first().and_then(|row| row.int(0)) else { return Ok(false) };
    let attempts = "DELETE FROM attempts WHERE (run, call) IN
                    (SELECT run, call FROM calls WHERE at_ms <= $1)";
    database.execute(attempts, &[until.into()])?;
    database.execute("DELETE FROM calls WHERE at_ms <= $1", &[until.into()])?;
    Ok(true)
}

/// Sums by the minute that are older than two days become sums by the hour.
fn compact(database: &Database, minute: u64) -> Result<(), Fault> {
    // Whole hours only.
    let before = minute.saturating_sub(MINUTES_KEPT) / 60 * 60;
    for (table, keys, sums) in [
        (
            "route_minutes",
            "route",
            "calls answered rescued told failed broken gone avoided attempts saved_tokens",
        ),
        ("target_minutes", "target", "attempts answered failed excused"),
        (
            "spending",
            "route, target, purpose",
            "attempts unpriced estimated input_tokens output_tokens cost_nanos",
        ),
    ] {
        let is_there =
            format!("SELECT 1 FROM {table} WHERE minute < $1 AND minute % 60 <> 0 LIMIT 1");
        if database.rows(&is_there, &[before.into()])?.is_empty() {
            continue;
        }
        let sums: Vec<&str> = sums.split(' ').collect();
        let names = sums.join(", ");
        let added: Vec<String> = sums.iter().map(|name| format!("sum({name})")).collect();
        let again: Vec<String> =
            sums.iter().map(|name| format!("{name} = {table}.{name} + excluded.{name}")).collect();
        let (added, again) = (added.join(", "), again.join(", "));
        let insert = format!(
            "INSERT INTO {table} (minute, {keys}, {names})
             SELECT minute - minute % 60 AS hour, {keys}, {added} FROM {table}
             WHERE minute < $1 AND minute % 60 <> 0 GROUP BY hour, {keys}
             ON CONFLICT (minute, {keys}) DO UPDATE SET {again}"
        );
        database.batch("BEGIN IMMEDIATE")?;
        let delete = format!("DELETE FROM {table} WHERE minute < $1 AND minute % 60 <> 0");
        let done = database
            .execute(&insert, &[before.into()])
            .and_then(|_| database.execute(&delete, &[before.into()]));
        database.batch(if done.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
        done?;
    }
    Ok(())
}

/// What the file's content takes, in bytes; what was freed does not count.
fn size(database: &Database) -> Result<u64, Fault> {
    let pages = database.number("PRAGMA page_count")?;
    let free = database.number("PRAGMA freelist_count")?;
    let bytes = database.number("PRAGMA page_size")?;
    Ok(u64::try_from(pages.saturating_sub(free).saturating_mul(bytes)).unwrap_or(0))
}
