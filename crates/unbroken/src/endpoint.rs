//! Where targets live: one provider's API at one address, with one key.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request};
use secrecy::SecretString;
use unbroken_wire::resume::Prefill;

use crate::capabilities::ModelRule;
use crate::cloud::sigv4::{AwsCredentials, Signed, sign};
use crate::cloud::{Cloud, Credential};
use crate::providers::{Auth, Place, Provider};

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
    /// Credentials of AWS, for providers there that have no key.
    pub aws: Option<AwsCredentials>,
    /// Credentials that end, for providers in clouds that have no key.
    pub cloud: Option<Arc<Cloud>>,
    /// The project, for providers at Google Cloud.
    pub project: Option<String>,
    /// The region, for providers that have some.
    pub region: Option<String>,
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
            aws: None,
            cloud: None,
            project: None,
            region: None,
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
        let base_url = self.base_url.as_str();
        let place = Place {
            base_url,
            model,
            stream,
            api_version: self.api_version.as_deref(),
            project: self.project.as_deref(),
            region: self.region.as_deref(),
        };
        format!("{base_url}{}", (self.provider.chat_path)(&place))
    }

    /// The same in a region: fills it into the address.
    #[must_use]
    pub fn in_region(mut self, region: &str) -> Self {
        if self.base_url.contains("{region}") {
            self.base_url = (self.provider.in_region)(&self.base_url, region);
        }
        self.region = Some(region.to_owned());
        self
    }

    /// Whether it has what it takes to be let in.
    #[must_use]
    pub const fn has_credentials(&self) -> bool {
        self.key.is_some() || self.aws.is_some() || self.cloud.is_some()
    }

    /// Puts the key where the provider wants it, and headers that it demands; or signs the whole
    /// request, at `now_unix` seconds since 1970. Of credentials that end, those at hand are used.
    pub(crate) fn authorize(&self, request: &mut Request<Bytes>, now_unix: u64) {
        let at_hand = self.cloud.as_ref().and_then(|cloud| cloud.at_hand());
        self.authorize_with(request, at_hand.as_ref(), now_unix);
    }

    /// The same with credentials that were fetched for it.
    pub(crate) fn authorize_with(
        &self,
        request: &mut Request<Bytes>,
        credential: Option<&Credential>,
        now_unix: u64,
    ) {
        for (name, value) in self.provider.headers {
            request.headers_mut().entry(*name).or_insert(HeaderValue::from_static(value));
        }
        if let Some(key) = &self.key {
            return self.provider.auth.show(key, request.headers_mut());
        }
        match credential {
            Some(Credential::Bearer(token)) => Auth::Bearer.show(token, request.headers_mut()),
            Some(Credential::Aws(keys)) => self.sign(request, keys, now_unix),
            None => {
                if let Some(keys) = &self.aws {
                    self.sign(request, keys, now_unix);
                }
            }
        }
    }

    fn sign(&self, request: &mut Request<Bytes>, keys: &AwsCredentials, now_unix: u64) {
        let Auth::Aws { service } = self.provider.auth else { return };
        let url = request.uri().to_string();
        let (method, body) = (request.method().clone(), request.body().clone());
        let region = self.region.as_deref().unwrap_or("us-east-1");
        let (method, url, body) = (method.as_str(), url.as_str(), &body[..]);
        let signed = Signed { method, url, body, region, service, now_unix };
        sign(&signed, keys, request.headers_mut());
    }
}
