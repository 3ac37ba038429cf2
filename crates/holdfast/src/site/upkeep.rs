//! What an operator has done to the site's vaults while its media servers run: images forgotten, room freed.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Site;
use crate::console::Console;
use crate::errors::{Failure, Result};

#[derive(Deserialize)]
struct Begun {
    upkeeps: Vec<String>,
    #[serde(default)]
    images: Vec<Value>,
}

#[derive(Deserialize)]
struct State {
    done: bool,
    media: String,
    #[serde(default)]
    error: String,
    cleanup: Option<Value>,
}

/// Forgets images, and gives them as they were.
pub(crate) fn forget(
    console: &Console,
    images: &[String],
    (client, at): (Option<&str>, Option<u64>),
    dry_run: bool,
) -> Result<Vec<Value>> {
    let site = Site::find()?;
    let wish = json!({ "images": images, "client": client, "at": at, "dry_run": dry_run });
    let begun: Begun = site.post("/api/v1/images/forget", &wish)?;
    for id in &begun.upkeeps {
        follow(&site, console, id)?;
    }
    Ok(begun.images)
}

/// Cleans a media server's vault up, and gives what was done.
pub(crate) fn cleanup(
    console: &Console,
    media: Option<&str>,
    grace_seconds: u64,
    dry_run: bool,
) -> Result<Value> {
    let site = Site::find()?;
    let wish = json!({ "media": media, "grace_seconds": grace_seconds, "dry_run": dry_run });
    let begun: Begun = site.post("/api/v1/cleanup", &wish)?;
    let mut report = Value::Null;
    for id in &begun.upkeeps {
        report = follow(&site, console, id)?.cleanup.unwrap_or_default();
    }
    Ok(report)
}

/// Waits for the end. The media server goes on if nobody does.
fn follow(site: &Site, console: &Console, id: &str) -> Result<State> {
    let path = format!("/api/v1/upkeep/{id}");
    loop {
        let state: State = site.get_patiently(&path, console, None)?;
        if state.done && state.error.is_empty() {
            return Ok(state);
        }
        if state.done {
            return Err(Failure::failed(
                format!("{}: {}", state.media, state.error),
                "ask again; what is done already does no harm a second time",
            ));
        }
        site.show(console, &format!("{} is at work", state.media));
    }
}
