//! `holdfast backup`.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use holdfast_client::backup::Options;
use holdfast_client::embedded::{self, Request};
use holdfast_client::progress::Progress;
use holdfast_client::source::{ChosenError, Root, Selection, normalise_roots};
use holdfast_format::config;
use holdfast_format::record::{ImageRecord, NAME_MAX};
use holdfast_types::sanitise;
use serde_json::json;

use super::{in_words, print_result, short};
use crate::console::Console;
use crate::errors::{Failure, Result, Status};
use crate::open::{Chosen, VaultArgs, show};
use crate::out::Out;
use crate::site::asked;
use crate::{glob, json, text};

const EXAMPLES: &str = "\
Examples:
  holdfast backup ~/work
  holdfast backup /etc /srv --exclude '*.tmp' --exclude-caches --name nightly
  holdfast backup / --one-file-system --vault /mnt/disk/vault --json

A GLOB without a slash is about names anywhere; with a slash at its head about whole paths; with one inside about the
last parts of paths; with one at its end about directories only. `*` and `?` stay within one part, `**` spans parts.
The vault itself is left out.

On a host that is enrolled at a site this makes a job of the site, unless a vault is named.";

/// Back up files and directories
///
/// Compares with the newest image of the same host and paths: files whose size, modification time, change time and inode
/// are as they were are not read again.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Files and directories
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Leave out what matches; may be given several times
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Leave out what is in directories that are marked by a CACHEDIR.TAG
    #[arg(long)]
    exclude_caches: bool,
    /// Stay on the file systems that the PATHs are on
    #[arg(long)]
    one_file_system: bool,
    /// Read all files, also those that seem unchanged
    #[arg(long)]
    rehash: bool,
    /// The image's label; else the host's name
    #[arg(long)]
    name: Option<String>,
    /// Store nothing; say what would be stored
    #[arg(long)]
    dry_run: bool,
    /// Print the result as one JSON object, and progress as JSON lines on standard error
    #[arg(long)]
    pub(crate) json: bool,
    /// On a host of a site: wait until the job is done. Without it the job's id is printed, and it goes on by itself
    #[arg(long)]
    wait: bool,
    /// As an operator of a site: the client that is to be backed up
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    #[command(flatten)]
    vault: VaultArgs,
}

impl Args {
    /// Backs up.
    pub(crate) fn run(&self, console: &Console) -> Result<Status> {
        let start = Instant::now();
        if let Some(name) = &self.name {
            check_name(name)?;
        }
        if asked::is_meant(&self.vault)? {
            return self.ask(console);
        }
        let chosen = self.vault.choose()?;
        let request = self.request(&chosen)?;
        let vault = if self.dry_run { chosen.read_or_imagine(console)? } else { chosen.write(console)? };
        let progress = Progress::default();
        let record = console.during(&progress, || embedded::backup(&vault, &request, &progress, console))?;
        print_result(console, || self.print(console, &record, start.elapsed()));
        Ok(Status::of_errors(record.counts.errors))
    }

    /// A job of the site.
    fn ask(&self, console: &Console) -> Result<Status> {
        if self.dry_run {
            return Err(Failure::usage(
                "a site cannot say what it would do",
                "leave --dry-run out, or name a vault with --vault",
            ));
        }
        let cwd = std::env::current_dir().map_err(ChosenError::Cwd)?;
        let roots = normalise_roots(&self.paths, &cwd).map_err(ChosenError::Root)?;
        let path = |root: &Root| asked::text(std::ffi::OsStr::from_bytes(&root.path));
        let paths = roots.iter().map(path).collect::<Result<Vec<String>>>()?;
        let backup = json!({
            "paths": paths,
            "excludes": self.exclude,
            "exclude_caches": self.exclude_caches,
            "one_file_system": self.one_file_system,
            "rehash": self.rehash,
        });
        let wish = json!({ "client": self.client, "name": self.name, "backup": backup });
        asked::job(console, &wish, self.wait, self.json)
    }

    /// What is asked for, checked before a vault is opened, or even made.
    fn request(&self, chosen: &Chosen) -> Result<Request> {
        let cwd = std::env::current_dir().map_err(ChosenError::Cwd)?;
        let roots = normalise_roots(&self.paths, &cwd).map_err(ChosenError::Root)?;
        let mut excludes = self.exclude.clone();
        Selection { excludes: excludes.clone(), ..Selection::default() }
            .compile()
            .map_err(ChosenError::Select)?;
        for root in &roots {
            excludes.extend(vault_below(root, &chosen.dir)?);
        }
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Ok(Request {
            paths: self.paths.clone(),
            excludes,
            exclude_caches: self.exclude_caches,
            one_file_system: self.one_file_system,
            name: self.name.clone(),
            host,
            options: Options { rehash: self.rehash, dry_run: self.dry_run, ..Options::default() },
        })
    }

    fn print(&self, console: &Console, record: &ImageRecord, took: Duration) -> Result<()> {
        let mut out = Out::new();
        if self.json {
            out.json(&json::Backup::new(record, self.dry_run, took))?;
        } else if !console.quiet {
            self.print_text(&mut out, record, took)?;
        }
        out.finish()
    }

    fn print_text(&self, out: &mut Out, record: &ImageRecord, took: Duration) -> Result<()> {
        let counts = &record.counts;
        match self.dry_run {
            true => out.line("would back up, and stored nothing:")?,
            false => out.line(format!("image {} ({})", record.image, sanitise(record.name.as_bytes())))?,
        }
        out.line(format!("  {}", in_words(counts)))?;
        let read = format!("  read {}, ", text::bytes(counts.bytes_read));
        let new = text::counted(counts.chunks_new, "new chunk", "new chunks");
        let would_read = text::bytes(counts.bytes_read);
        let took = text::duration(took);
        match (self.dry_run, record.parent) {
            (true, _) => out.line(format!("would read {would_read} and store what is new of it, {took}"))?,
            (false, None) => {
                out.line(format!("{read}stored {} in {new}, {took}", text::bytes(counts.bytes_added)))?
            }
            (false, Some(parent)) => out.line(format!(
                "{read}stored {} in {new} since image {}, {took}",
                text::bytes(counts.bytes_added),
                short(parent)
            ))?,
        }
        if counts.errors > 0 {
            let errors = text::counted(counts.errors, "entry", "entries");
            out.line(format!("  incomplete: {errors} could not be read whole, see above"))?;
        }
        Ok(())
    }
}

/// A label is a line in a list.
fn check_name(name: &str) -> Result<()> {
    let wrong = |what: &str| Err(Failure::usage(what, "leave --name out for the host's name"));
    match name.len() {
        0 => wrong("the name is empty"),
        length if length > NAME_MAX => {
            wrong(&format!("the name has {length} bytes, at most {NAME_MAX} are allowed"))
        }
        _ if name.contains(char::is_control) => wrong("the name has a control character"),
        _ => Ok(()),
    }
}

/// The pattern that leaves the vault out, if it lies below a root: it would be read while it is written, and grow by
/// itself with every backup. A root in the vault is refused for the same reason.
fn vault_below(root: &Root, vault: &Path) -> Result<Option<String>> {
    let root_path = Path::new(std::ffi::OsStr::from_bytes(&root.path));
    // By true paths, whatever symlinks lead there; on the source it is found below the root as that is written.
    let (Ok(root_true), Some(vault_true)) = (root_path.canonicalize(), canonical(vault)) else {
        return Ok(None);
    };
    if root_true.starts_with(&vault_true) && vault.join(config::OBJECT_KEY).exists() {
        return Err(Failure::usage(
            format!("{} lies in the vault itself", show(root_path)),
            "to keep a second copy of a vault, copy its directory with another program, or choose another --vault",
        ));
    }
    let below = vault_true.strip_prefix(root_true).ok();
    Ok(below.map(|below| glob::escape(root_path.join(below).as_os_str().as_bytes())))
}

/// The true path of a vault that may be yet to be made.
fn canonical(vault: &Path) -> Option<PathBuf> {
    let there = vault.ancestors().find(|above| above.exists())?;
    Some(there.canonicalize().ok()?.join(vault.strip_prefix(there).ok()?))
}
