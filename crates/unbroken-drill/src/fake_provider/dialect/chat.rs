//! OpenAI Chat Completions, as its servers and those that imitate them speak it.

use serde_json::{Value, json};

use super::{Rejection, Script, content_text, items, owned, text, texts};
use crate::fake_provider::conversation::{Role, Turn, hear};
use crate::fake_provider::words::{Asked, Content, Finish, pieces};

pub(super) fn read(body: &Value) -> Result<Asked, Rejection> {
    let messages = items(body, "messages");
    if messages.is_empty() {
        return Err(Rejection::invalid("Missing required parameter: 'messages'."));
    }
    let (mut open, mut turns): (Vec<String>, _) = (Vec::new(), Vec::new());
    for message in messages {
        let role = match text(message, "role").as_str() {
            "system" | "developer" => continue,
            "user" => Role::User,
            "assistant" => {
                open = items(message, "tool_calls").iter().map(|call| text(call, "id")).collect();
                Role::Model
            }
            "tool" if open.contains(&text(message, "tool_call_id")) => Role::Result,
            "tool" => {
                return Err(Rejection::invalid(
                    "messages with role 'tool' must be a response to a preceding message with \
                     'tool_calls'.",
                ));
            }
            role => return Err(Rejection::invalid(&format!("Invalid value: '{role}'."))),
        };
        let text = content_text(message.get("content").unwrap_or(&Value::Null));
        turns.push(Turn { role, text, is_prefix: is_prefix(body, message) });
    }
    let tool = |tool: &Value| {
        let function = tool.get("function").unwrap_or(&Value::Null);
        (text(function, "name"), function.get("parameters").cloned().unwrap_or_default())
    };
    let limit = body.get("max_completion_tokens").or_else(|| body.get("max_tokens"));
    let heard = hear(&turns);
    Ok(Asked {
        is_stored: false,
        model: text(body, "model"),
        stream: body.get("stream") == Some(&Value::Bool(true)),
        include_usage: body.pointer("/stream_options/include_usage") == Some(&Value::Bool(true)),
        wants_json: body.get("response_format").is_some_and(|f| text(f, "type") != "text"),
        tools: items(body, "tools").iter().map(tool).collect(),
        wish: heard.wish,
        begun: heard.begun,
        forced_tool: owned(body.pointer("/tool_choice/function/name")),
        max_words: limit.and_then(Value::as_u64),
        stops: texts(body.get("stop")),
    })
}

/// Mistral and DeepSeek say `prefix`, Qwen and Kimi `partial`, vLLM and SGLang say it of the request.
fn is_prefix(body: &Value, message: &Value) -> bool {
    let says = |value: &Value, key: &str| value.get(key) == Some(&Value::Bool(true));
    says(message, "prefix") || says(message, "partial") || says(body, "continue_final_message")
}

const fn reason(content: &Content) -> &'static str {
    match content.finish {
        Finish::Stop | Finish::Sequence(_) => "stop",
        Finish::Length => "length",
        Finish::Calls => "tool_calls",
    }
}

fn usage(content: &Content) -> Value {
    let output = content.tokens();
    json!({
        "prompt_tokens": 10, "completion_tokens": output, "total_tokens": 10 + output,
        "completion_tokens_details": { "reasoning_tokens": content.thinking.len() },
    })
}

pub(super) fn whole(asked: &Asked, content: &Content) -> Value {
    let call = |(n, (name, args)): (usize, &(String, Value))| {
        let function = json!({ "name": name, "arguments": args.to_string() });
        json!({ "id": format!("call_fake{n}"), "type": "function", "function": function })
    };
    let calls: Vec<Value> = content.calls.iter().enumerate().map(call).collect();
    let text = content.text.concat();
    let text = if text.is_empty() && !calls.is_empty() { Value::Null } else { text.into() };
    let mut message = json!({ "role": "assistant", "content": text, "refusal": null });
    if let Value::Object(message) = &mut message {
        if !calls.is_empty() {
            message.insert("tool_calls".to_owned(), calls.into());
        }
        if !content.thinking.is_empty() {
            message.insert("reasoning_content".to_owned(), content.thinking.concat().into());
        }
    }
    json!({
        "id": "chatcmpl-fake", "object": "chat.completion", "created": 1_700_000_000,
        "model": asked.model,
        "choices": [{
            "index": 0, "message": message, "logprobs": null, "finish_reason": reason(content),
        }],
        "usage": usage(content), "system_fingerprint": null,
    })
}

pub(super) fn stream(asked: &Asked, content: &Content) -> Script {
    let chunk = |choices: Value, usage: Value| {
        let mut chunk = json!({
            "id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1_700_000_000,
            "model": asked.model, "system_fingerprint": null, "choices": choices,
            "obfuscation": "aXk2",
        });
        if let (true, Value::Object(chunk)) = (asked.include_usage, &mut chunk) {
            chunk.insert("usage".to_owned(), usage);
        }
        format!("data: {chunk}\n\n")
    };
    let delta = |delta: Value, reason: Value| {
        let choice =
            json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": reason }]);
        chunk(choice, Value::Null)
    };
    let role = json!({ "role": "assistant", "content": "", "refusal": null });
    let mut script = Script { prelude: vec![delta(role, Value::Null)], ..Script::default() };
    let say = |key: &str, word: &String| delta(json!({ key: word }), Value::Null);
    script.content.extend(content.thinking.iter().map(|word| say("reasoning_content", word)));
    script.content.extend(content.text.iter().map(|word| say("content", word)));
    for (n, (name, args)) in content.calls.iter().enumerate() {
        let function = json!({ "name": name, "arguments": "" });
        let id = format!("call_fake{n}");
        let call = json!({ "index": n, "id": id, "type": "function", "function": function });
        script.content.push(delta(json!({ "tool_calls": [call] }), Value::Null));
        for piece in pieces(&args.to_string(), 5) {
            let call = json!({ "index": n, "function": { "arguments": piece } });
            script.content.push(delta(json!({ "tool_calls": [call] }), Value::Null));
        }
    }
    script.end.push(delta(json!({}), reason(content).into()));
    if asked.include_usage {
        script.end.push(chunk(json!([]), usage(content)));
    }
    script.end.push("data: [DONE]\n\n".to_owned());
    script
}
