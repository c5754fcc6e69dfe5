//! The providers of a draft: one for every key and address, with names of their own.

use super::draft::Draft;
use super::vendors::Vendor;

/// What a foreign file says of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Where it is, if it says so; may be `${VARIABLE}`.
    pub(super) base_url: Option<String>,
    pub(super) key: Key,
    pub(super) api_version: Option<String>,
    pub(super) region: Option<String>,
}

/// Where its key comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Key {
    /// The file does not say: where its gateway looks.
    #[default]
    Usual,
    /// This variable.
    Variable(String),
    /// It stood in the file. It is compared and forgotten, never written.
    Literal(String),
}

/// A provider of a draft.
#[derive(Debug)]
pub(super) struct Provider {
    pub(super) name: String,
    /// Which of ours it is.
    pub(super) known: Option<&'static str>,
    pub(super) base_url: Option<String>,
    /// The variable that holds its key.
    pub(super) variable: Option<String>,
    pub(super) api_version: Option<String>,
    pub(super) region: Option<String>,
    /// Rules for models: pairs of a name and the rest of the table.
    pub(super) models: Vec<String>,
    origin: (&'static str, Wanted),
}

/// What a value names, if it names a variable: `os.environ/NAME`, `${NAME}`, `$NAME`.
pub(super) fn variable(text: &str) -> Option<&str> {
    let braced = || text.strip_prefix("${")?.strip_suffix('}');
    let name = text.strip_prefix("os.environ/").or_else(braced);
    let name = name.or_else(|| text.strip_prefix('$'))?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (!name.is_empty() && name.chars().all(is_name)).then_some(name)
}

/// A text of a foreign file as our file would write it.
pub(super) fn reference(text: &str) -> String {
    variable(text).map_or_else(|| text.to_owned(), |name| format!("${{{name}}}"))
}

/// A key of a foreign file.
pub(super) fn key(text: Option<String>) -> Key {
    match text {
        None => Key::Usual,
        Some(text) => match variable(&text) {
            Some(name) => Key::Variable(name.to_owned()),
            None => Key::Literal(text),
        },
    }
}

impl Draft {
    /// The name of the provider that is wanted; it is made if it is not there yet.
    pub(super) fn provider(&mut self, vendor: &'static Vendor, wanted: Wanted, at: &str) -> String {
        let wanted = completed(vendor, wanted);
        let origin = (vendor.name, wanted);
        if let Some(found) = self.providers.iter().find(|provider| provider.origin == origin) {
            return found.name.clone();
        }
        let wanted = &origin.1;
        let is_elsewhere = vendor.name == "openai" && wanted.base_url.is_some();
        let known = (vendor.base_url.is_empty() && !is_elsewhere).then_some(vendor.name);
        let stem = match (&wanted.base_url, is_elsewhere) {
            (Some(url), true) => host_name(url),
            _ => vendor.name.to_owned(),
        };
        let name = self.free_name(&stem);
        let variable = self.key_variable(vendor, &wanted.key, &name, is_elsewhere, at);
        self.variables.extend(variable.clone().map(|variable| (variable, false)));
        let texts =
            [(&wanted.base_url, true), (&wanted.api_version, false), (&wanted.region, false)];
        for (text, is_address) in texts {
            let named = text.as_deref().and_then(super::provider::variable);
            self.variables.extend(named.map(|variable| (variable.to_owned(), is_address)));
        }
        if vendor.name.starts_with("bedrock") && variable.is_none() {
            for variable in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
                self.variables.insert(variable.to_owned(), false);
            }
        }
        let base_url = wanted.base_url.clone();
        let base_url = base_url
            .or_else(|| Some(vendor.base_url.to_owned()).filter(|url| !url.is_empty()))
            .map(|url| url.trim_end_matches('/').to_owned());
        self.providers.push(Provider {
            name: name.clone(),
            known,
            base_url,
            variable,
            api_version: wanted.api_version.clone(),
            region: wanted.region.clone(),
            models: Vec::new(),
            origin,
        });
        name
    }

    fn free_name(&self, stem: &str) -> String {
        let is_free = |name: &str| self.providers.iter().all(|provider| provider.name != name);
        let mut name = stem.to_owned();
        let mut number = 2;
        while !is_free(&name) {
            name = format!("{stem}-{number}");
            number += 1;
        }
        name
    }

    /// The variable that holds the key. A key that stood in the file is not copied: files of ours
    /// are meant to be shown and kept in version control.
    fn key_variable(
        &mut self,
        vendor: &Vendor,
        key: &Key,
        name: &str,
        is_elsewhere: bool,
        at: &str,
    ) -> Option<String> {
        match key {
            Key::Variable(variable) => Some(variable.clone()),
            Key::Usual if vendor.key_env.is_empty() || is_elsewhere => None,
            Key::Usual => Some(vendor.key_env.to_owned()),
            // Servers without keys are given some text, because SDKs want one.
            Key::Literal(text) if is_nothing(text) => None,
            Key::Literal(_) => {
                let stem: String = name
                    .chars()
                    .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
                    .collect();
                // Not a name that another key of the file may have.
                let variable = format!("UNBROKEN_{stem}_KEY");
                self.notes.push(format!(
                    "{at}: the key stands in the file; it was not copied: put it into the \
                     environment as {variable}"
                ));
                Some(variable)
            }
        }
    }
}

/// Where a file does not say it, LiteLLM looks into these variables.
fn completed(vendor: &Vendor, wanted: Wanted) -> Wanted {
    let or = |text: Option<String>, usual: &str| Some(text.unwrap_or_else(|| usual.to_owned()));
    match vendor.name {
        "azure" => Wanted { base_url: or(wanted.base_url, "${AZURE_API_BASE}"), ..wanted },
        "bedrock" | "bedrock-anthropic" => {
            Wanted { region: or(wanted.region, "${AWS_REGION}"), ..wanted }
        }
        _ => wanted,
    }
}

/// What people write where a server needs no key.
fn is_nothing(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["none", "null", "fake-key", "fake", "dummy", "empty", "no-key", "not-needed", "sk-no-key"]
        .contains(&text.as_str())
}

/// A provider's name from its address.
fn host_name(url: &str) -> String {
    let host = url.split("//").nth(1).unwrap_or(url);
    let host = host.split(['/', ':']).next().unwrap_or_default();
    let is_local = host == "localhost" || host.starts_with("127.") || host.starts_with("0.");
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let name: String = host.chars().map(|c| if is_name(c) { c } else { '-' }).collect();
    let name = name.trim_matches('-').trim_start_matches("api-").to_ascii_lowercase();
    match name.as_str() {
        "" | "unbroken" => "compatible".to_owned(),
        _ if is_local => "local".to_owned(),
        _ => name,
    }
}
