//! `holdfast key`: which keys are here, out to paper, in again. Where they lie is `keys`' business.

use std::fs::File;
use std::io::{IsTerminal, Read, stdin};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use holdfast_types::{KeyId, sanitise};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::console::Console;
use crate::errors::{Failure, Result, Status};
use crate::keys::{self, Keys};
use crate::open::{VaultArgs, show};
use crate::out::{List, Out};
use crate::state::State;

const EXAMPLES: &str = "\
Examples:
  holdfast key show
  holdfast key export > key.txt              or print it, and put the paper where the vault is not
  holdfast key import < key.txt              on another machine, or when this one was lost";

/// The keys of this host: which are here, a copy on paper, and in again
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Which keys are here, where they lie, and which of them the vault needs. Never prints a key
    #[command(after_help = "Example:\n  holdfast key show --vault /mnt/disk/vault")]
    Show {
        /// Print a JSON list of objects
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        vault: VaultArgs,
    },
    /// Print a key as a short text with a checksum, that a person can type in again
    #[command(after_help = "Example:\n  holdfast key export --vault /mnt/disk/vault > key.txt")]
    Export {
        /// The key's id or its beginning; else the key that the vault needs
        #[arg(long, value_name = "ID")]
        key: Option<String>,
        #[command(flatten)]
        vault: VaultArgs,
    },
    /// Take a key that `key export` printed, from a file or standard input
    #[command(
        after_help = "Examples:\n  holdfast key import key.txt\n  holdfast key import       (then type it in)"
    )]
    Import {
        /// A file with the text; else standard input
        file: Option<PathBuf>,
    },
}

#[derive(Serialize)]
struct Shown {
    id: String,
    file: String,
    /// The chosen vault, if this key opens it.
    vault: Option<String>,
}

impl Args {
    /// Whether JSON was asked for.
    pub(crate) fn json(&self) -> bool {
        matches!(self.action, Action::Show { json: true, .. })
    }

    /// Does it.
    pub(crate) fn run(&self, console: &Console) -> Result<Status> {
        match &self.action {
            Action::Show { json, vault } => show_keys(vault, *json, console),
            Action::Export { key, vault } => export(key.as_deref(), vault, console),
            Action::Import { file } => import(file.as_deref(), console),
        }
    }
}

fn show_keys(args: &VaultArgs, json: bool, console: &Console) -> Result<Status> {
    let chosen = args.choose()?;
    // Without a vault there are keys all the same; a vault that was asked for must be there.
    let needed = if chosen.is_expected() { Some(chosen.key_needed(console)?) } else { None };
    let vault = |id: KeyId| (needed == Some(id)).then(|| show(&chosen.dir));
    let files = chosen.keys.list()?;
    if json {
        let mut list = List::new(Out::new());
        for file in &files {
            list.item(&Shown { id: file.id.to_string(), file: show(&file.path), vault: vault(file.id) })?;
        }
        list.finish()?;
    } else {
        let mut out = Out::new();
        for file in &files {
            let opens = vault(file.id).map(|dir| format!("  opens the vault in {dir}"));
            out.line(format!("{}  {}{}", file.id, show(&file.path), opens.unwrap_or_default()))?;
        }
        out.finish()?;
    }
    match needed {
        Some(id) if !files.iter().any(|file| file.id == id) => {
            Err(chosen.keys.missing(id, &format!("the vault in {}", show(&chosen.dir))))
        }
        None if files.is_empty() => {
            console.say(&format!("no keys in {}", show(chosen.keys.dir())));
            Ok(Status::Done)
        }
        _ => Ok(Status::Done),
    }
}

fn export(id: Option<&str>, args: &VaultArgs, console: &Console) -> Result<Status> {
    let chosen = args.choose()?;
    let id = match id {
        Some(beginning) => find(&chosen.keys, beginning)?,
        None if chosen.is_expected() => chosen.key_needed(console)?,
        None => only(&chosen.keys)?,
    };
    let text = chosen.keys.get_for(id, "that vault")?.to_text();
    let mut out = Out::new();
    out.line(text.as_str())?;
    out.finish()?;
    if Out::is_terminal() {
        console.say(&format!(
            "key {id}: who has this text and the vault can read it; keep it where the vault is not"
        ));
    }
    Ok(Status::Done)
}

fn find(keys: &Keys, beginning: &str) -> Result<KeyId> {
    let beginning = beginning.to_ascii_lowercase();
    let found: Vec<KeyId> =
        keys.list()?.iter().map(|file| file.id).filter(|id| id.to_string().starts_with(&beginning)).collect();
    match found.as_slice() {
        [id] if !beginning.is_empty() => Ok(*id),
        _ => Err(Failure::failed(
            format!(
                "{} keys in {} begin with {:?}",
                found.len(),
                show(keys.dir()),
                sanitise(beginning.as_bytes())
            ),
            "`holdfast key show` lists them",
        )),
    }
}

/// The key of a host that has one.
fn only(keys: &Keys) -> Result<KeyId> {
    match keys.list()?.as_slice() {
        [file] => Ok(file.id),
        [] => Err(Failure::failed(
            format!("no keys in {}", show(keys.dir())),
            "the first backup makes a vault and its key; `holdfast key import` takes one from elsewhere",
        )),
        _ => Err(Failure::failed(
            "there are several keys and no vault",
            "choose one with --key, or a vault with --vault",
        )),
    }
}

fn import(file: Option<&Path>, console: &Console) -> Result<Status> {
    let keys = Keys::new(State::find()?.keys());
    let text = match file.filter(|file| *file != Path::new("-")) {
        Some(path) => File::open(path).and_then(keys::read_bounded).map_err(|error| {
            Failure::failed(format!("cannot read {}: {error}", show(path)), "check the path")
        })?,
        None => read_stdin(console)
            .map_err(|error| Failure::plain(format!("cannot read the key from standard input: {error}")))?,
    };
    let key = keys::parse(&text).map_err(|error| {
        Failure::failed(
            error,
            "give it the text that `holdfast key export` prints, HF1- and 55 letters and digits",
        )
    })?;
    let is_new = keys.put(&key)?;
    let word = if is_new { "is now" } else { "was already" };
    console.say(&format!("key {} {word} in {}", key.id(), show(&keys.path(key.id()))));
    Ok(Status::Done)
}

/// From a person, one line; from a file, all of it.
fn read_stdin(console: &Console) -> std::io::Result<Zeroizing<String>> {
    if !stdin().is_terminal() {
        return keys::read_bounded(stdin().lock());
    }
    console.say("type the key's text (HF1-...), then Enter:");
    let mut line = Zeroizing::new(String::with_capacity(4096));
    for byte in stdin().lock().take(4096).bytes() {
        match byte? {
            b'\n' => break,
            byte => line.push(char::from(byte)),
        }
    }
    Ok(line)
}
