//! What the ledger looks like, and how an older one becomes like it.
//!
//! A migration is never changed once it was released: another one is added. A file of a later
//! version is left alone.

use super::database::{Database, Fault};

/// In their order; the file says how many it has seen (`user_version`).
const MIGRATIONS: &[&str] = &[FIRST];

/// Times are in milliseconds since 1970, minutes in minutes since 1970, costs in billionths of a US
/// dollar (absent: not known). `run` is when the process started, `call` counts its calls.
const FIRST: &str = "
CREATE TABLE runs (
    run BIGINT PRIMARY KEY, version TEXT NOT NULL, last_ms BIGINT NOT NULL, ended_ms BIGINT
);
CREATE TABLE calls (
    run BIGINT NOT NULL, call BIGINT NOT NULL, at_ms BIGINT NOT NULL, took_ms BIGINT NOT NULL,
    id TEXT NOT NULL, route TEXT NOT NULL, dialect TEXT NOT NULL, stream BIGINT NOT NULL,
    outcome TEXT NOT NULL, target TEXT, avoided BIGINT NOT NULL, input_tokens BIGINT NOT NULL,
    saved_tokens BIGINT NOT NULL, cost_nanos BIGINT, waits_ms TEXT NOT NULL, notes TEXT NOT NULL,
    PRIMARY KEY (run, call)
) WITHOUT ROWID;
CREATE INDEX calls_by_id ON calls (id);
CREATE INDEX calls_by_time ON calls (at_ms);
CREATE TABLE attempts (
    run BIGINT NOT NULL, call BIGINT NOT NULL, number BIGINT NOT NULL, target TEXT NOT NULL,
    why TEXT NOT NULL, at_ms BIGINT NOT NULL, first_token_ms BIGINT, took_ms BIGINT NOT NULL,
    phase TEXT NOT NULL, result TEXT NOT NULL, words TEXT NOT NULL, purpose TEXT NOT NULL,
    input_tokens BIGINT, cached_tokens BIGINT, output_tokens BIGINT, is_estimated BIGINT,
    cost_nanos BIGINT,
    PRIMARY KEY (run, call, number)
) WITHOUT ROWID;
CREATE TABLE transitions (
    run BIGINT NOT NULL, at_ms BIGINT NOT NULL, cell TEXT NOT NULL, name TEXT NOT NULL,
    from_state TEXT NOT NULL, to_state TEXT NOT NULL, reason TEXT NOT NULL, wait_ms BIGINT NOT NULL
);
CREATE INDEX transitions_by_time ON transitions (at_ms);
CREATE TABLE incidents (
    run BIGINT NOT NULL, number BIGINT NOT NULL, cell TEXT NOT NULL, name TEXT NOT NULL,
    words TEXT NOT NULL, began_ms BIGINT NOT NULL, detected_ms BIGINT NOT NULL, ended_ms BIGINT,
    victims BIGINT NOT NULL, client_failures BIGINT NOT NULL, moved TEXT NOT NULL,
    timeline TEXT NOT NULL,
    PRIMARY KEY (run, number)
) WITHOUT ROWID;
CREATE INDEX incidents_by_time ON incidents (began_ms);
CREATE TABLE route_minutes (
    minute BIGINT NOT NULL, route TEXT NOT NULL, calls BIGINT NOT NULL, answered BIGINT NOT NULL,
    rescued BIGINT NOT NULL, told BIGINT NOT NULL, failed BIGINT NOT NULL, broken BIGINT NOT NULL,
    gone BIGINT NOT NULL, avoided BIGINT NOT NULL, attempts BIGINT NOT NULL,
    saved_tokens BIGINT NOT NULL,
    PRIMARY KEY (minute, route)
) WITHOUT ROWID;
CREATE TABLE target_minutes (
    minute BIGINT NOT NULL, target TEXT NOT NULL, attempts BIGINT NOT NULL,
    answered BIGINT NOT NULL, failed BIGINT NOT NULL, excused BIGINT NOT NULL,
    PRIMARY KEY (minute, target)
) WITHOUT ROWID;
CREATE TABLE spending (
    minute BIGINT NOT NULL, route TEXT NOT NULL, target TEXT NOT NULL, purpose TEXT NOT NULL,
    attempts BIGINT NOT NULL, unpriced BIGINT NOT NULL, estimated BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL, output_tokens BIGINT NOT NULL, cost_nanos BIGINT NOT NULL,
    PRIMARY KEY (minute, route, target, purpose)
) WITHOUT ROWID;
";

/// Makes the file what this version needs.
///
/// # Errors
/// When it was written by a later version, or cannot be changed.
pub(super) fn migrate(database: &mut Database) -> Result<(), Fault> {
    let seen = version(database)?;
    for (index, migration) in MIGRATIONS.iter().enumerate().skip(seen) {
        let next = index + 1;
        // Another process may have been quicker: who has the lock looks again.
        database.batch("BEGIN IMMEDIATE")?;
        let done = match version(database) {
            Ok(now) if now > index => Ok(()),
            Ok(_) => database.batch(&format!("{migration} PRAGMA user_version = {next};")),
            Err(fault) => Err(fault),
        };
        database.batch(if done.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
        done?;
    }
    Ok(())
}

/// How many migrations the file has seen.
///
/// # Errors
/// When they are more than this version knows.
pub(super) fn version(database: &Database) -> Result<usize, Fault> {
    let seen = database.number("PRAGMA user_version")?;
    usize::try_from(seen).ok().filter(|seen| *seen <= MIGRATIONS.len()).ok_or_else(|| {
        let known = MIGRATIONS.len();
        Fault::from(format!(
            "the ledger was written by a later version of unbroken (schema {seen}, known here: \
             {known}): use that version, or another `path` in `[ledger]`"
        ))
    })
}

/// The number of this version's schema.
pub(super) const fn newest() -> usize {
    MIGRATIONS.len()
}
