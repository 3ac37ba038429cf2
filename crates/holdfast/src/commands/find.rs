//! `holdfast find`.

use holdfast_types::{Kind, sanitise};
use serde::Serialize;

use super::short;
use crate::console::Console;
use crate::errors::{Failure, Result, Status};
use crate::glob::Pattern;
use crate::library::{Library, Opened};
use crate::listing::{self, EntryText};
use crate::open::VaultArgs;
use crate::out::{List, Out};
use crate::select::At;

const EXAMPLES: &str = "\
Examples:
  holdfast find 'report*.odt'                      in all images, the newest first
  holdfast find '/etc/**/*.key' --image latest
  holdfast find .ssh/ --json

A GLOB without a slash is about names; with a slash at its head about whole paths; with one inside about the last parts
of paths; with one at its end about directories only. `*` and `?` stay within one part, `**` spans parts.";

/// Search images for paths
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What to look for
    glob: String,
    /// Search this image only: an id, the beginning of one, `latest`, or `latest:NAME`
    #[arg(long)]
    image: Option<String>,
    /// Print a JSON list of objects
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    at: At,
    /// On the primary server of a site: only images of this client
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    #[command(flatten)]
    vault: VaultArgs,
}

#[derive(Serialize)]
struct Match {
    image: String,
    #[serde(flatten)]
    entry: EntryText,
}

enum Printer {
    Json(List),
    Text { out: Out, with_image: bool },
}

impl Args {
    /// Searches.
    pub(crate) fn run(&self, console: &Console) -> Result<Status> {
        let pattern = Pattern::new(&self.glob)
            .map_err(|error| Failure::usage(error, "mend the pattern; see `holdfast find --help`"))?;
        if self.at.at.is_some() && self.image.is_none() {
            return Err(Failure::usage("--at goes with --image latest", "add it, or leave --at out"));
        }
        let library = Library::open(&self.vault, self.client.as_deref(), console)?;
        let mut printer = match self.json {
            true => Printer::Json(List::new(Out::new())),
            false => Printer::Text { out: Out::new(), with_image: self.image.is_none() },
        };
        let mut parts = 0;
        let mut look = |image: &Opened| {
            parts += search(image, &pattern, &mut printer, console)?;
            Ok(())
        };
        let mut lost = match &self.image {
            Some(image) => look(&library.image(&self.at, image)?).map(|()| 0)?,
            None => library.each(console, &mut look)?,
        };
        lost += parts;
        match printer {
            Printer::Json(list) => list.finish()?,
            Printer::Text { out, .. } => out.finish()?,
        }
        Ok(Status::of_errors(lost))
    }
}

/// Searches one image. Gives the number of its parts that cannot be read.
fn search(image: &Opened, pattern: &Pattern, printer: &mut Printer, console: &Console) -> Result<u64> {
    let record = &image.record;
    let mut lost = 0;
    for item in image.manifest().entries() {
        let placed = match item {
            Ok(placed) => placed,
            Err(error) => {
                lost += 1;
                listing::tell_lost(console, record, &error);
                continue;
            }
        };
        let (path, entry) = (placed.path(), &placed.entry);
        if !pattern.matches(&path, &entry.name, entry.metadata.kind == Kind::Directory) {
            continue;
        }
        match printer {
            Printer::Json(list) => {
                list.item(&Match { image: record.image.to_string(), entry: EntryText::new(&path, entry) })?;
            }
            Printer::Text { out, with_image: true } => {
                out.line(format!("{}  {}", short(record.image), sanitise(&path)))?;
            }
            Printer::Text { out, with_image: false } => out.line(sanitise(&path))?,
        }
    }
    Ok(lost)
}
