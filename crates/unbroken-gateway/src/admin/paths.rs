//! What does the admin API offer? One list, from which requests are found and the OpenAPI document
//! is made.

use http::Method;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Dashboard,
    DashboardScript,
    DashboardStyle,
    Live,
    OpenApi,
    Status,
    Targets,
    ForceOpen,
    ForceClosed,
    Drain,
    Release,
    Reset,
    Reload,
    Calls,
    Call,
    Incidents,
    Alerts,
    Explain,
    WhatIf,
    Stream,
    Metrics,
}

/// How it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
}

impl Verb {
    pub(super) const fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Post => Method::POST,
        }
    }
}

/// One thing that can be asked for.
#[derive(Clone, Copy)]
pub(super) struct Path {
    pub(super) asked: Asked,
    pub(super) verb: Verb,
    /// A part in braces stands for anything.
    pub(super) path: &'static str,
    /// Whether it needs no token: it shows nothing of this gateway.
    pub(super) is_open: bool,
    /// Parameters of the query, and what they mean.
    pub(super) query: &'static [(&'static str, &'static str)],
    /// The content type of the answer.
    pub(super) kind: &'static str,
    pub(super) summary: &'static str,
}

const JSON: &str = "application/json";
const TARGET: &[(&str, &str)] = &[("target", "the target, such as `openai/gpt-5.1`")];

const fn get(asked: Asked, path: &'static str, summary: &'static str) -> Path {
    Path { asked, verb: Verb::Get, path, is_open: false, query: &[], kind: JSON, summary }
}

const fn act(asked: Asked, path: &'static str, summary: &'static str) -> Path {
    Path { asked, verb: Verb::Post, path, is_open: false, query: TARGET, kind: JSON, summary }
}

const fn open(asked: Asked, path: &'static str, kind: &'static str, summary: &'static str) -> Path {
    Path { asked, verb: Verb::Get, path, is_open: true, query: &[], kind, summary }
}

/// Everything.
pub(super) const PATHS: &[Path] = &[
    open(Asked::Dashboard, "/", "text/html; charset=utf-8", "The dashboard"),
    open(
        Asked::DashboardScript,
        "/dashboard.js",
        "text/javascript; charset=utf-8",
        "The dashboard's program",
    ),
    open(
        Asked::DashboardStyle,
        "/dashboard.css",
        "text/css; charset=utf-8",
        "The dashboard's look",
    ),
    open(Asked::Live, "/livez", "text/plain; charset=utf-8", "Whether the process is alive"),
    open(Asked::OpenApi, "/admin/openapi.json", JSON, "This description"),
    get(Asked::Status, "/admin/status", "The gateway, its routes and its targets"),
    get(Asked::Targets, "/admin/targets", "The targets with their states and reasons"),
    act(Asked::ForceOpen, "/admin/targets/open", "Sends nothing to a target until it is released"),
    act(
        Asked::ForceClosed,
        "/admin/targets/close",
        "Sends to a target until it is released, whatever happens there",
    ),
    act(
        Asked::Drain,
        "/admin/targets/drain",
        "Sends nothing new to a target; what is under way ends as it may",
    ),
    act(Asked::Release, "/admin/targets/release", "Leaves a target to the evidence again"),
    act(
        Asked::Reset,
        "/admin/targets/reset",
        "Forgets what speaks against a target; its traffic comes back in steps",
    ),
    Path {
        query: &[],
        ..act(Asked::Reload, "/admin/reload", "Loads the configuration as it is in its file now")
    },
    Path {
        query: &[("limit", "how many, from 1 to 1000; 100 if absent")],
        ..get(Asked::Calls, "/admin/calls", "The last calls, the newest first")
    },
    get(Asked::Call, "/admin/calls/{id}", "One call: its attempts, causes and waits"),
    get(Asked::Incidents, "/admin/incidents", "What went wrong lately, the newest first"),
    get(
        Asked::Alerts,
        "/admin/alerts",
        "Error budgets that burn and routes that run out of targets",
    ),
    Path {
        query: &[],
        ..act(
            Asked::Explain,
            "/admin/explain",
            "Who would be asked now, and who is skipped and why",
        )
    },
    Path {
        query: TARGET,
        ..get(Asked::WhatIf, "/admin/what-if", "Who would answer if this target died now")
    },
    Path {
        kind: "text/event-stream",
        ..get(Asked::Stream, "/admin/live", "The status, and each second what has changed of it")
    },
    Path {
        kind: "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ..get(Asked::Metrics, "/metrics", "Numbers for Prometheus")
    },
];

/// What a request asks for, and the part of its path that stands in the braces.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    Path(usize, &'a str),
    /// It exists, but not with this method.
    WrongMethod,
    Nothing,
}

/// Finds the path of a request.
pub(super) fn find<'a>(method: &Method, path: &'a str) -> Found<'a> {
    let mut found = Found::Nothing;
    for (index, offered) in PATHS.iter().enumerate() {
        let Some(part) = matches(offered.path, path) else { continue };
        let is_head = offered.verb == Verb::Get && method == Method::HEAD;
        if offered.verb.method() == method || is_head {
            return Found::Path(index, part);
        }
        found = Found::WrongMethod;
    }
    found
}

fn matches<'a>(offered: &str, path: &'a str) -> Option<&'a str> {
    match offered.split_once('{') {
        None => (offered == path).then_some(""),
        Some((start, _)) => {
            path.strip_prefix(start).filter(|id| !id.is_empty() && !id.contains('/'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_found_by_itself_and_only_with_its_method() {
        for (index, offered) in PATHS.iter().enumerate() {
            let path = offered.path.replace("{id}", "abc-1");
            let part = if path == offered.path { "" } else { "abc-1" };
            assert_eq!(find(&offered.verb.method(), &path), Found::Path(index, part));
            assert_eq!(find(&Method::DELETE, &path), Found::WrongMethod, "{path}");
        }
        assert_eq!(find(&Method::GET, "/admin/nothing"), Found::Nothing);
        assert_eq!(find(&Method::GET, "/admin/calls/"), Found::Nothing);
    }

    #[test]
    fn only_what_shows_nothing_of_this_gateway_is_open() {
        let open: Vec<&str> = PATHS.iter().filter(|p| p.is_open).map(|p| p.path).collect();
        let expected = ["/", "/dashboard.js", "/dashboard.css", "/livez", "/admin/openapi.json"];
        assert_eq!(open, expected);
    }
}
