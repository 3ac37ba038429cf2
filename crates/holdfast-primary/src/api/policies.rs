//! Policies: applied from files, shown, deleted, run.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, Query, State};
use holdfast_catalog::PolicyRow;
use holdfast_jobs::policy::{self, Policy};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Api, Trouble, Who};
use crate::manager::{Command, Wish};
use crate::plan;
use crate::work::Work;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Apply {
    /// Only say what would change.
    #[serde(default)]
    check: bool,
}

pub(super) async fn apply(
    State(api): State<Api>,
    who: Who,
    Query(query): Query<Apply>,
    text: String,
) -> Answer<Value> {
    who.operator()?;
    let policies = policy::parse(&text, &plan::zone);
    let policies =
        policies.map_err(|error| Trouble::bad(error.to_string(), "docs/policies.md has every key"))?;
    let _one = api.applying.lock().await;
    let before = all(&api).await?;
    let changes = changes(&before, &policies);
    let hosts = api.catalog.hosts().await?;
    let mut warnings = Vec::new();
    for (name, policy) in &policies {
        for client in plan::clients(policy, &hosts).1 {
            warnings
                .push(format!("{name}: no client {client} has attended yet; its jobs begin when it does"));
        }
    }
    let is_there = |unit: &str| {
        unit == "default"
            || unit == api.here.host()
            || hosts.iter().any(|host| host.role == "media" && host.name == unit)
    };
    let elsewhere = policies.iter().filter(|(_, policy)| !is_there(&policy.storage));
    warnings.extend(elsewhere.map(|(name, policy)| {
        format!("{name}: no media server {} has attended yet; its jobs begin when it does", policy.storage)
    }));
    if !query.check && !changes.is_empty() {
        store(&api, before, policies, &who.by()).await?;
    }
    Ok(Json(json!({ "changes": changes, "warnings": warnings, "applied": !query.check })))
}

async fn store(
    api: &Api,
    mut before: BTreeMap<String, Policy>,
    new: BTreeMap<String, Policy>,
    by: &str,
) -> Result<(), Trouble> {
    let applied = crate::day_millis();
    let row = |(name, policy): (&String, &Policy)| PolicyRow {
        name: name.clone(),
        text: policy::render(name, policy),
        applied,
        by: by.to_owned(),
    };
    let rows: Vec<PolicyRow> = new.iter().map(row).collect();
    api.catalog.put_policies(&rows).await?;
    before.extend(new);
    tell(api, before).await
}

async fn tell(api: &Api, policies: BTreeMap<String, Policy>) -> Result<(), Trouble> {
    // If it is stopping it reads them when it begins again.
    let _ = api.manager.send(Command::Policies(policies)).await;
    Ok(())
}

async fn all(api: &Api) -> Result<BTreeMap<String, Policy>, Trouble> {
    let mut all = BTreeMap::new();
    for row in api.catalog.policies().await? {
        let parsed = policy::parse(&row.text, &plan::zone);
        all.extend(parsed.map_err(|error| Trouble::bad(error.to_string(), "apply the policy again"))?);
    }
    Ok(all)
}

/// What would change, a line each.
fn changes(before: &BTreeMap<String, Policy>, new: &BTreeMap<String, Policy>) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, policy) in new {
        match before.get(name) {
            None => lines.push(format!("{name}: new")),
            Some(old) if old == policy => {}
            Some(old) => lines.extend(differences(name, old, policy)),
        }
    }
    lines
}

/// By the keys of the file, as they would be written.
fn differences(name: &str, old: &Policy, new: &Policy) -> Vec<String> {
    let fields = |policy: &Policy| match serde_json::to_value(policy) {
        Ok(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (old, new) = (fields(old), fields(new));
    let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let shown = |value: Option<&Value>| value.map_or_else(|| "not set".to_owned(), Value::to_string);
    keys.into_iter()
        .filter(|key| old.get(*key) != new.get(*key))
        .map(|key| format!("{name}: {key}: {} becomes {}", shown(old.get(key)), shown(new.get(key))))
        .collect()
}

pub(super) async fn list(State(api): State<Api>, who: Who) -> Answer<Vec<Value>> {
    who.operator()?;
    let view = |row: PolicyRow| {
        let parsed = policy::parse(&row.text, &plan::zone).ok().and_then(|mut all| all.remove(&row.name));
        let fields = parsed.and_then(|policy| serde_json::to_value(policy).ok());
        json!({ "name": row.name, "applied": row.applied, "by": row.by, "policy": fields })
    };
    Ok(Json(api.catalog.policies().await?.into_iter().map(view).collect()))
}

async fn find(api: &Api, name: &str) -> Result<PolicyRow, Trouble> {
    let found = api.catalog.policies().await?.into_iter().find(|row| row.name == name);
    found.ok_or_else(|| {
        Trouble::missing(format!("there is no policy {name}"), "`holdfast policy list` lists them")
    })
}

pub(super) async fn show(State(api): State<Api>, who: Who, Path(name): Path<String>) -> Answer<Value> {
    who.operator()?;
    let row = find(&api, &name).await?;
    Ok(Json(json!({ "name": row.name, "applied": row.applied, "by": row.by, "text": row.text })))
}

pub(super) async fn delete(State(api): State<Api>, who: Who, Path(name): Path<String>) -> Answer<Value> {
    who.operator()?;
    let _one = api.applying.lock().await;
    find(&api, &name).await?;
    let deleted = api.catalog.delete_policy(&name).await?;
    let left = all(&api).await?;
    tell(&api, left).await?;
    Ok(Json(json!({ "deleted": deleted })))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Run {
    client: Option<String>,
    #[serde(default)]
    rehash: bool,
}

pub(super) async fn run(
    State(api): State<Api>,
    who: Who,
    Path(name): Path<String>,
    Json(run): Json<Run>,
) -> Answer<Value> {
    who.operator()?;
    find(&api, &name).await?;
    let policies = all(&api).await?;
    let Some(policy) = policies.get(&name) else {
        return Err(Trouble::missing(
            format!("there is no policy {name}"),
            "`holdfast policy list` lists them",
        ));
    };
    let (mut clients, mut missing) = plan::clients(policy, &api.catalog.hosts().await?);
    if let Some(client) = &run.client {
        clients.retain(|name| name == client);
        missing.retain(|name| name == client);
    }
    if clients.is_empty() {
        let cause = match (&run.client, missing.is_empty()) {
            (Some(client), _) => {
                format!("the policy {name} does not protect a client {client} that is enrolled")
            }
            (None, false) => {
                format!("no client of the policy {name} has attended yet: {}", missing.join(", "))
            }
            (None, true) => format!("no client has the labels of the policy {name}"),
        };
        return Err(Trouble::missing(
            cause,
            "`holdfast hosts` lists clients; start them with `holdfast client run`",
        ));
    }
    let wish = |client: String| Wish {
        client,
        policy: Some(name.clone()),
        label: name.clone(),
        priority: policy.priority,
        work: Work::of_policy(policy, run.rehash, None),
        media: None,
        why: format!("run by {}", who.by()),
        mark: None,
    };
    let wishes = clients.into_iter().map(wish).collect();
    let made = api.ask(|answer| Command::Make(wishes, answer)).await??;
    let jobs: Vec<String> = made.iter().map(ToString::to_string).collect();
    Ok(Json(json!({ "jobs": jobs, "missing": missing })))
}
