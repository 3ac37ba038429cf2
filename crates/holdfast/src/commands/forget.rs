//! `holdfast forget`. Which images rules keep is `retention`'s.

use std::collections::HashSet;

use clap::ArgGroup;
use holdfast_format::record::ImageRecord;
use holdfast_types::{ImageId, sanitise};
use holdfast_vault::{Listed, Vault};
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::Value;

use super::{print_result, short};
use crate::console::Console;
use crate::errors::{Failure, Result, Status};
use crate::open::VaultArgs;
use crate::out::Out;
use crate::retention::{self, Candidate, Rules};
use crate::select::At;
use crate::site::{asked, forget as site_forget, upkeep};
use crate::{text, time};

const EXAMPLES: &str = "\
Examples:
  holdfast forget 3f2a 81c0
  holdfast forget --keep-last 3 --keep-daily 14 --keep-monthly 12 --dry-run
  holdfast forget --keep-daily 14 --keep-yearly 10 && holdfast cleanup

Rules look at images of the same host, paths and name together; in a site what a client made of its own accord is apart from what
policies made. Each keeps the newest image of each of the newest N days,
weeks (from Monday), months or years that have one, in local time; an image that any rule keeps stays. If all that stay
are incomplete (some entries could not be read), the newest complete one stays too.
Forgotten images are gone at once; the room that they take is freed by `holdfast cleanup`.";

/// Forget images: those that are named, or all that no rule keeps
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES, group = ArgGroup::new("rules")
    .args(["keep_last", "keep_daily", "keep_weekly", "keep_monthly", "keep_yearly"]).multiple(true))]
pub(crate) struct Args {
    /// Images: ids, beginnings of ids, `latest`, or `latest:NAME`
    #[arg(value_name = "IMAGE", required_unless_present = "rules", conflicts_with = "rules")]
    images: Vec<String>,
    /// Keep the newest N
    #[arg(long, value_name = "N")]
    keep_last: Option<usize>,
    /// Keep one of each of N days
    #[arg(long, value_name = "N")]
    keep_daily: Option<usize>,
    /// Keep one of each of N weeks
    #[arg(long, value_name = "N")]
    keep_weekly: Option<usize>,
    /// Keep one of each of N months
    #[arg(long, value_name = "N")]
    keep_monthly: Option<usize>,
    /// Keep one of each of N years
    #[arg(long, value_name = "N")]
    keep_yearly: Option<usize>,
    /// Forget nothing; say what would be forgotten
    #[arg(long)]
    dry_run: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// On the primary server of a site: whose image `latest` means, or whose images rules are for
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    vault: VaultArgs,
}

/// What to do: which images go, which stay and why.
#[derive(Default)]
struct Plan {
    forget: Vec<Listed>,
    keep: Vec<(ImageRecord, Vec<&'static str>)>,
    unreadable: u64,
}

#[derive(Serialize)]
struct Report {
    dry_run: bool,
    forgotten: Vec<String>,
    kept: Vec<Kept>,
    unreadable: u64,
}

#[derive(Serialize)]
struct Kept {
    id: String,
    rules: Vec<&'static str>,
}

impl Args {
    /// Forgets.
    pub(crate) fn run(&self, console: &Console) -> Result<Status> {
        let rules = self.rules();
        if self.images.is_empty() && rules.keep_nothing() {
            return Err(Failure::usage(
                "these rules would keep nothing",
                "give one of them a number above 0; `holdfast forget IMAGE` forgets single images",
            ));
        }
        if self.at.at.is_some() && self.images.is_empty() {
            return Err(Failure::usage("--at goes with IMAGE", "leave it out"));
        }
        if asked::is_meant(&self.vault)? {
            return self.ask(console);
        }
        let vault = if self.dry_run { self.vault.read(console)? } else { self.vault.write(console)? };
        let plan = if self.images.is_empty() { plan(&vault, &rules, console)? } else { self.named(&vault)? };
        if !self.dry_run {
            vault.forget_all(&plan.forget.iter().map(|listed| listed.image).collect())?;
        }
        print_result(console, || self.print(console, &plan));
        Ok(Status::of_errors(plan.unreadable))
    }

    /// Of a site, by its media servers.
    fn ask(&self, console: &Console) -> Result<Status> {
        let (kept, forgotten) = if self.images.is_empty() {
            site_forget::by_rules(console, &self.rules(), self.client.as_deref(), self.dry_run)?
        } else {
            let whose = (self.client.as_deref(), self.at.at);
            (Vec::new(), upkeep::forget(console, &self.images, whose, self.dry_run)?)
        };
        print_result(console, || self.print_asked(console, &kept, &forgotten));
        Ok(Status::Done)
    }

    fn print_asked(&self, console: &Console, kept: &[site_forget::Kept], forgotten: &[Value]) -> Result<()> {
        let mut out = Out::new();
        if self.json {
            let id = |image: &Value| sanitise(image["id"].as_str().unwrap_or_default().as_bytes());
            out.json(&Report {
                dry_run: self.dry_run,
                forgotten: forgotten.iter().map(id).collect(),
                kept: kept.iter().map(|kept| Kept { id: id(&kept.image), rules: kept.by.clone() }).collect(),
                unreadable: 0,
            })?;
        } else if !console.quiet {
            for kept in kept {
                out.line(format!("keep    {}  ({})", site_forget::line(&kept.image), kept.by.join(", ")))?;
            }
            let (verb, told) = if self.dry_run { ("forget", "would forget") } else { ("forgot", "forgot") };
            for image in forgotten {
                out.line(format!("{verb}  {}", site_forget::line(image)))?;
            }
            out.line(format!("{told} {}", text::counted(forgotten.len() as u64, "image", "images")))?;
            if !self.dry_run && !forgotten.is_empty() {
                out.line("`holdfast cleanup` frees the room that they take")?;
            }
        }
        out.finish()
    }

    fn rules(&self) -> Rules {
        Rules {
            last: self.keep_last.unwrap_or(0),
            daily: self.keep_daily.unwrap_or(0),
            weekly: self.keep_weekly.unwrap_or(0),
            monthly: self.keep_monthly.unwrap_or(0),
            yearly: self.keep_yearly.unwrap_or(0),
        }
    }

    /// All are found before the first is forgotten: `latest` then means what it meant when it was typed.
    fn named(&self, vault: &Vault) -> Result<Plan> {
        let (mut plan, mut seen) = (Plan::default(), HashSet::new());
        for image in &self.images {
            let listed = self.at.find_listed(vault, image)?;
            if seen.insert(listed.image) {
                plan.forget.push(listed);
            }
        }
        Ok(plan)
    }

    fn print(&self, console: &Console, plan: &Plan) -> Result<()> {
        let mut out = Out::new();
        if self.json {
            let id = |image: ImageId| image.to_string();
            out.json(&Report {
                dry_run: self.dry_run,
                forgotten: plan.forget.iter().map(|listed| id(listed.image)).collect(),
                kept: plan
                    .keep
                    .iter()
                    .map(|(record, why)| Kept { id: id(record.image), rules: why.clone() })
                    .collect(),
                unreadable: plan.unreadable,
            })?;
        } else if !console.quiet {
            self.print_text(&mut out, plan)?;
        }
        out.finish()
    }

    fn print_text(&self, out: &mut Out, plan: &Plan) -> Result<()> {
        for (record, why) in &plan.keep {
            out.line(format!("keep    {}  ({})", line(record), why.join(", ")))?;
        }
        let (verb, word) = if self.dry_run { ("forget", "would forget") } else { ("forgot", "forgot") };
        for listed in &plan.forget {
            match &listed.record {
                Ok(record) => out.line(format!("{verb}  {}", line(record)))?,
                Err(_) => {
                    out.line(format!("{verb}  {}  (its record cannot be read)", short(listed.image)))?
                }
            }
        }
        let images = text::counted(plan.forget.len() as u64, "image", "images");
        out.line(format!("{word} {images}"))?;
        if !self.dry_run && !plan.forget.is_empty() {
            out.line("`holdfast cleanup` frees the room that they take")?;
        }
        Ok(())
    }
}

/// What rules make of the images of a vault. One whose record cannot be read stays: nobody knows what it is.
fn plan(vault: &Vault, rules: &Rules, console: &Console) -> Result<Plan> {
    let (mut plan, mut records) = (Plan::default(), Vec::new());
    for listed in vault.images()? {
        match listed.record {
            Ok(record) => records.push(record),
            Err(error) => {
                plan.unreadable += 1;
                console.trouble(&format!(
                    "image {} is left alone, its record cannot be read: {error}",
                    listed.image
                ));
            }
        }
    }
    let candidates: Vec<_> = records.iter().map(Candidate::of).collect();
    let verdicts = retention::judge(&candidates, rules, &TimeZone::system());
    for (record, verdict) in records.into_iter().zip(verdicts) {
        match verdict.kept_by.is_empty() {
            true => plan.forget.push(Listed {
                image: record.image,
                created_millis: record.started_millis,
                record: Ok(record),
            }),
            false => plan.keep.push((record, verdict.kept_by)),
        }
    }
    Ok(plan)
}

fn line(record: &ImageRecord) -> String {
    let paths: Vec<String> = record.roots.iter().map(|path| sanitise(path)).collect();
    let incomplete = if record.counts.errors > 0 { "  (incomplete)" } else { "" };
    format!(
        "{}  {}  {}  {}{incomplete}",
        short(record.image),
        time::local_millis(record.started_millis),
        sanitise(record.name.as_bytes()),
        paths.join(" ")
    )
}
