//! Does an answer hold what was promised in words? Where a target has no JSON mode, it is asked for
//! JSON in its instructions; models then like to put it into a fence, or to chat around it.

use serde_json::Value;

use crate::chat::{Answer, Block, FinishReason, OutputFormat};

/// Takes a fence off an answer that was asked for as JSON. `false` if it holds no JSON object with the
/// members that its schema requires; other keywords of a schema are not looked at. What was cut, declined or is a
/// call of tools is not measured.
#[must_use]
pub fn keep_promise(answer: &mut Answer, output: &OutputFormat) -> bool {
    let required = match output {
        OutputFormat::Text => return true,
        OutputFormat::Json => &[][..],
        OutputFormat::Schema { schema, .. } => {
            schema.get("required").and_then(Value::as_array).map_or(&[][..], Vec::as_slice)
        }
    };
    if answer.finish != FinishReason::Stop || answer.tool_calls().next().is_some() {
        return true;
    }
    let whole = answer.text();
    let bare = without_fence(&whole);
    let Ok(Value::Object(object)) = serde_json::from_str(bare) else { return false };
    if !required.iter().filter_map(Value::as_str).all(|name| object.contains_key(name)) {
        return false;
    }
    if bare != whole.trim() {
        let bare = bare.to_owned();
        answer.blocks.retain(|block| !matches!(block, Block::Text(_)));
        answer.blocks.push(Block::Text(bare));
    }
    true
}

/// What stands in a fence, if everything does.
fn without_fence(text: &str) -> &str {
    let text = text.trim();
    let inner = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    let inner = inner.map(|inner| inner.strip_prefix("json").unwrap_or(inner).trim());
    inner.filter(|inner| inner.starts_with('{')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kept(text: &str, finish: FinishReason) -> (bool, String) {
        let schema = json!({ "type": "object", "required": ["a"] });
        let output = OutputFormat::Schema { name: "n".to_owned(), schema, strict: None };
        let blocks = vec![Block::Text(text.to_owned())];
        let mut answer = Answer { blocks, finish, ..Answer::default() };
        let is_kept = keep_promise(&mut answer, &output);
        (is_kept, answer.text())
    }

    #[test]
    fn fences_are_taken_off_and_chatter_is_no_answer() {
        let stop = FinishReason::Stop;
        for (text, is_kept, left) in [
            ("{\"a\":1}", true, "{\"a\":1}"),
            (" {\"a\":1}\n", true, " {\"a\":1}\n"),
            ("```json\n{\"a\":1}\n```", true, "{\"a\":1}"),
            ("```\n{\"a\":1}\n```\n", true, "{\"a\":1}"),
            ("Sure! {\"a\":1}", false, "Sure! {\"a\":1}"),
            ("{\"b\":1}", false, "{\"b\":1}"),
            ("[1]", false, "[1]"),
            ("", false, ""),
        ] {
            assert_eq!(kept(text, stop), (is_kept, left.to_owned()), "{text}");
        }
        for finish in [FinishReason::Length, FinishReason::Refusal, FinishReason::Filter] {
            assert!(kept("no", finish).0, "{finish:?}");
        }
        let mut plain = Answer { blocks: vec![Block::Text("x".to_owned())], ..Answer::default() };
        assert!(keep_promise(&mut plain, &OutputFormat::Text));
        assert!(!keep_promise(&mut plain, &OutputFormat::Json));
    }
}
