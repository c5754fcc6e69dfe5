//! What does the ledger say of a call?

use std::path::Path;

use serde_json::{Value as Json, json};

use super::database::{Database, Fault, Row};
use super::schema;
use crate::alerts::burn::Count;

/// Opens a ledger to read it, also while a gateway writes.
///
/// # Errors
/// When it is not there, or was written by another version.
pub(crate) fn open(path: &Path) -> Result<Database, String> {
    let database = Database::open_to_read(path)?;
    let told = |fault: Fault| format!("{}: {fault}", path.display());
    let version = schema::version(&database).map_err(told)?;
    if version < schema::newest() {
        let path = path.display();
        return Err(format!(
            "{path} was written by an older version: start this version's gateway with it once"
        ));
    }
    Ok(database)
}

/// The newest call with this request id, as the admin API tells it.
pub(crate) fn call(database: &Database, id: &str) -> Result<Option<Json>, Fault> {
    let rows = database.rows(CALL, &[id.into()])?;
    let Some(row) = rows.first() else { return Ok(None) };
    let attempts = database.rows(ATTEMPTS, &[row.count(0).into(), row.count(1).into()])?;
    Ok(Some(told(row, &attempts)))
}

/// Valid calls by minute and route since a minute, in their order.
pub(super) fn minutes(database: &Database, since: u64) -> Result<Vec<(u64, String, Count)>, Fault> {
    let sql = "SELECT minute, route, answered + rescued, failed + broken FROM route_minutes
               WHERE minute >= $1 ORDER BY minute";
    let row = |row: &Row| {
        (row.count(0), row.text(1).to_owned(), Count { good: row.count(2), bad: row.count(3) })
    };
    Ok(database.rows(sql, &[since.into()])?.iter().map(row).collect())
}

const CALL: &str = "
SELECT run, call, id, route, dialect, stream, input_tokens, at_ms, took_ms, outcome, target,
    avoided, saved_tokens, cost_nanos, waits_ms, notes
FROM calls WHERE id = $1 ORDER BY run DESC, call DESC LIMIT 1";

const ATTEMPTS: &str = "
SELECT number, target, why, at_ms, first_token_ms, took_ms, phase, result, words, purpose,
    input_tokens, cached_tokens, output_tokens, is_estimated, cost_nanos
FROM attempts WHERE run = $1 AND call = $2 ORDER BY number";

fn dollars(nanos: Option<i64>) -> Option<f64> {
    nanos.map(|nanos| nanos as f64 / 1e9)
}

fn told(call: &Row, attempts: &[Row]) -> Json {
    let sum = |column| attempts.iter().map(|row| row.count(column)).sum::<u64>();
    let list = |column| serde_json::from_str::<Json>(call.text(column)).unwrap_or_default();
    let target = Some(call.text(10)).filter(|target| !target.is_empty());
    json!({
        "id": call.text(2),
        "route": call.text(3),
        "dialect": call.text(4),
        "stream": call.count(5) == 1,
        "input_tokens": call.count(6),
        "begun_ms": call.count(7),
        "took_ms": call.count(8),
        "outcome": call.text(9),
        "target": target,
        "avoided": call.count(11) == 1,
        "tokens": {
            "input": sum(10), "cached": sum(11), "output": sum(12), "estimated": sum(13) > 0,
        },
        "saved_tokens": call.count(12),
        "cost_usd": dollars(call.int(13)),
        "attempts": attempts.iter().map(attempt).collect::<Vec<_>>(),
        "waits_ms": list(14),
        "notes": list(15),
    })
}

fn attempt(row: &Row) -> Json {
    let tokens = row.int(10).map(|_| {
        json!({
            "input": row.count(10), "cached": row.count(11), "output": row.count(12),
            "estimated": row.count(13) == 1,
        })
    });
    json!({
        "number": row.count(0),
        "target": row.text(1),
        "why": row.text(2),
        "at_ms": row.count(3),
        "first_token_ms": row.int(4),
        "took_ms": row.count(5),
        "phase": row.text(6),
        "result": row.text(7),
        "words": row.text(8),
        "purpose": row.text(9),
        "tokens": tokens,
        "cost_usd": dollars(row.int(14)),
    })
}
