//! The file: opened with care, asked in SQL.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, params_from_iter};

/// Another process may be writing: a gateway that takes over while this one drains.
const BUSY_WAIT: Duration = Duration::from_secs(2);

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Text(String),
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Int(number.into())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(is: bool) -> Self {
        Self::Int(is.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

/// A row of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row(Vec<Value>);

impl Row {
    pub(crate) fn int(&self, column: usize) -> Option<i64> {
        match self.0.get(column)? {
            Value::Int(number) => Some(*number),
            Value::Null | Value::Text(_) => None,
        }
    }

    pub(crate) fn count(&self, column: usize) -> u64 {
        self.int(column).and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
    }

    pub(crate) fn text(&self, column: usize) -> &str {
        match self.0.get(column) {
            Some(Value::Text(text)) => text,
            Some(Value::Null | Value::Int(_)) | None => "",
        }
    }
}

/// Why something could not be done.
#[derive(Debug)]
pub(crate) struct Fault(String);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<String> for Fault {
    fn from(message: String) -> Self {
        Self(message)
    }
}

/// An open file.
pub(crate) struct Database(Connection);

impl Database {
    /// Opens a file for writing and makes it if it is not there, for its owner's eyes only.
    ///
    /// # Errors
    /// When that is not possible.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let told =
            |error: &dyn fmt::Display| format!("{} cannot be opened: {error}", path.display());
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| told(&error))?;
        }
        create_private(path).map_err(|error| told(&error))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|error| told(&error))?;
        connection.busy_timeout(BUSY_WAIT).map_err(|error| told(&error))?;
        // Before the first table: space is given back when old calls go. A committed write
        // survives a killed process; a machine that loses power may lose the last seconds.
        let settings = "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;
                        PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 8388608;";
        connection.execute_batch(settings).map_err(|error| told(&error))?;
        Ok(Self(connection))
    }

    /// Opens a file that is there, and changes nothing in it.
    ///
    /// # Errors
    /// When there is no such file, or it cannot be read.
    pub(crate) fn open_to_read(path: &Path) -> Result<Self, String> {
        let told = |error: rusqlite::Error| format!("{} cannot be read: {error}", path.display());
        if !path.exists() {
            return Err(format!("there is no ledger at {}", path.display()));
        }
        // Reading beside a writer needs the right to take part in its locks.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let read_only = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)
            .or_else(|_| Connection::open_with_flags(path, read_only))
            .map_err(told)?;
        connection.busy_timeout(BUSY_WAIT).map_err(told)?;
        connection.execute_batch("PRAGMA query_only = 1").map_err(told)?;
        Ok(Self(connection))
    }

    /// Several statements without values.
    pub(crate) fn batch(&self, sql: &str) -> Result<(), Fault> {
        Ok(self.0.execute_batch(sql)?)
    }

    /// One statement; how many rows it changed.
    pub(crate) fn execute(&self, sql: &str, values: &[Value]) -> Result<usize, Fault> {
        Ok(self.0.prepare_cached(sql)?.execute(params_from_iter(values))?)
    }

    /// The rows of a question.
    pub(crate) fn rows(&self, sql: &str, values: &[Value]) -> Result<Vec<Row>, Fault> {
        let mut statement = self.0.prepare_cached(sql)?;
        let columns = statement.column_count();
        let rows = statement.query_map(params_from_iter(values), |row| {
            let value = |column| {
                Ok(match row.get_ref(column)? {
                    ValueRef::Null | ValueRef::Blob(_) => Value::Null,
                    ValueRef::Integer(number) => Value::Int(number),
                    ValueRef::Real(number) => Value::Int(number.round() as i64),
                    ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
                })
            };
            (0..columns).map(value).collect::<rusqlite::Result<Vec<Value>>>().map(Row)
        })?;
        Ok(rows.collect::<rusqlite::Result<Vec<Row>>>()?)
    }

    /// A single number; zero if there is none.
    pub(crate) fn number(&self, sql: &str) -> Result<i64, Fault> {
        Ok(self.rows(sql, &[])?.first().and_then(|row| row.int(0)).unwrap_or(0))
    }
}

fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map(drop)
}
