//! One leaf: entries to bytes and back. What a stored entry says is checked here, once, against `bounds`, so that what
//! the rest of the program sees is within the bounds of docs/format.md.

use std::collections::HashMap;
use std::sync::Arc;

use holdfast_types::{
    ChunkName, Content, Device, Entry, EntryFlags, Kind, Metadata, Owner, Piece, Timestamp, Xattr,
};

use super::bounds::{check_directory, check_entry, check_name, check_piece};
use super::{DEPTH_MAX, Placed};
use crate::error::{Error, Result, bound};
use crate::group::{NO_CHUNK, PLAIN_MAX};
use crate::wire;

/// Collects the entries of a leaf.
#[derive(Clone, Debug, Default)]
pub(super) struct LeafWriter {
    leaf: wire::Leaf,
    owners: HashMap<Arc<Owner>, u32>,
    /// Number of entries so far.
    pub(super) count: u64,
    /// About the bytes of their encoding.
    pub(super) bytes: usize,
}

impl LeafWriter {
    pub(super) fn push(&mut self, directory: &Arc<[u8]>, entry: &Entry) {
        let owner = self.owner(&entry.metadata.owner);
        let entry = encode_entry(entry, owner);
        self.bytes += estimate(&entry);
        self.count += 1;
        match self.leaf.runs.last_mut() {
            Some(run) if run.directory[..] == directory[..] => run.entries.push(entry),
            _ => {
                self.bytes += RUN_BYTES + directory.len();
                self.leaf.runs.push(wire::Run { directory: directory.to_vec(), entries: vec![entry] });
            }
        }
    }

    fn owner(&mut self, owner: &Arc<Owner>) -> u32 {
        if let Some(position) = self.owners.get(owner) {
            return *position;
        }
        // A leaf has at most 512 entries, so this never saturates.
        let position = u32::try_from(self.leaf.owners.len()).unwrap_or(u32::MAX);
        self.leaf.owners.push(wire::Owner {
            uid: owner.uid,
            gid: owner.gid,
            user: owner.user.clone(),
            group: owner.group.clone(),
        });
        self.owners.insert(Arc::clone(owner), position);
        position
    }

    /// The place of the first entry.
    pub(super) fn first(&self) -> Option<(&[u8], &[u8])> {
        let run = self.leaf.runs.first()?;
        Some((&run.directory, &run.entries.first()?.name))
    }

    pub(super) fn take(&mut self) -> wire::Leaf {
        self.owners.clear();
        self.count = 0;
        self.bytes = 0;
        std::mem::take(&mut self.leaf)
    }
}

const RUN_BYTES: usize = 16;

/// Close enough to decide about cuts, and the same for the same entry, which is all that matters.
fn estimate(entry: &wire::Entry) -> usize {
    let xattrs: usize = entry.xattrs.iter().map(|xattr| xattr.name.len() + xattr.value.len() + 8).sum();
    let pieces = entry.content.as_ref().map_or(0, |content| content.names.len() + content.lengths.len() * 4);
    64 + entry.name.len() + entry.link_target.len() + xattrs + pieces
}

fn encode_entry(entry: &Entry, owner: u32) -> wire::Entry {
    let metadata = &entry.metadata;
    wire::Entry {
        name: entry.name.clone(),
        kind: metadata.kind as u32,
        mode: metadata.mode,
        owner,
        mtime_seconds: metadata.mtime.seconds,
        mtime_nanos: metadata.mtime.nanos,
        ctime_seconds: metadata.ctime.seconds,
        ctime_nanos: metadata.ctime.nanos,
        ino: metadata.ino,
        dev: metadata.dev,
        nlink: metadata.nlink,
        size: metadata.size,
        link_target: metadata.link_target.clone(),
        device_major: metadata.device.major,
        device_minor: metadata.device.minor,
        xattrs: metadata
            .xattrs
            .iter()
            .map(|xattr| wire::Xattr { name: xattr.name.clone(), value: xattr.value.clone() })
            .collect(),
        content: (!entry.content.pieces.is_empty()).then(|| encode_pieces(&entry.content.pieces)),
        depth: u32::from(entry.content.depth),
        flags: entry.flags.0,
    }
}

pub(super) fn encode_pieces(pieces: &[Piece]) -> wire::PieceList {
    let mut list = wire::PieceList {
        names: Vec::with_capacity(pieces.len() * 32),
        lengths: Vec::with_capacity(pieces.len()),
        sizes: Vec::new(),
    };
    for piece in pieces {
        list.lengths.push(piece.length());
        match piece {
            Piece::Chunk { name, .. } => list.names.extend_from_slice(&name.0),
            Piece::Hole { .. } => list.names.extend_from_slice(&NO_CHUNK),
            Piece::List { name, size, .. } => {
                list.names.extend_from_slice(&name.0);
                list.sizes.push(*size);
            }
        }
    }
    list
}

/// The pieces of a list of this depth, checked.
pub(super) fn decode_pieces(list: &wire::PieceList, depth: u8) -> Result<Vec<Piece>> {
    let invalid = || Error::Invalid { what: "the pieces of a file" };
    let count = list.lengths.len();
    let sizes = if depth > 0 { count } else { 0 };
    if list.names.len() != count * 32 || list.sizes.len() != sizes {
        return Err(invalid());
    }
    let mut pieces = Vec::with_capacity(count);
    for (at, name) in list.names.chunks_exact(32).enumerate() {
        let name = ChunkName::from_slice(name).ok_or_else(invalid)?;
        let length = list.lengths[at];
        let piece = match depth {
            0 if name.0 == NO_CHUNK => Piece::Hole { length },
            0 => {
                bound("the length of a chunk", length, PLAIN_MAX as u64)?;
                Piece::Chunk { name, length: u32::try_from(length).map_err(|_| invalid())? }
            }
            _ => Piece::List { name, size: list.sizes[at], length },
        };
        check_piece(&piece, depth)?;
        pieces.push(piece);
    }
    Ok(pieces)
}

/// The entries of a leaf, in order, checked.
pub(super) fn decode(leaf: wire::Leaf) -> Result<Vec<Placed>> {
    let owner = |owner: wire::Owner| {
        Arc::new(Owner { uid: owner.uid, gid: owner.gid, user: owner.user, group: owner.group })
    };
    let owners: Vec<Arc<Owner>> = leaf.owners.into_iter().map(owner).collect();
    let mut entries: Vec<Placed> = Vec::with_capacity(leaf.runs.iter().map(|run| run.entries.len()).sum());
    if leaf.runs.is_empty() || leaf.runs.iter().any(|run| run.entries.is_empty()) {
        return Err(Error::Invalid { what: "a leaf or a run without entries" });
    }
    for run in leaf.runs {
        check_directory(&run.directory)?;
        let directory: Arc<[u8]> = run.directory.into();
        for entry in run.entries {
            let entry = decode_entry(entry, &directory, &owners)?;
            if let Some(last) = entries.last()
                && last.compare(&directory, &entry.name).is_ge()
            {
                return Err(Error::Invalid { what: "the order of a manifest" });
            }
            entries.push(Placed { directory: Arc::clone(&directory), entry });
        }
    }
    Ok(entries)
}

fn decode_entry(entry: wire::Entry, directory: &[u8], owners: &[Arc<Owner>]) -> Result<Entry> {
    check_name(directory, &entry.name)?;
    let kind = decode_kind(entry.kind)?;
    let owner = owners.get(entry.owner as usize).ok_or(Error::Invalid { what: "an entry's owner" })?;
    bound("the depth of a file's content", u64::from(entry.depth), u64::from(DEPTH_MAX))?;
    let depth = u8::try_from(entry.depth).unwrap_or(DEPTH_MAX);
    let pieces = entry.content.as_ref().map_or(Ok(Vec::new()), |list| decode_pieces(list, depth))?;
    let xattr = |xattr: wire::Xattr| Xattr { name: xattr.name, value: xattr.value };
    let entry = Entry {
        name: entry.name,
        metadata: Metadata {
            kind,
            mode: entry.mode,
            owner: Arc::clone(owner),
            mtime: Timestamp { seconds: entry.mtime_seconds, nanos: entry.mtime_nanos },
            ctime: Timestamp { seconds: entry.ctime_seconds, nanos: entry.ctime_nanos },
            ino: entry.ino,
            dev: entry.dev,
            nlink: entry.nlink,
            size: entry.size,
            device: Device { major: entry.device_major, minor: entry.device_minor },
            link_target: entry.link_target,
            xattrs: entry.xattrs.into_iter().map(xattr).collect(),
        },
        content: Content { pieces, depth },
        flags: EntryFlags(entry.flags),
    };
    check_entry(&entry)?;
    Ok(entry)
}

fn decode_kind(kind: u32) -> Result<Kind> {
    Ok(match kind {
        1 => Kind::File,
        2 => Kind::Directory,
        3 => Kind::Symlink,
        4 => Kind::Fifo,
        5 => Kind::Socket,
        6 => Kind::CharacterDevice,
        7 => Kind::BlockDevice,
        _ => return Err(Error::Invalid { what: "an entry's kind" }),
    })
}
