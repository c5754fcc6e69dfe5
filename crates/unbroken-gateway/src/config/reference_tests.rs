//! The list against the reader of the file: what it says is tried.

use std::collections::BTreeSet;
use std::sync::Arc;

use unbroken::endpoint::Endpoint;

use super::reference::settings::SECTIONS;
use super::reference::{Default, Kind, Section, Setting, page, schema};
use super::{Environment, Plan};

/// A file with a line in a section, and what the section cannot be without.
fn file(section: &str, name: &str, line: &str) -> String {
    let without = |lines: &[&str]| {
        let kept = lines.iter().filter(|kept| !kept.starts_with(&format!("{name} =")));
        kept.map(|line| format!("{line}\n")).collect::<String>()
    };
    let provider = ["name = \"a\"", "provider = \"openai\"", "key = \"k\""];
    let whole = format!("[[provider]]\n{}\n", without(&[]) + &provider.join("\n"));
    match section {
        "" => format!("{line}\n"),
        // Only machines in a cloud have a metadata server.
        "provider" if name == "metadata" => {
            let cloud = "provider = \"vertex\"\nregion = \"global\"\nbase_url = \"http://h\"";
            format!("[[provider]]\nname = \"a\"\n{cloud}\n{line}\n")
        }
        "provider" => {
            let address = if name == "dialect" { "base_url = \"http://h\"\n" } else { "" };
            format!("[[provider]]\n{}{address}{line}\n", without(&provider))
        }
        "provider.models" => {
            format!("{whole}[[provider.models]]\n{}{line}\n", without(&["name = \"m\""]))
        }
        "provider.models.price" => {
            let price = without(&["input = 1.0", "output = 1.0"]);
            let models = "[[provider.models]]\nname = \"m\"\n[provider.models.price]\n";
            format!("{whole}{models}{price}{line}\n")
        }
        "route" => {
            let route = ["name = \"r\"", "targets = [\"a/m\"]"];
            format!("{whole}[[route]]\n{}{line}\n", without(&route))
        }
        "route.tiers" => {
            let target = if name == "target" { "" } else { "target = \"a/m\", " };
            format!("{whole}[[route]]\nname = \"r\"\ntiers = [[{{ {target}{line} }}, \"a/n\"]]\n")
        }
        "route.stream" => {
            format!("{whole}[[route]]\nname = \"r\"\ntargets = [\"a/m\"]\n[route.stream]\n{line}\n")
        }
        "admin" => {
            let token = ["token = \"0123456789abcdef\""];
            format!("[admin]\n{}{line}\n", without(&token))
        }
        table => format!("[{table}]\n{line}\n{}", company(table, name)),
    }
}

/// Other settings of the table, without which the bounds of this one cannot be reached.
fn company(table: &str, name: &str) -> &'static str {
    match (table, name) {
        ("limits", "connect" | "first_token") => "total = \"24h\"\n",
        ("limits", "total") => "connect = \"1ns\"\nfirst_token = \"1ns\"\n",
        ("breaker", "recovery_max") => "recovery = \"1ns\"\n",
        _ => "",
    }
}

fn read(source: &str) -> Result<String, String> {
    let plan = Plan::read("f", source, &Environment::default());
    let shown = |plan: Plan| {
        // An endpoint shows little of itself.
        let more = |endpoint: &Arc<Endpoint>| (endpoint.http2, endpoint.prefill);
        let more: Vec<_> = plan.endpoints.values().map(more).collect();
        format!("{plan:?} {more:?}")
    };
    plan.map(shown).map_err(|errors| errors.to_string())
}

fn with(section: &Section, setting: &Setting, value: &str) -> Result<String, String> {
    let literal = match setting.kind {
        Kind::Flag | Kind::Whole { .. } | Kind::Number { .. } => value.to_owned(),
        _ => format!("\"{value}\""),
    };
    read(&file(section.name, setting.name, &format!("{} = {literal}", setting.name)))
}

fn every() -> impl Iterator<Item = (&'static Section, &'static Setting)> {
    SECTIONS.iter().flat_map(|section| section.settings.iter().map(move |s| (section, s)))
}

#[test]
fn every_name_that_the_reader_takes_is_in_the_list_and_no_other() {
    for section in SECTIONS {
        let error = read(&file(section.name, "zzz", "zzz = 1")).expect_err("nobody knows zzz");
        let told = error.lines().find(|line| line.contains("unknown field `zzz`"));
        let told = told.unwrap_or_else(|| panic!("{}: {error}", section.name));
        let told = told.split("; did you mean").next().unwrap();
        let taken: BTreeSet<&str> = told.split('`').skip(3).step_by(2).collect();
        let listed: BTreeSet<&str> = section.settings.iter().map(|s| s.name).collect();
        assert_eq!(taken, listed, "[{}]", section.name);
    }
}

#[test]
fn every_table_that_is_referred_to_is_there() {
    let names: Vec<&str> = SECTIONS.iter().map(|section| section.name).collect();
    let mut referred = BTreeSet::from([""]);
    for (_, setting) in every() {
        if let Kind::Table(name) | Kind::Tables(name) | Kind::Tiers(name) = setting.kind {
            assert!(names.contains(&name), "{name}");
            referred.insert(name);
        }
    }
    assert_eq!(referred, names.into_iter().collect());
}

#[test]
fn every_default_is_what_holds_without_it_and_another_value_is_not() {
    for (section, setting) in every() {
        let Default::Is(default) = setting.default else { continue };
        let place = format!("{}.{}", section.name, setting.name);
        // A line that says nothing, so that the company of the setting is there, too.
        let without = read(
            &file(section.name, setting.name, "# nothing")
                .replace("{ target = \"a/m\", # nothing }", "{ target = \"a/m\" }"),
        );
        let without = without.unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(with(section, setting, default).unwrap(), without, "{place}");
        let other = match setting.kind {
            Kind::Flag => (default == "false").to_string(),
            Kind::Whole { .. } => (default.parse::<u64>().unwrap() + 1).to_string(),
            Kind::Number { .. } => "0.5".to_owned(),
            Kind::Span { .. } => "7s500ms".to_owned(),
            Kind::Age { .. } => "7d".to_owned(),
            Kind::Size { .. } => "7MiB".to_owned(),
            Kind::Address => "127.0.0.1:1".to_owned(),
            Kind::OneOf(words) => {
                let other = words.iter().find(|word| **word != default);
                (*other.unwrap()).to_owned()
            }
            kind => panic!("{place}: what is another value of {kind:?}?"),
        };
        let other = with(section, setting, &other).unwrap_or_else(|e| panic!("{place}: {e}"));
        assert_ne!(other, without, "{place} does nothing");
    }
}

/// What is just inside and just outside.
fn edges(kind: Kind) -> (Vec<String>, Vec<String>) {
    let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    match kind {
        Kind::Span { may_be_zero, most } => {
            let longer = format!("{most}1ms");
            let mut inside = own(&["1ns", most]);
            let mut outside = own(&[&longer, "-1s", "1"]);
            if may_be_zero { &mut inside } else { &mut outside }.push("0s".to_owned());
            (inside, outside)
        }
        Kind::Age { most } => {
            let more = most.replacen('0', "1", 1);
            (own(&["1s", most]), own(&["0s", &more, "1"]))
        }
        Kind::Size { least, most } => {
            let more = most.replacen('1', "2", 1);
            let less = least.replacen('1', "0", 1);
            (own(&[least, most]), own(&[&less, &more, "1"]))
        }
        Kind::Whole { least, most } => {
            let less = i64::try_from(least).unwrap() - 1;
            let inside = vec![least.to_string(), most.to_string()];
            (inside, vec![less.to_string(), (most + 1).to_string(), "\"1\"".to_owned()])
        }
        Kind::Number { least, most } => {
            let (less, more): (f64, f64) = (least.parse().unwrap(), most.parse().unwrap());
            let outside = [less - 0.001, more + 0.001].map(|number| format!("{number:?}"));
            (own(&[least, most]), [&outside[..], &own(&["-1.0", "nan"])].concat())
        }
        Kind::OneOf(words) => (own(words), own(&["zzz", ""])),
        Kind::Address => (own(&["[::1]:1"]), own(&["127.0.0.1", "zzz", ""])),
        Kind::Url => (own(&["http://h:1/v1"]), own(&["ftp://h", "http://", "http://h?a=b", ""])),
        Kind::Flag => (own(&["true", "false"]), own(&["1", "\"true\""])),
        Kind::Text
        | Kind::SomeOf(_)
        | Kind::Texts
        | Kind::Table(_)
        | Kind::Tables(_)
        | Kind::Tiers(_) => (Vec::new(), Vec::new()),
    }
}

#[test]
fn every_bound_is_where_the_list_says() {
    for (section, setting) in every() {
        let (inside, outside) = edges(setting.kind);
        for value in inside {
            let read = with(section, setting, &value);
            assert!(read.is_ok(), "[{}] {} = {value}: {read:?}", section.name, setting.name);
        }
        for value in outside {
            let read = with(section, setting, &value);
            assert!(read.is_err(), "[{}] {} = {value} was taken", section.name, setting.name);
        }
    }
}

#[test]
fn words_that_are_lists_are_tried_too() {
    for (section, setting) in every() {
        let Kind::SomeOf(words) = setting.kind else { continue };
        let line = |words: &[&str]| format!("{} = {words:?}", setting.name);
        let read_words = |words: &[&str]| read(&file(section.name, setting.name, &line(words)));
        assert!(read_words(words).is_ok(), "{}", setting.name);
        assert!(read_words(&["zzz"]).is_err(), "{}", setting.name);
        // The reader names the ones that it takes.
        let told = read_words(&["zzz"]).unwrap_err();
        for word in words {
            assert!(told.contains(word), "{told}");
        }
    }
}

#[test]
fn the_schema_and_the_page_have_everything() {
    let (schema, page) = (schema(), page());
    for (section, setting) in every() {
        let table = match section.name {
            "" => &schema,
            name => &schema["definitions"][name],
        };
        let property = &table["properties"][setting.name];
        let described = property["description"].as_str().unwrap_or_default();
        assert!(described.starts_with(setting.meaning), "{}", setting.name);
        if let Default::Is(default) = setting.default {
            let literal = &property["default"];
            let literal = literal.as_str().map_or_else(|| literal.to_string(), str::to_owned);
            assert_eq!(literal, default, "{}", setting.name);
        }
        let row = format!("| `{}` | {} |", setting.name, setting.meaning);
        assert!(page.contains(&row), "{row}");
    }
}
