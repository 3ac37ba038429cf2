//! `holdfast policy`: what is protected, applied from files; and run now.

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::console::Console;
use crate::errors::{Failure, Result, Status};
use crate::open::show;
use crate::out::Out;
use crate::site::{Site, follow};
use crate::time;

/// A file of policies is read up to this many bytes.
const FILE_MAX: u64 = 4 << 20;

const EXAMPLES: &str = "\
Examples:
  holdfast policy apply web.toml
  holdfast policy run web --client web1 --wait

The shortest useful file:
  [policy.home]
  clients = [\"web1\"]
  paths   = [\"/srv/data\"]";

/// What is protected, from which clients, when and how
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Take over the policies of a file; others stay as they are. Shows what changes
    Apply {
        /// A TOML file; `-` for standard input
        file: PathBuf,
        /// Only show what would change
        #[arg(long)]
        check: bool,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// List policies
    List {
        /// Print a JSON list of objects
        #[arg(long)]
        json: bool,
    },
    /// Print a policy as a file that `policy apply` takes
    Show {
        /// Its name
        name: String,
    },
    /// Delete a policy. Its images stay
    Delete {
        /// Its name
        name: String,
    },
    /// Begin its jobs now
    Run {
        /// Its name
        name: String,
        /// Only for this client
        #[arg(long, value_name = "NAME")]
        client: Option<String>,
        /// Read all files, also those that seem unchanged
        #[arg(long)]
        rehash: bool,
        /// Wait until the jobs are done, or for so long; the exit status is that of the worst of them
        #[arg(long, value_name = "AGE", num_args = 0..=1, require_equals = false, value_parser = time::parse_duration)]
        wait: Option<Option<Duration>>,
        /// Print JSON; the last line is an object with `jobs`
        #[arg(long)]
        json: bool,
    },
}

#[derive(Deserialize)]
struct Applied {
    changes: Vec<String>,
    warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Run {
    jobs: Vec<String>,
}

impl Args {
    pub(crate) fn json(&self) -> bool {
        match &self.action {
            Action::Apply { json, .. } | Action::List { json } | Action::Run { json, .. } => *json,
            Action::Show { .. } | Action::Delete { .. } => false,
        }
    }

    /// Does it.
    pub(crate) fn run(&self, console: &Console) -> Result<Status> {
        let site = Site::find()?;
        match &self.action {
            Action::Apply { file, check, json } => apply(&site, console, file, *check, *json),
            Action::List { json } => list(&site, console, *json),
            Action::Show { name } => show_one(&site, name),
            Action::Delete { name } => {
                let _: Value = site.change("DELETE", &path(name), None)?;
                console.say(&format!("deleted the policy {name}; its images stay"));
                Ok(Status::Done)
            }
            Action::Run { name, client, rehash, wait, json } => {
                let wish = json!({ "client": client, "rehash": rehash });
                let run: Run = site.post(&format!("{}/run", path(name)), &wish)?;
                match wait {
                    Some(limit) => follow::to_the_end(&site, console, &run.jobs, *limit, *json),
                    None => begun(&run, *json),
                }
            }
        }
    }
}

fn path(name: &str) -> String {
    format!("/api/v1/policies/{}", crate::site::escape(name))
}

fn begun(run: &Run, as_json: bool) -> Result<Status> {
    let mut out = Out::new();
    if as_json {
        let jobs: Vec<Value> = run.jobs.iter().map(|id| json!({ "id": id })).collect();
        out.json(&json!({ "jobs": jobs }))?;
    } else {
        for id in &run.jobs {
            out.line(format!("job {id}"))?;
        }
    }
    out.finish()?;
    Ok(Status::Done)
}

fn read(file: &std::path::Path) -> Result<String> {
    let mut text = String::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().lock().take(FILE_MAX).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(FILE_MAX).read_to_string(&mut text))
    };
    match read {
        Ok(_) if text.len() as u64 >= FILE_MAX => {
            Err(Failure::usage(format!("{} is longer than 4 MiB", show(file)), "take several files"))
        }
        Ok(_) => Ok(text),
        Err(error) => Err(Failure::failed(format!("cannot read {}: {error}", show(file)), "check the path")),
    }
}

fn apply(
    site: &Site,
    console: &Console,
    file: &std::path::Path,
    check: bool,
    as_json: bool,
) -> Result<Status> {
    let text = read(file)?;
    let applied: Applied = site.post_text(&format!("/api/v1/policies?check={check}"), text)?;
    let mut out = Out::new();
    if as_json {
        out.json(&json!({ "changes": applied.changes, "warnings": applied.warnings, "applied": !check }))?;
    } else {
        for change in &applied.changes {
            out.line(change)?;
        }
        if applied.changes.is_empty() {
            console.say("nothing changes");
        }
    }
    applied.warnings.iter().for_each(|warning| console.say(&format!("note: {warning}")));
    out.finish()?;
    Ok(Status::Done)
}

fn list(site: &Site, console: &Console, as_json: bool) -> Result<Status> {
    let policies: Vec<Value> = site.get("/api/v1/policies")?;
    let mut out = Out::new();
    if as_json {
        out.json(&policies)?;
    } else if policies.is_empty() {
        console.say("no policies");
    }
    for policy in policies.iter().filter(|_| !as_json) {
        let words = |key: &str| {
            let list = policy["policy"][key].as_array().cloned().unwrap_or_default();
            list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
        };
        let name = policy["name"].as_str().unwrap_or_default();
        out.line(format!("{name:<24}  {:<30}  {}", words("clients"), words("paths")))?;
    }
    out.finish()?;
    Ok(Status::Done)
}

fn show_one(site: &Site, name: &str) -> Result<Status> {
    let policy: Value = site.get(&path(name))?;
    let mut out = Out::new();
    for line in policy["text"].as_str().unwrap_or_default().lines() {
        out.line(line)?;
    }
    out.finish()?;
    Ok(Status::Done)
}
