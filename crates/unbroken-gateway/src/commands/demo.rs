//! `unbroken demo`: an outage that nobody notices, with no key and no network.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use unbroken_drill::report::Scorecard;
use unbroken_drill::scenario::{Scenario, StageKind, Timed};

use crate::commands::serve::stop_signal;
use crate::config::Environment;
use crate::rehearsal::{Called, Ending, Happening, Stage, TARGETS};
use crate::terminal::{print, say, write};

/// What is played.
const DEMO: &str = include_str!("demo.toml");

/// Plays the demo; then goes on serving, unless `exit`.
pub(crate) async fn run(exit: bool, json: bool) -> ExitCode {
    let scenario = Scenario::read("the demo", DEMO);
    let played = match scenario {
        Ok(scenario) => play(&scenario, json).await,
        Err(error) => Err(error.to_string()),
    };
    let (stage, card) = match played {
        Ok(played) => played,
        Err(error) => {
            say(&format!("unbroken: {error}"));
            return ExitCode::FAILURE;
        }
    };
    if !json {
        print(&format!("\n{card}"));
    }
    if !exit && !json {
        print(&format!(
            "The gateway goes on serving. Try it, and stop it with Ctrl-C:\n\n  \
             curl -N {}/v1/chat/completions -H 'content-type: application/json' \\\n    \
             -d '{{\"model\": \"chat\", \"stream\": true, \"messages\": [{{\"role\": \"user\", \
             \"content\": \"Say hello\"}}]}}'\n",
            stage.url
        ));
        stop_signal().await;
    }
    stage.strike().await;
    if card.passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Sets a stage and plays a scenario on it, for people to watch or, with `json`, for programs.
pub(crate) async fn play(scenario: &Scenario, json: bool) -> Result<(Stage, Scorecard), String> {
    crate::log::start(&Environment::of_process(), "error");
    let stage = Stage::set(scenario).await?;
    let mut show = Show::new(!json);
    show.title(scenario);
    let card = stage.play(scenario, |at, happening| show.happens(at, happening)).await;
    show.end();
    if json {
        print(&serde_json::to_string(&card).unwrap_or_default());
    }
    Ok((stage, card))
}

/// Shows a rehearsal while it plays: a dot per answered call, in the colour of who answered.
struct Show {
    is_on: bool,
    has_colour: bool,
    line: Option<u64>,
    /// The half second of the last note.
    noted: u64,
}

/// Targets have fixed colours: blue, magenta, cyan.
const COLOURS: [&str; 3] = ["34", "35", "36"];

impl Show {
    fn new(is_on: bool) -> Self {
        let has_colour =
            std::io::stdout().is_terminal() && Environment::of_process().get("NO_COLOR").is_none();
        Self { is_on, has_colour, line: None, noted: u64::MAX }
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.has_colour { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// The title and the legend.
    fn title(&self, scenario: &Scenario) {
        if !self.is_on {
            return;
        }
        print(&format!("\n  {}\n", self.paint("1", &scenario.title)));
        let dialects = match scenario.stage {
            StageKind::Three => &["OpenAI", "Anthropic", "Gemini"][..],
            StageKind::Shared => &["OpenAI", "OpenAI"],
        };
        for ((target, dialect), colour) in TARGETS.iter().zip(dialects).zip(COLOURS) {
            let mark = self.paint(colour, Self::mark(target));
            print(&format!("  {mark}  answered by {target}, which speaks {dialect}'s dialect"));
        }
        print(&format!("  {}  a failure that the client saw\n", self.paint("1;31", "\u{2717}")));
    }

    /// Without colours the targets need letters.
    const fn mark(target: &str) -> &'static str {
        match target.as_bytes() {
            [b'f', ..] => "\u{25cf}",
            [b's', ..] => "\u{25c6}",
            _ => "\u{25b2}",
        }
    }

    /// Shows one thing.
    fn happens(&mut self, at: Duration, happening: &Happening<'_>) {
        if !self.is_on {
            return;
        }
        match happening {
            Happening::Called(call) => self.called(at, call),
            Happening::Strikes(timed) => {
                let text = format!("\u{26a1} {}", Self::describe(timed));
                self.note(at, &self.paint("1;31", &text));
            }
            Happening::Ends(timed) => {
                let target = TARGETS.get(timed.target).copied().unwrap_or_default();
                let text = format!("\u{271a} {target} is well again");
                self.note(at, &self.paint("1;32", &text));
            }
            Happening::Noted(note) => {
                let colour = if note.is_good { "32" } else { "33" };
                self.note(at, &self.paint(colour, &format!("  {}", note.text)));
            }
        }
    }

    fn describe(timed: &Timed) -> String {
        let target = TARGETS.get(timed.target).copied().unwrap_or_default();
        let fault = serde_json::to_value(timed.fault).unwrap_or_default();
        let name = fault.get("do").and_then(serde_json::Value::as_str).unwrap_or("fault");
        let share = match timed.share_per_mille {
            1000 => String::new(),
            share => format!(" for {} % of its calls", share / 10),
        };
        format!("{target} fails: {}{share}", name.replace('_', " "))
    }

    fn called(&mut self, at: Duration, call: &Called) {
        let half_second = u64::try_from(at.as_millis() / 500).unwrap_or(u64::MAX);
        if self.line != Some(half_second) {
            let lead = if self.line.is_some() { "\n" } else { "" };
            // A line that goes on after a note begins when it goes on.
            let begins = half_second as f64 / 2.0;
            let seconds = if self.noted == half_second { at.as_secs_f64() } else { begins };
            self.line = Some(half_second);
            write(&format!("{lead}  {} ", self.paint("2", &format!("{seconds:>4.1} s"))));
        }
        let (name, model) = call.target.split_once('/').unwrap_or_default();
        let name = if TARGETS.contains(&model) { model } else { name };
        let place = TARGETS.iter().position(|target| *target == name).unwrap_or(0);
        let mark = match &call.ending {
            Ending::Whole { lost: 0, repeated: 0 } => {
                self.paint(COLOURS.get(place).copied().unwrap_or("0"), Self::mark(name))
            }
            Ending::Whole { .. } | Ending::Broken | Ending::Refused(..) | Ending::Corrupt(_) => {
                self.paint("1;31", "\u{2717}")
            }
        };
        write(&format!(" {mark}"));
    }

    fn note(&mut self, at: Duration, text: &str) {
        let lead = if self.line.take().is_some() { "\n" } else { "" };
        self.noted = u64::try_from(at.as_millis() / 500).unwrap_or(u64::MAX);
        let at = self.paint("2", &format!("{:>4.1} s", at.as_secs_f64()));
        print(&format!("{lead}  {at}  {text}"));
    }

    /// Ends the last line.
    fn end(&mut self) {
        if self.is_on && self.line.take().is_some() {
            print("");
        }
    }
}
