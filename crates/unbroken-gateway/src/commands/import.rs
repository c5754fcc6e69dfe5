//! `unbroken import`: an `unbroken.toml` from what another gateway was told.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::import::{self, Imported, PortkeyAsked};
use crate::terminal::{print, say};

/// From whom.
#[derive(Clone, Debug, clap::Subcommand)]
pub(crate) enum From {
    /// LiteLLM's config.yaml
    Litellm {
        /// The file
        file: PathBuf,
        /// Write here instead of to stdout; a file that exists is left alone
        #[arg(long)]
        output: Option<PathBuf>,
    },
    /// A Portkey config, as JSON
    Portkey {
        /// The file
        file: PathBuf,
        /// Write here instead of to stdout; a file that exists is left alone
        #[arg(long)]
        output: Option<PathBuf>,
        /// What clients will send as `model`
        #[arg(long, default_value = "chat")]
        route: String,
        /// The model of targets that do not say their own
        #[arg(long)]
        model: Option<String>,
    },
}

/// Reads, writes, and says on stderr what has no equivalent.
pub(crate) fn run(from: From) -> ExitCode {
    let (file, output) = match &from {
        From::Litellm { file, output } | From::Portkey { file, output, .. } => {
            (file.clone(), output.clone())
        }
    };
    let read = std::fs::read_to_string(&file).map_err(|error| format!("cannot be read: {error}"));
    let imported = read.and_then(|text| match from {
        From::Litellm { .. } => import::litellm(&text),
        From::Portkey { route, model, .. } => {
            import::portkey(&text, &PortkeyAsked { route, model })
        }
    });
    let written = imported.and_then(|imported| {
        write(output.as_ref(), &imported.text)?;
        Ok(imported)
    });
    match written {
        Ok(imported) => {
            tell(&imported);
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&format!("unbroken: {}: {error}", file.display()));
            ExitCode::FAILURE
        }
    }
}

fn write(output: Option<&PathBuf>, text: &str) -> Result<(), String> {
    let Some(path) = output else {
        print(text.trim_end());
        return Ok(());
    };
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| format!("{} was not written: {error}", path.display()))
}

fn tell(imported: &Imported) {
    for note in &imported.notes {
        say(&format!("not the same here: {note}"));
    }
    let variables: Vec<&str> = imported.variables.keys().map(String::as_str).collect();
    if !variables.is_empty() {
        say(&format!("needs in the environment: {}", variables.join(", ")));
    }
}
