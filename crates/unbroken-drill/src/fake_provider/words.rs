//! What does the fake provider answer? Numbered words or another kind of text, thinking before it,
//! tool calls after it; from the start, or from where somebody else stopped.

use serde_json::{Value, json};

use super::conversation::Begun;
use super::manner::{Continues, Manner, Says};

/// What is asked, as far as the answer depends on it.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    pub(super) model: String,
    pub(super) stream: bool,
    /// Whether the answer is stored while it is made.
    pub(super) is_stored: bool,
    pub(super) include_usage: bool,
    pub(super) wants_json: bool,
    /// Tools by name, with their schemas.
    pub(super) tools: Vec<(String, Value)>,
    /// The last user's text, if the user spoke last.
    pub(super) wish: Option<String>,
    /// The answer that was begun, if there is one.
    pub(super) begun: Option<Begun>,
    pub(super) forced_tool: Option<String>,
    pub(super) max_words: Option<u64>,
    /// Texts that end the answer.
    pub(super) stops: Vec<String>,
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Content {
    /// Thinking, token by token.
    pub(super) thinking: Vec<String>,
    /// Text, token by token.
    pub(super) text: Vec<String>,
    /// Tool calls, by name and arguments.
    pub(super) calls: Vec<(String, Value)>,
    /// Why it ends.
    pub(super) finish: Finish,
}

/// Why an answer ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Finish {
    #[default]
    Stop,
    /// The limit of tokens was reached.
    Length,
    /// One of the texts that end answers came.
    Sequence(String),
    Calls,
}

impl Content {
    /// Its size, in tokens.
    pub(super) const fn tokens(&self) -> usize {
        self.thinking.len() + self.text.len() + self.calls.len() * 10
    }
}

/// Decides what to answer. `call NAME` in the user's last words asks for a tool call.
pub(super) fn decide(asked: &Asked, manner: &Manner, words: u32) -> Content {
    let whole = whole(asked, manner, manner.words.unwrap_or(words));
    let (is_continued, begun) = match &asked.begun {
        None => return limited(whole, asked),
        // A declared or natural prefill goes on; the others answer anew.
        Some(Begun::Prefill { text, .. }) => (true, text),
        Some(Begun::Asked { text, .. }) => (manner.continues != Continues::Restart, text),
    };
    let mut rest = whole;
    if let (true, Some(text)) = (is_continued, after(&rest.text, begun)) {
        rest.text = text;
        match (&asked.begun, manner.continues) {
            (Some(Begun::Asked { repeated, .. }), Continues::Exact) => {
                rest.text.splice(0..0, pieces(repeated, 6));
            }
            (Some(Begun::Asked { .. }), Continues::Preamble) => {
                let preamble =
                    ["Sure", ", I", " will", " continue", ":\n\n"].map(ToOwned::to_owned);
                rest.text.splice(0..0, preamble);
            }
            (Some(Begun::Asked { .. }), Continues::Straight | Continues::Restart) => {}
            (Some(Begun::Prefill { .. }) | None, _) => rest.thinking.clear(),
        }
    }
    limited(rest, asked)
}

/// The answer to everybody who asks anew.
fn whole(asked: &Asked, manner: &Manner, words: u32) -> Content {
    let called = |name: &str| {
        asked.forced_tool.as_deref() == Some(name)
            || asked.wish.as_deref().is_some_and(|text| calls(text, name))
    };
    let calls: Vec<(String, Value)> = asked
        .tools
        .iter()
        .filter(|(name, _)| called(name))
        .map(|(name, schema)| (name.clone(), example(schema, 0)))
        .collect();
    let thinking = numbered("t", manner.thinking_words);
    if let Says::This(said) = &manner.says {
        let finish = if said.calls.is_empty() { Finish::Stop } else { Finish::Calls };
        return Content {
            thinking: pieces(&said.thinking, 6),
            text: pieces(&said.text, 6),
            calls: said.calls.clone(),
            finish,
        };
    }
    if !calls.is_empty() {
        let text = numbered("w", manner.words_before_calls);
        return Content { thinking, text, calls, finish: Finish::Calls };
    }
    let text = if asked.wants_json { json_tokens(words) } else { text(&manner.says, words) };
    Content { thinking, text, ..Content::default() }
}

fn text(says: &Says, words: u32) -> Vec<String> {
    let count = usize::try_from(words).unwrap_or(usize::MAX);
    let repeat = |line: &str| {
        let tokens = pieces(line, 3);
        tokens.iter().cycle().take(count).cloned().collect()
    };
    match says {
        Says::Words | Says::This(_) => numbered("w", words),
        Says::Json => json_tokens(words),
        Says::Code => {
            let body: Vec<String> = (1..=words)
                .map(|n| format!("    if x == {n}:\n        return \"{n}\\n\"\n\n"))
                .collect();
            let program = format!("```python\ndef f(x):\n{}```\n", body.concat());
            pieces(&program, 7)
        }
        Says::Multibyte => repeat(MULTIBYTE),
    }
}

/// Joiners, skin tones, combining marks, flags, right-to-left text, Chinese without spaces.
const MULTIBYTE: &str = "👩‍👩‍👧‍👦 naïve e\u{301}te\u{301} 你好，世界。🏳️‍🌈 مرحبا 👋🏽 한국어 🇩🇪🇫🇷 ";

fn numbered(letter: &str, words: u32) -> Vec<String> {
    let word = |n: u32| if n == 1 { format!("{letter}1") } else { format!(" {letter}{n}") };
    (1..=words).map(word).collect()
}

fn json_tokens(words: u32) -> Vec<String> {
    let text = json!({ "words": numbered("w", words).concat(), "n": [1, 2.5, null, true] });
    // In pieces, as a model writes it.
    pieces(&text.to_string(), 6)
}

/// Text in tokens of so many characters.
pub(super) fn pieces(text: &str, size: usize) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(size).map(|piece| piece.iter().collect()).collect()
}

/// What follows `begun`; `None` if the answer does not begin like that.
fn after(text: &[String], begun: &str) -> Option<Vec<String>> {
    let whole = text.concat();
    let start = if whole.starts_with(begun) {
        begun.len()
    } else {
        // Only the end was quoted.
        whole.find(begun)? + begun.len()
    };
    let mut seen = 0;
    let mut rest = Vec::new();
    for token in text {
        let from = start.saturating_sub(seen).min(token.len());
        if let Some(tail) = token.get(from..).filter(|tail| !tail.is_empty()) {
            rest.push(tail.to_owned());
        }
        seen += token.len();
    }
    Some(rest)
}

/// Ends the answer where the request says that it ends.
fn limited(mut content: Content, asked: &Asked) -> Content {
    let whole = content.text.concat();
    let places = asked.stops.iter().filter_map(|stop| Some((whole.find(stop.as_str())?, stop)));
    if let Some((end, stop)) = places.min_by_key(|(place, _)| *place) {
        let mut room = end;
        content.text.retain_mut(|token| {
            let mut size = token.len().min(room);
            while !token.is_char_boundary(size) {
                size -= 1;
            }
            token.truncate(size);
            room -= size;
            size > 0
        });
        content.calls.clear();
        content.finish = Finish::Sequence(stop.clone());
    }
    let limit = asked.max_words.unwrap_or(u64::MAX).max(1);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if content.text.len() > limit {
        content.text.truncate(limit);
        content.calls.clear();
        content.finish = Finish::Length;
    }
    content
}

fn calls(text: &str, name: &str) -> bool {
    let words: Vec<&str> = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    words.contains(&"call") && words.contains(&name)
}

/// Arguments that match a schema.
fn example(schema: &Value, depth: u8) -> Value {
    if let Some(first) = schema.get("enum").and_then(|list| list.get(0)) {
        return first.clone();
    }
    let kind = schema.get("type").and_then(Value::as_str).unwrap_or("object");
    match kind.to_ascii_lowercase().as_str() {
        "string" => "Berlin".into(),
        "integer" => 7.into(),
        "number" => 1.5.into(),
        "boolean" => true.into(),
        "array" => json!([example(schema.get("items").unwrap_or(&Value::Null), depth + 1)]),
        _ if depth > 8 => json!({}),
        _ => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let fields = properties.into_iter().flatten();
            fields.map(|(key, schema)| (key.clone(), example(schema, depth + 1))).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(asked: &Asked, manner: &Manner) -> String {
        decide(asked, manner, 6).text.concat()
    }

    fn begun(begun: Begun) -> Asked {
        Asked { begun: Some(begun), ..Asked::default() }
    }

    fn asked(text: &str) -> Asked {
        begun(Begun::Asked { text: text.to_owned(), repeated: String::new() })
    }

    #[test]
    fn an_answer_goes_on_exactly_where_it_stopped() {
        for says in [Says::Words, Says::Code, Says::Json, Says::Multibyte] {
            let manner = Manner { says, ..Manner::default() };
            let whole = text_of(&Asked::default(), &manner);
            for (place, _) in whole.char_indices().skip(1) {
                let (head, tail) = whole.split_at(place);
                assert_eq!(text_of(&asked(head), &manner), tail, "after {head:?}");
                let prefill = Begun::Prefill { text: head.to_owned(), is_declared: false };
                assert_eq!(text_of(&begun(prefill), &manner), tail, "after {head:?}");
            }
        }
    }

    #[test]
    fn a_model_may_answer_anew_or_talk_first() {
        let manner = |continues| Manner { continues, ..Manner::default() };
        let exact = Manner::default();
        assert_eq!(text_of(&asked("w1 w2"), &manner(Continues::Restart)), "w1 w2 w3 w4 w5 w6");
        let preamble = "Sure, I will continue:\n\n w3 w4 w5 w6";
        assert_eq!(text_of(&asked("w1 w2"), &manner(Continues::Preamble)), preamble);
        assert_eq!(text_of(&asked(" w3"), &exact), " w4 w5 w6", "only the end is quoted");
        assert_eq!(text_of(&asked("nonsense"), &exact), "w1 w2 w3 w4 w5 w6");
        let (text, repeated) = ("w1 w2 w3".to_owned(), "w2 w3".to_owned());
        let told = begun(Begun::Asked { text, repeated });
        assert_eq!(text_of(&told, &exact), "w2 w3 w4 w5 w6", "as it was told");
        assert_eq!(text_of(&told, &manner(Continues::Straight)), " w4 w5 w6", "more or less");
    }

    #[test]
    fn limits_end_an_answer_and_say_so() {
        let manner = Manner::default();
        let limited = Asked { max_words: Some(2), ..asked("w1 w2") };
        let content = decide(&limited, &manner, 6);
        assert_eq!((content.text.concat().as_str(), content.finish), (" w3 w4", Finish::Length));
        let stopped = Asked { stops: vec!["w5".to_owned(), "4 w".to_owned()], ..Asked::default() };
        let content = decide(&stopped, &manner, 6);
        let finish = Finish::Sequence("4 w".to_owned());
        assert_eq!((content.text.concat().as_str(), content.finish), ("w1 w2 w3 w", finish));
    }
}
