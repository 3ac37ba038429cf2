//! The site's hosts, and how the primary server is.

use std::collections::BTreeMap;
use std::time::SystemTime;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use holdfast_link::identity::{Identity, Role};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Api, Trouble, Who};

/// Labels of a host, and bytes of each.
const LABELS_MAX: usize = 64;
const LABEL_MAX: usize = 253;

pub(super) async fn status(State(api): State<Api>, _: Who) -> Answer<Value> {
    let board = &api.board;
    let count = |state: &'static str| board.count(|row| row.state == state);
    Ok(Json(json!({
        "site": api.here.site(),
        "program": api.program,
        "now": crate::day_millis(),
        "jobs": { "queued": count("queued"), "active": count("active"), "waiting": count("waiting"),
                  "stalled": count("stalled"), "incomplete": count("incomplete") },
        "hosts": board.hosts().len(),
    })))
}

pub(super) fn role(text: &str) -> Result<Role, Trouble> {
    match text {
        "client" => Ok(Role::Client),
        "media" => Ok(Role::Media),
        _ => Err(Trouble::bad(format!("{text:?} is no role that enrols"), "write client or media")),
    }
}

pub(super) fn broken(error: &dyn std::fmt::Display) -> Trouble {
    Trouble::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        error.to_string(),
        "look at the primary server's log and disk",
    )
}

pub(super) async fn list(State(api): State<Api>, who: Who) -> Answer<Vec<Value>> {
    who.operator()?;
    let attending = api.board.hosts();
    let mut hosts = Vec::new();
    for row in api.catalog.hosts().await? {
        let identity =
            role(&row.role).ok().and_then(|role| Identity::new(api.here.site(), role, &row.name).ok());
        let here = identity.and_then(|identity| attending.get(&identity));
        hosts.push(json!({
            "role": row.role,
            "name": row.name,
            "labels": row.labels,
            "program": row.program,
            "attending": here.is_some(),
            "connected": here.is_some_and(|here| here.is_connected),
            "since": here.map(|here| here.since),
            "first_seen": row.first_seen,
            "last_seen": row.last_seen,
        }));
    }
    Ok(Json(hosts))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Labels {
    labels: BTreeMap<String, String>,
}

pub(super) async fn labels(
    State(api): State<Api>,
    who: Who,
    Path((role, name)): Path<(String, String)>,
    Json(wish): Json<Labels>,
) -> Answer<Value> {
    who.operator()?;
    let good = |text: &String| {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        !text.is_empty() && text.len() <= LABEL_MAX && text.bytes().all(good)
    };
    if wish.labels.len() > LABELS_MAX || !wish.labels.iter().all(|(key, value)| good(key) && good(value)) {
        return Err(Trouble::bad(
            "labels are letters, digits, `.`, `-` and `_`, at most 64",
            "write KEY=VALUE",
        ));
    }
    if !api.catalog.set_labels(&role, &name, &wish.labels).await? {
        return Err(Trouble::missing(
            format!("no {role} {name} has ever attended"),
            "`holdfast hosts` lists them",
        ));
    }
    Ok(Json(json!({ "labels": wish.labels })))
}

pub(super) async fn revoke(
    State(api): State<Api>,
    who: Who,
    Path((of, name)): Path<(String, String)>,
) -> Answer<Value> {
    who.operator()?;
    let host = Identity::new(api.here.site(), role(&of)?, &name)
        .map_err(|error| Trouble::bad(error.to_string(), "`holdfast hosts` lists them"))?;
    let office = std::sync::Arc::clone(&api.office);
    let done = tokio::task::spawn_blocking(move || office.revoke_host(&host, SystemTime::now())).await;
    let revoked = done.map_err(|error| broken(&error))?.map_err(|error| broken(&error))?;
    Ok(Json(json!({ "revoked": revoked })))
}
