//! Backups and restores that a person asks the site for: each is a job of the primary server, which is followed here.

use std::ffi::OsStr;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::login::Login;
use super::{Site, follow};
use crate::console::Console;
use crate::errors::{Failure, Result, Status};
use crate::open::{VaultArgs, show};
use crate::out::Out;
use crate::state::State;

/// Whether what is asked goes to the site: this host's state directory holds an enrolment, or an operator is logged in, and no
/// vault is named.
pub(crate) fn is_meant(vault: &VaultArgs) -> Result<bool> {
    let state = State::find()?;
    Ok(!vault.is_named() && (is_enrolled(&state) || Login::exists(&state)))
}

/// Whether jobs for this host itself can be asked for: an operator elsewhere, who is no client, has to name one.
pub(crate) fn is_client() -> Result<bool> {
    Ok(is_enrolled(&State::find()?))
}

fn is_enrolled(state: &State) -> bool {
    state.dir().join("identity/host.pem").exists()
}

/// A path as the primary server takes it.
pub(crate) fn text(path: &OsStr) -> Result<String> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Failure::failed(
            format!("{} is not UTF-8, and the site is asked in JSON", show(Path::new(path))),
            "name the directory above it",
        )
    })
}

#[derive(Deserialize)]
struct Made {
    job: String,
    /// What is restored.
    image: Option<Image>,
}

#[derive(Deserialize)]
struct Image {
    id: String,
    client: String,
}

/// Has a job made; with `wait` follows it to its end.
pub(crate) fn job(console: &Console, wish: &Value, wait: bool, as_json: bool) -> Result<Status> {
    // What is for this host is asked by it, whoever is logged in besides.
    let site = match wish["client"].is_null() && is_client()? {
        true => Site::of_this_host(&State::find()?)?,
        false => Site::find()?,
    };
    let made: Made = site.post("/api/v1/jobs", wish)?;
    if let Some(Image { id, client }) = &made.image {
        console.say(&format!("image {id} of {client}"));
    }
    if wait {
        return follow::to_the_end(&site, console, &[made.job], None, as_json);
    }
    let mut out = Out::new();
    match as_json {
        true => out.json(&json!({ "job": made.job, "status": null }))?,
        false => {
            out.line(format!("job {}", made.job))?;
            console.say("it goes on by itself; `holdfast jobs watch` follows it");
        }
    }
    out.finish()?;
    Ok(Status::Done)
}

/// Images of one question.
const PAGE: usize = 10_000;

/// The images that may be seen, the newest first.
pub(crate) fn images(name: Option<&str>, client: Option<&str>) -> Result<Vec<Value>> {
    let mut path = format!("/api/v1/images?limit={PAGE}");
    for (key, value) in [("name", name), ("client", client)] {
        if let Some(value) = value {
            path.push_str(&format!("&{key}={}", super::escape(value)));
        }
    }
    let site = Site::find()?;
    let mut all: Vec<Value> = Vec::new();
    loop {
        let after = all.last().map(|last| {
            let (started, id) = (&last["started"], last["id"].as_str().unwrap_or_default());
            format!("&after_started={started}&after_id={}", super::escape(id))
        });
        let page: Vec<Value> = site.get(&format!("{path}{}", after.unwrap_or_default()))?;
        let is_last = page.len() < PAGE;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}
