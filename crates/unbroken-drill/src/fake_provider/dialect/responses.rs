//! `OpenAI` Responses, as its servers speak it.

use serde_json::{Value, json};

use super::{Rejection, Script, content_text, items, owned, text};
use crate::fake_provider::conversation::{Role, Turn, hear};
use crate::fake_provider::words::{Asked, Content, Finish, pieces};

pub(super) fn read(body: &Value) -> Result<Asked, Rejection> {
    let tool =
        |tool: &Value| (text(tool, "name"), tool.get("parameters").cloned().unwrap_or_default());
    let heard = hear(&turns(body)?);
    Ok(Asked {
        is_stored: body.get("background") == Some(&Value::Bool(true)),
        model: text(body, "model"),
        stream: body.get("stream") == Some(&Value::Bool(true)),
        include_usage: true,
        wants_json: body.pointer("/text/format").is_some_and(|f| text(f, "type") != "text"),
        tools: items(body, "tools").iter().map(tool).collect(),
        wish: heard.wish,
        begun: heard.begun,
        forced_tool: owned(body.pointer("/tool_choice/name")),
        max_words: body.get("max_output_tokens").and_then(Value::as_u64),
        stops: Vec::new(),
    })
}

fn turns(body: &Value) -> Result<Vec<Turn>, Rejection> {
    if let Some(Value::String(text)) = body.get("input") {
        return Ok(vec![Turn { role: Role::User, text: text.clone(), is_prefix: false }]);
    }
    let input = items(body, "input");
    if input.is_empty() {
        return Err(Rejection::invalid("Missing required parameter: 'input'."));
    }
    let mut open: Vec<String> = Vec::new();
    let mut turns = Vec::new();
    for item in input {
        let (role, text) = match text(item, "type").as_str() {
            "function_call" => {
                open.push(text(item, "call_id"));
                continue;
            }
            "function_call_output" if open.contains(&text(item, "call_id")) => {
                (Role::Result, text(item, "output"))
            }
            "function_call_output" => {
                let message = "No tool call found for function call output with call_id.";
                return Err(Rejection::invalid(message));
            }
            "reasoning" if text(item, "encrypted_content").starts_with("fake-sealed") => continue,
            "reasoning" => {
                let message = "The encrypted content could not be verified.";
                return Err(Rejection::invalid(message));
            }
            "" | "message" => (role_of(item)?, said(item)?),
            kind => return Err(Rejection::invalid(&format!("Invalid value: '{kind}'."))),
        };
        turns.push(Turn { role, text, is_prefix: false });
    }
    Ok(turns
        .into_iter()
        .filter(|turn| turn.role != Role::Result || !turn.text.is_empty())
        .collect())
}

fn role_of(item: &Value) -> Result<Role, Rejection> {
    match text(item, "role").as_str() {
        "user" | "system" | "developer" => Ok(Role::User),
        "assistant" => Ok(Role::Model),
        role => Err(Rejection::invalid(&format!("Invalid value: '{role}'."))),
    }
}

/// What the model said must be called output, everything else input.
fn said(item: &Value) -> Result<String, Rejection> {
    let wrong = if text(item, "role") == "assistant" { "input_text" } else { "output_text" };
    if items(item, "content").iter().any(|part| text(part, "type") == wrong) {
        return Err(Rejection::invalid(&format!("Invalid value: '{wrong}'.")));
    }
    Ok(content_text(item.get("content").unwrap_or(&Value::Null)))
}

fn usage(content: &Content) -> Value {
    let output = content.tokens();
    json!({
        "input_tokens": 10, "input_tokens_details": { "cached_tokens": 0 },
        "output_tokens": output,
        "output_tokens_details": { "reasoning_tokens": content.thinking.len() },
        "total_tokens": 10 + output,
    })
}

fn response(asked: &Asked, status: &str, output: &[Value], usage: &Value) -> Value {
    let details =
        if status == "incomplete" { json!({ "reason": "max_output_tokens" }) } else { Value::Null };
    json!({
        "id": "resp_fake", "object": "response", "created_at": 1_700_000_000, "status": status,
        "background": false, "error": null, "incomplete_details": details, "instructions": null,
        "max_output_tokens": null, "metadata": {}, "model": asked.model, "output": output,
        "parallel_tool_calls": true, "previous_response_id": null,
        "reasoning": { "effort": null, "summary": null }, "store": false, "temperature": 1.0,
        "text": { "format": { "type": "text" } }, "tool_choice": "auto", "tools": [],
        "top_p": 1.0, "truncation": "disabled", "usage": usage, "user": null,
    })
}

const fn status(content: &Content) -> &'static str {
    match content.finish {
        Finish::Length => "incomplete",
        Finish::Stop | Finish::Sequence(_) | Finish::Calls => "completed",
    }
}

fn reasoning(words: &str) -> Value {
    json!({
        "id": "rs_fake", "type": "reasoning", "encrypted_content": "fake-sealed",
        "summary": [{ "type": "summary_text", "text": words }],
    })
}

fn message(words: &str, status: &str) -> Value {
    let part = json!({ "type": "output_text", "annotations": [], "logprobs": [], "text": words });
    json!({
        "id": "msg_fake", "type": "message", "status": status, "role": "assistant",
        "content": if status == "in_progress" { json!([]) } else { json!([part]) },
    })
}

fn call(n: usize, name: &str, arguments: &str, status: &str) -> Value {
    json!({
        "id": format!("fc_fake{n}"), "type": "function_call", "status": status,
        "arguments": arguments, "call_id": format!("call_fake{n}"), "name": name,
    })
}

fn output(content: &Content) -> Vec<Value> {
    let thinking = content.thinking.concat();
    let text = content.text.concat();
    let mut output = Vec::new();
    if !thinking.is_empty() {
        output.push(reasoning(&thinking));
    }
    if !text.is_empty() {
        output.push(message(&text, "completed"));
    }
    for (n, (name, args)) in content.calls.iter().enumerate() {
        output.push(call(n, name, &args.to_string(), "completed"));
    }
    output
}

pub(super) fn whole(asked: &Asked, content: &Content) -> Value {
    response(asked, status(content), &output(content), &usage(content))
}

/// Numbers its events.
#[derive(Default)]
struct Tape {
    sequence: u64,
    places: usize,
}

impl Tape {
    fn event(&mut self, kind: &str, members: Value) -> String {
        let mut event = json!({ "type": kind, "sequence_number": self.sequence });
        if let (Value::Object(event), Value::Object(members)) = (&mut event, members) {
            event.extend(members);
        }
        self.sequence += 1;
        format!("event: {kind}\ndata: {event}\n\n")
    }

    fn item(&mut self, what: &str, item: &Value) -> String {
        let members = json!({ "output_index": self.places, "item": item });
        self.event(&format!("response.output_item.{what}"), members)
    }

    fn at(&mut self, kind: &str, id: &str, members: Value) -> String {
        let mut all = json!({ "item_id": id, "output_index": self.places });
        if let (Value::Object(all), Value::Object(members)) = (&mut all, members) {
            all.extend(members);
        }
        self.event(kind, all)
    }
}

pub(super) fn stream(asked: &Asked, content: &Content) -> Script {
    let mut tape = Tape::default();
    let begun = json!({ "response": response(asked, "in_progress", &[], &Value::Null) });
    let prelude = vec![
        tape.event("response.created", begun.clone()),
        tape.event("response.in_progress", begun),
    ];
    let mut script = Script { prelude, ..Script::default() };
    think(&mut tape, content, &mut script.content);
    say(&mut tape, content, &mut script);
    for (n, (name, args)) in content.calls.iter().enumerate() {
        let arguments = args.to_string();
        let id = format!("fc_fake{n}");
        script.content.push(tape.item("added", &call(n, name, "", "in_progress")));
        for piece in pieces(&arguments, 5) {
            let delta = json!({ "delta": piece, "obfuscation": "aXk2" });
            script.content.push(tape.at("response.function_call_arguments.delta", &id, delta));
        }
        let done = json!({ "arguments": arguments });
        script.content.push(tape.at("response.function_call_arguments.done", &id, done));
        script.content.push(tape.item("done", &call(n, name, &arguments, "completed")));
        tape.places += 1;
    }
    let status = status(content);
    let whole = response(asked, status, &output(content), &usage(content));
    script.end.push(tape.event(&format!("response.{status}"), json!({ "response": whole })));
    script
}

fn think(tape: &mut Tape, content: &Content, events: &mut Vec<String>) {
    if content.thinking.is_empty() {
        return;
    }
    let empty = json!({ "id": "rs_fake", "type": "reasoning", "summary": [] });
    let whole = content.thinking.concat();
    let part = |text: &str| json!({ "summary_index": 0, "part": { "type": "summary_text", "text": text } });
    events.push(tape.item("added", &empty));
    events.push(tape.at("response.reasoning_summary_part.added", "rs_fake", part("")));
    for word in &content.thinking {
        let delta = json!({ "summary_index": 0, "delta": word });
        events.push(tape.at("response.reasoning_summary_text.delta", "rs_fake", delta));
    }
    let done = json!({ "summary_index": 0, "text": whole });
    events.push(tape.at("response.reasoning_summary_text.done", "rs_fake", done));
    events.push(tape.at("response.reasoning_summary_part.done", "rs_fake", part(&whole)));
    events.push(tape.item("done", &reasoning(&whole)));
    tape.places += 1;
}

fn say(tape: &mut Tape, content: &Content, script: &mut Script) {
    if content.text.is_empty() {
        return;
    }
    let part = |text: &str| json!({ "type": "output_text", "annotations": [], "logprobs": [], "text": text });
    let opening = [
        tape.item("added", &message("", "in_progress")),
        tape.at(
            "response.content_part.added",
            "msg_fake",
            json!({ "content_index": 0, "part": part("") }),
        ),
    ];
    // What comes before the first word is no word.
    if script.content.is_empty() {
        script.prelude.extend(opening);
    } else {
        script.content.extend(opening);
    }
    for word in &content.text {
        let delta = json!({
            "content_index": 0, "delta": word, "logprobs": [], "obfuscation": "aXk2",
        });
        script.content.push(tape.at("response.output_text.delta", "msg_fake", delta));
    }
    let text = content.text.concat();
    let closing = [
        tape.at(
            "response.output_text.done",
            "msg_fake",
            json!({ "content_index": 0, "text": text, "logprobs": [] }),
        ),
        tape.at(
            "response.content_part.done",
            "msg_fake",
            json!({ "content_index": 0, "part": part(&text) }),
        ),
        tape.item("done", &message(&text, "completed")),
    ];
    tape.places += 1;
    // Text ends the answer, unless calls follow.
    if content.calls.is_empty() {
        script.end.extend(closing);
    } else {
        script.content.extend(closing);
    }
}
