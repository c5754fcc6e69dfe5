//! The admin API, described for programs: made from the list of paths.

use serde_json::{Map, Value, json};

use super::paths::{Asked, PATHS, Path, Verb};
use super::schemas;

/// The OpenAPI document.
pub(super) fn document() -> Value {
    let mut paths = Map::new();
    for path in PATHS {
        let methods = paths.entry(path.path).or_insert_with(|| json!({}));
        if let Some(methods) = methods.as_object_mut() {
            methods.insert(path.verb.method().as_str().to_ascii_lowercase(), operation(path));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "unbroken admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": { "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } } },
    })
}

fn operation(path: &Path) -> Value {
    let in_path = path.path.contains("{id}").then(|| {
        let description = "the request's id, as in `x-unbroken-request-id`";
        parameter("id", "path", description, true)
    });
    let in_query =
        path.query.iter().map(|(name, text)| parameter(name, "query", text, *name == "target"));
    let responses = responses(path);
    let mut operation = json!({
        "summary": path.summary,
        "operationId": format!("{:?}", path.asked),
        "parameters": in_path.into_iter().chain(in_query).collect::<Vec<_>>(),
        "security": if path.is_open { json!([]) } else { json!([{ "token": [] }]) },
        "responses": responses,
    });
    if let (Asked::Explain, Some(operation)) = (path.asked, operation.as_object_mut()) {
        let content = json!({ "application/json": { "schema": schemas::question() } });
        let body = json!({ "required": true, "content": content });
        operation.insert("requestBody".to_owned(), body);
    }
    operation
}

/// What may come back. `target` is the only parameter that must be there.
fn responses(path: &Path) -> Map<String, Value> {
    let kind = path.kind.split(';').next().unwrap_or(path.kind);
    let mut responses = Map::new();
    let content = match schemas::answer(path.asked) {
        Some(schema) => json!({ kind: { "schema": schema } }),
        None => json!({ kind: {} }),
    };
    responses.insert("200".to_owned(), json!({ "description": "it is so", "content": content }));
    let mut fails = |status: &str, description: &str| {
        let content = json!({ "application/json": { "schema": {
            "type": "object", "required": ["error"], "properties": { "error": { "type": "string" } },
        } } });
        let response = json!({ "description": description, "content": content });
        responses.insert(status.to_owned(), response);
    };
    if !path.is_open {
        fails("401", "the token is missing or wrong");
    }
    if path.query.iter().any(|(name, _)| *name == "target") {
        fails("400", "no target is named");
    }
    if path.path.contains("{id}") || path.verb == Verb::Post && !path.query.is_empty() {
        fails("404", "there is none of that name");
    }
    if path.asked == Asked::Explain {
        fails("400", "the question makes no sense, or nobody answers that model");
    }
    if path.path == "/admin/reload" {
        fails("422", "the configuration is wrong; nothing has changed");
    }
    responses
}

fn parameter(name: &str, place: &str, description: &str, is_required: bool) -> Value {
    let kind = if name == "limit" { "integer" } else { "string" };
    json!({
        "name": name, "in": place, "description": description, "required": is_required,
        "schema": { "type": kind },
    })
}
