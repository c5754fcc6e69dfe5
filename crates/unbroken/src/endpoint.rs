//! Where targets live: one provider's API at one address, with one key.

use std::fmt;

use http::{HeaderMap, HeaderValue};
use secrecy::SecretString;
use unbroken_wire::resume::Prefill;

use crate::capabilities::ModelRule;
use crate::providers::{Place, Provider};

/// A provider's API at one address, with one key.
#[derive(Clone)]
pub struct Endpoint {
    /// Its name in configurations: `openai`.
    pub name: String,
    /// How to speak to it.
    pub provider: &'static Provider,
    /// Where it is, without a slash at the end: `https://api.openai.com/v1`.
    pub base_url: String,
    /// The key, if it needs one.
    pub key: Option<SecretString>,
    /// What the key is called; never the key itself.
    pub key_name: String,
    /// The version of its API, for providers that want it in the path.
    pub api_version: Option<String>,
    /// What the operator says of its models, the most particular first.
    pub models: Vec<ModelRule>,
    /// Whether HTTP/2 may be used. Default: no, as in the official SDKs.
    pub http2: bool,
    /// How it takes the beginning of an answer, if that is known better than by its name.
    pub prefill: Option<Prefill>,
    /// The provider's status page, as JSON of Statuspage's shape. Default: none.
    pub status_url: Option<String>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, url) = (&self.name, &self.base_url);
        write!(f, "Endpoint({name} at {url}, key {})", self.key_name)
    }
}

impl Endpoint {
    /// The provider's own address and the key from `key`.
    #[must_use]
    pub fn new(provider: &'static Provider, key: Option<SecretString>) -> Self {
        Self {
            name: provider.name.to_owned(),
            provider,
            base_url: provider.base_url.to_owned(),
            key,
            key_name: provider.name.to_owned(),
            api_version: None,
            models: Vec::new(),
            http2: false,
            prefill: None,
            status_url: None,
        }
    }

    /// The same at another address.
    #[must_use]
    pub fn at(mut self, base_url: &str) -> Self {
        base_url.trim_end_matches('/').clone_into(&mut self.base_url);
        self
    }

    /// The address of a chat with a model.
    #[must_use]
    pub fn chat_url(&self, model: &str, stream: bool) -> String {
        let (base_url, api_version) = (self.base_url.as_str(), self.api_version.as_deref());
        let place = Place { base_url, model, stream, api_version };
        format!("{base_url}{}", (self.provider.chat_path)(&place))
    }

    /// Puts the key where the provider wants it, and headers that it demands.
    pub(crate) fn authorize(&self, headers: &mut HeaderMap) {
        for (name, value) in self.provider.headers {
            headers.entry(*name).or_insert(HeaderValue::from_static(value));
        }
        if let Some(key) = &self.key {
            self.provider.auth.show(key, headers);
        }
    }
}
