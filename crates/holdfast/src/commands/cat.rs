//! `holdfast cat`.

use std::ffi::OsString;

use holdfast_client::restore;
use holdfast_types::{EntryFlags, sanitise};

use crate::console::Console;
use crate::errors::{Result, Status};
use crate::library::Library;
use crate::open::VaultArgs;
use crate::select::{At, image_path};

const EXAMPLES: &str = "\
Examples:
  holdfast cat latest /etc/fstab
  holdfast cat latest:db /srv/dump.sql.gz | gunzip | less";

/// Print the content of one file of an image
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// An id, the beginning of one, `latest`, or `latest:NAME`
    image: String,
    /// The file's path, as it was on the source
    path: OsString,
    #[command(flatten)]
    at: At,
    /// On the primary server of a site: only images of this client
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    #[command(flatten)]
    vault: VaultArgs,
}

impl Args {
    /// Prints the file.
    pub(crate) fn run(&self, console: &Console) -> Result<Status> {
        let path = image_path(&self.path)?;
        let library = Library::open(&self.vault, self.client.as_deref(), console)?;
        let image = library.image(&self.at, &self.image)?;
        let mut out = std::io::stdout().lock();
        let flags = restore::cat(image.depot(), image.record.manifest, &path, &mut out)?;
        let path = sanitise(&path);
        if flags.has(EntryFlags::PARTIAL) {
            console.trouble(&format!("{path}: is not whole in the image: it could not be read to its end"));
            return Ok(Status::Partly);
        }
        if flags.has(EntryFlags::CHANGED) {
            console.say(&format!("{path}: changed while it was backed up, and may be a mixture"));
        }
        Ok(Status::Done)
    }
}
