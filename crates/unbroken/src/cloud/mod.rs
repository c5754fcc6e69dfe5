//! Credentials that are more than one key: those of clouds, which are signed with, or end and are
//! fetched anew.

pub mod aws;
pub mod google;
mod held;
pub mod sigv4;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use secrecy::SecretString;
use unbroken_engine::cause::FailureCause;

use crate::background;
use crate::clock::Clock;
use crate::http::HttpClient;
use held::{Held, Lent};
use sigv4::AwsCredentials;

/// Whoever gives out credentials has so much time: less than a connection to a target has, so that
/// the key is blamed, and not the target's endpoint.
const LIMIT: Duration = Duration::from_millis(2_500);

/// Credentials of a cloud, fetched when they are needed and again before they end.
pub struct Cloud {
    source: Source,
    clock: Clock,
    held: Held<Credential>,
}

/// Who gives them out.
#[derive(Clone, Debug)]
pub enum Source {
    /// Google, for a key file or its metadata server.
    Google(google::Source),
    /// AWS, for a container or an instance.
    Aws(aws::Source),
}

/// What lets a request in.
#[derive(Clone, Debug)]
pub(crate) enum Credential {
    /// Shown as it is.
    Bearer(SecretString),
    /// Signed with.
    Aws(AwsCredentials),
}

/// Why there are no credentials; never with a secret in it.
pub(crate) type Fault = String;

impl fmt::Debug for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cloud({})", self.source.name())
    }
}

impl Source {
    /// What it is called; nothing secret.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Google(source) => source.name(),
            Self::Aws(source) => source.name(),
        }
    }
}

impl Cloud {
    /// Credentials from this source.
    #[must_use]
    pub fn new(source: Source) -> Arc<Self> {
        Arc::new(Self { source, clock: Clock::start(), held: Held::default() })
    }

    /// What they are called; nothing secret.
    #[must_use]
    pub fn name(&self) -> String {
        self.source.name()
    }

    /// The credentials that are there and have not ended, without waiting.
    pub(crate) fn at_hand(&self) -> Option<Credential> {
        match self.held.lend(self.clock.now()) {
            Lent::Fresh(credential) | Lent::Aging(credential) => Some(credential),
            Lent::Nothing => None,
        }
    }

    /// The target did not accept them: the next call fetches others.
    pub(crate) fn forget(&self) {
        self.held.forget();
    }

    /// The credentials, fetched if need be. Whoever comes while others fetch them waits for theirs.
    ///
    /// # Errors
    /// When there are none: the key's fault, as far as a call is concerned.
    pub(crate) async fn get(
        self: &Arc<Self>,
        http: &HttpClient,
    ) -> Result<Credential, FailureCause> {
        match self.held.lend(self.clock.now()) {
            Lent::Fresh(credential) => Ok(credential),
            Lent::Aging(credential) => {
                let (cloud, http) = (self.clone(), http.clone());
                drop(background::spawn("credentials", async move {
                    drop(cloud.fetch(&http).await);
                }));
                Ok(credential)
            }
            Lent::Nothing => self.fetch(http).await,
        }
    }

    async fn fetch(&self, http: &HttpClient) -> Result<Credential, FailureCause> {
        let turn = self.held.turn().await;
        if let Lent::Fresh(credential) = self.held.lend(self.clock.now()) {
            return Ok(credential);
        }
        let now = Clock::unix_seconds();
        let fetched = tokio::time::timeout(LIMIT, self.source.fetch(http, now)).await;
        let fetched = fetched.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        match fetched {
            Ok((credential, lasts)) => {
                self.held.keep(credential.clone(), lasts, self.clock.now());
                drop(turn);
                Ok(credential)
            }
            Err(fault) => {
                self.held.put_off(self.clock.now());
                let name = self.source.name();
                tracing::warn!(credentials = name, fault, "no credentials");
                match self.held.lend(self.clock.now()) {
                    Lent::Fresh(credential) | Lent::Aging(credential) => Ok(credential),
                    Lent::Nothing => Err(FailureCause::KeyRejected),
                }
            }
        }
    }
}

impl Source {
    async fn fetch(&self, http: &HttpClient, now: u64) -> Result<(Credential, Duration), Fault> {
        match self {
            Self::Google(source) => source
                .fetch(http, now)
                .await
                .map(|(token, lasts)| (Credential::Bearer(token), lasts)),
            Self::Aws(source) => {
                source.fetch(http, now).await.map(|(keys, lasts)| (Credential::Aws(keys), lasts))
            }
        }
    }
}

/// Asks and reads the whole answer of somebody who gives out credentials.
async fn ask(http: &HttpClient, request: Request<Bytes>) -> Result<Bytes, Fault> {
    let (status, body) =
        http.fetch(request).await.map_err(|cause| format!("not reached: {cause}"))?;
    match status {
        200..=299 => Ok(body),
        // What was refused is said by the status alone: the words may quote what was sent.
        status => Err(format!("refused with status {status}")),
    }
}
