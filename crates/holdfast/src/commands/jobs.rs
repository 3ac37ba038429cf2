//! `holdfast jobs`: what there are, what has become of them, live; to cancel and to try again.

use std::time::Duration;

use clap::Subcommand;
use serde_json::Value;

use crate::console::Console;
use crate::errors::{Result, Status};
use crate::out::Out;
use crate::site::{Site, escape, follow};
use crate::{text, time};

const EXAMPLES: &str = "\
Examples:
  holdfast jobs                              the newest
  holdfast jobs --failed --since '2 days'
  holdfast jobs show 019a
  holdfast jobs watch 019a                   until it is done; may be interrupted and taken up again";

/// What becomes of jobs
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(clap::Args, Debug, Default)]
struct ListArgs {
    /// Only those that are not done
    #[arg(long)]
    active: bool,
    /// Only those that have failed
    #[arg(long)]
    failed: bool,
    /// Only those made since then: a time, or an age like '2 days'
    #[arg(long, value_name = "TIME", value_parser = time::parse_at)]
    since: Option<u64>,
    /// Only this client's
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: u32,
    /// Print a JSON list of objects
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args, Debug)]
struct OneArgs {
    /// The job's id, or the beginning of it
    id: String,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// List jobs, the newest first
    List(ListArgs),
    /// Show a job: its state and causes, phases, network events, numbers
    Show(OneArgs),
    /// Print a job's log
    Log(OneArgs),
    /// Show jobs live: one until it is done, or all that are not done
    Watch {
        /// The job's id, or the beginning of it; else all that are not done
        id: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Cancel a job. It ends whatever its hosts do
    Cancel(OneArgs),
    /// Begin a job that has failed again
    Retry(OneArgs),
}

impl Args {
    pub(crate) fn json(&self) -> bool {
        match &self.action {
            None => self.list.json,
            Some(Action::List(list)) => list.json,
            Some(Action::Watch { json, .. }) => *json,
            Some(Action::Show(one) | Action::Log(one) | Action::Cancel(one) | Action::Retry(one)) => one.json,
        }
    }

    /// Does it.
    pub(crate) fn run(&self, console: &Console) -> Result<Status> {
        let site = Site::find()?;
        match &self.action {
            None => self.list.run(&site, console),
            Some(Action::List(list)) => list.run(&site, console),
            Some(Action::Show(one)) => show(&one.json, &site.get(&path(&one.id))?),
            Some(Action::Log(one)) => log(&site, one),
            Some(Action::Watch { id: Some(id), json }) => {
                let job: Value = site.get(&path(id))?;
                let id = job["id"].as_str().unwrap_or(id).to_owned();
                follow::to_the_end(&site, console, &[id], None, *json)
            }
            Some(Action::Watch { id: None, json }) => {
                let jobs: Vec<Value> = site.get("/api/v1/jobs?active=true&limit=1000")?;
                let ids: Vec<String> =
                    jobs.iter().filter_map(|job| job["id"].as_str().map(str::to_owned)).collect();
                if ids.is_empty() {
                    console.say("no job is under way");
                    return Ok(Status::Done);
                }
                follow::to_the_end(&site, console, &ids, None, *json)
            }
            Some(Action::Cancel(one)) => {
                show(&one.json, &site.post(&format!("{}/cancel", path(&one.id)), &Value::Null)?)
            }
            Some(Action::Retry(one)) => {
                show(&one.json, &site.post(&format!("{}/retry", path(&one.id)), &Value::Null)?)
            }
        }
    }
}

fn path(id: &str) -> String {
    format!("/api/v1/jobs/{}", escape(id))
}

impl ListArgs {
    fn run(&self, site: &Site, console: &Console) -> Result<Status> {
        let mut path =
            format!("/api/v1/jobs?active={}&failed={}&limit={}", self.active, self.failed, self.limit);
        if let Some(since) = self.since {
            path.push_str(&format!("&since={since}"));
        }
        if let Some(client) = &self.client {
            path.push_str(&format!("&client={}", escape(client)));
        }
        let jobs: Vec<Value> = site.get(&path)?;
        let mut out = Out::new();
        if self.json {
            out.json(&jobs)?;
        } else if jobs.is_empty() {
            console.say("no jobs");
        } else {
            out.line(format!(
                "{:<18}  {:<19}  {:<8}  {:<16}  {:<16}  {:<10}  {:>6}  CAUSE",
                "JOB", "MADE", "KIND", "CLIENT", "POLICY", "STATE", "STATUS"
            ))?;
        }
        for job in jobs.iter().filter(|_| !self.json) {
            out.line(line(job))?;
        }
        out.finish()?;
        Ok(Status::Done)
    }
}

fn line(job: &Value) -> String {
    let word = |key: &str| job[key].as_str().unwrap_or("-").to_owned();
    let mut id = word("id");
    id.truncate(18);
    let made = time::local_millis(job["created"].as_u64().unwrap_or_default());
    let status = job["status"].as_i64().map_or_else(String::new, |status| status.to_string());
    format!(
        "{id:<18}  {made}  {:<8}  {:<16}  {:<16}  {:<10}  {status:>6}  {}",
        word("kind"),
        word("client"),
        word("policy"),
        word("state"),
        job["cause"].as_str().unwrap_or_default()
    )
}

fn show(as_json: &bool, job: &Value) -> Result<Status> {
    let mut out = Out::new();
    if *as_json {
        out.json(job)?;
        out.finish()?;
        return Ok(Status::Done);
    }
    let word = |key: &str| job[key].as_str().unwrap_or_default();
    let number = |key: &str| job[key].as_u64().unwrap_or_default();
    out.line(format!("job      {}", word("id")))?;
    let by =
        job["policy"].as_str().map_or_else(|| "asked for".to_owned(), |policy| format!("policy {policy}"));
    out.line(format!("what     {} of {}, {by}", word("kind"), word("client")))?;
    out.line(format!("made     {}", time::local_millis(number("created"))))?;
    let status = match (job["status"].as_i64(), word("status_text")) {
        (Some(status), text) => format!("{}, status {status} ({text})", word("state")),
        (None, _) => word("state").to_owned(),
    };
    out.line(format!("state    {status}"))?;
    for (title, key) in [("cause", "cause"), ("do", "next"), ("image", "image"), ("phase", "phase")] {
        if !word(key).is_empty() {
            out.line(format!("{title:<9}{}", word(key)))?;
        }
    }
    if word("state") != "done" && !word("current").is_empty() {
        out.line(format!("at       {}", word("current")))?;
    }
    out.line(format!("attempts {}", number("attempts")))?;
    let seconds = job["seconds"].as_f64().unwrap_or_default();
    out.line(format!("took     {}", text::duration(Duration::from_secs_f64(seconds.max(0.0)))))?;
    out.line(format!(
        "moved    {}, read {}, sent {}, sent again {}, stored {}",
        text::counted(number("files"), "file", "files"),
        text::bytes(number("bytes_read")),
        text::bytes(number("bytes_sent")),
        text::bytes(number("bytes_resent")),
        text::bytes(number("bytes_added"))
    ))?;
    if number("attempts") > 1 {
        let last = |key: &str| text::bytes(job["this_attempt"][key].as_u64().unwrap_or_default());
        out.line(format!(
            "of that  {} read, {} sent in the last attempt",
            last("bytes_read"),
            last("bytes_sent")
        ))?;
    }
    if number("checkpoints") > 0 {
        out.line(format!("safe     {}", text::counted(number("checkpoints"), "checkpoint", "checkpoints")))?;
    }
    for phase in job["phases"].as_array().into_iter().flatten() {
        let took = Duration::from_millis(phase["millis"].as_u64().unwrap_or_default());
        out.line(format!(
            "phase    {} {}",
            phase["phase"].as_str().unwrap_or_default(),
            text::duration(took)
        ))?;
    }
    for outage in job["outages"].as_array().into_iter().flatten() {
        let since = outage["since"].as_u64().unwrap_or_default();
        let length = outage["until"].as_u64().map(|until| Duration::from_millis(until.saturating_sub(since)));
        let length =
            length.map_or_else(|| "until now".to_owned(), |length| format!("for {}", text::duration(length)));
        let cause = outage["cause"].as_str().filter(|cause| !cause.is_empty());
        let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
        out.line(format!("outage   {} {length}{cause}", time::local_millis(since)))?;
    }
    for fault in job["faults"].as_array().into_iter().flatten() {
        out.line(format!(
            "trouble  {}: {}",
            fault[0].as_str().unwrap_or_default(),
            fault[1].as_str().unwrap_or_default()
        ))?;
    }
    out.finish()?;
    Ok(Status::Done)
}

fn log(site: &Site, one: &OneArgs) -> Result<Status> {
    let mut after = 0;
    let mut all = Vec::new();
    loop {
        let events: Vec<Value> = site.get(&format!("{}/events?after={after}", path(&one.id)))?;
        let Some(last) = events.last().and_then(|event| event["number"].as_u64()) else { break };
        after = last;
        all.extend(events);
    }
    let mut out = Out::new();
    if one.json {
        out.json(&all)?;
    }
    for event in all.iter().filter(|_| !one.json) {
        let at = time::local_millis(event["at"].as_u64().unwrap_or_default());
        out.line(format!("{at}  {}", event["text"].as_str().unwrap_or_default()))?;
    }
    out.finish()?;
    Ok(Status::Done)
}
