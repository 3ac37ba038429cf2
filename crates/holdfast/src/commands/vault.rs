//! `holdfast vault`: making one, what it says of itself, its index anew.

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use crate::console::Console;
use crate::errors::{Result, Status};
use crate::keys::Keys;
use crate::open::{self, VaultArgs, announce_key, show};
use crate::out::Out;
use crate::progress::Meter;
use crate::state::State;
use crate::text;

const EXAMPLES: &str = "\
Examples:
  holdfast vault init /mnt/disk/vault
  holdfast vault info --vault /mnt/disk/vault
  holdfast vault rebuild-index";

/// Make a vault, ask what it is, or make its index anew
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Make a vault with a new random key
    #[command(after_help = "Example:\n  holdfast vault init /mnt/disk/vault")]
    Init {
        /// A directory that is empty or not there yet
        dir: PathBuf,
        /// Print the result as one JSON object
        #[arg(long)]
        json: bool,
    },
    /// What a vault holds
    #[command(after_help = "Example:\n  holdfast vault info --vault /mnt/disk/vault --json")]
    Info {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        vault: VaultArgs,
    },
    /// Make the index anew from the packs alone, if it is lost or damaged
    #[command(after_help = "Example:\n  holdfast vault rebuild-index --vault /mnt/disk/vault")]
    RebuildIndex {
        /// Print the result as one JSON object
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        vault: VaultArgs,
    },
}

#[derive(Serialize)]
struct Made {
    vault: String,
    dir: String,
    key: String,
    key_file: String,
}

#[derive(Serialize)]
struct Info {
    vault: String,
    dir: String,
    key: String,
    images: usize,
    bytes: u64,
    packs: usize,
    bytes_packs: u64,
    chunks: u64,
    index_tables: usize,
    packs_marked: usize,
    bytes_marked: u64,
    chunk_sizes: [u32; 3],
}

#[derive(Serialize)]
struct Rebuilt<'a> {
    packs: usize,
    damage: &'a [String],
}

impl Args {
    /// Whether JSON was asked for.
    pub(crate) fn json(&self) -> bool {
        match &self.action {
            Action::Init { json, .. } | Action::Info { json, .. } | Action::RebuildIndex { json, .. } => {
                *json
            }
        }
    }

    /// Does it.
    pub(crate) fn run(&self, console: &Console) -> Result<Status> {
        match &self.action {
            Action::Init { dir, json } => init(dir, *json, console),
            Action::Info { json, vault } => info(vault, *json, console),
            Action::RebuildIndex { json, vault } => rebuild_index(vault, *json, console),
        }
    }
}

fn init(dir: &PathBuf, json: bool, console: &Console) -> Result<Status> {
    let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.clone());
    let keys = Keys::new(State::find()?.keys());
    let (vault, key) = open::init(&dir, &keys)?;
    if json {
        let key_file = show(&keys.path(key));
        let mut out = Out::new();
        out.json(&Made { vault: vault.to_string(), dir: show(&dir), key: key.to_string(), key_file })?;
        out.finish()?;
    } else {
        announce_key(console, &dir, &keys, key);
    }
    Ok(Status::Done)
}

fn info(args: &VaultArgs, json: bool, console: &Console) -> Result<Status> {
    let chosen = args.choose()?;
    let info = chosen.read(console)?.info()?;
    let sizes = info.sizes;
    let info = Info {
        vault: info.vault.to_string(),
        dir: show(&chosen.dir),
        key: info.key.to_string(),
        images: info.images,
        bytes: info.bytes,
        packs: info.packs,
        bytes_packs: info.pack_bytes,
        chunks: info.chunks,
        index_tables: info.tables,
        packs_marked: info.marked,
        bytes_marked: info.marked_bytes,
        chunk_sizes: [sizes.min, sizes.normal, sizes.max],
    };
    let mut out = Out::new();
    if json {
        out.json(&info)?;
    } else {
        print_info(&mut out, &info)?;
    }
    out.finish()?;
    Ok(Status::Done)
}

fn print_info(out: &mut Out, info: &Info) -> Result<()> {
    let many = |number: usize| text::count(number as u64);
    let marked = match info.packs_marked {
        0 => String::new(),
        packs => {
            format!(", of which {} in {} are to be deleted", text::bytes(info.bytes_marked), many(packs))
        }
    };
    let [min, normal, max] = info.chunk_sizes.map(|size| text::bytes(size.into()));
    out.line(format!("vault   {}", info.vault))?;
    out.line(format!("in      {}", info.dir))?;
    out.line(format!("key     {}", info.key))?;
    out.line(format!("images  {}", many(info.images)))?;
    out.line(format!("size    {}", text::bytes(info.bytes)))?;
    out.line(format!("packs   {} with {}{marked}", many(info.packs), text::bytes(info.bytes_packs)))?;
    out.line(format!("chunks  {} of {min} to {max}, usually {normal}", text::count(info.chunks)))?;
    out.line(format!("index   {}", text::counted(info.index_tables as u64, "table", "tables")))
}

fn rebuild_index(args: &VaultArgs, json: bool, console: &Console) -> Result<Status> {
    let vault = args.write(console)?;
    let mut meter = Meter::new(console);
    let mut progress = |done: usize, of: usize| meter.tell("packs", done as u64, of as u64, text::count);
    let (packs, damage) = vault.rebuild_index(&mut progress)?;
    drop(meter);
    let mut out = Out::new();
    if json {
        out.json(&Rebuilt { packs, damage: &damage })?;
    } else if !console.quiet {
        out.line(format!("the index is made anew from {}", text::counted(packs as u64, "pack", "packs")))?;
    }
    damage.iter().for_each(|what| console.trouble(what));
    out.finish()?;
    Ok(Status::of_errors(damage.len() as u64))
}
