//! `holdfast restore`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use clap::{ArgGroup, ValueEnum};
use holdfast_client::progress::Progress;
use holdfast_client::restore::{self, Options, Outcome, Overwrite, Target};
use holdfast_format::record::ImageRecord;
use serde_json::json;

use super::{in_words, print_result};
use crate::console::Console;
use crate::errors::{Failure, Result, Status};
use crate::library::{Library, Opened};
use crate::open::{VaultArgs, show};
use crate::out::Out;
use crate::select::{At, image_path};
use crate::site::asked;
use crate::{json, text};

const EXAMPLES: &str = "\
Examples:
  holdfast restore latest --to /tmp/back                       all of the newest image
  holdfast restore latest:web1 /etc/nginx --to /tmp/back       one directory of it, as /tmp/back/nginx
  holdfast restore 3f2a --in-place --overwrite changed         put everything back where it was
  holdfast restore latest --at '2 days' --to . --dry-run       say what would be done
  holdfast restore latest --tar | ssh host tar -x -C /srv      without writing files here

--to works like `cp -a`: the image of /srv/data gives DIR/data, and a PATH inside gives DIR/<its last part>. Several go
below their deepest common parent. The root / gives DIR's contents.";

/// Get files back
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES, group = ArgGroup::new("target").args(["to", "in_place", "tar"]).required(true))]
pub(crate) struct Args {
    /// An id, the beginning of one, `latest`, or `latest:NAME`
    image: String,
    /// Only these paths of the image, as they were on the source
    #[arg(value_name = "PATH")]
    paths: Vec<OsString>,
    /// Restore below this directory
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Put everything back where it was
    #[arg(long)]
    in_place: bool,
    /// Write a POSIX pax stream to standard output
    #[arg(long, conflicts_with_all = ["overwrite", "dry_run", "json"])]
    tar: bool,
    /// What becomes of a file that is already there; without this it stays, and is an error
    #[arg(long, value_name = "WHEN")]
    overwrite: Option<When>,
    /// Write nothing; say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Print the result as one JSON object, and progress as JSON lines on standard error
    #[arg(long)]
    pub(crate) json: bool,
    /// As an operator of a site: the client that is to write the files
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// With --client: whose image `latest` and `latest:NAME` mean, if it is another client's
    #[arg(long, value_name = "NAME", requires = "client")]
    from: Option<String>,
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    vault: VaultArgs,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum When {
    /// It stays
    Never,
    /// It is replaced if it is older than in the image
    Older,
    /// It is replaced
    Always,
    /// Only what differs is written
    Changed,
}

impl From<When> for Overwrite {
    fn from(when: When) -> Self {
        match when {
            When::Never => Self::Never,
            When::Older => Self::Older,
            When::Always => Self::Always,
            When::Changed => Self::Changed,
        }
    }
}

impl Args {
    /// Restores.
    pub(crate) fn run(&self, console: &Console) -> Result<Status> {
        let start = Instant::now();
        if self.tar && Out::is_terminal() {
            return Err(Failure::usage(
                "a tar stream is nothing for a terminal",
                "send it to a program or a file: `holdfast restore IMAGE --tar | tar -t`",
            ));
        }
        let paths = self.paths.iter().map(image_path).collect::<Result<Vec<_>>>()?;
        // What writes no files on a host of the site, or says only what it would, needs no job. An operator elsewhere who names
        // no client gets the files where he is.
        let is_job = !self.tar && !self.dry_run && (self.client.is_some() || asked::is_client()?);
        if is_job && asked::is_meant(&self.vault)? {
            return self.ask(console);
        }
        let library = Library::open(&self.vault, self.from.as_deref().or(self.client.as_deref()), console)?;
        let image = library.image(&self.at, &self.image)?;
        let record = &image.record;
        let progress = Progress::default();
        if paths.is_empty() {
            progress.files_expected.store(record.counts.files, Relaxed);
            progress.bytes_expected.store(record.counts.bytes_source, Relaxed);
        }
        let outcome = console.during(&progress, || self.restore(&image, &paths, &progress, console))?;
        if !self.tar {
            print_result(console, || self.print(console, record, &outcome, start.elapsed()));
        }
        Ok(Status::of_errors(outcome.counts.errors))
    }

    /// A job of the site, followed to its end.
    fn ask(&self, console: &Console) -> Result<Status> {
        self.at.selector(&self.image)?;
        let to = self.to.as_deref().map(|dir| std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned()));
        let to = to.map(|dir| asked::text(dir.as_os_str())).transpose()?;
        let paths = self.paths.iter().map(|path| asked::text(path)).collect::<Result<Vec<String>>>()?;
        let overwrite = match self.overwrite {
            None => 0,
            Some(When::Never) => 1,
            Some(When::Older) => 2,
            Some(When::Always) => 3,
            Some(When::Changed) => 4,
        };
        let restore = json!({ "image": self.image, "at": self.at.at, "paths": paths, "to": to, "overwrite": overwrite });
        asked::job(
            console,
            &json!({ "client": self.client, "from": self.from, "restore": restore }),
            true,
            self.json,
        )
    }

    fn restore(
        &self,
        image: &Opened,
        paths: &[Vec<u8>],
        progress: &Progress,
        console: &Console,
    ) -> Result<Outcome> {
        let (depot, manifest, roots) = (image.depot(), image.record.manifest, &image.record.roots);
        let Some(options) = self.options() else {
            let mut out = std::io::stdout().lock();
            return Ok(restore::tar::write(depot, manifest, roots, paths, progress, console, &mut out)?);
        };
        Ok(restore::run(depot, manifest, roots, paths, &options, progress, console)?)
    }

    /// How to restore to files; `None` for a stream.
    fn options(&self) -> Option<Options> {
        let target = match &self.to {
            Some(dir) => Target::Directory(dir.clone()),
            None if self.in_place => Target::InPlace,
            None => return None,
        };
        let overwrite = self.overwrite.map_or_else(Overwrite::default, Overwrite::from);
        Some(Options { overwrite, dry_run: self.dry_run, ..Options::to(target) })
    }

    fn print(
        &self,
        console: &Console,
        record: &ImageRecord,
        outcome: &Outcome,
        took: Duration,
    ) -> Result<()> {
        let mut out = Out::new();
        if self.json {
            out.json(&json::Restore {
                image: record.image.to_string(),
                status: json::status(&outcome.counts),
                numbers: json::Numbers::of(&outcome.counts),
                seconds: took.as_secs_f64(),
                dry_run: self.dry_run,
                unchanged: outcome.unchanged,
                kept: outcome.kept,
                unreachable: outcome.unreachable,
                notes: &outcome.notes,
            })?;
        } else if !console.quiet {
            self.print_text(&mut out, record, outcome, took)?;
        }
        out.finish()
    }

    fn print_text(
        &self,
        out: &mut Out,
        record: &ImageRecord,
        outcome: &Outcome,
        took: Duration,
    ) -> Result<()> {
        let counts = &outcome.counts;
        let place = self.to.as_deref().map_or_else(|| "its place".to_owned(), show);
        let done = if self.dry_run { "would restore" } else { "restored" };
        out.line(format!("{done} image {} to {place}", record.image))?;
        out.line(format!("  {}", in_words(counts)))?;
        let wrote = if self.dry_run { "would write" } else { "wrote" };
        out.line(format!("  {wrote} {}, {}", text::bytes(counts.bytes_read), text::duration(took)))?;
        let told = [
            (outcome.unchanged, "of these were as they should be already"),
            (outcome.kept, "were there and stayed as they were"),
            (outcome.unreachable, "lie below directories that could not be made"),
        ];
        for (number, what) in told.into_iter().filter(|(number, _)| *number > 0) {
            out.line(format!("  {} {what}", text::count(number)))?;
        }
        if counts.errors > 0 {
            let errors = text::counted(counts.errors, "entry", "entries");
            out.line(format!("  incomplete: {errors} could not be restored, see above"))?;
        }
        Ok(())
    }
}
