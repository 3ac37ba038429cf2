//! `holdfast images`.

use holdfast_format::record::ImageRecord;
use holdfast_types::sanitise;
use holdfast_vault::Listed;
use serde_json::Value;

use super::short;
use crate::console::Console;
use crate::errors::{Result, Status};
use crate::open::VaultArgs;
use crate::out::{List, Out};
use crate::site::asked;
use crate::{json, text, time};

const EXAMPLES: &str = "\
Examples:
  holdfast images
  holdfast images --name nightly --at '3 days'
  holdfast images --json | jq -r '.[0].id'";

/// Longer names push the rest of their line to the right.
const NAME_WIDTH_MAX: usize = 40;

/// List the images of a vault, the newest first
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only images with this label
    #[arg(long)]
    name: Option<String>,
    /// Only images that were begun at this time or before
    ///
    /// A time like 2026-11-22T10:00:00Z, '2026-11-22 10:00' (local time), 2026-11-22 (up to the end of that day), or an
    /// age like 2h or '3 days'.
    #[arg(long, value_name = "TIME", value_parser = time::parse_at)]
    at: Option<u64>,
    /// On the primary server of a site: only images of this client
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// Print a JSON list of objects
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    vault: VaultArgs,
}

impl Args {
    /// Lists images.
    pub(crate) fn run(&self, console: &Console) -> Result<Status> {
        if asked::is_meant(&self.vault)? {
            return self.ask(console);
        }
        let mut images = self.vault.read(console)?.images()?;
        images.retain(|listed| self.wants(listed));
        let unreadable = images.iter().filter(|listed| listed.record.is_err()).count();
        if self.json {
            print_json(&images)?
        } else {
            print_table(console, &images)?
        }
        Ok(Status::of_errors(unreadable as u64))
    }

    /// Those of the site.
    fn ask(&self, console: &Console) -> Result<Status> {
        let mut images = asked::images(self.name.as_deref(), self.client.as_deref())?;
        let started = |image: &Value| image["started"].as_u64().unwrap_or_default();
        images.retain(|image| self.at.is_none_or(|at| started(image) <= at));
        let mut out = Out::new();
        if self.json {
            out.json(&images)?;
        } else if images.is_empty() {
            console.say("no images");
        } else {
            out.line(format!(
                "{:<8}  {:<19}  {:<16}  {:<16}  {:>11}  {:>10}  PATHS",
                "IMAGE", "TIME", "CLIENT", "NAME", "FILES", "SIZE"
            ))?;
        }
        for image in images.iter().filter(|_| !self.json) {
            let word = |key: &str| image[key].as_str().unwrap_or_default();
            let number = |key: &str| image[key].as_u64().unwrap_or_default();
            let roots = image["roots"].as_array().into_iter().flatten().filter_map(Value::as_str);
            out.line(format!(
                "{:<8.8}  {}  {:<16}  {:<16}  {:>11}  {:>10}  {}",
                word("id"),
                time::local_millis(started(image)),
                word("client"),
                word("name"),
                text::count(number("files")),
                text::bytes(number("bytes_source")),
                roots.collect::<Vec<_>>().join(" ")
            ))?;
        }
        out.finish()?;
        Ok(Status::Done)
    }

    /// One that cannot be read may have any name.
    fn wants(&self, listed: &Listed) -> bool {
        let named = match (&self.name, &listed.record) {
            (Some(name), Ok(record)) => record.name == *name,
            _ => true,
        };
        named && self.at.is_none_or(|at| listed.created_millis <= at)
    }
}

fn print_json(images: &[Listed]) -> Result<()> {
    let mut list = List::new(Out::new());
    for listed in images {
        match &listed.record {
            Ok(record) => list.item(&json::Image::new(record))?,
            Err(error) => list.item(&json::Unreadable {
                id: listed.image.to_string(),
                time: time::rfc3339_millis(listed.created_millis),
                status: "unreadable",
                error: error.to_string(),
            })?,
        }
    }
    list.finish()
}

fn print_table(console: &Console, images: &[Listed]) -> Result<()> {
    let name = |record: &ImageRecord| sanitise(record.name.as_bytes());
    let records = || images.iter().filter_map(|listed| listed.record.as_ref().ok());
    let width = records()
        .map(|record| name(record).chars().count())
        .max()
        .unwrap_or(0)
        .clamp("NAME".len(), NAME_WIDTH_MAX);
    let mut out = Out::new();
    if images.is_empty() {
        console.say("no images");
    } else {
        out.line(format!(
            "{:<8}  {:<19}  {:<width$}  {:>11}  {:>10}  PATHS",
            "IMAGE", "TIME", "NAME", "FILES", "SIZE"
        ))?;
    }
    for listed in images {
        let (id, when) = (short(listed.image), time::local_millis(listed.created_millis));
        match &listed.record {
            Ok(record) => out.line(format!(
                "{id}  {when}  {:<width$}  {:>11}  {:>10}  {}",
                name(record),
                text::count(record.counts.files),
                text::bytes(record.counts.bytes_source),
                remarks(record)
            ))?,
            Err(error) => {
                let error = sanitise(error.to_string().as_bytes());
                out.line(format!("{id}  {when}  UNREADABLE: {error}"))?;
            }
        }
    }
    out.finish()
}

/// The paths, and what else is worth a word.
fn remarks(record: &ImageRecord) -> String {
    let mut words: Vec<String> = record.roots.iter().map(|path| sanitise(path)).collect();
    if record.counts.errors > 0 {
        words.push(format!("(incomplete: {})", text::counted(record.counts.errors, "error", "errors")));
    }
    words.join(" ")
}
