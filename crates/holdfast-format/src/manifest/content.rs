//! The pieces of one file: kept in the entry while they are few, in lists of their own when they are many, so that an
//! edit in a large file rewrites one list and not all of them.

use holdfast_types::{Content, Piece};
use prost::Message;

use super::bounds::check_piece;
use super::leaf::encode_pieces;
use super::{BuildError, DEPTH_MAX, NodeSink, stored_length};
use crate::error::Error;
use crate::key::NamingKey;

/// Pieces that stay in the entry.
pub const INLINE_MAX: usize = 128;
const LIST_MIN: usize = 64;
const LIST_MAX: usize = 2048;

/// Takes the pieces of a file in order.
///
/// A copy can be finished while the original goes on: it is the content so far. Lists that were made before are in both.
#[derive(Clone, Debug)]
pub struct ContentBuilder<'a> {
    naming: &'a NamingKey,
    levels: Vec<Level>,
}

#[derive(Clone, Debug, Default)]
struct Level {
    pieces: Vec<Piece>,
    /// Pieces that were looked at for a cut.
    scanned: usize,
    /// Whether there were too many, so that lists are made.
    listed: bool,
}

impl<'a> ContentBuilder<'a> {
    /// A builder that names lists with this key.
    pub fn new(naming: &'a NamingKey) -> Self {
        Self { naming, levels: Vec::new() }
    }

    /// Adds a piece.
    pub fn push<S: NodeSink>(&mut self, piece: Piece, sink: &mut S) -> Result<(), BuildError<S::Error>> {
        check_piece(&piece, 0)?;
        self.push_at(0, piece, sink)
    }

    fn push_at<S: NodeSink>(
        &mut self,
        at: usize,
        piece: Piece,
        sink: &mut S,
    ) -> Result<(), BuildError<S::Error>> {
        if at > usize::from(DEPTH_MAX) {
            let bound = u64::from(DEPTH_MAX);
            return Err(
                Error::Bound { what: "the depth of a file's content", value: at as u64, bound }.into()
            );
        }
        if at == self.levels.len() {
            self.levels.push(Level::default());
        }
        let level = &mut self.levels[at];
        level.pieces.push(piece);
        level.listed |= level.pieces.len() > INLINE_MAX;
        if !level.listed {
            return Ok(());
        }
        while let Some(length) = self.levels[at].next_cut() {
            self.cut(at, length, sink)?;
        }
        Ok(())
    }

    fn cut<S: NodeSink>(
        &mut self,
        at: usize,
        length: usize,
        sink: &mut S,
    ) -> Result<(), BuildError<S::Error>> {
        let level = &mut self.levels[at];
        let list: Vec<Piece> = level.pieces.drain(..length).collect();
        level.scanned = 0;
        let bytes = encode_pieces(&list).encode_to_vec();
        let size = stored_length(&bytes)?;
        let name = self.naming.name(&bytes);
        let length = list.iter().map(Piece::length).sum();
        sink.node(name, bytes).map_err(BuildError::Sink)?;
        self.push_at(at + 1, Piece::List { name, size, length }, sink)
    }

    /// The content of the file.
    pub fn finish<S: NodeSink>(mut self, sink: &mut S) -> Result<Content, BuildError<S::Error>> {
        let mut at = 0;
        while at < self.levels.len() {
            if !self.levels[at].listed {
                let depth = u8::try_from(at).unwrap_or(DEPTH_MAX);
                return Ok(Content { pieces: std::mem::take(&mut self.levels[at].pieces), depth });
            }
            let rest = self.levels[at].pieces.len();
            if rest > 0 {
                self.cut(at, rest, sink)?;
            }
            at += 1;
        }
        Ok(Content::default())
    }
}

impl Level {
    /// The length of the next list, if the pieces hold a whole one.
    fn next_cut(&mut self) -> Option<usize> {
        while self.scanned < self.pieces.len() {
            let first_byte = match &self.pieces[self.scanned] {
                Piece::Chunk { name, .. } | Piece::List { name, .. } => name.0[0],
                Piece::Hole { .. } => 0,
            };
            self.scanned += 1;
            if (first_byte == 0 && self.scanned >= LIST_MIN) || self.scanned >= LIST_MAX {
                return Some(self.scanned);
            }
        }
        None
    }
}
