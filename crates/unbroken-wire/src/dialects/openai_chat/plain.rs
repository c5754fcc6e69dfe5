//! Requests and answers that hold nothing but text, read without building their JSON. Whatever
//! holds anything else is left to the full readers; debug builds compare the two.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use super::answer::finish_reason;
use crate::chat::{Answer, Block, Usage};
use crate::dialects::fields::FewFields;
use crate::dialects::plain::{Borrowed, Nothing, One};
use crate::raw::{Members, Outline};

/// The roles of plain messages.
const ROLES: &[&str] = &["system", "developer", "user", "assistant"];

/// A message of a request.
pub(super) enum Message<'a> {
    /// One of the usual roles and a text, and nothing else.
    Plain { role: Cow<'a, str>, text: Cow<'a, str> },
    /// Anything else.
    Full(Value),
}

impl<'a> Message<'a> {
    fn plain(message: PlainMessage<'a>) -> Self {
        let PlainMessage { role: Borrowed(role), content: Borrowed(text) } = message;
        Self::Plain { role, text }
    }
}

/// The body without its messages, and these; nothing if there are none, or the body is wrong.
pub(super) fn split<'a>(
    body: &'a [u8],
    outline: Option<&Outline>,
) -> Option<(FewFields, Vec<Message<'a>>)> {
    let (mut rest, mut messages) = (FewFields::default(), None);
    for (key, raw) in Members::of(body, outline).ok()?.into_members() {
        if key == "messages" {
            messages = Some(raw);
        } else {
            rest.set(key.into_owned(), serde_json::from_str(raw).ok()?);
        }
    }
    Some((rest, read_messages(messages?)?))
}

fn read_messages(raw: &str) -> Option<Vec<Message<'_>>> {
    if let Ok(messages) = serde_json::from_str::<Vec<PlainMessage<'_>>>(raw)
        && messages.iter().all(PlainMessage::is_plain)
    {
        return Some(messages.into_iter().map(Message::plain).collect());
    }
    let messages: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
    messages.into_iter().map(|raw| read_message(raw.get())).collect()
}

fn read_message(raw: &str) -> Option<Message<'_>> {
    match serde_json::from_str::<PlainMessage<'_>>(raw) {
        Ok(message) if message.is_plain() => Some(Message::plain(message)),
        Ok(_) | Err(_) => serde_json::from_str(raw).ok().map(Message::Full),
    }
}

/// An answer that is one text and nothing else.
pub(super) fn answer(body: &[u8]) -> Option<Answer> {
    let body: PlainAnswer<'_> = serde_json::from_slice(body).ok()?;
    let One(choice) = body.choices;
    let text = choice.message.content.map(|Borrowed(text)| text).filter(|text| !text.is_empty())?;
    let native = choice.finish_reason.as_ref().map_or("", |Borrowed(native)| native);
    // These are no answers.
    if native == "error" || native == "insufficient_system_resource" {
        return None;
    }
    let owned = |text: Option<Borrowed<'_>>| text.map(|Borrowed(text)| text.into_owned());
    Some(Answer {
        id: owned(body.id).unwrap_or_default(),
        model: owned(body.model).unwrap_or_default(),
        blocks: vec![Block::Text(text.into_owned())],
        finish: finish_reason(native, false),
        usage: body.usage.and_then(usage),
    })
}

/// As the reader of whole answers reads it.
fn usage(counts: Counts) -> Option<Usage> {
    let Counts { prompt_tokens: input, completion_tokens: output, .. } = counts;
    let (input, output) = (input?, output.unwrap_or_default());
    let prompt = counts.prompt_tokens_details.unwrap_or_default();
    let completion = counts.completion_tokens_details.unwrap_or_default();
    let reasoning = completion.reasoning_tokens.unwrap_or_default();
    let total = counts.total_tokens.unwrap_or_default();
    let is_apart = reasoning > 0 && total == input + output + reasoning;
    let cached = prompt.cached_tokens.or(counts.prompt_cache_hit_tokens);
    Some(Usage {
        input,
        cached: cached.unwrap_or_default(),
        cache_written: prompt.cache_write_tokens.unwrap_or_default(),
        output: if is_apart { output + reasoning } else { output },
        reasoning,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainMessage<'a> {
    #[serde(borrow)]
    role: Borrowed<'a>,
    #[serde(borrow)]
    content: Borrowed<'a>,
}

impl PlainMessage<'_> {
    fn is_plain(&self) -> bool {
        ROLES.contains(&self.role.0.as_ref())
    }
}

/// Any other field may mean something: then it is not plain.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainAnswer<'a> {
    #[serde(borrow)]
    id: Option<Borrowed<'a>>,
    #[serde(borrow)]
    model: Option<Borrowed<'a>>,
    #[serde(borrow)]
    choices: One<Choice<'a>>,
    usage: Option<Counts>,
    #[serde(default, rename = "object")]
    _object: Object,
    #[serde(default, rename = "created")]
    _created: IgnoredAny,
    #[serde(default, rename = "system_fingerprint")]
    _fingerprint: IgnoredAny,
    #[serde(default, rename = "service_tier")]
    _tier: IgnoredAny,
}

#[derive(Default, Deserialize)]
enum Object {
    #[default]
    #[serde(rename = "chat.completion")]
    Answer,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Choice<'a> {
    #[serde(borrow)]
    message: AnswerMessage<'a>,
    #[serde(borrow)]
    finish_reason: Option<Borrowed<'a>>,
    #[serde(default, rename = "index")]
    _index: IgnoredAny,
    #[serde(default, rename = "logprobs")]
    _logprobs: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerMessage<'a> {
    #[serde(borrow)]
    content: Option<Borrowed<'a>>,
    #[serde(default, rename = "role")]
    _role: IgnoredAny,
    #[serde(default, rename = "refusal")]
    _refusal: Nothing,
    #[serde(default, rename = "annotations")]
    _annotations: Nothing,
    #[serde(default, rename = "tool_calls")]
    _calls: Nothing,
    #[serde(default, rename = "function_call")]
    _call: Nothing,
    #[serde(default, rename = "reasoning_content")]
    _reasoning: Nothing,
}

#[derive(Default, Deserialize)]
struct Counts {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_cache_hit_tokens: Option<u64>,
    prompt_tokens_details: Option<Details>,
    completion_tokens_details: Option<Details>,
}

#[derive(Default, Deserialize)]
struct Details {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"m",
        "choices":[{"index":0,"message":{"role":"assistant","content":"a\nb","refusal":null,
        "annotations":[]},"logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":8,
        "completion_tokens":9,"total_tokens":20,"prompt_tokens_details":{"cached_tokens":4},
        "completion_tokens_details":{"reasoning_tokens":3}},"service_tier":"default"}"#;

    #[test]
    fn a_plain_answer_is_read_as_the_full_reader_reads_it() {
        let full = super::super::answer::of_body(&serde_json::from_str(PLAIN).unwrap()).unwrap();
        assert_eq!(answer(PLAIN.as_bytes()), Some(full));
        let without = PLAIN.replace("\"finish_reason\":\"length\"", "\"finish_reason\":null");
        assert!(answer(without.as_bytes()).is_some());
    }

    #[test]
    fn whatever_holds_more_is_left_to_the_full_reader() {
        for (from, to) in [
            ("\"content\":\"a\\nb\"", "\"content\":\"\""),
            ("\"content\":\"a\\nb\"", "\"content\":null"),
            ("\"refusal\":null", "\"refusal\":\"no\""),
            ("\"refusal\":null", "\"audio\":{}"),
            ("\"annotations\":[]", "\"tool_calls\":[{\"id\":\"1\"}]"),
            ("\"finish_reason\":\"length\"", "\"finish_reason\":\"error\""),
            ("\"index\":0,", "\"error\":{\"code\":1},"),
            ("chat.completion", "error"),
            ("\"created\":1", "\"error\":{\"message\":\"x\"}"),
            ("\"prompt_tokens\":8", "\"prompt_tokens\":8.5"),
            ("}],\"usage\"", "},{}],\"usage\""),
            ("\"service_tier\":\"default\"}", "\"service_tier\":\"default\""),
        ] {
            let other = PLAIN.replace(from, to);
            assert_ne!(other, PLAIN, "{from}");
            assert_eq!(answer(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn messages_are_plain_or_whole() {
        let body = r#"{"n":1,"messages":[{"role":"user","content":"a\u0062"},
            {"role":"user","content":"x","name":"n"},{"role":"user"},7],"a":null}"#;
        let (rest, messages) = split(body.as_bytes(), None).unwrap();
        assert_eq!(format!("{rest:?}"), r#"FewFields([("n", Number(1)), ("a", Null)])"#);
        let kinds: Vec<&str> = messages
            .iter()
            .map(|message| match message {
                Message::Plain { text, .. } => text.as_ref(),
                Message::Full(_) => "full",
            })
            .collect();
        assert_eq!(kinds, ["ab", "full", "full", "full"]);
        for wrong in ["{}", r#"{"messages":{}}"#, r#"{"messages":[}"#, "[]"] {
            assert!(split(wrong.as_bytes(), None).is_none(), "{wrong}");
        }
    }
}
