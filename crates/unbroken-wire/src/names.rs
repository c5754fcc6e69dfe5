//! How does a tool keep its name at a target whose rules forbid it? It gets another one for the
//! way there, and its own back in the answer.
//!
//! The other name depends on the own one only, so that it is the same in every turn and prompt
//! caches hold. Source: wire-formats.md 2.2 (tool name rules), 7 (cases 70 and 71).

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::chat::{Answer, Block, Chat, StreamEvent, ToolChoice};

/// What a dialect's targets accept as a tool's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameRules {
    /// Letters, digits, `_` and `-` always are; these, too.
    pub also: &'static str,
    /// So many bytes at most.
    pub len_max: usize,
    /// Whether it must begin with a letter or `_`.
    pub begins_with_letter: bool,
}

/// Tools that travel under another name: what is sent, and their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renamed(Vec<(String, String)>);

/// The request with names that the target accepts, and how to undo it.
#[must_use]
pub fn fit<'a>(chat: &'a Chat, rules: &NameRules) -> (Cow<'a, Chat>, Renamed) {
    let names: BTreeSet<&str> = names_in(chat);
    let renamed = Renamed(
        names
            .iter()
            .filter(|name| !rules.accept(name))
            .map(|name| (rules.substitute(name), (*name).to_owned()))
            .collect(),
    );
    if renamed.0.is_empty() {
        return (Cow::Borrowed(chat), renamed);
    }
    let mut chat = chat.clone();
    renamed.rename(&mut chat);
    (Cow::Owned(chat), renamed)
}

/// Whether two different tools have the same name.
pub(crate) fn has_twins(chat: &Chat) -> bool {
    chat.tools.iter().enumerate().any(|(place, tool)| {
        chat.tools.iter().skip(place + 1).any(|other| other.name == tool.name && other != tool)
    })
}

impl NameRules {
    fn accept(&self, name: &str) -> bool {
        let is_ok =
            |c: char| c.is_ascii_alphanumeric() || "_-".contains(c) || self.also.contains(c);
        let begins_well = |c: char| c.is_ascii_alphabetic() || c == '_';
        name.len() <= self.len_max
            && name.chars().all(is_ok)
            && (!self.begins_with_letter || name.starts_with(begins_well))
    }

    /// The name as far as it can be kept, and a hash of all of it.
    fn substitute(&self, name: &str) -> String {
        let keep = |c: char| if c.is_ascii_alphanumeric() || "_-".contains(c) { c } else { '_' };
        let kept: String = name.chars().map(keep).collect();
        let lead =
            if kept.starts_with(|c: char| c.is_ascii_digit() || c == '-') { "_" } else { "" };
        // Nine bytes for the hash.
        let room = self.len_max.saturating_sub(lead.len() + 9);
        let kept: String = kept.chars().take(room).collect();
        format!("{lead}{kept}_{:08x}", hash(name))
    }
}

/// The same text gives the same number, on every machine and in every version.
pub(crate) fn stable_hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// FNV-1a, which is the same everywhere and for ever.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

fn names_in(chat: &Chat) -> BTreeSet<&str> {
    let blocks = chat.turns.iter().flat_map(|turn| &turn.blocks);
    let used = blocks.filter_map(|block| match block {
        Block::ToolCall(call) => Some(call.name.as_str()),
        Block::ToolResult { name, .. } => name.as_deref(),
        _ => None,
    });
    let named = match &chat.tool_choice {
        Some(ToolChoice::Named(name)) => std::slice::from_ref(name),
        Some(ToolChoice::OneOf(names)) => names,
        Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Required) | None => &[],
    };
    let offered = chat.tools.iter().map(|tool| tool.name.as_str());
    offered.chain(used).chain(named.iter().map(String::as_str)).collect()
}

impl Renamed {
    /// Gives an event of the answer the tool's own name.
    pub fn restore(&self, event: &mut StreamEvent) {
        if let StreamEvent::ToolStart { name, .. } = event {
            self.restore_name(name);
        }
    }

    /// Gives the tools of an answer their own names.
    pub fn restore_answer(&self, answer: &mut Answer) {
        for block in &mut answer.blocks {
            if let Block::ToolCall(call) = block {
                self.restore_name(&mut call.name);
            }
        }
    }

    /// Whether any tool was renamed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn restore_name(&self, name: &mut String) {
        if let Some((_, own)) = self.0.iter().find(|(sent, _)| sent == name) {
            name.clone_from(own);
        }
    }

    fn rename(&self, chat: &mut Chat) {
        let rename = |name: &mut String| {
            if let Some((sent, _)) = self.0.iter().find(|(_, own)| own == name) {
                name.clone_from(sent);
            }
        };
        chat.tools.iter_mut().for_each(|tool| rename(&mut tool.name));
        match &mut chat.tool_choice {
            Some(ToolChoice::Named(name)) => rename(name),
            Some(ToolChoice::OneOf(names)) => names.iter_mut().for_each(rename),
            Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Required) | None => {}
        }
        for block in chat.turns.iter_mut().flat_map(|turn| &mut turn.blocks) {
            match block {
                Block::ToolCall(call) => rename(&mut call.name),
                Block::ToolResult { name: Some(name), .. } => rename(name),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: NameRules = NameRules { also: "", len_max: 64, begins_with_letter: false };

    #[test]
    fn names_that_fit_stay_and_others_are_told_apart() {
        for name in ["get_weather", "mcp__server__tool-1", &"a".repeat(64)] {
            assert!(STRICT.accept(name), "{name}");
        }
        let long = "a".repeat(65);
        let bad = ["mcp__server__tool.with.dots/slash", "wetter für morgen", "", &long];
        let sent: BTreeSet<String> = bad.iter().map(|name| STRICT.substitute(name)).collect();
        assert_eq!(sent.len(), bad.len(), "{sent:?}");
        assert!(sent.iter().all(|name| STRICT.accept(name)), "{sent:?}");
        assert_ne!(STRICT.substitute("a.b"), STRICT.substitute("a/b"));
        assert_eq!(STRICT.substitute("a.b"), "a_b_108bf50c");
    }

    #[test]
    fn a_first_letter_is_found_for_those_who_want_one() {
        let rules = NameRules { begins_with_letter: true, also: ".:", ..STRICT };
        assert!(rules.accept("a.b:c") && !rules.accept("1st"));
        assert!(rules.accept(&rules.substitute("1st")));
    }
}
