//! `holdfast hosts`: who belongs to the site.

use std::collections::BTreeMap;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::console::Console;
use crate::errors::{Failure, Result, Status};
use crate::out::Out;
use crate::site::{Site, escape};
use crate::time;

/// Who belongs to the site, and whether he is there
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  holdfast hosts\n  holdfast hosts label web1 role=web place=berlin\n  holdfast hosts revoke web1"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    /// Print a JSON list of objects
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Set all labels of a client
    Label {
        /// Its name
        name: String,
        /// KEY=VALUE; none: take all labels away
        labels: Vec<String>,
    },
    /// Shut a client out: its certificates are good for nothing any more
    Revoke {
        /// Its name
        name: String,
    },
}

impl Args {
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// Does it.
    pub(crate) fn run(&self, console: &Console) -> Result<Status> {
        let site = Site::find()?;
        match &self.action {
            None => list(&site, console, self.json),
            Some(Action::Label { name, labels }) => {
                let split = |label: &String| label.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()));
                let parsed: Option<BTreeMap<String, String>> = labels.iter().map(split).collect();
                let labels = parsed
                    .ok_or_else(|| Failure::usage("a label is KEY=VALUE", "see `holdfast hosts --help`"))?;
                let body = serde_json::to_vec(&json!({ "labels": labels })).map_err(Failure::plain)?;
                let path = format!("/api/v1/hosts/client/{}/labels", escape(name));
                let _: Value = site.change("PUT", &path, Some(body))?;
                Ok(Status::Done)
            }
            Some(Action::Revoke { name }) => {
                let path = format!("/api/v1/hosts/client/{}/revoke", escape(name));
                let revoked: Value = site.post(&path, &Value::Null)?;
                match revoked["revoked"].as_bool() {
                    Some(true) => console.say(&format!("{name} is shut out")),
                    _ => console.say(&format!("{name} had no certificate that is good")),
                }
                Ok(Status::Done)
            }
        }
    }
}

fn list(site: &Site, console: &Console, as_json: bool) -> Result<Status> {
    let hosts: Vec<Value> = site.get("/api/v1/hosts")?;
    let mut out = Out::new();
    if as_json {
        out.json(&hosts)?;
    } else if hosts.is_empty() {
        console.say("no hosts: `holdfast token create` lets one in");
    } else {
        out.line(format!(
            "{:<8}  {:<24}  {:<12}  {:<19}  {:<16}  LABELS",
            "ROLE", "NAME", "IS", "SEEN", "PROGRAM"
        ))?;
    }
    for host in hosts.iter().filter(|_| !as_json) {
        let word = |key: &str| host[key].as_str().unwrap_or_default();
        let is = match (host["attending"].as_bool(), host["connected"].as_bool()) {
            (Some(true), Some(true)) => "here",
            (Some(true), _) => "out of reach",
            _ => "away",
        };
        let labels = host["labels"].as_object().cloned().unwrap_or_default();
        let labels: Vec<String> = labels
            .iter()
            .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
            .collect();
        let seen = time::local_millis(host["last_seen"].as_u64().unwrap_or_default());
        out.line(format!(
            "{:<8}  {:<24}  {is:<12}  {seen}  {:<16}  {}",
            word("role"),
            word("name"),
            word("program"),
            labels.join(" ")
        ))?;
    }
    out.finish()?;
    Ok(Status::Done)
}
