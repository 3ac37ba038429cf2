//! Reading the pieces of one file, through lists of any depth, in memory that does not grow with the file.

use holdfast_types::{ChunkName, Content, Piece};
use prost::Message;

use super::reader::ReadError;
use super::{DEPTH_MAX, NODE_MAX, NodeSource, leaf};
use crate::error::{Error, bound};
use crate::wire;

/// The chunks and holes of a file. After an error nothing follows.
pub struct Pieces<'a, S> {
    source: &'a S,
    /// Lists being read: their depth and what is left of them, the innermost last.
    stack: Vec<(u8, std::vec::IntoIter<Piece>)>,
    with_lists: bool,
    failed: bool,
}

impl<S> std::fmt::Debug for Pieces<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pieces").field("levels", &self.stack.len()).finish_non_exhaustive()
    }
}

impl<'a, S: NodeSource> Pieces<'a, S> {
    pub(super) fn new(source: &'a S, content: &Content) -> Self {
        let depth = content.depth.min(DEPTH_MAX);
        let stack = vec![(depth, content.pieces.clone().into_iter())];
        Self { source, stack, with_lists: false, failed: false }
    }

    /// Gives each list too, before what it holds: for those who need the names of all chunks.
    pub fn with_lists(self) -> Self {
        Self { with_lists: true, ..self }
    }
}

/// Reads one list: its pieces, which are of this depth.
pub(super) fn read_list<S: NodeSource>(
    source: &S,
    (node, size, length): (ChunkName, u32, u64),
    depth: u8,
) -> std::result::Result<Vec<Piece>, ReadError<S::Error>> {
    let format = |cause| ReadError::Format { node, entries: None, cause };
    bound("the length of a node", u64::from(size), u64::from(NODE_MAX)).map_err(format)?;
    let bytes = source.node(&node, size).map_err(|cause| ReadError::Source { node, entries: None, cause })?;
    let list =
        wire::PieceList::decode(bytes).map_err(|_| format(Error::Encoding { what: "a piece list" }))?;
    let pieces = leaf::decode_pieces(&list, depth).map_err(format)?;
    let sum = pieces.iter().try_fold(0u64, |sum, piece| sum.checked_add(piece.length()));
    if sum != Some(length) {
        return Err(format(Error::Invalid { what: "the length of a piece list" }));
    }
    Ok(pieces)
}

impl<S: NodeSource> Iterator for Pieces<'_, S> {
    type Item = std::result::Result<Piece, ReadError<S::Error>>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.failed {
            let (depth, pieces) = self.stack.last_mut()?;
            let depth = *depth;
            match pieces.next() {
                None => {
                    self.stack.pop();
                }
                Some(Piece::List { name, size, length }) => {
                    let depth = depth.saturating_sub(1);
                    match read_list(self.source, (name, size, length), depth) {
                        Ok(pieces) => self.stack.push((depth, pieces.into_iter())),
                        Err(error) => {
                            self.failed = true;
                            return Some(Err(error));
                        }
                    }
                    if self.with_lists {
                        return Some(Ok(Piece::List { name, size, length }));
                    }
                }
                Some(piece) => return Some(Ok(piece)),
            }
        }
        None
    }
}
