//! What is wrong with a configuration, where, and what would be right.

use std::fmt;
use std::ops::Range;

/// Everything that is wrong with one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigErrors {
    file: String,
    source: String,
    errors: Vec<(Option<Range<usize>>, String)>,
}

impl ConfigErrors {
    pub(crate) fn new(file: &str, source: &str) -> Self {
        Self { file: file.to_owned(), source: source.to_owned(), errors: Vec::new() }
    }

    /// Notes an error, at the place where it stands if that is known.
    pub(crate) fn add(&mut self, at: Option<Range<usize>>, message: impl Into<String>) {
        self.errors.push((at, message.into()));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (at, message)) in self.errors.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            let Some(at) = at else {
                write!(f, "{}: {message}", self.file)?;
                continue;
            };
            let before = self.source.get(..at.start).unwrap_or_default();
            let line = before.matches('\n').count();
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
            let text = self.source.lines().nth(line).map(without_key).unwrap_or_default();
            let marked = self.source.get(at.clone()).unwrap_or_default();
            let width = marked.lines().next().unwrap_or_default().chars().count().max(1);
            write!(f, "{}:{}:{}: {message}", self.file, line + 1, column + 1)?;
            let number = (line + 1).to_string();
            let gutter = " ".repeat(number.len());
            write!(f, "\n {gutter} |\n {number} | {text}\n {gutter} | ")?;
            write!(f, "{}{}", " ".repeat(column), "^".repeat(width))?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Settings whose value is a secret, or has one in it.
const SECRETS: [&str; 3] = ["key", "token", "webhook"];

/// Errors end up in logs: a line that sets a key is shown up to the key.
fn without_key(line: &str) -> String {
    match line.split_once('=') {
        Some((name, value)) if SECRETS.contains(&name.trim()) && !value.contains("${") => {
            format!("{name}= …")
        }
        Some(_) | None => line.to_owned(),
    }
}

/// ` (did you mean `x`?)` for the nearest name that is valid, if one is near.
pub(crate) fn did_you_mean<'a>(typed: &str, valid: impl IntoIterator<Item = &'a str>) -> String {
    let distance = |name: &&str| strsim::damerau_levenshtein(typed, name);
    let nearest = valid.into_iter().min_by_key(distance);
    match nearest.filter(|name| distance(name) <= (typed.len() / 3).max(2)) {
        Some(name) => format!("; did you mean `{name}`?"),
        None => String::new(),
    }
}

/// The message of the TOML reader, with the nearest valid name for an unknown one.
pub(crate) fn explain(error: &toml::de::Error) -> String {
    let message = error.message().trim_end();
    let mut names = message.split('`').skip(1).step_by(2);
    match (message.starts_with("unknown"), names.next()) {
        (true, Some(typed)) => {
            let valid: Vec<&str> = names.collect();
            format!("{message}{}", did_you_mean(typed, valid))
        }
        _ => message.to_owned(),
    }
}
