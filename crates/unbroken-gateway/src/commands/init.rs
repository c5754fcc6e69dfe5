//! `unbroken init`: a file to start from, made from the keys that are there.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::schema;
use crate::config::{Environment, Plan, Tiers};
use crate::terminal::{print, say};

/// What editors read, beside the file.
const SCHEMA: &str = "unbroken.schema.json";

/// What can be chosen.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Where to write it; a file that exists is left alone
    #[arg(long, default_value = "unbroken.toml")]
    file: PathBuf,
    /// Print it instead
    #[arg(long)]
    print: bool,
}

/// Writes or prints the file.
pub(crate) fn run(options: &Options) -> ExitCode {
    let text = file(&Environment::of_process());
    if options.print {
        print(text.trim_end());
        return ExitCode::SUCCESS;
    }
    match write(&options.file, &text) {
        Ok(()) => {
            let path = options.file.display();
            print(&format!(
                "wrote {path}; `unbroken check` tells what it says, `unbroken serve` runs it"
            ));
            // The editor's help; one that is there may be of another version, which `--help` of
            // `unbroken schema` tells how to renew.
            if write(&options.file.with_file_name(SCHEMA), &schema::text()).is_ok() {
                print(&format!("wrote {SCHEMA}, which tells editors what may stand there"));
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            let path = options.file.display();
            say(&format!("unbroken: {path} was not written: {error}; `--print` shows the text"));
            ExitCode::FAILURE
        }
    }
}

/// Never over a file that is there.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())
}

/// The text of the file.
fn file(environment: &Environment) -> String {
    let plan = Plan::zero(environment);
    let mut text = format!(
        "#:schema ./{SCHEMA}\n# The configuration of `unbroken serve`. It is read again when it \
         changes; a mistake in it changes nothing.\n# Every setting: `unbroken schema --page`, or \
         docs/configuration-reference.md\n\nlisten = \"127.0.0.1:4110\"\n"
    );
    for endpoint in plan.endpoints.values() {
        let (name, key) = (&endpoint.name, &endpoint.key_name);
        let _ = write!(
            text,
            "\n[[provider]]\nname = \"{name}\"    # its key: {key}, which was found\n"
        );
    }
    if plan.endpoints.is_empty() {
        text.push_str(
            "\n# No key was found in the environment. With OPENAI_API_KEY set:\n\
             # [[provider]]\n# name = \"openai\"\n",
        );
    }
    text.push_str(
        "\n# A server of your own:\n# [[provider]]\n# name = \"local\"\n# dialect = \"openai-chat\"    \
         # or openai-responses, anthropic-messages, gemini\n# base_url = \"http://127.0.0.1:8000/v1\"\n",
    );
    routes(&mut text, &plan);
    text.push_str(
        "\n# How long to wait before another target is asked (these are the defaults):\n# [limits]\n\
         # first_token = \"10s\"\n# answer = \"60s\"\n# total = \"600s\"\n\
         \n# The dashboard and the admin API, at http://127.0.0.1:4111:\n",
    );
    let mark = if environment.get("UNBROKEN_ADMIN_TOKEN").is_some() { "" } else { "# " };
    let _ = write!(text, "{mark}[admin]\n{mark}token = \"${{UNBROKEN_ADMIN_TOKEN}}\"\n");
    text
}

/// A route for every size of model, over the vendors whose keys are there.
fn routes(text: &mut String, plan: &Plan) {
    let tiers = Tiers::built_in();
    for tier in tiers.names() {
        let models = tiers.standing_for(tier).into_iter();
        let ours = models.filter(|(vendor, _)| plan.endpoints.contains_key(*vendor));
        let targets: Vec<String> =
            ours.map(|(vendor, model)| format!("\"{vendor}/{model}\"")).collect();
        let note = match targets.len() {
            0 => continue,
            1 => "only one: a second provider's key would let its model stand in",
            _ => "in order of preference; the others stand in",
        };
        let targets = targets.join(", ");
        let _ = write!(
            text,
            "\n[[route]]\nname = \"{tier}\"    # what clients send as `model`\n\
             targets = [{targets}]    # {note}\n"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(variables: &[(&str, &str)]) -> (String, Plan) {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let environment: Environment = variables.iter().map(own).collect();
        let text = file(&environment);
        let plan = Plan::read("init", &text, &environment);
        (text.clone(), plan.unwrap_or_else(|errors| panic!("{errors}\n{text}")))
    }

    #[test]
    fn what_is_written_is_right_and_uses_the_keys_that_are_there() {
        let keys = [("OPENAI_API_KEY", "sk-secret"), ("ANTHROPIC_API_KEY", "sk-secret")];
        let (text, found) = plan(&keys);
        assert_eq!(found.endpoints.keys().collect::<Vec<_>>(), ["anthropic", "openai"]);
        assert_eq!(found.routes.keys().collect::<Vec<_>>(), ["large", "small"]);
        assert_eq!(found.routes["large"].tiers.len(), 2);
        assert!(found.admin.is_none());
        assert!(!text.contains("sk-secret"), "{text}");

        let (_, found) = plan(&[("UNBROKEN_ADMIN_TOKEN", "0123456789abcdef")]);
        assert!(found.admin.is_some() && found.endpoints.is_empty() && found.routes.is_empty());
    }

    #[test]
    fn what_is_commented_out_is_right_too() {
        let (text, _) = plan(&[("OPENAI_API_KEY", "k")]);
        let is_setting =
            |line: &str| line.starts_with("# ") && (line.contains(" = \"") || line.contains("# ["));
        let all: Vec<&str> =
            text.lines().map(|line| if is_setting(line) { &line[2..] } else { line }).collect();
        let environment = [("OPENAI_API_KEY", "k"), ("UNBROKEN_ADMIN_TOKEN", "0123456789abcdef")];
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let plan = Plan::read("init", &all.join("\n"), &environment.collect());
        let plan = plan.unwrap_or_else(|errors| panic!("{errors}"));
        assert!(plan.endpoints.contains_key("local") && plan.admin.is_some());
    }

    #[test]
    fn a_file_that_is_there_is_left_alone() {
        let path = std::env::temp_dir().join(format!("unbroken-init-{}", std::process::id()));
        write(&path, "mine").unwrap();
        assert!(write(&path, "other").is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        std::fs::remove_file(path).unwrap();
    }
}
