//! Words to messages and back. Every number and length from the network is compared with its bound here or where it is
//! decoded next.

use holdfast_format::NamingKey;
use holdfast_format::chunker::{Chunker, Sizes};
use holdfast_format::group::{Encoding, List, Plain};
use holdfast_format::manifest::{HEIGHT_MAX, NODE_MAX, Root};
use holdfast_proto::services::{self, ticket::Right};
use holdfast_types::{ChunkName, Counts, Fault, PackId, check_component};
use prost::Message;

use crate::backup::Domain;
use crate::depot::{Error, Spot};

/// Most names in one question.
pub(super) const NAMES_MAX: usize = 65_536;

/// Memory of a node that is kept, besides its bytes.
pub(super) const NODE_OVERHEAD: usize = 128;

/// A job and an epoch of it.
pub type AttemptId = services::Attempt;

/// A ticket, and what it says.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// As it was signed.
    pub signed: services::SignedTicket,
    /// What was signed. Only the media server need believe it.
    pub ticket: services::Ticket,
}

impl Ticket {
    /// Reads a ticket that the primary server gave.
    pub fn read(signed: services::SignedTicket) -> Result<Self, Error> {
        let ticket =
            services::Ticket::decode(signed.ticket.as_slice()).map_err(|_| unreadable("the ticket"))?;
        Ok(Self { signed, ticket })
    }

    /// The attempt whose image may be stored.
    pub fn attempt(&self) -> Result<AttemptId, Error> {
        match &self.ticket.right {
            Some(Right::Store(services::ticket::Store { attempt: Some(attempt), .. })) => Ok(attempt.clone()),
            _ => Err(unreadable("a ticket that gives no right to store")),
        }
    }
}

fn unreadable(what: &'static str) -> Error {
    Error::Protocol { what }
}

/// How an attempt begins.
#[derive(Debug)]
pub struct Begun {
    /// How chunks are cut and named.
    pub domain: Domain,
    /// The image to compare with.
    pub parent: Option<services::Image>,
    /// How far an earlier attempt has come.
    pub checkpoint: Option<Root>,
    /// The job has its image.
    pub committed: Option<services::Image>,
}

pub(super) fn begun(begun: services::Begun) -> Result<Begun, Error> {
    Ok(Begun {
        domain: domain(begun.domain.ok_or(unreadable("no domain"))?)?,
        checkpoint: begun.checkpoint.as_ref().map(root).transpose()?,
        parent: begun.parent,
        committed: begun.committed,
    })
}

fn domain(domain: services::Domain) -> Result<Domain, Error> {
    let key = <[u8; 32]>::try_from(domain.naming_key.as_slice()).map_err(|_| unreadable("the naming key"))?;
    let naming = NamingKey::from_bytes(key);
    let sizes = Sizes { min: domain.minimum, normal: domain.normal, max: domain.maximum };
    let sizes = sizes.check().map_err(|_| unreadable("the chunk sizes"))?;
    // The table follows from the key; the message has it for those who do not know how.
    Ok(Domain { chunker: Chunker::new(&naming, sizes), naming })
}

/// The absolute paths of an image: what is restored is looked for below them.
pub(crate) fn paths(paths: &[Vec<u8>]) -> Result<(), Error> {
    let good = |path: &Vec<u8>| match path.as_slice() {
        b"/" => true,
        [b'/', rest @ ..] => rest.split(|byte| *byte == b'/').all(|part| check_component(part).is_ok()),
        _ => false,
    };
    if paths.iter().all(good) { Ok(()) } else { Err(unreadable("the paths of an image")) }
}

/// The naming key of an image's vault, with which a reader checks what it gets.
pub(crate) fn naming(image: &services::Image) -> Result<NamingKey, Error> {
    let key = <[u8; 32]>::try_from(image.naming_key.as_slice());
    key.map(NamingKey::from_bytes).map_err(|_| unreadable("an image without a naming key"))
}

/// A manifest's root, in bounds.
pub(crate) fn root(root: &services::ManifestRoot) -> Result<Root, Error> {
    let wrong = || unreadable("the root of a manifest");
    let name = ChunkName::from_slice(&root.name).ok_or_else(wrong)?;
    let height = u8::try_from(root.height).ok().filter(|height| *height <= HEIGHT_MAX).ok_or_else(wrong)?;
    if root.length == 0 || root.length > NODE_MAX {
        return Err(wrong());
    }
    Ok(Root { name, length: root.length, height })
}

pub(super) fn to_root(root: Root) -> services::ManifestRoot {
    services::ManifestRoot { name: root.name.0.to_vec(), length: root.length, height: u32::from(root.height) }
}

pub(super) fn to_names(names: &[ChunkName]) -> Vec<u8> {
    names.iter().flat_map(|name| name.0).collect()
}

/// The bits of an answer to so many names.
pub(super) fn bits(bytes: &[u8], count: usize) -> Result<Vec<bool>, Error> {
    if bytes.len() != count.div_ceil(8) {
        return Err(unreadable("an answer about another number of chunks"));
    }
    Ok((0..count).map(|at| bytes[at / 8] >> (at % 8) & 1 == 1).collect())
}

pub(super) fn to_group(list: &List, data: Vec<u8>) -> services::Group {
    services::Group {
        names: list.chunks.iter().flat_map(|(name, _)| name.0).collect(),
        lengths: list.chunks.iter().map(|(_, length)| *length).collect(),
        nodes: list.nodes,
        encoding: match list.encoding {
            Encoding::Plain => 0,
            Encoding::Zstd => 1,
        },
        data: data.into(),
    }
}

/// A group that came, open. Its chunks are not checked against their names yet.
pub(super) fn plain(group: services::Group) -> Result<Plain, Error> {
    let wrong = || unreadable("a group");
    if group.names.len() != group.lengths.len() * 32 {
        return Err(wrong());
    }
    let names = group.names.chunks_exact(32).filter_map(ChunkName::from_slice);
    let encoding = match group.encoding {
        0 => Encoding::Plain,
        1 => Encoding::Zstd,
        _ => return Err(wrong()),
    };
    let list = List { encoding, chunks: names.zip(group.lengths).collect(), nodes: group.nodes };
    Plain::open(list, group.data.into()).map_err(|_| wrong())
}

/// Where a chunk lies; `None` if the vault does not have it.
pub(super) fn spot(spot: &services::Spot) -> Result<Option<Spot>, Error> {
    if spot.length == 0 {
        return Ok(None);
    }
    let pack = PackId::from_slice(&spot.pack).ok_or(unreadable("a place in a pack"))?;
    Ok(Some(Spot {
        pack,
        group_offset: spot.group_offset,
        chunk_offset: spot.offset,
        length: spot.length,
        group_length: spot.group_length,
    }))
}

pub(super) fn to_spot(spot: &Spot) -> services::Spot {
    services::Spot {
        pack: spot.pack.0.to_vec(),
        group_offset: spot.group_offset,
        group_length: spot.group_length,
        offset: spot.chunk_offset,
        length: spot.length,
    }
}

pub(super) fn to_counts(counts: &Counts) -> services::Counts {
    services::Counts {
        files: counts.files,
        directories: counts.directories,
        others: counts.others,
        errors: counts.errors,
        bytes_source: counts.bytes_source,
        bytes_read: counts.bytes_read,
        bytes_added: counts.bytes_added,
        chunks_new: counts.chunks_new,
    }
}

/// The first faults, each in bounds.
pub(super) fn to_faults(faults: &[Fault]) -> Vec<services::Fault> {
    let to_fault = |fault: &Fault| services::Fault {
        path: fault.path.clone(),
        reason: super::status::reason(&fault.reason),
    };
    faults.iter().take(holdfast_format::record::FAULTS_MAX).map(to_fault).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_as_many_as_names() {
        assert_eq!(
            bits(&[0b101, 1], 9).unwrap(),
            [true, false, true, false, false, false, false, false, true]
        );
        assert!(bits(&[], 0).unwrap().is_empty());
        assert!(bits(&[1], 9).is_err() && bits(&[1, 1], 8).is_err());
    }

    #[test]
    fn groups_with_wrong_numbers_are_refused() {
        let good = services::Group {
            names: vec![7; 32],
            lengths: vec![3],
            nodes: false,
            encoding: 0,
            data: vec![1, 2, 3].into(),
        };
        assert_eq!(plain(good.clone()).unwrap().bytes(), [1, 2, 3]);
        let bad = [
            services::Group { names: vec![7; 31], ..good.clone() },
            services::Group { lengths: vec![4], ..good.clone() },
            services::Group { lengths: vec![0], ..good.clone() },
            services::Group { encoding: 2, ..good.clone() },
            services::Group { encoding: 1, ..good.clone() },
            services::Group { names: vec![0; 32], ..good.clone() },
            services::Group { names: vec![], lengths: vec![], ..good },
        ];
        bad.into_iter().for_each(|group| assert!(plain(group.clone()).is_err(), "{group:?}"));
    }

    #[test]
    fn roots_are_bounded() {
        let good = services::ManifestRoot { name: vec![1; 32], length: 100, height: 8 };
        assert!(root(&good).is_ok());
        for bad in [
            services::ManifestRoot { height: 9, ..good.clone() },
            services::ManifestRoot { height: 264, ..good.clone() },
            services::ManifestRoot { length: 0, ..good.clone() },
            services::ManifestRoot { length: NODE_MAX + 1, ..good.clone() },
            services::ManifestRoot { name: vec![1; 31], ..good },
        ] {
            assert!(root(&bad).is_err(), "{bad:?}");
        }
    }
}
