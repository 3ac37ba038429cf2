//! `holdfast ls`.

use std::ffi::OsString;

use holdfast_format::manifest::Placed;
use holdfast_types::{Kind, is_inside, sanitise};

use crate::console::Console;
use crate::errors::{Failure, Result, Status};
use crate::library::{Library, Opened};
use crate::listing::{self, Depth, EntryText, Item};
use crate::open::VaultArgs;
use crate::out::{List, Out};
use crate::select::{At, image_path};

const EXAMPLES: &str = "\
Examples:
  holdfast ls latest                         the paths that were backed up
  holdfast ls latest /srv/www --long         what is in a directory
  holdfast ls 3f2a /srv --recursive --json";

/// List what is in an image
///
/// Without a PATH: the paths that were backed up. Of a directory: what is in it. Paths are those of the source.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// An id, the beginning of one, `latest`, or `latest:NAME`
    image: String,
    /// A path as it was on the source
    path: Option<OsString>,
    /// Kind, permissions, owner, size and time too
    #[arg(long, short)]
    long: bool,
    /// All that is below
    #[arg(long, short)]
    recursive: bool,
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

impl Args {
    /// Lists entries.
    pub(crate) fn run(&self, console: &Console) -> Result<Status> {
        let path = self.path.as_ref().map(image_path).transpose()?;
        let library = Library::open(&self.vault, self.client.as_deref(), console)?;
        let image = library.image(&self.at, &self.image)?;
        let mut printer = Printer::new(self.json, self.long);
        let mut lost = 0;
        for item in self.items(&image, path.as_deref())? {
            match item {
                Ok(placed) => printer.print(&placed)?,
                Err(error) => {
                    lost += 1;
                    listing::tell_lost(console, &image.record, &error);
                }
            }
        }
        printer.finish()?;
        Ok(Status::of_errors(lost))
    }

    fn items<'a>(
        &self,
        image: &'a Opened,
        path: Option<&[u8]>,
    ) -> Result<Box<dyn Iterator<Item = Item> + 'a>> {
        let depth = if self.recursive { Depth::Below } else { Depth::Inside };
        let Some(path) = path else {
            return Ok(Box::new(self.roots(image, image.record.roots.clone())));
        };
        match listing::find(image, path)? {
            Some(placed) if placed.entry.metadata.kind == Kind::Directory => {
                Ok(Box::new(listing::below(image, path, depth)))
            }
            Some(placed) => Ok(Box::new(std::iter::once(Ok(placed)))),
            None => {
                // A directory above the roots was not backed up itself, but what is below it was.
                let roots: Vec<_> =
                    image.record.roots.iter().filter(|root| is_inside(root, path)).cloned().collect();
                if roots.is_empty() { Err(not_there(path)) } else { Ok(Box::new(self.roots(image, roots))) }
            }
        }
    }

    fn roots<'a>(&self, image: &'a Opened, roots: Vec<Vec<u8>>) -> impl Iterator<Item = Item> + 'a {
        let recursive = self.recursive;
        roots.into_iter().flat_map(move |root| {
            let own = image.manifest().find(&holdfast_types::place_of(&root)).transpose();
            let below = recursive.then(|| listing::below(image, &root, Depth::Below));
            own.into_iter().chain(below.into_iter().flatten())
        })
    }
}

fn not_there(path: &[u8]) -> Failure {
    Failure::failed(
        format!("{} is not in the image", sanitise(path)),
        "`holdfast ls IMAGE` lists the paths that were backed up, `holdfast find GLOB` searches all images",
    )
}

/// Prints entries in one of three forms.
enum Printer {
    Json(List),
    Long(Out),
    Short(Out),
}

impl Printer {
    fn new(json: bool, long: bool) -> Self {
        let out = Out::new();
        match (json, long) {
            (true, _) => Self::Json(List::new(out)),
            (false, true) => Self::Long(out),
            (false, false) => Self::Short(out),
        }
    }

    fn print(&mut self, placed: &Placed) -> Result<()> {
        let path = placed.path();
        match self {
            Self::Json(list) => list.item(&EntryText::new(&path, &placed.entry)),
            Self::Long(out) => out.line(listing::long_line(&path, &placed.entry)),
            Self::Short(out) => out.line(sanitise(&path)),
        }
    }

    fn finish(self) -> Result<()> {
        match self {
            Self::Json(list) => list.finish(),
            Self::Long(out) | Self::Short(out) => out.finish(),
        }
    }
}
