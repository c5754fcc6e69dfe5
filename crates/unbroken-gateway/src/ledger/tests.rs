use std::path::Path;

use super::*;
use crate::config::{Environment, Plan};

/// A folder of its own, removed afterwards.
struct Place(PathBuf);

impl Place {
    fn new(test: &str) -> Self {
        let folder = format!("unbroken-ledger-{test}-{}", std::process::id());
        Self(std::env::temp_dir().join(folder))
    }

    fn plan(&self) -> LedgerPlan {
        let path = Some(self.0.join("deep/ledger.db"));
        LedgerPlan { path, ..Plan::zero(&Environment::default()).ledger }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn open(plan: &LedgerPlan) -> Database {
    let mut database = Database::open(plan.path.as_ref().unwrap()).unwrap();
    schema::migrate(&mut database).unwrap();
    database
}

fn count(database: &Database, table: &str) -> i64 {
    database.number(&format!("SELECT count(*) FROM {table}")).unwrap()
}

/// Calls of one second each, `count` of them, the last one at `until_ms`.
fn fill(database: &Database, count: u64, until_ms: u64) {
    database.batch("BEGIN").unwrap();
    for number in 0..count {
        let at = until_ms - (count - number) * 1_000;
        let call =
            "INSERT INTO calls VALUES (1, $1, $2, 5, 'an-id-of-some-length-as-they-are', 'chat',
                    'openai-chat', 0, 'answered', 'a/m', 0, 9, 0, NULL, '[]', '[]')";
        database.execute(call, &[number.into(), at.into()]).unwrap();
        let attempt =
            "INSERT INTO attempts VALUES (1, $1, 1, 'a/m', 'first', 0, 3, 5, 'delivering',
                       'answered', 'it answered', 'answer', 9, 0, 1, 0, NULL)";
        database.execute(attempt, &[number.into()]).unwrap();
        let sum = "INSERT INTO target_minutes VALUES ($1, 'a/m', 1, 1, 0, 0) ON CONFLICT DO UPDATE
                   SET attempts = attempts + 1, answered = answered + 1";
        database.execute(sum, &[(at / 60_000).into()]).unwrap();
    }
    database.batch("COMMIT").unwrap();
}

const DAY_MS: u64 = 86_400_000;
const NOW: u64 = 1_800_000_000_000;

#[test]
fn what_is_too_old_goes_with_its_attempts() {
    let place = Place::new("age");
    let plan = LedgerPlan { max_age: Duration::from_secs(3_600), ..place.plan() };
    let database = open(&plan);
    fill(&database, 7_200, NOW);
    prune::prune(&database, &plan, NOW).unwrap();
    assert_eq!((count(&database, "calls"), count(&database, "attempts")), (3_600, 3_600));
}

#[test]
fn the_file_stays_within_its_size_and_the_oldest_calls_go_first() {
    let place = Place::new("size");
    let plan = LedgerPlan { max_size: 3 << 20, ..place.plan() };
    let database = open(&plan);
    fill(&database, 30_000, NOW);
    let bytes = prune::prune(&database, &plan, NOW).unwrap();
    assert!(bytes <= 3 << 20, "{bytes}");
    let left = count(&database, "calls");
    assert!(left > 3_000, "{left}");
    assert_eq!(count(&database, "attempts"), left);
    let newest = database.number("SELECT max(at_ms) FROM calls").unwrap();
    assert_eq!(newest, i64::try_from(NOW - 1_000).unwrap());
    database.batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let on_disk = std::fs::metadata(plan.path.unwrap()).unwrap().len();
    assert!(on_disk <= 3 << 20, "what was freed was given back: {on_disk}");
    assert_eq!(database.number("SELECT sum(attempts) FROM target_minutes").unwrap(), 30_000);
}

#[test]
fn minutes_become_hours_after_two_days_and_nothing_is_lost() {
    let place = Place::new("hours");
    let plan = place.plan();
    let database = open(&plan);
    fill(&database, 10_000, NOW - 2 * DAY_MS + 1_000_000);
    let rows = count(&database, "target_minutes");
    prune::prune(&database, &plan, NOW).unwrap();
    assert!(count(&database, "target_minutes") < rows / 2);
    assert_eq!(database.number("SELECT sum(answered) FROM target_minutes").unwrap(), 10_000);
    let again = count(&database, "target_minutes");
    prune::prune(&database, &plan, NOW).unwrap();
    assert_eq!(count(&database, "target_minutes"), again);
}

#[test]
fn a_file_of_a_later_version_is_left_alone() {
    let place = Place::new("later");
    let plan = place.plan();
    open(&plan).batch("PRAGMA user_version = 99").unwrap();
    let metrics = Arc::new(Metrics::new());
    let refused = Ledger::open(&plan, NOW, metrics).err().unwrap();
    assert!(refused.contains("schema 99") && refused.contains("later version"), "{refused}");
    assert!(open_to_read(plan.path.as_deref().unwrap()).is_err());
    assert!(open_to_read(Path::new("/nowhere/ledger.db")).err().unwrap().contains("no ledger"));
}

#[test]
fn a_run_begins_and_ends_in_the_file_which_only_its_owner_reads() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new("run");
    let plan = place.plan();
    let metrics = Arc::new(Metrics::new());
    let first = Ledger::open(&plan, NOW, metrics.clone()).unwrap().unwrap();
    let second = Ledger::open(&plan, NOW, metrics).unwrap().unwrap();
    let open = Transition {
        at_ms: NOW,
        cell: "serving",
        name: "a/m".into(),
        from: "closed",
        to: "open",
        reason: "overloaded",
        wait_ms: 5_000,
    };
    first.keep(Entry::Transition(open));
    first.close();
    let mode = std::fs::metadata(first.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let database = open_to_read(first.path()).unwrap();
    let runs = database.rows("SELECT run, ended_ms IS NULL FROM runs ORDER BY run", &[]).unwrap();
    let runs: Vec<_> = runs.iter().map(|row| (row.count(0), row.count(1))).collect();
    assert_eq!(runs, [(NOW, 0), (NOW + 1, 1)], "two that began in one millisecond");
    let told = database.rows("SELECT run, name, to_state FROM transitions", &[]).unwrap();
    assert_eq!((told[0].count(0), told[0].text(1), told[0].text(2)), (NOW, "a/m", "open"));
    second.close();
    let off = LedgerPlan { enabled: false, ..plan };
    assert!(Ledger::open(&off, NOW, Arc::new(Metrics::new())).unwrap().is_none());
}
