use unbroken_engine::detector::DetectorConfig;

use super::*;

fn environment() -> Environment {
    let variables = [("OPENAI_API_KEY", "sk-secret"), ("ANTHROPIC_API_KEY", "sk-other")];
    variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn errors(source: &str) -> String {
    Plan::read("unbroken.toml", source, &environment()).expect_err("it is wrong").to_string()
}

#[test]
fn a_whole_file_is_read() {
    let plan = Plan::read(
        "unbroken.toml",
        r#"
        listen = "127.0.0.1:0"
        [[provider]]
        name = "openai"
        [[provider]]
        name = "local"
        dialect = "openai-chat"
        base_url = "http://127.0.0.1:8000/v1/"
        [[route]]
        name = "chat"
        targets = ["openai/gpt-5.1", "local/llama/8b"]
        [[route]]
        name = "spread"
        order = "rotate"
        tiers = [[{ target = "openai/a", weight = 3 }, "local/b"]]
        limits = { first_token = "250ms" }
        [breaker]
        failure_threshold = 5
        recovery = "60s"
        [server]
        body_max = "1MiB"
        "#,
        &environment(),
    )
    .unwrap();
    let labels = |route: &str| -> Vec<Vec<String>> {
        let tiers = plan.routes[route].tiers.iter();
        tiers.map(|tier| tier.choices.iter().map(|c| c.label().to_owned()).collect()).collect()
    };
    assert_eq!(labels("chat"), [["openai/gpt-5.1"], ["local/llama/8b"]]);
    assert_eq!(labels("spread"), [["openai/a", "local/b"]]);
    assert_eq!(plan.routes["spread"].limits.first_token, Duration::from_millis(250));
    assert_eq!(plan.endpoints["local"].base_url, "http://127.0.0.1:8000/v1");
    let breaker = plan.failover.fleet.breaker;
    assert_eq!(breaker.detector, DetectorConfig::consecutive(5));
    assert_eq!(breaker.recovery_max, Duration::from_secs(60), "never below `recovery`");
    assert_eq!(plan.server.body_max, 1 << 20);
}

#[test]
fn an_unknown_key_is_shown_where_it_stands_with_the_nearest_valid_one() {
    let text = errors("[breaker]\nfailure_treshold = 3\n");
    assert!(text.starts_with("unbroken.toml:2:1: unknown field `failure_treshold`"), "{text}");
    assert!(text.contains("did you mean `failure_threshold`?"), "{text}");
    assert!(text.contains("2 | failure_treshold = 3\n   | ^^^^^^^^^^^^^^^^"), "{text}");
}

#[test]
fn an_unknown_provider_in_a_target_is_shown_with_the_nearest_valid_one() {
    let text = errors("[[route]]\nname = \"a\"\ntargets = [\"opnai/gpt-5.1\"]\n");
    assert_eq!(
        text,
        "unbroken.toml:3:12: there is no provider `opnai` with a key; did you mean `openai`?\n   \
         |\n 3 | targets = [\"opnai/gpt-5.1\"]\n   |            ^^^^^^^^^^^^^^^"
    );
}

#[test]
fn all_errors_are_reported_at_once() {
    let text = errors(
        "[[provider]]\nname = \"gemini\"\n[[provider]]\nname = \"x\"\ndialect = \"gemmini\"\n\
         [[route]]\nname = \"r\"\n[limits]\ntotal = \"1s\"\nfirst_token = \"2s\"\n",
    );
    for part in [
        "no key: set `key`, `key_file` or GOOGLE_API_KEY",
        "did you mean `gemini`?",
        "a route has either `targets` or `tiers`",
        "`first_token` (2 s) is longer than `total` (1 s)",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn the_admin_api_is_off_unless_it_has_a_token() {
    let plan = |source| Plan::read("f", source, &environment()).unwrap().admin;
    assert!(plan("").is_none());
    let admin = plan("[admin]\ntoken = \"0123456789abcdef\"").unwrap();
    assert_eq!(admin.listen.to_string(), "127.0.0.1:4111");
    assert!(!format!("{admin:?}").contains("0123"), "it never shows");
    for (source, part) in [
        ("[admin]", "needs a `token`"),
        ("[admin]\ntoken = \"short\"", "at least 16 characters"),
        ("[admin]\ntoken = \"${NOPE}\"", "NOPE is not set"),
        ("[admin]\nlisten = \"x\"\ntoken = \"0123456789abcdef\"", "127.0.0.1:4111"),
    ] {
        assert!(errors(source).contains(part), "{source}: {}", errors(source));
    }
}

#[test]
fn durations_and_sizes_must_make_sense() {
    for (source, part) in [
        ("[limits]\ntotal = \"soon\"", "a duration such as"),
        ("[limits]\ntotal = \"10\"", "a duration such as"),
        ("[limits]\ntotal = 10", "a duration such as"),
        ("[server]\nbody_max = \"32\"", "a size such as"),
        ("[breaker]\nfailure_threshold = 0", "from 1 to 1000"),
        ("[retry]\nmax_attempts = 99", "from 1 to 16"),
    ] {
        assert!(errors(source).contains(part), "{source}: {}", errors(source));
    }
}

#[test]
fn known_names_need_a_line_or_two() {
    let source = r#"
        [[provider]]
        name = "ollama"
        [[provider]]
        name = "azure"
        base_url = "https://r.openai.azure.com"
        api_version = "2024-10-21"
        key = "k"
        [[provider]]
        name = "bedrock-eu"
        provider = "bedrock-anthropic"
        region = "eu-west-1"
        key = "k"
        [[provider]]
        name = "my-host"
        dialect = "openai-chat"
        base_url = "https://api.my-host.example/v1"
        key = "${ANTHROPIC_API_KEY}"
        "#;
    let plan = Plan::read("f", source, &environment()).unwrap();
    let url = |name: &str| plan.endpoints[name].chat_url("m", false);
    assert_eq!(url("ollama"), "http://127.0.0.1:11434/v1/chat/completions");
    assert!(plan.endpoints["ollama"].key.is_none());
    assert_eq!(
        url("azure"),
        "https://r.openai.azure.com/openai/deployments/m/chat/completions?api-version=2024-10-21"
    );
    assert_eq!(url("bedrock-eu"), "https://bedrock-runtime.eu-west-1.amazonaws.com/model/m/invoke");
    assert_eq!(url("my-host"), "https://api.my-host.example/v1/chat/completions");
    let text = errors("[[provider]]\nname = \"x\"\nprovider = \"azur\"");
    assert!(text.contains("did you mean `azure`?"), "{text}");
    let text = errors("[[provider]]\nname = \"bedrock-anthropic\"\nkey = \"k\"");
    assert!(text.contains("no region: set `region` or AWS_REGION"), "{text}");
    let text = errors("[[provider]]\nname = \"azure\"\nkey = \"k\"");
    assert!(text.contains("needs a `base_url` or AZURE_OPENAI_ENDPOINT"), "{text}");
    assert!(errors("[[provider]]\nname = \"grok\"").contains("did you mean `groq`?"));
}

#[test]
fn keys_come_from_the_environment_and_never_show() {
    let source = "[[provider]]\nname = \"a\"\ndialect = \"gemini\"\nbase_url = \"http://x\"\nkey = \"${OPENAI_API_KEY}\"";
    let plan = Plan::read("f", source, &environment()).unwrap();
    assert!(plan.endpoints["a"].key.is_some());
    assert!(!format!("{plan:?}").contains("sk-secret"));
    assert!(
        errors("[[provider]]\nname = \"openai\"\nkey = \"${NOPE}\"").contains("NOPE is not set")
    );
}

#[test]
fn what_cannot_work_is_refused_where_it_stands() {
    let local = "[[provider]]\nname = \"local\"\ndialect = \"openai-chat\"\n";
    for (source, part) in [
        ("listen = \"4110\"", "f:1:10: expected an address such as 127.0.0.1:4110"),
        ("[[route]]\nname = \"r\"\ntiers = [[]]", "with a target in it"),
        (&format!("{local}base_url = \"http://\""), "4:12: expected an address such as"),
        (&format!("{local}base_url = \"http://a b/v1\""), "4:12: expected an address such as"),
        (&format!("{local}base_url = \"ftp://a/v1\""), "4:12: expected an address such as"),
        (
            "[[provider]]\nname = \"openai\"\n[[provider]]\nname = \"openai\"",
            "f:4:8: this provider is",
        ),
        (
            "[[route]]\nname = \"r\"\ntiers = [[{ target = \"openai/a\", weight = 0 }]]",
            "a weight of 0",
        ),
        ("[[provider]]\nname = \"openai\"\nkey = \"a\\nb\"", "f:3:7: a key is not empty"),
    ] {
        let text = errors(source).replace("unbroken.toml", "f");
        assert!(text.contains(part), "{source}: {text}");
    }
}

#[test]
fn a_key_with_a_mistake_around_it_is_not_shown() {
    for wrong in
        ["key = sk-secret", "key = \"sk-secret", "key = \"sk-secret\\n\"", "key=['sk-secret']"]
    {
        let text = errors(&format!("[[provider]]\nname = \"openai\"\n{wrong}\n"));
        assert!(!text.contains("sk-secret"), "{text}");
        assert!(text.starts_with("unbroken.toml:3:"), "{text}");
    }
}

#[test]
fn an_address_comes_from_the_environment_too() {
    let environment = [("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", "http://local:1/v1/")];
    let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    assert_eq!(Plan::zero(&environment).endpoints["openai"].base_url, "http://local:1/v1");
}

#[test]
fn a_gateway_that_is_its_own_provider_is_found_out() {
    let is_itself = |url: &str, listen: &str| {
        let environment = [("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", url)];
        let environment =
            environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mut plan = Plan::zero(&environment);
        plan.listen = listen.parse().unwrap();
        plan.itself().is_some()
    };
    for url in ["http://127.0.0.1:4110/v1", "http://localhost:4110/v1", "http://[::1]:4110"] {
        assert!(is_itself(url, "127.0.0.1:4110") && is_itself(url, "0.0.0.0:4110"), "{url}");
        assert!(!is_itself(url, "127.0.0.1:4111"), "{url}");
        assert!(!is_itself(url, "10.0.0.1:4110"), "{url}");
    }
    assert!(is_itself("http://10.0.0.1:4110", "10.0.0.1:4110"));
    assert!(!is_itself("http://10.0.0.2:4110", "0.0.0.0:4110"));
    assert!(!is_itself("https://api.openai.com/v1", "127.0.0.1:4110"));
}

#[test]
fn what_is_out_of_bounds_is_refused_where_it_stands() {
    for (source, told) in [
        ("[breaker]\nramp_start = 1.5\n", "unbroken.toml:2:14: expected a number from 0.001 to 1"),
        (
            "[breaker]\nrecovery = \"9s\"\nrecovery_max = \"5s\"\n",
            "unbroken.toml:3:16: expected a duration that is not below `recovery`",
        ),
        (
            "[server]\nconnections_max = 0\n",
            "unbroken.toml:2:19: expected a number from 1 to 1000000",
        ),
        ("[limits]\nconnect = \"0s\"\n", "above zero"),
        ("[limits]\nconnect = \"25h\"\n", "above zero"),
    ] {
        let text = errors(source);
        assert!(text.contains(told), "{source}: {text}");
    }
    let plan = Plan::read("unbroken.toml", "[retry]\npatience = \"0s\"\n", &environment());
    assert_eq!(plan.unwrap().failover.fleet.retry.patience, Duration::ZERO);
}

#[test]
fn how_a_server_takes_the_beginning_of_an_answer_can_be_said() {
    use unbroken_wire::resume::Prefill;
    let read = |line: &str| {
        let source = format!(
            "[[provider]]\nname = \"local\"\nprovider = \"vllm\"\nbase_url = \"http://h:1/v1\"\n{line}\n"
        );
        let plan = Plan::read("unbroken.toml", &source, &environment());
        plan.map(|plan| plan.endpoints["local"].prefill).map_err(|errors| errors.to_string())
    };
    assert_eq!(read(""), Ok(None), "what is known holds");
    for (word, meant) in [
        ("continue_final_message", Prefill::ContinueField),
        ("prefix", Prefill::PrefixField),
        ("partial", Prefill::PartialField),
        ("trailing", Prefill::Trailing),
    ] {
        assert_eq!(read(&format!("prefill = \"{word}\"")), Ok(Some(meant)));
    }
    assert!(read("prefill = \"always\"").is_err_and(|error| error.contains("trailing")));
}
