//! What do refusals teach? A target that said it cannot carry something is not asked for it again
//! for a day; after that it is tried once more, because models change behind their names.
//!
//! Invariants: at most 1,000 models are remembered; nothing is learned that the request did not
//! ask for; what the operator says is never overruled.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use unbroken_engine::cause::{FailureCause, Limitation};
use unbroken_engine::time::Timestamp;
use unbroken_wire::error::ErrorBody;

use super::{Abilities, Need, Needs};
use crate::providers::{Fit, How};
use crate::route::Choice;

/// How long a lesson is remembered.
const REMEMBERED_FOR: Duration = Duration::from_secs(86_400);
/// More models are not remembered; the lesson that ends first is forgotten first.
const MODELS_MAX: usize = 1_000;
/// A smaller number is no context window.
const CONTEXT_MIN: u64 = 256;

/// Words of refusals, and what they say is lacking.
const WORDS: &[(Need, &[&str])] = &[
    (
        Need::Images,
        &[
            "image input",
            "image_url",
            "support image",
            "images are not supported",
            "multimodal",
            "support vision",
            "image content",
        ],
    ),
    (Need::Pdfs, &["pdf", "document", "file input", "support file", "files are not supported"]),
    (
        Need::Tools,
        &[
            "tool calling",
            "tool use",
            "tools is not supported",
            "support tools",
            "support tool",
            "support function",
            "tool choice requires",
        ],
    ),
    (
        Need::JsonSchema,
        &["json_schema", "response_format", "response format", "json mode", "structured output"],
    ),
];

/// What one refusal taught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lesson {
    /// The model lacks something.
    Lacks(Need),
    /// No more tokens fit into it.
    Context(u64),
    /// A field has to be left out or called otherwise.
    Refuses(Fit),
}

/// What a refusal teaches of its target, if anything.
pub(crate) fn lesson(cause: FailureCause, body: &ErrorBody, needs: Needs) -> Option<Lesson> {
    match cause {
        FailureCause::TargetCannot(Limitation::Context) => {
            context_in(&body.message).map(Lesson::Context)
        }
        FailureCause::TargetCannot(Limitation::Feature) => {
            let told = |(_, words): &&(Need, &[&str])| words.iter().any(|w| body.mentions(w));
            let is_asked = |(need, _): &&(Need, &[&str])| needs.has(*need);
            // A schema that is too much for it says nothing of other schemas.
            let is_about_all = !["too complex", "invalid schema", "is required", "circular"]
                .iter()
                .any(|words| body.mentions(words));
            let found = WORDS.iter().filter(is_asked).find(told).filter(|_| is_about_all);
            found.map(|(need, _)| Lesson::Lacks(*need))
        }
        _ => None,
    }
}

/// The window that a refusal names: "maximum context length is 8192 tokens", "1000001 > 1000000
/// maximum", "context size (512 tokens)", "limit for this model is 288000 tokens".
fn context_in(message: &str) -> Option<u64> {
    let lower = message.to_ascii_lowercase().replace(',', "");
    let after = |words: &str| {
        let rest = lower.get(lower.find(words)? + words.len()..)?;
        let start = rest.find(|c: char| c.is_ascii_digit()).filter(|at| *at <= 12)?;
        let digits: String = rest.get(start..)?.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u64>().ok()
    };
    let phrases = [
        "context length is",
        "context length (",
        "context length of",
        "context size (",
        "context window of",
        "context window is",
        "limit for this model is",
        "maximum number of tokens allowed (",
        "tokens >",
    ];
    phrases.iter().find_map(|words| after(words)).filter(|tokens| *tokens >= CONTEXT_MIN)
}

/// What was learned of all models.
#[derive(Debug, Default)]
pub(crate) struct Lessons(BTreeMap<(String, String), Learned>);

#[derive(Debug, Default)]
struct Learned {
    lacks: Vec<(Need, Timestamp)>,
    context: Option<(u64, Timestamp)>,
    fits: Vec<(Fit, Timestamp)>,
}

impl Learned {
    fn until(&self) -> Timestamp {
        let lacks = self.lacks.iter().map(|(_, until)| *until);
        let lacks = lacks.chain(self.fits.iter().map(|(_, until)| *until));
        lacks.chain(self.context.map(|(_, until)| until)).max().unwrap_or(Timestamp::ZERO)
    }
}

impl Lessons {
    /// Takes note of a lesson.
    pub(crate) fn learn(&mut self, choice: &Choice, lesson: Lesson, now: Timestamp) {
        let until = now + REMEMBERED_FOR;
        let name = (choice.endpoint.base_url.clone(), choice.model.clone());
        if self.0.len() >= MODELS_MAX && !self.0.contains_key(&name) {
            let first = self.0.iter().min_by_key(|(_, learned)| learned.until());
            if let Some(name) = first.map(|(name, _)| name.clone()) {
                self.0.remove(&name);
            }
        }
        let learned = self.0.entry(name).or_default();
        match lesson {
            Lesson::Lacks(need) => {
                learned.lacks.retain(|(other, _)| *other != need);
                learned.lacks.push((need, until));
            }
            Lesson::Context(tokens) => learned.context = Some((tokens, until)),
            Lesson::Refuses(fit) => {
                // The newest word counts, also of two names for one thing.
                let renamed = |other: &Fit| other.how == How::Rename(fit.field);
                learned.fits.retain(|(other, _)| other.field != fit.field && !renamed(other));
                learned.fits.push((fit, until));
            }
        }
    }

    /// Fields that a target was learned to refuse, and what is done about them.
    pub(crate) fn fits(&self, choice: &Choice, now: Timestamp) -> Vec<Fit> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let name = (choice.endpoint.base_url.clone(), choice.model.clone());
        let fits = self.0.get(&name).map_or(&[][..], |learned| &learned.fits);
        fits.iter().filter(|(_, until)| now < *until).map(|(fit, _)| *fit).collect()
    }

    /// What is known of a target, with what was learned.
    pub(crate) fn abilities<'a>(&self, choice: &'a Choice, now: Timestamp) -> Cow<'a, Abilities> {
        let known = Cow::Borrowed(choice.abilities());
        if self.0.is_empty() {
            return known;
        }
        let name = (choice.endpoint.base_url.clone(), choice.model.clone());
        let Some(learned) = self.0.get(&name) else { return known };
        let mut abilities = known.into_owned();
        let fresh = learned.lacks.iter().filter(|(_, until)| now < *until);
        abilities.lacks.extend(fresh.map(|(need, _)| *need));
        if let Some((tokens, _)) = learned.context.filter(|(_, until)| now < *until) {
            abilities.context = Some(tokens);
        }
        Cow::Owned(abilities)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::endpoint::Endpoint;
    use crate::providers::OPENAI_COMPATIBLE;

    fn choice(model: &str) -> Choice {
        let endpoint = Endpoint::new(&OPENAI_COMPATIBLE, None).at("http://a");
        Choice::new(Arc::new(endpoint), model.to_owned())
    }

    fn needs(of: &[Need]) -> Needs {
        Needs::with(of, 10)
    }

    fn taught(limitation: Limitation, message: &str, of: &[Need]) -> Option<Lesson> {
        let body = serde_json::json!({ "error": { "message": message } }).to_string();
        let body = ErrorBody::read(body.as_bytes());
        lesson(FailureCause::TargetCannot(limitation), &body, needs(of))
    }

    #[test]
    fn windows_are_read_from_recorded_refusals() {
        let window = |message| taught(Limitation::Context, message, &[]);
        for (message, tokens) in [
            (
                "This model's maximum context length is 1048565 tokens. However, you requested 1250025",
                1_048_565,
            ),
            (
                "request (2009 tokens) exceeds the available context size (512 tokens), try increasing it",
                512,
            ),
            ("prompt is too long: 1284668 tokens > 1000000 maximum", 1_000_000),
            (
                "too many tokens: size limit exceeded. The limit for this model is 288000 tokens.",
                288_000,
            ),
            (
                "The input (9000 tokens) is longer than the model's context length (8192 tokens).",
                8_192,
            ),
            ("exceeds the maximum number of tokens allowed (1048576).", 1_048_576),
        ] {
            assert_eq!(window(message), Some(Lesson::Context(tokens)), "{message}");
        }
        assert_eq!(window("prompt too long; exceeded max context length by 1119046 tokens"), None);
        assert_eq!(window("reduce the length of the messages"), None);
    }

    #[test]
    fn a_refusal_teaches_only_what_was_asked_for() {
        let words = "image input is not supported - hint: you may need to provide the mmproj";
        let lesson = taught(Limitation::Feature, words, &[Need::Images, Need::Tools]);
        assert_eq!(lesson, Some(Lesson::Lacks(Need::Images)));
        assert_eq!(taught(Limitation::Feature, words, &[Need::Tools]), None);
        let words = "`tool calling` is not supported with this model";
        let lesson = taught(Limitation::Feature, words, &[Need::Tools]);
        assert_eq!(lesson, Some(Lesson::Lacks(Need::Tools)));
        let words = "Invalid schema for response_format 'x'";
        assert_eq!(taught(Limitation::Feature, words, &[Need::JsonSchema]), None, "that schema");
    }

    #[test]
    fn of_two_names_for_one_thing_the_newest_refusal_counts() {
        let mut lessons = Lessons::default();
        let now = Timestamp::after_start(Duration::from_secs(1));
        let old = Fit::rename("max_tokens", "max_completion_tokens");
        let new = Fit::rename("max_completion_tokens", "max_tokens");
        for fit in [old, Fit::drop("user"), Fit::drop("user"), new] {
            lessons.learn(&choice("m"), Lesson::Refuses(fit), now);
        }
        assert_eq!(lessons.fits(&choice("m"), now), [Fit::drop("user"), new]);
        assert_eq!(lessons.fits(&choice("m"), now + REMEMBERED_FOR), []);
        assert_eq!(lessons.fits(&choice("other"), now), []);
    }

    #[test]
    fn lessons_are_forgotten_after_a_day_and_bounded() {
        let mut lessons = Lessons::default();
        let at = |seconds: u64| Timestamp::after_start(Duration::from_secs(seconds));
        let known = |lessons: &Lessons, model: &str, now| {
            let choice = choice(model);
            let abilities = lessons.abilities(&choice, now);
            (abilities.lacks.len(), abilities.context)
        };
        lessons.learn(&choice("m"), Lesson::Lacks(Need::Images), at(0));
        lessons.learn(&choice("m"), Lesson::Context(512), at(10));
        assert_eq!(known(&lessons, "m", at(86_399)), (1, Some(512)));
        assert_eq!(known(&lessons, "m", at(86_400)), (0, Some(512)));
        assert_eq!(known(&lessons, "m", at(86_410)), (0, None));
        for n in 0..2_000 {
            lessons.learn(&choice(&n.to_string()), Lesson::Context(n + 300), at(20 + n));
        }
        assert_eq!(lessons.0.len(), MODELS_MAX);
        assert_eq!(known(&lessons, "1999", at(3_000)), (0, Some(2_299)));
        assert_eq!(known(&lessons, "m", at(3_000)), (0, None), "the oldest went first");
    }
}
