//! The tables of `docs/configuration-reference.md`.

use std::fmt::Write as _;

use super::{Default, SECTIONS, Section, Setting, anchor};

/// Every section, in the order of the list.
pub(crate) fn page() -> String {
    let mut page = String::new();
    for section in SECTIONS {
        write_section(&mut page, section);
    }
    page
}

/// Writing to a string does not fail.
fn write_section(page: &mut String, section: &Section) {
    let Section { name, title, about, settings } = section;
    let place = anchor(name);
    let _ = write!(page, "\n<a id=\"{place}\"></a>\n## {title}\n\n{about}\n\n");
    page.push_str(
        "| setting | meaning | form | default | bounds | since |\n|---|---|---|---|---|---|\n",
    );
    for setting in *settings {
        let Setting { name, kind, meaning, since, .. } = setting;
        let (form, default, bounds) = (kind.form(), default(setting), bounds(setting));
        let _ =
            writeln!(page, "| `{name}` | {meaning} | {form} | {default} | {bounds} | {since} |");
    }
}

fn default(setting: &Setting) -> String {
    match setting.default {
        Default::Required => "must be there".to_owned(),
        Default::Absent => "none".to_owned(),
        Default::Is(value) => format!("`{value}`"),
        Default::Said(words) => words.to_owned(),
    }
}

fn bounds(setting: &Setting) -> String {
    let bounds = setting.kind.bounds();
    match (bounds.is_empty(), setting.also) {
        (_, "") => bounds,
        (true, also) => also.to_owned(),
        (false, also) => format!("{bounds}; {also}"),
    }
}
