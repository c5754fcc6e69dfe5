//! An attempt that goes on with a broken answer: only what fits is let through.

use unbroken_engine::cause::{FailureCause, Limitation};
use unbroken_engine::resume::How;
use unbroken_wire::chat::{Chat, FinishReason, OutputFormat, StreamEvent};
use unbroken_wire::dialects::Ended;
use unbroken_wire::resume::Prefill;
use unbroken_wire::seam::{Joined, Seam, Way};

/// An answer that its provider stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Its id there.
    pub(crate) id: String,
    /// The number of the last event that the client has; `None` if it has none.
    pub(crate) after: Option<u64>,
}

/// How an attempt goes on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resume {
    /// How it is asked.
    pub(crate) how: How,
    /// The text that the client has.
    pub(crate) text: String,
    /// About how many tokens it has.
    pub(crate) tokens: u64,
    /// How the target takes the beginning of an answer, if it does.
    pub(crate) prefill: Option<Prefill>,
    /// What is picked up.
    pub(crate) stored: Option<Stored>,
}

/// The place where two attempts meet.
#[derive(Debug)]
pub(super) struct Joint {
    seam: Seam,
    /// The whole text, for answers that must be JSON as a whole.
    json: Option<String>,
    has_text_before: bool,
    said: usize,
    passed: usize,
    is_joining: bool,
    is_over: bool,
}

impl Joint {
    pub(super) fn new(resume: Resume, chat: &Chat) -> Self {
        let way = match resume.how {
            How::Fresh | How::Restart | How::PickedUp => Way::Anew,
            How::Prefix => Way::Beginning,
            How::Instructed => Way::ToGoOn,
        };
        let wants_json = chat.output != OutputFormat::Text;
        Self {
            has_text_before: !resume.text.is_empty(),
            json: wants_json.then(|| resume.text.clone()),
            seam: Seam::new(way, resume.text, chat.stop.clone()),
            said: 0,
            passed: 0,
            is_joining: false,
            is_over: false,
        }
    }

    /// Bytes that go to the client, and bytes that were said.
    pub(super) const fn passed_of_said(&self) -> (usize, usize) {
        (self.passed, self.said)
    }

    /// Whether the client had text before.
    pub(super) const fn has_text_before(&self) -> bool {
        self.has_text_before
    }

    /// Whether the last text was kept, because it is not certain yet that it fits.
    pub(super) const fn is_joining(&self) -> bool {
        self.is_joining
    }

    /// Leaves of the events what the client may have; `true` if a stop text ended the answer.
    ///
    /// # Errors
    /// When it does not fit.
    pub(super) fn take(&mut self, events: &mut Vec<StreamEvent>) -> Result<bool, FailureCause> {
        self.is_joining = false;
        for event in std::mem::take(events) {
            let joined = match &event {
                StreamEvent::Text(text) => {
                    self.said += text.len();
                    self.is_joining = true;
                    self.seam.push(text)
                }
                // What the client has already is not thought about again.
                StreamEvent::Thinking(_) | StreamEvent::Proof(_) if self.has_text_before => {
                    self.is_joining = true;
                    continue;
                }
                StreamEvent::Start { .. } => continue,
                StreamEvent::Refusal(_) if self.has_text_before => Joined::Unfit,
                StreamEvent::ToolStart { .. } => self.seam.turn(),
                StreamEvent::Finish(finish) => {
                    let finish = *finish;
                    if self.end(finish, events)? {
                        return Ok(true);
                    }
                    Joined::Nothing
                }
                StreamEvent::Thinking(_)
                | StreamEvent::Proof(_)
                | StreamEvent::Refusal(_)
                | StreamEvent::ToolArguments { .. }
                | StreamEvent::ToolEnd { .. }
                | StreamEvent::Usage(_)
                | StreamEvent::Ping
                | StreamEvent::Error(_) => Joined::Nothing,
            };
            if self.pass(joined, events)? {
                return Ok(true);
            }
            if !matches!(event, StreamEvent::Text(_)) {
                events.push(event);
            }
        }
        Ok(false)
    }

    /// The answer is over.
    ///
    /// # Errors
    /// When it does not fit.
    pub(super) fn finish(
        &mut self,
        ended: Ended,
        events: &mut Vec<StreamEvent>,
    ) -> Result<(), FailureCause> {
        self.end(ended.finish(), events).map(|_| ())
    }

    fn end(
        &mut self,
        finish: FinishReason,
        events: &mut Vec<StreamEvent>,
    ) -> Result<bool, FailureCause> {
        if std::mem::replace(&mut self.is_over, true) {
            return Ok(false);
        }
        let joined = self.seam.finish();
        if joined == Joined::Unfit && self.said == 0 {
            return Err(FailureCause::EmptyAnswer);
        }
        if self.pass(joined, events)? {
            return Ok(true);
        }
        let is_json = |text: &String| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        let is_cut = matches!(finish, FinishReason::Length | FinishReason::Context);
        if !is_cut && self.has_text_before && self.json.as_ref().is_some_and(|text| !is_json(text))
        {
            return Err(FailureCause::Unjoinable);
        }
        Ok(false)
    }

    fn pass(
        &mut self,
        joined: Joined,
        events: &mut Vec<StreamEvent>,
    ) -> Result<bool, FailureCause> {
        match joined {
            Joined::Nothing => Ok(false),
            Joined::Unfit => Err(FailureCause::Unjoinable),
            Joined::Stopped => {
                self.is_over = true;
                Ok(true)
            }
            Joined::Text(text) => {
                self.passed += text.len();
                self.is_joining = false;
                if let Some(json) = &mut self.json {
                    json.push_str(&text);
                }
                events.push(StreamEvent::Text(text));
                Ok(false)
            }
        }
    }
}

/// A target that refuses the form of a request to go on is asked another way; the request itself
/// was fine.
pub(super) const fn of_form(how: How, cause: FailureCause) -> FailureCause {
    match (how, cause) {
        (
            How::Prefix,
            FailureCause::InvalidRequest { .. } | FailureCause::TargetCannot(Limitation::Feature),
        ) => FailureCause::PrefixRefused,
        // It does not know the answer any more; the model is well.
        (
            How::PickedUp,
            FailureCause::InvalidRequest { .. }
            | FailureCause::TargetCannot(_)
            | FailureCause::ModelGone
            | FailureCause::Misconfigured { .. },
        ) => FailureCause::Unjoinable,
        _ => cause,
    }
}
