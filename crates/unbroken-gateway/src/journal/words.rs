//! How is it told to people why a target is left alone?

use unbroken_engine::event::{CellKind, ChangeReason};

/// What tipped the balance of a breaker.
pub(super) fn reason(reason: ChangeReason) -> String {
    match reason {
        ChangeReason::Failed(cause) => cause.to_string(),
        ChangeReason::Probing => "one call tries it".to_owned(),
        ChangeReason::Delivered => "it answers".to_owned(),
        ChangeReason::Censored => "a probe ended without a verdict".to_owned(),
        ChangeReason::HealthCheck => "a health check".to_owned(),
        ChangeReason::LostRace => "others answered while it was late".to_owned(),
        ChangeReason::Operator => "an operator said so".to_owned(),
        ChangeReason::Peers => "other replicas have seen it fail".to_owned(),
        ChangeReason::Reload => "the configuration changed".to_owned(),
    }
}

/// What is shut, when a cell refuses a target.
pub(crate) const fn refusal(cell: CellKind) -> &'static str {
    match cell {
        CellKind::Endpoint => "its endpoint cannot be reached",
        CellKind::Serving => "it kept failing",
        CellKind::Key => "its key is rejected",
        CellKind::Capacity => "its rate limit is used up",
        CellKind::Quota => "its quota or credit is used up",
        CellKind::Model => "it does not have the model",
        CellKind::Family => "nobody has the model any more",
    }
}
