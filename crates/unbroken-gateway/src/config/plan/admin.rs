//! Where operators reach the gateway, and what lets them in.

use std::net::SocketAddr;

use secrecy::{ExposeSecret as _, SecretString};

use super::Checker;
use crate::config::file::AdminFile;

/// The admin API's settings.
#[derive(Clone, Debug)]
pub(crate) struct AdminPlan {
    /// Where it listens. Default: `127.0.0.1:4111`.
    pub(crate) listen: SocketAddr,
    /// What operators must show.
    pub(crate) token: SecretString,
}

/// Shorter tokens can be guessed.
const TOKEN_MIN: usize = 16;

/// Where operators look for it if nothing else is said: beside the gateway, on this machine only.
pub(crate) fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 4111))
}

pub(super) fn check(checker: &mut Checker<'_>, file: &AdminFile) -> Option<AdminPlan> {
    let listen = match &file.listen {
        None => default_listen(),
        Some(text) => match text.get_ref().parse() {
            Ok(address) => address,
            Err(_) => {
                checker.wrong(text, "expected an address such as 127.0.0.1:4111");
                return None;
            }
        },
    };
    let at = file.token.as_ref().or(file.token_file.as_ref());
    let Some(at) = at else {
        checker.errors.add(None, "`[admin]` needs a `token` or a `token_file`");
        return None;
    };
    let token = checker.secret(file.token.as_ref(), file.token_file.as_ref())?;
    if token.expose_secret().len() < TOKEN_MIN {
        checker.wrong(at, &format!("a token has at least {TOKEN_MIN} characters"));
        return None;
    }
    Some(AdminPlan { listen, token })
}
