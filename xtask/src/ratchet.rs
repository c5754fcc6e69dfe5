//! How long may a function be? Not longer than the longest of its file was: that bound only goes
//! down. New files have a bound of their own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// In a file that is not listed no function is longer.
const FREE: usize = 45;
/// In no file is a function longer.
const MOST: usize = 70;
/// The files whose longest function is longer than [`FREE`], and how long it is.
const LIST: &str = "xtask/longest-functions.txt";

/// The functions of a file: where each begins, and its lines. rustfmt makes indentation reliable.
fn functions(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let bare = line.trim_start();
        if !is_function(bare) || bare.ends_with(';') {
            continue;
        }
        let end_line = format!("{}}}", " ".repeat(line.len() - bare.len()));
        if let Some(end) = lines.iter().skip(start).position(|line| *line == end_line) {
            found.push((start + 1, end + 1));
        }
    }
    found
}

fn is_function(line: &str) -> bool {
    let words = ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe"];
    let mut rest = line.split(' ').skip_while(|word| words.contains(word));
    rest.next() == Some("fn")
}

fn longest(text: &str) -> Option<(usize, usize)> {
    functions(text).into_iter().max_by_key(|(_, length)| *length)
}

fn listed(root: &Path) -> BTreeMap<String, usize> {
    let list = fs::read_to_string(root.join(LIST)).unwrap_or_default();
    let line = |line: &str| {
        let (name, length) = line.rsplit_once(' ')?;
        Some((name.to_owned(), length.parse().ok()?))
    };
    list.lines().filter_map(line).collect()
}

/// Functions that are longer than their file allows, and bounds that could be lower.
pub(crate) fn faults(root: &Path, files: &[(String, String)], faults: &mut Vec<String>) {
    let listed = listed(root);
    for (name, text) in files {
        let bound = listed.get(name).copied();
        let Some((place, length)) = longest(text) else { continue };
        let allowed = bound.unwrap_or(FREE).min(MOST);
        if length > allowed {
            faults.push(format!(
                "{name}:{place}: function: {length} lines, {allowed} are the most here; split it"
            ));
        } else if bound.is_some_and(|bound| length < bound) {
            faults.push(format!(
                "{LIST}:1: ratchet: the longest function of {name} has {length} lines by now; run \
                 `cargo xtask docs`"
            ));
        }
    }
    for gone in listed.keys().filter(|name| !files.iter().any(|(file, _)| file == *name)) {
        faults.push(format!("{LIST}:1: ratchet: {gone} is gone; run `cargo xtask docs`"));
    }
}

/// Writes the list: bounds go down, and what is new is let in up to [`MOST`].
pub(crate) fn write(root: &Path, files: &[(String, String)]) -> std::io::Result<()> {
    let listed = listed(root);
    let mut list = String::new();
    for (name, text) in files {
        let Some((_, length)) = longest(text) else { continue };
        let length = listed.get(name).map_or(length, |bound| length.min(*bound));
        if length > FREE {
            // Writing to a string does not fail.
            let _ = writeln!(list, "{name} {length}");
        }
    }
    fs::write(root.join(LIST), list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_found_whatever_stands_before_them() {
        let text = "pub(crate) const fn a() {\n    x();\n}\n\nimpl X {\n    async fn b(\n        &self,\n    ) {\n    }\n\n    fn declared();\n}\n";
        assert_eq!(functions(text), [(1, 3), (6, 4)]);
    }

    #[test]
    fn a_bound_only_goes_down() {
        let folder = std::env::temp_dir().join(format!("ratchet-{}", std::process::id()));
        fs::create_dir_all(folder.join("xtask")).unwrap();
        let file = |length: usize| {
            let text = format!("fn long() {{\n{}}}\n", "    x();\n".repeat(length - 2));
            [("a.rs".to_owned(), text)]
        };
        let count = |files: &[(String, String)]| {
            let mut found = Vec::new();
            faults(&folder, files, &mut found);
            found.len()
        };
        assert_eq!((count(&file(FREE)), count(&file(FREE + 1))), (0, 1));
        write(&folder, &file(60)).unwrap();
        assert_eq!((count(&file(60)), count(&file(61)), count(&file(59))), (0, 1, 1));
        write(&folder, &file(65)).unwrap();
        assert_eq!((count(&file(60)), count(&file(65))), (0, 1), "it did not grow");
        fs::remove_dir_all(folder).unwrap();
    }
}
