//! Follows jobs to their ends. Who follows is nobody to the job: he may lose his connection, or end, and come back.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Site, escape};
use crate::console::{Console, Style};
use crate::errors::{Failure, Result, Status};
use crate::out::Out;
use crate::text;

/// Follows jobs until all are done, or until the time is over. Prints them at the end.
pub(crate) fn to_the_end(
    site: &Site,
    console: &Console,
    ids: &[String],
    limit: Option<Duration>,
    as_json: bool,
) -> Result<Status> {
    let begun = Instant::now();
    let mut jobs: Vec<Value> = Vec::new();
    for id in ids {
        if console.style == Style::Text {
            console.say(&format!("job {id}"));
        }
        jobs.push(one(site, console, id, begun, limit)?);
    }
    print(&jobs, as_json)?;
    let open = jobs.iter().filter(|job| job["state"] != "done").count();
    if open > 0 {
        return Err(Failure::failed(
            format!("{} not done yet", text::counted(open as u64, "job is", "jobs are")),
            "they go on; `holdfast jobs watch` follows them",
        ));
    }
    Ok(jobs.iter().map(status).max_by_key(|status| *status as u8).unwrap_or(Status::Done))
}

fn status(job: &Value) -> Status {
    match job["status"].as_i64() {
        Some(0) => Status::Done,
        Some(1) => Status::Partly,
        _ => Status::Failed,
    }
}

fn one(site: &Site, console: &Console, id: &str, begun: Instant, limit: Option<Duration>) -> Result<Value> {
    let mut version = 0;
    let mut shown = String::new();
    loop {
        let path = format!("/api/v1/jobs/{}/wait?version={version}", escape(id));
        let job: Value =
            site.get_patiently(&path, console, limit.map(|limit| limit.saturating_sub(begun.elapsed())))?;
        version = job["version"].as_u64().unwrap_or_default();
        let line = describe(&job);
        if line != shown {
            site.show(console, &line);
            shown = line;
        }
        if job["state"] == "done" || limit.is_some_and(|limit| begun.elapsed() >= limit) {
            return Ok(job);
        }
    }
}

/// A job that is under way, in a line.
fn describe(job: &Value) -> String {
    let word = |key: &str| job[key].as_str().unwrap_or_default();
    let number = |key: &str| job[key].as_u64().unwrap_or_default();
    let mut line = format!("{}: {}", word("client"), word("state"));
    if !word("phase").is_empty() && word("state") != "done" {
        line.push_str(&format!(", {}", word("phase")));
    }
    if !word("cause").is_empty() {
        line.push_str(&format!(", {}", word("cause")));
    }
    if number("files") > 0 || number("bytes_read") > 0 {
        line.push_str(&format!(
            ", {}, read {}, sent {}",
            text::counted(number("files"), "file", "files"),
            text::bytes(number("bytes_read")),
            text::bytes(number("bytes_sent"))
        ));
    }
    line
}

fn print(jobs: &[Value], as_json: bool) -> Result<()> {
    let mut out = Out::new();
    if as_json {
        let mut result = match jobs {
            [job] => job.clone(),
            _ => json!({}),
        };
        if let [job] = jobs {
            result["job"] = job["id"].clone();
        }
        result["jobs"] = Value::Array(jobs.to_vec());
        out.json(&result)?;
        return out.finish();
    }
    for job in jobs {
        let word = |key: &str| job[key].as_str().unwrap_or_default();
        let mut line = format!("job {} {}", word("id"), word("state"));
        if let Some(status) = job["status"].as_i64() {
            line.push_str(&format!(", status {status} ({})", word("status_text")));
        }
        if !word("image").is_empty() {
            line.push_str(&format!(", image {}", word("image")));
        }
        if !word("cause").is_empty() {
            line.push_str(&format!("\n  {}", word("cause")));
        }
        if !word("next").is_empty() {
            line.push_str(&format!("\n  {}", word("next")));
        }
        out.line(line)?;
    }
    out.finish()
}
