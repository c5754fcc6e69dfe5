use super::*;

const LITELLM: &str = include_str!("../../../../fixtures/imports/litellm.yaml");
const PORTKEY: &str = include_str!("../../../../fixtures/imports/portkey.json");
const CONDITIONAL: &str = include_str!("../../../../fixtures/imports/portkey-conditional.json");

fn asked() -> PortkeyAsked {
    PortkeyAsked { route: "chat".to_owned(), model: None }
}

/// The plan of what was written, with every variable set.
fn plan(imported: &Imported) -> Plan {
    let value = |is_address: bool| if is_address { "http://127.0.0.1:9" } else { "k" };
    let variables = imported.variables.iter();
    let environment = variables.map(|(name, is)| (name.clone(), value(*is).to_owned())).collect();
    Plan::read("imported", &imported.text, &environment).unwrap_or_else(|e| panic!("{e}"))
}

fn tiers(plan: &Plan, route: &str) -> Vec<Vec<String>> {
    let route = plan.routes.get(route).unwrap_or_else(|| panic!("no route {route}"));
    let label = |choice: &unbroken::route::Choice| match choice.weight {
        1 => choice.label().to_owned(),
        weight => format!("{} x{weight}", choice.label()),
    };
    route.tiers.iter().map(|tier| tier.choices.iter().map(label).collect()).collect()
}

fn noted(imported: &Imported, words: &[&str]) {
    let is_it = |note: &&String| words.iter().all(|word| note.contains(word));
    let found = imported.notes.iter().find(is_it);
    assert!(found.is_some(), "{words:?} is not in\n{}", imported.notes.join("\n"));
}

#[test]
fn groups_of_litellm_become_routes_with_what_they_fall_back_to() {
    let imported = litellm(LITELLM).unwrap();
    let plan = plan(&imported);
    let gpt = [
        vec!["azure/gpt-51-eastus x3".to_owned(), "azure-2/gpt-51-france".to_owned()],
        vec!["openai/gpt-5.1".to_owned()],
    ];
    let claude = vec![
        "anthropic/claude-sonnet-4-5".to_owned(),
        "bedrock-anthropic/eu.anthropic.claude-sonnet-4-5-20250929-v1:0".to_owned(),
    ];
    let llama = vec!["vllm/meta-llama/Llama-3.3-70B-Instruct".to_owned()];
    let flash = vec!["gemini/gemini-2.5-flash".to_owned()];
    let [first, second] = gpt;
    assert_eq!(
        tiers(&plan, "gpt-5.1"),
        [first.clone(), second.clone(), claude.clone(), llama.clone()]
    );
    assert_eq!(tiers(&plan, "gpt-4"), tiers(&plan, "gpt-5.1"), "an alias");
    assert_eq!(tiers(&plan, "claude"), [claude.clone(), first, second]);
    assert_eq!(tiers(&plan, "hidden-one"), tiers(&plan, "claude"));
    assert_eq!(tiers(&plan, "llama"), [llama, flash, claude.clone()], "narrow, then default");
    assert_eq!(
        tiers(&plan, "house"),
        [vec!["llm-contoso-example/house-7b".to_owned()], claude.clone()]
    );
    let local = vec!["ollama/llama3.1".to_owned()];
    assert_eq!(tiers(&plan, "local"), [local, claude]);
    assert!(!plan.routes.contains_key("vertex") && !plan.routes.contains_key("pictures"));
    let url = |name: &str, model: &str| plan.endpoints[name].chat_url(model, false);
    assert_eq!(
        url("azure", "d"),
        "https://contoso-eastus.openai.azure.com/openai/deployments/d/chat/completions\
         ?api-version=2024-10-21"
    );
    assert_eq!(url("ollama", "m"), "http://localhost:11434/v1/chat/completions");
    assert_eq!(url("llm-contoso-example", "m"), "https://llm.contoso.example/v1/chat/completions");
    assert!(plan.endpoints["vllm"].key.is_none(), "`fake-key` is none");
    assert!(plan.endpoints.contains_key("groq"), "for names with a star");
}

#[test]
fn numbers_of_litellm_become_ours() {
    let imported = litellm(LITELLM).unwrap();
    let plan = plan(&imported);
    let seconds = std::time::Duration::from_secs;
    let limits = plan.routes["gpt-5.1"].limits;
    assert_eq!((limits.answer, limits.first_token), (seconds(120), seconds(20)));
    assert_eq!(plan.limits.answer, seconds(300));
    let fleet = plan.failover.fleet;
    assert_eq!((fleet.retry.revisits, fleet.retry.max_attempts), (2, 8));
    assert_eq!(fleet.breaker.recovery, seconds(30));
    assert_eq!(fleet.breaker.recovery_max, seconds(120));
    let detector = unbroken_engine::detector::DetectorConfig::consecutive(4);
    assert_eq!(fleet.breaker.detector, detector);
    assert!(imported.text.contains("lacks = [\"tools\"]"), "{}", imported.text);
    assert!(imported.text.contains("has = [\"images\"], context = 272000"), "{}", imported.text);
}

#[test]
fn everything_that_has_no_equivalent_is_named_and_no_key_is_copied() {
    let imported = litellm(LITELLM).unwrap();
    for words in [
        &["model_list[2]", "UNBROKEN_OPENAI_KEY", "not copied"][..],
        &["model_list[2].litellm_params.temperature", "nothing like it"],
        &["model_list[4]", "aws_access_key_id"],
        &["vertex", "`vertex_ai` is not brought along"],
        &["pictures", "image_generation"],
        &["groq/*", "need no route"],
        &["num_retries", "revisits"],
        &["allowed_fails", "in a row"],
        &["context_window_fallbacks", "flash", "too long"],
        &["router_settings.redis_host"],
        &["router_settings.redis_password"],
        &["litellm_settings.success_callback"],
        &["litellm_settings.cache"],
        &["general_settings.master_key", "whoever reaches the port"],
        &["general_settings.database_url"],
        &["environment_variables"],
        &["rpm", "weights"],
    ] {
        noted(&imported, words);
        let at = imported.text.lines().filter(|line| line.starts_with("# - "));
        assert!(at.clone().any(|line| words.iter().all(|word| line.contains(word))), "{words:?}");
    }
    let told = format!("{}{:?}", imported.text, imported.notes);
    for secret in ["sk-proj", "sk-lf", "hunter2", "sk-1234567890", "fake-key"] {
        assert!(!told.contains(secret), "{secret} in {told}");
    }
}

#[test]
fn trees_of_portkey_become_tiers() {
    let imported = portkey(PORTKEY, &asked()).unwrap();
    let plan = plan(&imported);
    let text = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        tiers(&plan, "chat"),
        [
            text(&["openai/gpt-5.1 x7", "azure/gpt-51 x3"]),
            text(&["anthropic/claude-sonnet-4-5"]),
            text(&["mistral/mistral-large-latest"]),
        ]
    );
    assert_eq!(plan.endpoints["azure"].base_url, "https://contoso.openai.azure.com");
    assert_eq!(plan.limits.answer.as_secs(), 60, "the longest");
    assert_eq!(plan.failover.fleet.retry.revisits, 3);
    let variables: Vec<&str> = imported.variables.keys().map(String::as_str).collect();
    let expected =
        ["ANTHROPIC_PROD_1A2B_KEY", "AZURE_KEY", "MISTRAL_AI_MAIN_KEY", "UNBROKEN_OPENAI_KEY"];
    assert_eq!(variables, expected);
    for words in [
        &["strategy.on_status_codes"][..],
        &["retry.on_status_codes"],
        &["config.cache"],
        &["override_params.max_tokens"],
        &["input_guardrails"],
        &["not copied", "UNBROKEN_OPENAI_KEY"],
        &["kept by Portkey", "ANTHROPIC_PROD_1A2B_KEY"],
        &["`vertex-ai` is not brought along"],
        &["request_timeout", "longest"],
    ] {
        noted(&imported, words);
    }
    assert!(!imported.text.contains("sk-proj"), "{}", imported.text);
}

#[test]
fn conditions_of_portkey_become_routes() {
    let asked = PortkeyAsked { model: Some("gpt-5-mini".to_owned()), ..asked() };
    let imported = portkey(CONDITIONAL, &asked).unwrap();
    let plan = plan(&imported);
    assert_eq!(tiers(&plan, "chat"), [["openai/gpt-5-mini"]], "the default");
    assert_eq!(tiers(&plan, "small"), [["openai/gpt-5-mini"]]);
    assert_eq!(tiers(&plan, "finest"), [["anthropic/claude-opus-4-5"], ["openai/gpt-5.1"]]);
    assert_eq!(plan.failover.fleet.breaker.recovery.as_secs(), 30);
    noted(&imported, &["conditions[0]", "sends the model `finest`"]);
    noted(&imported, &["cb_config.minimum_requests"]);
    assert!(imported.text.contains("user_plan"), "the condition is told: {}", imported.text);
}

#[test]
fn what_cannot_be_imported_says_why() {
    let vertex = "model_list: [{model_name: a, litellm_params: {model: vertex_ai/b}}]";
    assert!(litellm(vertex).unwrap_err().contains("`vertex_ai` is not brought along"));
    assert!(litellm("a: [").unwrap_err().contains("not YAML"));
    assert!(litellm("[]").unwrap_err().contains("nothing in it can be served"));
    assert!(portkey("{", &asked()).unwrap_err().contains("not JSON"));
    let silent = r#"{"provider": "openai", "api_key": "${K}"}"#;
    assert!(portkey(silent, &asked()).unwrap_err().contains("--model"));
    let deep = "{\"targets\":[".repeat(40) + "{}" + &"]}".repeat(40);
    assert!(portkey(&deep, &asked()).unwrap_err().contains("too deep"));
    let strange = "model_list: [{model_name: a, litellm_params: {model: openai/b, api_base: x}}]";
    assert!(litellm(strange).unwrap_err().contains("cannot hold here"));
}

#[test]
fn what_cannot_be_read_is_not_quoted() {
    for (wrong, place) in [
        ("model_list:\n  - api_key: \"sk-secret\n", "line 2"),
        ("a: 1\nsk-secret: 1\nsk-secret: 2\n", "line 3"),
        ("- [sk-secret\n- }", "line "),
    ] {
        let error = litellm(wrong).unwrap_err();
        assert!(error.contains(place) && !error.contains("sk-secret"), "{error}");
    }
    for wrong in ["{\"targets\": sk-secret}", "\"sk-secret\"", "[\"sk-secret\"]"] {
        let asked = PortkeyAsked { route: "chat".to_owned(), model: None };
        let error = portkey(wrong, &asked).unwrap_err();
        assert!(!error.contains("sk-secret"), "{error}");
    }
}

#[test]
fn on_bedrock_claude_has_its_own_api_and_the_others_share_one() {
    let file = "model_list:\n  \
                - {model_name: a, litellm_params: {model: bedrock/us.amazon.nova-lite-v1:0}}\n  \
                - {model_name: b, litellm_params: {model: bedrock/anthropic.claude-haiku-4-5}}\n";
    let plan = plan(&litellm(file).unwrap());
    let target = |route: &str| plan.routes[route].tiers[0].choices[0].label().to_owned();
    assert_eq!(target("a"), "bedrock/us.amazon.nova-lite-v1:0");
    assert_eq!(target("b"), "bedrock-anthropic/anthropic.claude-haiku-4-5");
    let file = r#"{"provider": "bedrock", "override_params": {"model": "amazon.nova-pro-v1:0"}}"#;
    let plan = self::plan(&portkey(file, &asked()).unwrap());
    let choice = &plan.routes["chat"].tiers[0].choices[0];
    assert_eq!(choice.label(), "bedrock/amazon.nova-pro-v1:0");
}
