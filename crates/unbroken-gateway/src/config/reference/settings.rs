//! The list of everything that may stand in `unbroken.toml`.

use super::Default::{Absent, Is, Required, Said};
use super::Kind::{
    Address, Age, Flag, Number, OneOf, Size, SomeOf, Table, Tables, Text, Texts, Tiers, Url, Whole,
};
use super::{Default, Kind, Section, Setting};

/// A duration above zero. No duration in the file is longer than a day.
const SPAN: Kind = Kind::Span { may_be_zero: false, most: "24h" };
/// A duration that zero turns off.
const SPAN_OR_ZERO: Kind = Kind::Span { may_be_zero: true, most: "24h" };
/// Clients have a right to this share, and nobody can promise all of it.
const SLO: Kind = Number { least: "0.5", most: "0.99999" };
/// US dollars per million tokens.
const DOLLARS: Kind = Number { least: "0.0", most: "100000.0" };
/// Of a target's abilities.
const NEEDS: Kind = SomeOf(&["tools", "images", "pdfs", "json_schema", "reasoning"]);

const fn set(name: &'static str, kind: Kind, default: Default, meaning: &'static str) -> Setting {
    Setting { name, kind, default, meaning, also: "", since: "0.1" }
}

impl Setting {
    const fn also(self, also: &'static str) -> Self {
        Self { also, ..self }
    }
}

/// Every section.
pub(crate) const SECTIONS: &[Section] = &[
    Section {
        name: "",
        title: "The file",
        about: "What stands before the first table.",
        settings: FILE,
    },
    Section {
        name: "provider",
        title: "`[[provider]]`",
        about: "Who can answer. Without any, every provider whose key is in the environment.",
        settings: PROVIDER,
    },
    Section {
        name: "provider.models",
        title: "`[[provider.models]]`",
        about: "What models can carry, where the built-in table is wrong or silent.",
        settings: MODELS,
    },
    Section {
        name: "provider.models.price",
        title: "`[provider.models.price]`",
        about: "What these models cost, in US dollars per million tokens. Without it, costs are unknown, never 0.",
        settings: PRICE,
    },
    Section {
        name: "route",
        title: "`[[route]]`",
        about: "A name that clients send as `model`, and who answers it.",
        settings: ROUTE,
    },
    Section {
        name: "route.tiers",
        title: "A target in `tiers`",
        about: "Its name, or a table with these.",
        settings: TIERS,
    },
    Section {
        name: "route.stream",
        title: "`[route.stream]`",
        about: "How the route's streams are delivered.",
        settings: STREAM,
    },
    Section {
        name: "limits",
        title: "`[limits]`, `[route.limits]`",
        about: "How long to wait. A route takes what it does not say itself from `[limits]`.",
        settings: LIMITS,
    },
    Section {
        name: "breaker",
        title: "`[breaker]`",
        about: "When a target is left alone, and how it comes back.",
        settings: BREAKER,
    },
    Section {
        name: "retry",
        title: "`[retry]`",
        about: "How often a call is tried.",
        settings: RETRY,
    },
    Section {
        name: "health",
        title: "`[health]`",
        about: "What is asked of targets without a call.",
        settings: HEALTH,
    },
    Section {
        name: "server",
        title: "`[server]`",
        about: "The port that serves calls.",
        settings: SERVER,
    },
    Section {
        name: "admin",
        title: "`[admin]`",
        about: "The admin API and the dashboard; both are off without this table.",
        settings: ADMIN,
    },
    Section {
        name: "ledger",
        title: "`[ledger]`",
        about: "Where calls are written down, for reports and for what memory has forgotten.",
        settings: LEDGER,
    },
    Section {
        name: "alerts",
        title: "`[alerts]`",
        about: "Who is told when a route's error budget burns, or its targets run out.",
        settings: ALERTS,
    },
];

const FILE: &[Setting] = &[
    set("listen", Address, Is("127.0.0.1:4110"), "where the gateway listens"),
    set(
        "provider",
        Tables("provider"),
        Said("those whose keys are in the environment"),
        "who can answer",
    ),
    set("route", Tables("route"), Absent, "what clients may ask for, beside the models themselves"),
    set("limits", Table("limits"), Absent, "how long to wait"),
    set("breaker", Table("breaker"), Absent, "when a target is left alone"),
    set("retry", Table("retry"), Absent, "how often a call is tried"),
    set("health", Table("health"), Absent, "what is asked of targets without a call"),
    set("server", Table("server"), Absent, "the port that serves calls"),
    set("admin", Table("admin"), Absent, "the admin API and the dashboard"),
    set("slo", SLO, Is("0.999"), "the share of valid calls that clients are to see answered"),
    set("ledger", Table("ledger"), Absent, "where calls are written down"),
    set("alerts", Table("alerts"), Absent, "who is told of what burns"),
];

const PRICE: &[Setting] = &[
    set("input", DOLLARS, Required, "the prompt"),
    set("cached", DOLLARS, Said("as `input`"), "the part of it that was read from a cache"),
    set("output", DOLLARS, Required, "the answer, thinking included"),
];

const LEDGER: &[Setting] = &[
    set("enabled", Flag, Is("true"), "whether there is one"),
    set(
        "path",
        Text,
        Said(
            "`ledger.db` in `STATE_DIRECTORY` if that is set; else `unbroken.db` beside \
             `unbroken.toml`; without a configuration `~/.local/state/unbroken/ledger.db` \
             (`XDG_STATE_HOME`)",
        ),
        "its file, in SQLite",
    ),
    set(
        "max_size",
        Size { least: "1MiB", most: "1GiB" },
        Is("1GiB"),
        "what it may take on disk; the oldest calls go first, sums by the hour stay",
    ),
    set("max_age", Age { most: "3650d" }, Is("90d"), "what is older goes"),
];

const ALERTS: &[Setting] = &[
    set("webhook", Text, Absent, "where alerts are sent as JSON: a URL, or `${VARIABLE}`")
        .also("http or https"),
    set(
        "redundancy_after",
        SPAN,
        Is("15m"),
        "how long a route may have only one target left before somebody is told",
    ),
];

const PROVIDER: &[Setting] = &[
    set(
        "name",
        Text,
        Required,
        "names the provider in targets; [providers.md](providers.md) has the names that are known",
    )
    .also("not empty, no `/`, not `unbroken`"),
    set(
        "provider",
        Text,
        Said("its name"),
        "which known provider it is, if its name is another: two Azure resources, two regions",
    ),
    set(
        "dialect",
        OneOf(&["openai-chat", "openai-responses", "anthropic-messages", "gemini"]),
        Said("the known provider's"),
        "what it is spoken to in; needed for names that are not known",
    ),
    set(
        "base_url",
        Url,
        Said("the known provider's, or what its SDK's variable says"),
        "where it is, or `${VARIABLE}`",
    ),
    set(
        "key",
        Text,
        Said("the variable that its SDKs read, see [providers.md](providers.md)"),
        "the key, best as `${VARIABLE}`",
    )
    .also("visible ASCII characters"),
    set("key_file", Text, Absent, "a file that holds the key; read again when it changes"),
    set(
        "api_version",
        Text,
        Said("`OPENAI_API_VERSION`; without it, the v1 address is used"),
        "of Azure's classic API, or `${VARIABLE}`",
    ),
    set(
        "region",
        Text,
        Said("`AWS_REGION` or the profile's; `GOOGLE_CLOUD_LOCATION`"),
        "of AWS, for Bedrock; of Google Cloud, for Vertex; or `${VARIABLE}`",
    ),
    set(
        "project",
        Text,
        Said("`GOOGLE_CLOUD_PROJECT`, or the key file's"),
        "of Google Cloud, for Vertex",
    ),
    set(
        "credentials_file",
        Text,
        Said("`GOOGLE_APPLICATION_CREDENTIALS`"),
        "a key file of a service account, or what `gcloud` wrote for a person, for Vertex",
    ),
    set(
        "profile",
        Text,
        Said("`AWS_PROFILE`, if there are no keys in the environment"),
        "a profile with keys of its own in AWS's files, for Bedrock",
    ),
    set(
        "metadata",
        Flag,
        Is("false"),
        "whether credentials come from the metadata server of the machine or the container",
    ),
    set(
        "models",
        Tables("provider.models"),
        Said("the built-in table"),
        "what its models can carry",
    ),
    set("http2", Flag, Is("false"), "whether HTTP/2 may be used"),
    set(
        "status_url",
        Url,
        Absent,
        "the provider's status page, as Statuspage's `/api/v2/summary.json`; asked once a minute",
    ),
    set(
        "prefill",
        OneOf(&["continue_final_message", "prefix", "partial", "trailing"]),
        Said("what is known of the provider and the model"),
        "how its models take the beginning of an answer when a broken one goes on: by a field of \
         the request (vLLM, SGLang), by one of the last message (Mistral and DeepSeek; Kimi and \
         Qwen), or without one",
    ),
];

const MODELS: &[Setting] = &[
    set("name", Text, Required, "the model; a `*` in it stands for anything"),
    set("has", NEEDS, Absent, "what it can carry"),
    set("lacks", NEEDS, Absent, "what it cannot carry"),
    set(
        "context",
        Whole { least: 1, most: 1_000_000_000 },
        Said("the built-in table's"),
        "tokens that fit, input and output together",
    ),
    set("price", Table("provider.models.price"), Said("unknown"), "what they cost"),
];

const ROUTE: &[Setting] = &[
    set("name", Text, Required, "what clients send as `model`"),
    set("targets", Texts, Absent, "`provider/model`, in order of preference")
        .also("either this or `tiers`"),
    set("tiers", Tiers("route.tiers"), Absent, "lists of targets of equal preference")
        .also("either this or `targets`"),
    set(
        "order",
        OneOf(&["balanced", "weighted", "rotate"]),
        Is("balanced"),
        "inside a tier: of two drawn by weight the quicker one, by weight, or in turn",
    ),
    set("limits", Table("limits"), Said("`[limits]`"), "limits of this route"),
    set("stream", Table("route.stream"), Absent, "how its streams are delivered"),
    set(
        "slo",
        SLO,
        Said("the global `slo`"),
        "the share of its valid calls that clients are to see answered",
    ),
];

const TIERS: &[Setting] = &[
    set("target", Text, Required, "`provider/model`"),
    set(
        "weight",
        Whole { least: 1, most: 1_000_000 },
        Is("1"),
        "its share beside the others of its tier",
    ),
];

const STREAM: &[Setting] = &[
    set("continue", Flag, Is("true"), "whether a stream that breaks goes on at another target; it costs the input once more for each break")
        .also("twice per stream"),
    set("hold_tool_calls", Flag, Is("true"), "whether tool calls are kept back until they are whole; without, a break after the first of them is an error")
        .also("16 MiB are kept back"),
    set("commit_hold", Kind::Span { may_be_zero: true, most: "10s" }, Is("0s"), "how long the first content is kept back, so that a break meanwhile is a fresh start; it costs that much time to the first token"),
    set("keep_alive", SPAN, Is("10s"), "a stream that has begun gets a sign of life after so much silence"),
    set("early_keep_alive", Flag, Is("true"), "whether a stream that has not begun after 12 s gets its head and signs of life; it costs the status and the headers of what happens later"),
    set("trail", Flag, Is("true"), "whether a stream with a seam says so in a comment before its end"),
];

const LIMITS: &[Setting] = &[
    set("connect", SPAN, Is("3s"), "to connect, DNS and TLS included").also("at most `total`"),
    set(
        "first_token",
        SPAN,
        Is("10s"),
        "to a stream's first content, while other targets are left",
    )
    .also("at most `total`"),
    set("first_token_reasoning", SPAN, Is("60s"), "the same when reasoning was asked for"),
    set("answer", SPAN, Is("60s"), "a whole answer, while other targets are left"),
    set(
        "between_tokens",
        SPAN,
        Is("8s"),
        "between two pieces of text, while another target could go on",
    ),
    set("silence", SPAN, Is("45s"), "without any byte, once delivering text"),
    set("stall", SPAN, Is("120s"), "without content between pings, once delivering"),
    set("total", SPAN, Is("600s"), "the whole call"),
];

const BREAKER: &[Setting] = &[
    set(
        "failure_threshold",
        Whole { least: 1, most: 1_000 },
        Said("none: the sequential detector decides"),
        "failures in a row that open it",
    ),
    set("recovery", SPAN, Is("5s"), "the first open time, doubling"),
    set("recovery_max", SPAN, Is("15s"), "the longest open time").also("at least `recovery`"),
    set("probe_timeout", SPAN, Is("30s"), "after which a probe counts as lost"),
    set(
        "ramp_start",
        Number { least: "0.001", most: "1.0" },
        Is("0.1"),
        "the share of traffic that comes back first",
    ),
    set("ramp_step", SPAN, Is("2s"), "the share grows by half, at most this often"),
    set("ramp_successes", Whole { least: 0, most: 1_000 }, Is("6"), "successes that closing needs"),
];

const RETRY: &[Setting] = &[
    set("max_attempts", Whole { least: 1, most: 16 }, Is("6"), "attempts of one call"),
    set(
        "revisits",
        Whole { least: 0, most: 16 },
        Is("2"),
        "how often a target is asked again within a call",
    ),
    set(
        "patience",
        SPAN_OR_ZERO,
        Is("3s"),
        "the longest wait for a target within a call, in total",
    ),
    set("backoff", SPAN, Is("250ms"), "upper end of the first pause, doubling"),
    set("backoff_max", SPAN, Is("8s"), "the longest pause"),
    set(
        "budget",
        Whole { least: 0, most: 10_000 },
        Is("10"),
        "retries that a full budget pays for",
    ),
];

const HEALTH: &[Setting] = &[
    set("enabled", Flag, Is("true"), "whether endpoints are looked at actively"),
    set("interval", SPAN, Is("30s"), "how often"),
    set("timeout", SPAN, Is("2s"), "how long an endpoint may take"),
    set(
        "probes",
        Flag,
        Is("true"),
        "whether a shut target that no call comes by to probe is sent a tiny request",
    ),
    set(
        "probes_per_day",
        Whole { least: 0, most: 86_400 },
        Is("500"),
        "such requests per endpoint and day",
    ),
    set(
        "exercise",
        SPAN,
        Absent,
        "a target that nobody asked for this long is sent one, too, to see whether it could stand in",
    ),
];

const SERVER: &[Setting] = &[
    set("body_max", Size { least: "1KiB", most: "1GiB" }, Is("32MiB"), "the largest request body"),
    set("drain", SPAN, Is("120s"), "how long open calls may go on after the port has closed"),
    set("connections_max", Whole { least: 1, most: 1_000_000 }, Is("10000"), "connections at once"),
    set(
        "substitute",
        Flag,
        Is("true"),
        "whether a comparable model of another vendor may stand in",
    ),
];

const ADMIN: &[Setting] = &[
    set(
        "listen",
        Address,
        Is("127.0.0.1:4111"),
        "where operators find the admin API and the dashboard",
    ),
    set("token", Text, Said("`token_file`"), "what they must show: a text, or `${VARIABLE}`")
        .also("at least 16 characters"),
    set("token_file", Text, Said("`token`"), "a file that holds it").also("at least 16 characters"),
];
