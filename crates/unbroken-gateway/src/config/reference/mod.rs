//! What may stand in `unbroken.toml`? One list, from which the JSON Schema and the page
//! `docs/configuration-reference.md` are made. The tests beside this folder hold it against the
//! reader of the file: every name, every default and every bound.
//!
//! It uses nothing of the program but `serde_json`: `cargo xtask docs` compiles it, too.

mod page;
mod schema;
pub(crate) mod settings;

pub(crate) use page::page;
pub(crate) use schema::schema;
use settings::SECTIONS;

/// One table of the file.
#[derive(Debug)]
pub(crate) struct Section {
    /// Its path, `route.stream`; empty for the file itself.
    pub(crate) name: &'static str,
    /// How it is written, for people.
    pub(crate) title: &'static str,
    /// What it is about.
    pub(crate) about: &'static str,
    /// What may stand in it.
    pub(crate) settings: &'static [Setting],
}

/// One name that may stand in a table.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) default: Default,
    /// What it means, as a fragment.
    pub(crate) meaning: &'static str,
    /// Bounds that the kind does not tell.
    pub(crate) also: &'static str,
    /// The first version that has it.
    pub(crate) since: &'static str,
}

/// What a value looks like, and its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// http or https, with a host.
    Url,
    /// `address:port`.
    Address,
    Flag,
    /// A duration, at most this long.
    Span {
        may_be_zero: bool,
        most: &'static str,
    },
    /// A duration of seconds, minutes, hours or days, at most this long.
    Age {
        most: &'static str,
    },
    /// Bytes, from so many to so many.
    Size {
        least: &'static str,
        most: &'static str,
    },
    /// A number without a fraction.
    Whole {
        least: u64,
        most: u64,
    },
    /// A number.
    Number {
        least: &'static str,
        most: &'static str,
    },
    OneOf(&'static [&'static str]),
    SomeOf(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// The table of a section.
    Table(&'static str),
    /// A list of such tables.
    Tables(&'static str),
    /// A list of lists of texts or tables of a section.
    Tiers(&'static str),
}

/// What holds if nothing is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Default {
    /// It must be typed.
    Required,
    /// Nothing: what it would do is off, or nothing is there.
    Absent,
    /// This value.
    Is(&'static str),
    /// What these words say.
    Said(&'static str),
}

impl Kind {
    /// The unit or the form, for people.
    fn form(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Url => "URL".to_owned(),
            Self::Address => "address and port".to_owned(),
            Self::Flag => "`true` or `false`".to_owned(),
            Self::Span { .. } => "duration".to_owned(),
            Self::Age { .. } => "age".to_owned(),
            Self::Size { .. } => "size".to_owned(),
            Self::Whole { .. } => "whole number".to_owned(),
            Self::Number { .. } => "number".to_owned(),
            Self::OneOf(_) => "one of the words".to_owned(),
            Self::SomeOf(_) => "list of the words".to_owned(),
            Self::Texts => "list of texts".to_owned(),
            Self::Table(section) => format!("table, see [`{section}`](#{})", anchor(section)),
            Self::Tables(section) => {
                format!("list of tables, see [`{section}`](#{})", anchor(section))
            }
            Self::Tiers(section) => format!(
                "list of lists of texts or of tables, see [`{section}`](#{})",
                anchor(section)
            ),
        }
    }

    /// The bounds, for people.
    fn bounds(self) -> String {
        match self {
            Self::Span { may_be_zero: true, most } => format!("at most `{most}`"),
            Self::Span { may_be_zero: false, most } => format!("above zero, at most `{most}`"),
            Self::Age { most } => format!("`1s` to `{most}`"),
            Self::Size { least, most } => format!("`{least}` to `{most}`"),
            Self::Whole { least, most } => format!("{least} to {most}"),
            Self::Number { least, most } => format!("{least} to {most}"),
            Self::OneOf(words) | Self::SomeOf(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
                words.join(", ")
            }
            Self::Url => "http or https, with a host, without a query".to_owned(),
            Self::Text
            | Self::Address
            | Self::Flag
            | Self::Texts
            | Self::Table(_)
            | Self::Tables(_)
            | Self::Tiers(_) => String::new(),
        }
    }
}

/// The place of a section in the page.
fn anchor(section: &str) -> String {
    if section.is_empty() { "the-file".to_owned() } else { section.replace('.', "-") }
}
