//! Who can carry this request? Targets that are known not to are taken off the route before
//! anybody is asked.

use std::fmt::Write as _;
use std::sync::Arc;

use unbroken_wire::dialects::{ClientError, ErrorKind};

use crate::capabilities::{Needs, Obstacle};
use crate::failover::Shared;
use crate::reply::{CallRequest, Reply};
use crate::route::{Choice, Route, Tier};

/// The request, which needs this much, with the targets that can carry it.
///
/// # Errors
/// What to tell the client when nobody can.
pub(crate) fn by_somebody(
    shared: &Shared,
    mut request: CallRequest,
    needs: Needs,
) -> Result<CallRequest, Box<Reply>> {
    let now = shared.clock.now();
    let mut obstacles: Vec<(String, Obstacle)> = Vec::new();
    {
        let lessons = shared.lessons();
        for choice in request.route.tiers.iter().flat_map(|tier| &tier.choices) {
            let obstacle = lessons.abilities(choice, now).obstacle(needs);
            obstacles.extend(obstacle.map(|obstacle| (choice.label().to_owned(), obstacle)));
        }
    }
    if obstacles.is_empty() {
        return Ok(request);
    }
    let is_carried = |choice: &Choice| {
        let label = choice.label();
        obstacles.iter().all(|(other, _)| *other != label)
    };
    let route = without(&request.route, is_carried);
    if route.tiers.is_empty() {
        return Err(Box::new(nobody(&request, &obstacles)));
    }
    for (target, obstacle) in &obstacles {
        tracing::debug!(request = request.id, target, %obstacle, "not asked");
    }
    request.route = Arc::new(route);
    Ok(request)
}

fn without(route: &Route, is_carried: impl Fn(&Choice) -> bool) -> Route {
    let tiers = route.tiers.iter().map(|tier| {
        let choices = tier.choices.iter().filter(|choice| is_carried(choice));
        Tier { choices: choices.cloned().collect(), order: tier.order }
    });
    let tiers = tiers.filter(|tier| !tier.choices.is_empty()).collect();
    Route { tiers, ..route.clone() }
}

fn nobody(request: &CallRequest, obstacles: &[(String, Obstacle)]) -> Reply {
    let mut message = format!("no target of `{}` can carry this request", request.route.name);
    let mut separator = ": ";
    for (target, obstacle) in obstacles {
        let _ = write!(message, "{separator}{target}: {obstacle}");
        separator = "; ";
    }
    message.push_str(
        ". Nobody was asked. Add a target that can, or say in `models` what yours can do",
    );
    let error = ClientError {
        status: 400,
        kind: ErrorKind::InvalidRequest,
        message,
        code: Some("unsupported_by_all_targets".to_owned()),
        param: None,
    };
    let mut reply = Reply::error(request.dialect, &error);
    reply.set("x-unbroken-attempts", "0");
    reply.set("x-should-retry", "false");
    reply
}
