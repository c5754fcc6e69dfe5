//! How is one field of a body replaced without touching the rest? By splicing bytes.
//!
//! Everything but the spliced value stays byte for byte as it came: key order, number text,
//! unknown fields, white space. Prompt caches depend on it.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of a JSON object, in their order, values as they stand in the body.
#[derive(Debug)]
pub struct Members<'a> {
    body: &'a str,
    list: Vec<(Cow<'a, str>, &'a str)>,
}

/// Where the members of a body stand in it, so that it need not be split again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    size: usize,
    places: Vec<Place>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    key: KeyPlace,
    value: Range<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum KeyPlace {
    At(Range<usize>),
    /// It has escapes.
    Unescaped(Box<str>),
}

/// The body is not a JSON object; says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAnObject(pub String);

impl fmt::Display for NotAnObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the body is not a JSON object: {}", self.0)
    }
}

impl std::error::Error for NotAnObject {}

impl<'a> Members<'a> {
    /// Splits a body into its members. Values are skipped, not built, so depth costs nothing.
    ///
    /// # Errors
    /// When the body is not UTF-8, not JSON, or not an object.
    pub fn split(body: &'a [u8]) -> Result<Self, NotAnObject> {
        let text = std::str::from_utf8(body).map_err(|error| NotAnObject(error.to_string()))?;
        let mut json = serde_json::Deserializer::from_str(text);
        let list = json.deserialize_map(Collect).map_err(|error| NotAnObject(error.to_string()))?;
        json.end().map_err(|error| NotAnObject(error.to_string()))?;
        Ok(Self { body: text, list })
    }

    /// Where they stand.
    #[must_use]
    pub fn outline(&self) -> Outline {
        let place = |(key, value): &(Cow<'_, str>, &str)| {
            let key = match key {
                Cow::Borrowed(key) => KeyPlace::At(self.range_of(key)),
                Cow::Owned(key) => KeyPlace::Unescaped(key.as_str().into()),
            };
            Place { key, value: self.range_of(value) }
        };
        Outline { size: self.body.len(), places: self.list.iter().map(place).collect() }
    }

    /// The members of a body that was split before; split again, if the outline is another body's.
    ///
    /// # Errors
    /// As those of `split`.
    pub fn of(body: &'a [u8], outline: Option<&Outline>) -> Result<Self, NotAnObject> {
        let known = outline.and_then(|outline| Self::at(body, outline));
        known.map_or_else(|| Self::split(body), Ok)
    }

    fn at(body: &'a [u8], outline: &Outline) -> Option<Self> {
        if body.len() != outline.size {
            return None;
        }
        let text = std::str::from_utf8(body).ok()?;
        let member = |Place { key, value }: &Place| {
            let key = match key {
                KeyPlace::At(range) => Cow::Borrowed(text.get(range.clone())?),
                KeyPlace::Unescaped(key) => Cow::Owned(key.to_string()),
            };
            Some((key, text.get(value.clone())?))
        };
        let list = outline.places.iter().map(member).collect::<Option<_>>()?;
        Some(Self { body: text, list })
    }

    /// The members in their order, values as they stand in the body.
    pub(crate) fn into_members(self) -> impl Iterator<Item = (Cow<'a, str>, &'a str)> {
        self.list.into_iter()
    }

    /// The value of a member as it stands in the body; the last one, if it is there twice.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.list.iter().rev().find(|(name, _)| name == key).map(|(_, value)| *value)
    }

    /// The value of a member that is a string.
    #[must_use]
    pub fn get_str(&self, key: &str) -> Option<String> {
        serde_json::from_str(self.get(key)?).ok()
    }

    /// The body with the value of `key` replaced by `json`, in every place where it stands, or put
    /// in front if it is missing.
    #[must_use]
    pub fn with(&self, key: &str, json: &str) -> Vec<u8> {
        let mut out = String::with_capacity(self.body.len() + json.len() + key.len() + 4);
        let mut copied = 0;
        for (_, value) in self.list.iter().filter(|(name, _)| name == key) {
            let start = self.range_of(value).start;
            out.push_str(self.body.get(copied..start).unwrap_or_default());
            out.push_str(json);
            copied = start + value.len();
        }
        if copied == 0 {
            let after_brace = self.body.find('{').map_or(0, |at| at + 1);
            out.push_str(self.body.get(..after_brace).unwrap_or_default());
            let comma = if self.list.is_empty() { "" } else { "," };
            out.push_str(&format!("{}:{json}{comma}", serde_json::Value::from(key)));
            copied = after_brace;
        }
        out.push_str(self.body.get(copied..).unwrap_or_default());
        out.into_bytes()
    }

    /// The body without the members named `keys`; the others stay in their order, their values
    /// untouched.
    #[must_use]
    pub fn without(&self, keys: &[&str]) -> Vec<u8> {
        let mut out = String::with_capacity(self.body.len());
        let kept = self.list.iter().filter(|(name, _)| !keys.contains(&name.as_ref()));
        for (index, (name, value)) in kept.enumerate() {
            out.push(if index == 0 { '{' } else { ',' });
            out.push_str(&serde_json::Value::from(name.as_ref()).to_string());
            out.push(':');
            out.push_str(value);
        }
        if out.is_empty() {
            out.push('{');
        }
        out.push('}');
        out.into_bytes()
    }

    /// Where a part of the body stands in it.
    fn range_of(&self, part: &str) -> Range<usize> {
        let start = part.as_ptr().addr().saturating_sub(self.body.as_ptr().addr());
        start..start + part.len()
    }
}

struct Collect;

impl<'de> Visitor<'de> for Collect {
    type Value = Vec<(Cow<'de, str>, &'de str)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some((Key(key), value)) = map.next_entry::<_, &RawValue>()? {
            list.push((key, value.get()));
        }
        Ok(list)
    }
}

/// A key, borrowed unless it has escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(key)))
            }

            fn visit_str<E>(self, key: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// The body with U+FFFD for every half of a character that came without its other half: no strict
/// parser takes such a body. `None` if there is none, which is nearly always.
#[must_use]
pub fn without_lone_surrogates(body: &[u8]) -> Option<Vec<u8>> {
    memchr::memmem::find(body, b"\\u")?;
    let text = std::str::from_utf8(body).ok()?;
    let mut repaired: Option<String> = None;
    let (mut from, mut at) = (0, 0);
    while let Some(found) = memchr::memchr(b'\\', text.get(at..)?.as_bytes()) {
        let escape = at + found;
        let half = unit(text, escape);
        let is_pair = matches!(half, Some(0xd800..=0xdbff))
            && matches!(unit(text, escape + 6), Some(0xdc00..=0xdfff));
        at = match half {
            Some(0xd800..=0xdfff) if !is_pair => {
                let repaired = repaired.get_or_insert_with(String::new);
                repaired.push_str(text.get(from..escape)?);
                repaired.push_str("\\ufffd");
                from = escape + 6;
                from
            }
            Some(_) if is_pair => escape + 12,
            Some(_) => escape + 6,
            // An escape of two letters.
            None => escape + 2,
        };
    }
    let mut repaired = repaired?;
    repaired.push_str(text.get(from..)?);
    Some(repaired.into_bytes())
}

/// The unit of UTF-16 that an escape at this place stands for.
fn unit(text: &str, at: usize) -> Option<u16> {
    let hex = text.get(at..)?.strip_prefix("\\u")?.get(..4)?;
    hex.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u16::from_str_radix(hex, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(body: &str, key: &str, json: &str) -> String {
        String::from_utf8(Members::split(body.as_bytes()).unwrap().with(key, json)).unwrap()
    }

    #[test]
    fn everything_but_the_value_stays_as_it_was() {
        let body = " { \"n\" : 1.0, \"model\"\t:\t\"a\" , \"big\":9007199254740993,\"x\":{ } }\n";
        let expected =
            " { \"n\" : 1.0, \"model\"\t:\t\"b/c\" , \"big\":9007199254740993,\"x\":{ } }\n";
        assert_eq!(with(body, "model", "\"b/c\""), expected);
    }

    #[test]
    fn an_outline_stands_for_a_split() {
        let body = br#" {"\u006dodel" : "a", "messages":[1, 2],"model":"b" }"#;
        let split = Members::split(body).unwrap();
        let outline = split.outline();
        let again = Members::at(body, &outline).unwrap();
        assert_eq!(again.list, split.list);
        assert_eq!(again.with("model", "7"), split.with("model", "7"));
        let other = br#"{"model":"x"}"#;
        assert_eq!(Members::of(other, Some(&outline)).unwrap().get("model"), Some("\"x\""));
    }

    #[test]
    fn a_missing_member_is_put_in_front_and_a_double_one_replaced_twice() {
        assert_eq!(with("{\"a\":1}", "model", "\"m\""), "{\"model\":\"m\",\"a\":1}");
        assert_eq!(with("{}", "model", "\"m\""), "{\"model\":\"m\"}");
        assert_eq!(with("{\"m\":1,\"m\":2}", "m", "3"), "{\"m\":3,\"m\":3}");
        assert_eq!(with("{\"\\u006dodel\":1}", "model", "2"), "{\"\\u006dodel\":2}");
    }

    #[test]
    fn members_are_left_out() {
        let body = b"{\"models\": [1], \"model\": \"a\", \"n\": 1.0}";
        let without = Members::split(body).unwrap().without(&["models"]);
        assert_eq!(without, b"{\"model\":\"a\",\"n\":1.0}");
        assert_eq!(Members::split(b"{\"a\":1}").unwrap().without(&["a"]), b"{}");
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for body in ["", "[]", "{", "{\"a\":1} x", "null", "\u{0}"] {
            assert!(Members::split(body.as_bytes()).is_err(), "{body:?}");
        }
        assert!(Members::split(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn a_bomb_of_brackets_is_only_bytes_here() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        let members = Members::split(deep.as_bytes()).unwrap();
        assert_eq!(members.get("a").map(str::len), Some(200_001));
    }

    #[test]
    fn strings_are_read_and_other_values_are_not() {
        let members = Members::split(br#"{"a":"x\ny","b":1}"#).unwrap();
        assert_eq!(members.get_str("a").as_deref(), Some("x\ny"));
        assert_eq!((members.get_str("b"), members.get_str("c")), (None, None));
        let error = Members::split(b"[1]").unwrap_err().to_string();
        assert!(error.contains("object"), "{error}");
    }

    #[test]
    fn halves_of_characters_are_replaced_and_whole_ones_stay() {
        let repaired = |text: &str| {
            without_lone_surrogates(text.as_bytes()).map(|body| String::from_utf8(body).unwrap())
        };
        let changed = r#"{"a":"x\ufffdy\ufffd","b":"\ud83d\ude00"}"#;
        assert_eq!(
            repaired(r#"{"a":"x\ud83dy\uDE00","b":"\ud83d\ude00"}"#).as_deref(),
            Some(changed)
        );
        for fine in
            [r#"{"a":"\ud83d\ude00"}"#, r#"{"a":"\\ud83d"}"#, r#"{"a":"\u00e9"}"#, "{}", "\\"]
        {
            assert_eq!(repaired(fine), None, "{fine}");
        }
        assert!(serde_json::from_str::<serde_json::Value>(changed).is_ok());
    }
}
