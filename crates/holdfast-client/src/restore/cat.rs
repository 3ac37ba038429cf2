//! The content of one file of an image, to a stream. Makes no file.

use std::io::Write;

use holdfast_format::manifest::{Reader, Root};
use holdfast_types::{EntryFlags, Kind, Piece};

use super::error::Error;
use super::selection::{Manifest, Selection};
use crate::depot::ReadDepot;

static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Writes the content of the file at a path of the image; holes as zeros. Every chunk is checked before it is written.
/// Returns the entry's flags: the content may be all that could be read of it.
pub fn cat(
    depot: &dyn ReadDepot,
    root: Option<Root>,
    path: &[u8],
    out: &mut dyn Write,
) -> Result<EntryFlags, Error> {
    let manifest: Manifest<'_> = Reader::new(&depot, root);
    let selection = Selection::find(&manifest, &[], &[path.to_vec()])?;
    let placed = selection.entries(&manifest).next().transpose()?;
    let file = placed.filter(|placed| placed.entry.metadata.kind == Kind::File);
    let Some(file) = file else {
        return Err(Error::NotAFile { path: path.to_vec() });
    };
    for piece in manifest.pieces(&file.entry.content) {
        match piece? {
            Piece::Chunk { name, length } => {
                out.write_all(&depot.chunk(&name, length)?).map_err(Error::Output)?;
            }
            piece => write_zeros(out, piece.length()).map_err(Error::Output)?,
        }
    }
    out.flush().map_err(Error::Output)?;
    Ok(file.entry.flags)
}

/// Writes this many zeros.
pub(super) fn write_zeros(out: &mut dyn Write, mut length: u64) -> std::io::Result<()> {
    while length > 0 {
        let part = usize::try_from(length).unwrap_or(usize::MAX).min(ZEROS.len());
        out.write_all(&ZEROS[..part])?;
        length -= u64::try_from(part).unwrap_or(0);
    }
    Ok(())
}
