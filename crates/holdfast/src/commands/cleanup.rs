//! `holdfast cleanup`.

use std::time::Duration;

use holdfast_vault::cleanup::{Margins, Report, Watcher};
use serde::Serialize;
use serde_json::Value;

use crate::console::Console;
use crate::errors::{Result, Status};
use crate::open::VaultArgs;
use crate::out::Out;
use crate::progress::Meter;
use crate::site::{asked, upkeep};
use crate::{text, time};

const EXAMPLES: &str = "\
Examples:
  holdfast cleanup
  holdfast cleanup --dry-run
  holdfast cleanup --grace 0        free the room at once

Frees what no image needs, in two phases: what is found is marked, and a later clean-up deletes it when the grace period
has passed and it is still not needed. Backups and restores may run meanwhile. It may be interrupted at any time.";

/// Free the room that no image needs any more
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How long what is marked waits until it is deleted: 12h, 3d; 0 deletes at once [default: 1d]
    #[arg(long, value_name = "DURATION", value_parser = time::parse_duration)]
    grace: Option<Duration>,
    /// Change nothing; say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// In a site: the media server whose vault it is [default: that of policies without `storage`]
    #[arg(long, value_name = "NAME")]
    media: Option<String>,
    #[command(flatten)]
    vault: VaultArgs,
}

/// Packs, and their bytes.
#[derive(Serialize)]
struct Packs {
    packs: usize,
    bytes: u64,
}

#[derive(Serialize)]
struct ReportText {
    dry_run: bool,
    grace_seconds: u64,
    marked: Packs,
    unmarked_packs: usize,
    deleted: Packs,
    rewritten: Packs,
    waiting: Packs,
    bytes_left: u64,
    put_off_for_readers: bool,
}

/// A meter of images that are looked at.
struct Walked<'a>(Meter<'a>);

impl Watcher for Walked<'_> {
    fn walked(&mut self, images: usize, of: usize) {
        self.0.tell("looking at images", images as u64, of as u64, text::count);
    }
}

impl Args {
    /// Cleans up.
    pub(crate) fn run(&self, console: &Console) -> Result<Status> {
        let mut margins = Margins::default();
        margins.grace = self.grace.unwrap_or(margins.grace);
        if asked::is_meant(&self.vault)? {
            return self.ask(console, margins.grace);
        }
        let vault = if self.dry_run { self.vault.read(console)? } else { self.vault.write(console)? };
        let report = {
            let mut walked = Walked(Meter::new(console));
            vault.cleanup(&margins, time::now_seconds(), self.dry_run, &mut walked)?
        };
        let mut out = Out::new();
        if self.json {
            out.json(&self.to_json(&report, margins.grace))?;
        } else if !console.quiet {
            self.print(&mut out, &report, margins.grace)?;
        }
        out.finish()?;
        Ok(Status::Done)
    }

    /// Of a site, by its media server.
    fn ask(&self, console: &Console, grace: Duration) -> Result<Status> {
        let done = upkeep::cleanup(console, self.media.as_deref(), grace.as_secs(), self.dry_run)?;
        let mut out = Out::new();
        if self.json {
            let mut done = done;
            done["dry_run"] = self.dry_run.into();
            done["grace_seconds"] = grace.as_secs().into();
            out.json(&done)?;
        } else if !console.quiet {
            self.print(&mut out, &report(&done), grace)?;
        }
        out.finish()?;
        Ok(Status::Done)
    }

    fn to_json(&self, report: &Report, grace: Duration) -> ReportText {
        ReportText {
            dry_run: self.dry_run,
            grace_seconds: grace.as_secs(),
            marked: Packs { packs: report.marked, bytes: report.marked_bytes },
            unmarked_packs: report.unmarked,
            deleted: Packs { packs: report.deleted, bytes: report.deleted_bytes },
            rewritten: Packs { packs: report.rewritten, bytes: report.rewritten_bytes },
            waiting: Packs { packs: report.waiting, bytes: report.waiting_bytes },
            bytes_left: report.bytes_left,
            put_off_for_readers: report.readers,
        }
    }

    fn print(&self, out: &mut Out, report: &Report, grace: Duration) -> Result<()> {
        let packs = |number: usize| text::counted(number as u64, "pack", "packs");
        let will = if self.dry_run { "would be " } else { "" };
        let deleted = format!("{} with {}", packs(report.deleted), text::bytes(report.deleted_bytes));
        out.line(format!("{will}deleted: {deleted}"))?;
        let marked = format!("{} with {}", packs(report.marked), text::bytes(report.marked_bytes));
        out.line(format!("found that no image needs them, and {will}marked: {marked}"))?;
        if report.unmarked > 0 {
            out.line(format!("needed again, their marks {will}taken away: {}", packs(report.unmarked)))?;
        }
        if report.rewritten > 0 {
            let live = text::bytes(report.rewritten_bytes);
            out.line(format!(
                "mostly unneeded, what is needed of them {will}written anew: {} ({live})",
                packs(report.rewritten)
            ))?;
        }
        if report.waiting > 0 {
            let bytes = text::bytes(report.waiting_bytes);
            out.line(format!("marked, and waiting to be deleted: {} with {bytes}", packs(report.waiting)))?;
            if !grace.is_zero() {
                let latest =
                    time::now_millis().saturating_add(u64::try_from(grace.as_millis()).unwrap_or(u64::MAX));
                let latest = time::local_millis(latest);
                out.line(format!(
                    "  a clean-up after {latest} deletes them all; `--grace 0` deletes them at once"
                ))?;
            }
        }
        if report.readers {
            out.line(
                "nothing was deleted: another process is reading the vault; run this again when it has ended",
            )?;
        }
        out.line(format!("left: {}", text::bytes(report.bytes_left)))
    }
}

/// What a site has done, as a vault of this process would tell it.
fn report(done: &Value) -> Report {
    let bytes = |key: &str| done[key]["bytes"].as_u64().unwrap_or_default();
    let number =
        |value: &Value| value.as_u64().and_then(|number| usize::try_from(number).ok()).unwrap_or_default();
    let packs = |key: &str| number(&done[key]["packs"]);
    let mut report = Report::default();
    (report.marked, report.marked_bytes) = (packs("marked"), bytes("marked"));
    (report.deleted, report.deleted_bytes) = (packs("deleted"), bytes("deleted"));
    (report.rewritten, report.rewritten_bytes) = (packs("rewritten"), bytes("rewritten"));
    (report.waiting, report.waiting_bytes) = (packs("waiting"), bytes("waiting"));
    report.unmarked = number(&done["unmarked_packs"]);
    report.bytes_left = done["bytes_left"].as_u64().unwrap_or_default();
    report.readers = done["put_off_for_readers"].as_bool().unwrap_or_default();
    report
}
