//! Is this event nothing but a piece of text? Nearly all events of a stream are: they are read
//! without building their JSON. Whatever holds anything else is read in full instead.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The text of a chunk of Chat Completions that says nothing else.
pub(super) fn chat_text(data: &str) -> Option<Cow<'_, str>> {
    let chunk: Chunk<'_> = serde_json::from_str(data).ok()?;
    let Chunk { choices: One(choice), usage: Nothing, error: Nothing, .. } = chunk;
    let is_first = choice.index.is_none_or(|index| index == 0);
    choice.delta.content.map(|Borrowed(text)| text).filter(|text| is_first && !text.is_empty())
}

/// The text of an event of Messages that is a text delta and nothing else.
pub(super) fn messages_text(data: &str) -> Option<Cow<'_, str>> {
    let event: BlockDelta<'_> = serde_json::from_str(data).ok()?;
    let is_text = event.kind.0 == "content_block_delta" && event.delta.kind.0 == "text_delta";
    Some(event.delta.text.0).filter(|text| is_text && !text.is_empty())
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    choices: One<Choice<'a>>,
    #[serde(default)]
    usage: Nothing,
    #[serde(default)]
    error: Nothing,
    #[serde(default, rename = "x_groq")]
    _x_groq: Nothing,
    /// `chat.completion.chunk`; an error is told here, too.
    #[serde(default, borrow, rename = "object")]
    _object: Option<Word<'a>>,
    #[serde(default, borrow, rename = "type")]
    _type: Option<Word<'a>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    index: Option<u64>,
    #[serde(borrow)]
    delta: Delta<'a>,
    #[serde(default, rename = "message")]
    _message: Nothing,
    #[serde(default, rename = "finish_reason")]
    _finish: Nothing,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    content: Option<Borrowed<'a>>,
    #[serde(default, rename = "reasoning_content")]
    _reasoning_content: Nothing,
    #[serde(default, rename = "reasoning")]
    _reasoning: Nothing,
    #[serde(default, rename = "reasoning_details")]
    _details: Nothing,
    #[serde(default, rename = "refusal")]
    _refusal: Nothing,
    #[serde(default, rename = "tool_calls")]
    _calls: Nothing,
    #[serde(default, rename = "tool_call")]
    _call: Nothing,
    #[serde(default, rename = "function_call")]
    _function: Nothing,
    #[serde(default, rename = "audio")]
    _audio: Nothing,
    #[serde(default, rename = "annotations")]
    _annotations: Nothing,
}

#[derive(Deserialize)]
struct BlockDelta<'a> {
    #[serde(borrow, rename = "type")]
    kind: Borrowed<'a>,
    #[serde(borrow)]
    delta: TextDelta<'a>,
    #[serde(default, rename = "error")]
    _error: Nothing,
}

#[derive(Deserialize)]
struct TextDelta<'a> {
    #[serde(borrow, rename = "type")]
    kind: Borrowed<'a>,
    #[serde(borrow)]
    text: Borrowed<'a>,
}

/// A string, borrowed unless it has escapes.
pub(super) struct Borrowed<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Borrowed<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Cow<'de, str>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }
        deserializer.deserialize_str(Text).map(Self)
    }
}

/// A word that does not name an error.
struct Word<'a>(std::marker::PhantomData<&'a ()>);

impl<'de: 'a, 'a> Deserialize<'de> for Word<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = Borrowed::deserialize(deserializer)?;
        if word.0 == "error" {
            return Err(serde::de::Error::custom("an error"));
        }
        Ok(Self(std::marker::PhantomData))
    }
}

/// Absent, null, or empty: an object, a list or a string without anything in it.
#[derive(Default)]
pub(super) struct Nothing;

impl<'de> Deserialize<'de> for Nothing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Empty;
        impl<'de> Visitor<'de> for Empty {
            type Value = Nothing;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("nothing")
            }

            fn visit_unit<E>(self) -> Result<Nothing, E> {
                Ok(Nothing)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Nothing, E> {
                if text.is_empty() { Ok(Nothing) } else { Err(E::custom("something")) }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Nothing, A::Error> {
                match list.next_element::<IgnoredAny>()? {
                    None => Ok(Nothing),
                    Some(_) => Err(serde::de::Error::custom("something")),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Nothing, A::Error> {
                match map.next_key::<IgnoredAny>()? {
                    None => Ok(Nothing),
                    Some(_) => Err(serde::de::Error::custom("something")),
                }
            }
        }
        deserializer.deserialize_any(Empty)
    }
}

/// A list of exactly one.
pub(super) struct One<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for One<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Single<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Single<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of one")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<T, A::Error> {
                let wrong = || serde::de::Error::custom("not one");
                let one = list.next_element()?.ok_or_else(wrong)?;
                match list.next_element::<IgnoredAny>()? {
                    None => Ok(one),
                    Some(_) => Err(wrong()),
                }
            }
        }
        deserializer.deserialize_seq(Single(std::marker::PhantomData)).map(One)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_read_and_everything_else_is_left_to_the_reader() {
        let chat = |choice: &str| {
            format!(
                r#"{{"id":"1","object":"chat.completion.chunk","choices":[{choice}],"usage":null}}"#
            )
        };
        let plain = chat(
            r#"{"index":0,"delta":{"role":"assistant","content":"a\nb","refusal":null,"tool_calls":[]},"logprobs":null,"finish_reason":null}"#,
        );
        assert_eq!(chat_text(&plain).as_deref(), Some("a\nb"));
        for other in [
            chat(r#"{"index":1,"delta":{"content":"a"}}"#),
            chat(r#"{"index":0,"delta":{"content":""}}"#),
            chat(r#"{"index":0,"delta":{"content":null}}"#),
            chat(r#"{"index":0,"delta":{"content":[{"type":"text","text":"a"}]}}"#),
            chat(r#"{"index":0,"delta":{"content":"a","reasoning":"b"}}"#),
            chat(r#"{"index":0,"delta":{"content":"a","tool_calls":[{"index":0}]}}"#),
            chat(r#"{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}"#),
            chat(r#"{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{}}"#),
            chat(""),
            plain.replace("\"usage\":null", "\"usage\":{\"prompt_tokens\":1}"),
            plain.replace("\"usage\":null", "\"error\":{\"message\":\"x\"}"),
            plain.replace("\"usage\":null", "\"type\":\"error\""),
            plain.replace("chat.completion.chunk", "error"),
            plain.replace('}', ""),
        ] {
            assert_eq!(chat_text(&other), None, "{other}");
        }
    }

    #[test]
    fn text_deltas_of_messages_are_read_and_nothing_else() {
        let event = |kind: &str, delta: &str| {
            format!(r#"{{"type":"{kind}","index":0,"delta":{delta},"p":"abc"}}"#)
        };
        let text = r#"{"type":"text_delta","text":"Gr\u00fc\u00dfe"}"#;
        let plain = event("content_block_delta", text);
        assert_eq!(messages_text(&plain).as_deref(), Some("Gr\u{fc}\u{df}e"));
        for other in [
            event("message_delta", text),
            event("content_block_delta", r#"{"type":"thinking_delta","text":"a"}"#),
            event("content_block_delta", r#"{"type":"input_json_delta","partial_json":"a"}"#),
            event("content_block_delta", r#"{"type":"text_delta","text":""}"#),
            plain.replace("\"p\":\"abc\"", "\"error\":{\"type\":\"x\"}"),
        ] {
            assert_eq!(messages_text(&other), None, "{other}");
        }
    }
}
