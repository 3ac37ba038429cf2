//! `holdfast verify`.

use holdfast_types::{ImageId, sanitise};
use holdfast_vault::verify::{Affected, Damage, Report, Watcher};
use serde::Serialize;

use crate::console::Console;
use crate::errors::{Result, Status};
use crate::json::PathText;
use crate::open::VaultArgs;
use crate::out::Out;
use crate::progress::Meter;
use crate::select::At;
use crate::text;

/// Files that are printed for an image; JSON has all that the report has.
const FILES_SHOWN: usize = 20;

const EXAMPLES: &str = "\
Examples:
  holdfast verify                            is all there that images need?
  holdfast verify --read-data                and is every byte of the vault good?
  holdfast verify latest:web1 --json

Exit status: 0 all is well, 3 there is damage, or the vault could not be verified. Changes nothing.";

/// Check that everything that images need is there and whole
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only these images: ids, beginnings of ids, `latest`, or `latest:NAME`
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// Read every byte of the vault, whichever images are chosen
    #[arg(long)]
    read_data: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    vault: VaultArgs,
}

#[derive(Serialize)]
struct Verdict<'a> {
    status: &'static str,
    read_data: bool,
    images: usize,
    packs: usize,
    bytes_read: u64,
    chunks: u64,
    damage: Vec<DamageText<'a>>,
    affected: Vec<AffectedText>,
}

#[derive(Serialize)]
struct DamageText<'a> {
    object: &'a str,
    what: &'a str,
}

#[derive(Serialize)]
struct AffectedText {
    image: String,
    files_affected: u64,
    entries_lost: u64,
    /// The first of them.
    files: Vec<PathText>,
}

impl Watcher for Meter<'_> {
    fn read(&mut self, bytes: u64, of: u64) {
        self.tell("reading packs", bytes, of, text::bytes);
    }

    fn walked(&mut self, images: usize, of: usize) {
        self.tell("checking images", images as u64, of as u64, text::count);
    }
}

impl Args {
    /// Verifies.
    pub(crate) fn run(&self, console: &Console) -> Result<Status> {
        let vault = self.vault.read(console)?;
        let find = |image: &String| self.at.find(&vault, image).map(|record| record.image);
        let images = self.images.iter().map(find).collect::<Result<Vec<ImageId>>>()?;
        let images = (!images.is_empty()).then_some(images.as_slice());
        let report = {
            let mut meter = Meter::new(console);
            vault.verify(images, self.read_data, &mut meter)?
        };
        let mut out = Out::new();
        if self.json {
            out.json(&self.to_json(&report))?;
        } else {
            print_damage(&mut out, &report)?;
            if !console.quiet {
                print_summary(&mut out, &report, self.read_data)?;
            }
        }
        out.finish()?;
        Ok(if report.is_good() { Status::Done } else { Status::Failed })
    }

    fn to_json<'a>(&self, report: &'a Report) -> Verdict<'a> {
        Verdict {
            status: if report.is_good() { "good" } else { "damaged" },
            read_data: self.read_data,
            images: report.images,
            packs: report.packs,
            bytes_read: report.bytes_read,
            chunks: report.chunks,
            damage: report.damage.iter().map(|Damage { object, what }| DamageText { object, what }).collect(),
            affected: report.affected.iter().map(AffectedText::new).collect(),
        }
    }
}

impl AffectedText {
    fn new(affected: &Affected) -> Self {
        Self {
            image: affected.image.to_string(),
            files_affected: affected.files_count,
            entries_lost: affected.entries_lost,
            files: affected.files.iter().map(|path| PathText::new(path)).collect(),
        }
    }
}

fn print_damage(out: &mut Out, report: &Report) -> Result<()> {
    for Damage { object, what } in &report.damage {
        out.line(format!("damaged: {}: {}", sanitise(object.as_bytes()), sanitise(what.as_bytes())))?;
    }
    for affected in &report.affected {
        out.line(format!("image {} cannot be restored whole:", affected.image))?;
        for path in affected.files.iter().take(FILES_SHOWN) {
            out.line(format!("  {}", sanitise(path)))?;
        }
        let more = affected.files_count.saturating_sub(FILES_SHOWN.min(affected.files.len()) as u64);
        if more > 0 {
            out.line(format!("  and {} more", text::counted(more, "file", "files")))?;
        }
        if affected.entries_lost > 0 {
            let lost = text::counted(affected.entries_lost, "entry", "entries");
            out.line(format!("  {lost} cannot even be listed"))?;
        }
        if affected.files_count == 0 && affected.entries_lost == 0 {
            out.line("  its record cannot be read")?;
        }
    }
    Ok(())
}

fn print_summary(out: &mut Out, report: &Report, read_data: bool) -> Result<()> {
    let images = text::counted(report.images as u64, "image", "images");
    let packs = text::counted(report.packs as u64, "pack", "packs");
    let read = match read_data {
        true => format!("read all of it, {}", text::bytes(report.bytes_read)),
        false => "contents were not read (--read-data reads them)".to_owned(),
    };
    let verdict = match report.is_good() {
        true => "all is well".to_owned(),
        false => "there is damage: what is not named above can be restored, and the next backup stores again what it \
                  reads and the vault lacks"
            .to_owned(),
    };
    out.line(format!("{images}, {packs}, {}; {read}", text::counted(report.chunks, "chunk", "chunks")))?;
    out.line(verdict)
}
