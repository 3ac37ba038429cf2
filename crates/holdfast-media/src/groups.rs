//! Groups as they come and go: checked on receipt, made anew without what is there already, or with only what is wanted.
//! Pure work of processors; where the bytes are stored is not known here.

use bytes::Bytes;
use holdfast_format::NamingKey;
use holdfast_format::group::{CHUNKS_MAX, Compressor, DATA_MAX, Encoding, List, PLAIN_MAX, Plain};
use holdfast_format::manifest::Named;
use holdfast_proto::services::Group;
use holdfast_types::ChunkName;

use crate::error::{Error, Result};

/// What sealing adds to the data.
const SEAL: u64 = 16;

/// A group whose bytes are what they should be.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) list: List,
    pub(crate) data: Bytes,
    /// If it holds nodes: what each of its chunks names.
    pub(crate) nodes: Vec<Named>,
}

/// Bytes that working on a group may need: the data twice, and the plain bytes twice.
pub(crate) fn memory(group: &Group) -> usize {
    let plain = group.lengths.iter().map(|length| *length as usize).sum::<usize>().min(PLAIN_MAX);
    2 * (group.data.len() + plain)
}

/// Refuses what is too long, before there is any work on it.
pub(crate) fn bounds(group: &Group) -> Result<()> {
    if group.names.len() != group.lengths.len() * 32 || group.lengths.len() > CHUNKS_MAX {
        return Err(Error::Invalid("the list of a group"));
    }
    if group.data.len() as u64 + SEAL > DATA_MAX {
        return Err(Error::Invalid("the length of a group"));
    }
    Ok(())
}

fn list_of(group: &Group) -> Result<List> {
    let encoding = match group.encoding {
        0 => Encoding::Plain,
        1 => Encoding::Zstd,
        _ => return Err(Error::Invalid("the encoding of a group")),
    };
    let names = group.names.chunks_exact(32).filter_map(ChunkName::from_slice);
    Ok(List { encoding, chunks: names.zip(group.lengths.iter().copied()).collect(), nodes: group.nodes })
}

/// A group as a message has it.
pub(crate) fn to_group(list: &List, data: Bytes) -> Group {
    Group {
        names: list.chunks.iter().flat_map(|(name, _)| name.0).collect(),
        lengths: list.chunks.iter().map(|(_, length)| *length).collect(),
        nodes: list.nodes,
        encoding: match list.encoding {
            Encoding::Plain => 0,
            Encoding::Zstd => 1,
        },
        data,
    }
}

/// Decompresses within the declared length, and compares every chunk with its name.
pub(crate) fn check(group: Group, naming: &NamingKey) -> Result<Checked> {
    bounds(&group)?;
    let list = list_of(&group)?;
    let plain = Plain::open(list.clone(), group.data.to_vec())?;
    let mut nodes = Vec::new();
    for (name, bytes) in chunks(&plain)? {
        naming.check(name, bytes)?;
        if list.nodes {
            nodes.push(Named::read(bytes)?);
        }
    }
    Ok(Checked { list, data: group.data, nodes })
}

/// Each chunk with its bytes.
fn chunks(plain: &Plain) -> Result<Vec<(&ChunkName, &[u8])>> {
    let mut offset = 0;
    let slice = |(name, length): &'_ (ChunkName, u32)| {
        let bytes = plain.slice(offset, *length).ok_or(Error::Invalid("the list of a group"))?;
        offset += length;
        Ok((*name, bytes))
    };
    let slices: Result<Vec<_>> = plain.list.chunks.iter().map(slice).collect();
    Ok(plain.list.chunks.iter().map(|(name, _)| name).zip(slices?.into_iter().map(|(_, b)| b)).collect())
}

/// The same group with only some of its chunks. Each is there once.
pub(crate) fn with_only(
    list: &List,
    data: &Bytes,
    naming: &NamingKey,
    mut keep: impl FnMut(usize, &ChunkName) -> bool,
) -> Result<(List, Vec<u8>)> {
    let plain = Plain::open(list.clone(), data.to_vec())?;
    let mut kept = Vec::new();
    let mut bytes = Vec::new();
    for (at, (name, chunk)) in chunks(&plain)?.into_iter().enumerate() {
        if keep(at, name) {
            naming.check(name, chunk)?;
            kept.push((*name, u32::try_from(chunk.len()).map_err(|_| Error::Defect)?));
            bytes.extend_from_slice(chunk);
        }
    }
    make(kept, bytes, list.nodes, list.encoding == Encoding::Zstd)
}

/// A group of these chunks, which lie end to end in the bytes.
pub(crate) fn make(
    chunks: Vec<(ChunkName, u32)>,
    plain: Vec<u8>,
    nodes: bool,
    compress: bool,
) -> Result<(List, Vec<u8>)> {
    let mut out = Vec::new();
    let encoding = if compress { Compressor::new()?.compress(&plain, &mut out)? } else { Encoding::Plain };
    let list = List { encoding, chunks, nodes };
    Ok((list, if encoding == Encoding::Zstd { out } else { plain }))
}
