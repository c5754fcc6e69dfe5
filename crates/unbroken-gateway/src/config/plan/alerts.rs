//! What do clients have a right to, and who is told when they do not get it?

use std::time::Duration;

use secrecy::SecretString;
use toml::Spanned;

use super::{Checker, Plan, is_address};
use crate::config::file::File;

/// The share of valid calls that clients are to see answered, if nothing else is said.
pub(super) const SLO: f64 = 0.999;

/// The alerts' settings.
#[derive(Clone, Debug)]
pub(crate) struct AlertsPlan {
    /// Where they are sent as JSON; it may have a secret in it. Default: nowhere.
    pub(crate) webhook: Option<SecretString>,
    /// How long a route may have only one target left before somebody is told. Default: 15 min.
    ///
    /// Source: engine.md 8.2.
    pub(crate) redundancy_after: Duration,
}

impl Default for AlertsPlan {
    fn default() -> Self {
        Self { webhook: None, redundancy_after: Duration::from_secs(900) }
    }
}

pub(super) fn check(checker: &mut Checker<'_>, file: &File, plan: &mut Plan) {
    if let Some(slo) = &file.slo {
        plan.slo = share(checker, slo);
    }
    for route in &file.route {
        if let Some(slo) = &route.slo {
            plan.slos.insert(route.name.get_ref().clone(), share(checker, slo));
        }
    }
    let alerts = &mut plan.alerts;
    if let Some(span) = file.alerts.redundancy_after {
        alerts.redundancy_after = span.0;
    }
    alerts.webhook = file.alerts.webhook.as_ref().and_then(|url| webhook(checker, url));
}

fn share(checker: &mut Checker<'_>, typed: &Spanned<f64>) -> f64 {
    let share = *typed.get_ref();
    if !(0.5..=0.99999).contains(&share) {
        checker.wrong(typed, "expected a share of calls from 0.5 to 0.99999, such as 0.999");
        return SLO;
    }
    share
}

/// An address, or the variable that holds it: the addresses of many services are secrets.
fn webhook(checker: &mut Checker<'_>, typed: &Spanned<String>) -> Option<SecretString> {
    let text = typed.get_ref();
    let variable = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    let url = match variable {
        None => text.clone(),
        Some(variable) => match checker.environment.get(variable) {
            Some(url) => url.to_owned(),
            None => {
                let message = format!("the environment variable {variable} is not set");
                checker.wrong(typed, &message);
                return None;
            }
        },
    };
    let plain = url.split_once('?').map_or(url.as_str(), |(plain, _)| plain);
    if !is_address(plain) {
        checker.wrong(typed, "expected an address such as https://host/path");
        return None;
    }
    Some(SecretString::from(url))
}
