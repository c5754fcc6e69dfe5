//! What is the model asked for: a new answer, or the rest of one that was begun?

/// One message, as far as the answer depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) role: Role,
    pub(super) text: String,
    /// Whether the request says that this message is the beginning of the answer.
    pub(super) is_prefix: bool,
}

/// Who spoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    User,
    Model,
    /// A tool.
    Result,
}

/// What is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// The user's last wish; `None` if a tool's result came last.
    pub(super) wish: Option<String>,
    /// The answer that was begun, if there is one.
    pub(super) begun: Option<Begun>,
}

/// An answer that somebody began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// An assistant's message stands at the end.
    Prefill { text: String, is_declared: bool },
    /// A user's message asks to go on after this text, and to say its end once more.
    Asked { text: String, repeated: String },
}

/// Reads a conversation from its end.
pub(super) fn hear(turns: &[Turn]) -> Heard {
    let wish_of = |turns: &[Turn]| {
        turns.last().filter(|turn| turn.role == Role::User).map(|turn| turn.text.clone())
    };
    match turns {
        [before @ .., last] if last.role == Role::Model && !last.text.is_empty() => Heard {
            wish: wish_of(before),
            begun: Some(Begun::Prefill { text: last.text.clone(), is_declared: last.is_prefix }),
        },
        [before @ .., answer, last] if is_plea(last) && answer.role == Role::Model => {
            let text = answer.text.clone();
            let repeated = repeated(&text, &last.text).to_owned();
            Heard { wish: wish_of(before), begun: Some(Begun::Asked { text, repeated }) }
        }
        [before @ .., last] if is_plea(last) => Heard {
            wish: wish_of(before),
            begun: quoted(&last.text)
                .map(|text| Begun::Asked { text: text.to_owned(), repeated: String::new() }),
        },
        turns => Heard { wish: wish_of(turns), begun: None },
    }
}

/// Whether a user asks for the rest of an answer that was interrupted.
fn is_plea(turn: &Turn) -> bool {
    let text = turn.text.to_lowercase();
    turn.role == Role::User
        && text.contains("continue")
        && ["cut off", "interrupted", "broke off", "incomplete"]
            .iter()
            .any(|sign| text.contains(sign))
}

/// The end of the answer as the plea quotes it.
fn quoted(text: &str) -> Option<&str> {
    let (_, after) = text.split_once("<<<")?;
    after.rsplit_once(">>>").map(|(quoted, _)| quoted)
}

/// The end of the answer that the plea quotes, if it asks to begin with it.
fn repeated<'a>(answer: &'a str, plea: &str) -> &'a str {
    if !plea.contains("repeating exactly") {
        return "";
    }
    let starts = answer.char_indices().map(|(start, _)| answer.get(start..).unwrap_or_default());
    let mut tails = starts.filter(|tail| plea.contains(&format!("\n\n{tail}\n\n")));
    tails.next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(role: Role, text: &str) -> Turn {
        Turn { role, text: text.to_owned(), is_prefix: false }
    }

    const PLEA: &str =
        "Your reply was cut off. It ended with: <<<w2>>>. Continue exactly after it.";

    #[test]
    fn a_conversation_is_heard_from_its_end() {
        use Role::{Model, Result, User};
        let wish = |text: &str| Some(text.to_owned());
        let asked = |text: &str, repeated: &str| {
            Some(Begun::Asked { text: text.to_owned(), repeated: repeated.to_owned() })
        };
        let repeating = "It was cut off. It ended:\n\nb w2\n\nContinue by repeating exactly these.";
        let prefill = Some(Begun::Prefill { text: "w1 w2".to_owned(), is_declared: false });
        for (turns, heard) in [
            (vec![turn(User, "hi")], Heard { wish: wish("hi"), begun: None }),
            (
                vec![turn(User, "hi"), turn(Model, "w1 w2")],
                Heard { wish: wish("hi"), begun: prefill },
            ),
            (
                vec![turn(User, "hi"), turn(Model, "w1 w2"), turn(User, PLEA)],
                Heard { wish: wish("hi"), begun: asked("w1 w2", "") },
            ),
            (
                vec![turn(User, "hi"), turn(Model, "w1 b w2"), turn(User, repeating)],
                Heard { wish: wish("hi"), begun: asked("w1 b w2", "b w2") },
            ),
            (
                vec![turn(User, "hi"), turn(User, PLEA)],
                Heard { wish: wish("hi"), begun: asked("w2", "") },
            ),
            (
                vec![turn(User, "hi"), turn(Model, "w1"), turn(User, "please continue the story")],
                Heard { wish: wish("please continue the story"), begun: None },
            ),
            (vec![turn(User, "hi"), turn(Model, ""), turn(Result, "sunny")], Heard::default()),
        ] {
            assert_eq!(hear(&turns), heard, "{turns:?}");
        }
    }
}
