//! Groups: chunks laid end to end, compressed together, with a list of their own (docs/format.md, section 5).
//!
//! Sealing a group into a pack is [`pack`](crate::pack)'s work; which chunks share a group the client decides.

use holdfast_types::ChunkName;
use prost::Message;
use zstd::zstd_safe::CParameter;

use crate::error::{Error, Result, bound};
use crate::wire;

/// Most plain bytes in a group.
pub const PLAIN_MAX: usize = 8 << 20;
/// Most chunks in a group.
pub const CHUNKS_MAX: usize = 65_536;
/// Most bytes of a sealed list.
pub const LIST_MAX: u64 = 4 << 20;
/// Most bytes of sealed data.
pub const DATA_MAX: u64 = 9 << 20;
/// In a list of pieces this stands for a hole, so it names no chunk.
pub(crate) const NO_CHUNK: [u8; 32] = [0; 32];

/// How the data of a group is encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// As it is.
    Plain,
    /// One zstd frame.
    Zstd,
}

/// What a group holds, apart from the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// How the data is encoded.
    pub encoding: Encoding,
    /// Name and length of each chunk, in the order of the bytes.
    pub chunks: Vec<(ChunkName, u32)>,
    /// Whether they are manifest nodes and piece lists.
    pub nodes: bool,
}

impl List {
    /// The length of the plain data in bytes.
    pub fn plain_length(&self) -> usize {
        self.chunks.iter().map(|(_, length)| *length as usize).sum()
    }

    /// Refuses what a reader would refuse.
    fn check(&self) -> Result<()> {
        bound("the number of chunks in a group", self.chunks.len() as u64, CHUNKS_MAX as u64)?;
        if self.chunks.is_empty() {
            return Err(Error::Invalid { what: "the list of a group" });
        }
        if self.chunks.iter().any(|(name, length)| *length == 0 || name.0 == NO_CHUNK) {
            return Err(Error::Invalid { what: "a chunk in the list of a group" });
        }
        let plain = self.chunks.iter().map(|(_, length)| u64::from(*length)).sum();
        bound("the plain length of a group", plain, PLAIN_MAX as u64)
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        self.check()?;
        let mut names = Vec::with_capacity(self.chunks.len() * 32);
        self.chunks.iter().for_each(|(name, _)| names.extend_from_slice(&name.0));
        let list = wire::GroupList {
            encoding: match self.encoding {
                Encoding::Plain => 0,
                Encoding::Zstd => 1,
            },
            names,
            lengths: self.chunks.iter().map(|(_, length)| *length).collect(),
            nodes: self.nodes,
        };
        Ok(list.encode_to_vec())
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let list =
            wire::GroupList::decode(bytes).map_err(|_| Error::Encoding { what: "the list of a group" })?;
        bound("the number of chunks in a group", list.lengths.len() as u64, CHUNKS_MAX as u64)?;
        if list.names.len() != list.lengths.len() * 32 {
            return Err(Error::Invalid { what: "the list of a group" });
        }
        let name =
            |bytes: &[u8]| ChunkName::from_slice(bytes).ok_or(Error::Invalid { what: "a chunk's name" });
        let chunks: Result<Vec<_>> = list
            .names
            .chunks_exact(32)
            .zip(list.lengths)
            .map(|(bytes, length)| Ok((name(bytes)?, length)))
            .collect();
        let encoding = match list.encoding {
            0 => Encoding::Plain,
            1 => Encoding::Zstd,
            _ => return Err(Error::Invalid { what: "the encoding of a group" }),
        };
        let list = Self { encoding, chunks: chunks?, nodes: list.nodes };
        list.check()?;
        Ok(list)
    }
}

/// Compresses groups. Keeps its working memory from group to group.
pub struct Compressor {
    zstd: zstd::bulk::Compressor<'static>,
    probe: zstd::bulk::Compressor<'static>,
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Compressor")
    }
}

/// zstd's level. Measured in docs/benchmarks.md: level 3 in groups of 4 MiB is what makes a source tree smaller than
/// the smallest of the peers does, and two processors still keep up with a disk.
pub const LEVEL: i32 = 3;
/// Tables of half the level's usual size (logarithms of their entries): text grows by 0.7 % and takes 6 to 10 % less
/// time, for they stay in a processor's own cache.
const HASH_LOG: u32 = 16;
const CHAIN_LOG: u32 = 15;

impl Compressor {
    /// A compressor at the usual level.
    pub fn new() -> Result<Self> {
        let start = |_| Error::Compression("start");
        let mut zstd = zstd::bulk::Compressor::new(LEVEL).map_err(start)?;
        zstd.set_parameter(CParameter::HashLog(HASH_LOG)).map_err(start)?;
        zstd.set_parameter(CParameter::ChainLog(CHAIN_LOG)).map_err(start)?;
        Ok(Self { zstd, probe: zstd::bulk::Compressor::new(1).map_err(start)? })
    }

    /// Compresses a group into `out` (emptied first), or says that it stays plain: then `out` is left empty.
    pub fn compress(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<Encoding> {
        out.clear();
        if plain.is_empty() || !self.worth_trying(plain)? {
            return Ok(Encoding::Plain);
        }
        out.reserve(zstd::zstd_safe::compress_bound(plain.len()));
        self.zstd.compress_to_buffer(plain, out).map_err(|_| Error::Compression("compress"))?;
        // 1 in 64 saved does not pay for decompressing at every restore.
        if out.len() + plain.len() / 64 < plain.len() {
            return Ok(Encoding::Zstd);
        }
        out.clear();
        Ok(Encoding::Plain)
    }

    /// A cheap test: of a large group, 4 KiB in every 128 KiB at level 1. If none shrinks, the group will not either.
    fn worth_trying(&mut self, plain: &[u8]) -> Result<bool> {
        const SAMPLE: usize = 4 << 10;
        const EVERY: usize = 128 << 10;
        if plain.len() < 2 * EVERY {
            return Ok(true);
        }
        let mut out = Vec::with_capacity(zstd::zstd_safe::compress_bound(SAMPLE));
        for stretch in plain.chunks(EVERY) {
            let sample = &stretch[..stretch.len().min(SAMPLE)];
            out.clear();
            self.probe.compress_to_buffer(sample, &mut out).map_err(|_| Error::Compression("compress"))?;
            if out.len() + sample.len() / 16 < sample.len() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Refuses what is not exactly one zstd frame that declares this length.
fn check_frame(data: &[u8], length: usize) -> Result<()> {
    let declared = zstd::zstd_safe::get_frame_content_size(data).ok().flatten();
    let end = zstd::zstd_safe::find_frame_compressed_size(data).ok();
    if declared == Some(length as u64) && end == Some(data.len()) {
        Ok(())
    } else {
        Err(Error::Invalid { what: "the zstd frame of a group" })
    }
}

/// The plain bytes of a group: either where they stood, or decompressed.
#[derive(Debug)]
pub struct Plain {
    /// What it holds.
    pub list: List,
    buffer: Vec<u8>,
    start: usize,
}

impl Plain {
    /// A group that came from another host: its list is checked too.
    pub fn open(list: List, data: Vec<u8>) -> Result<Self> {
        list.check()?;
        bound("the length of a group", data.len() as u64, DATA_MAX)?;
        Self::new(list, data, 0)
    }

    /// Brings the data of a group, which stand at `start` of `buffer` and fill it, back to their plain form; never
    /// beyond the length that its list declares.
    pub(crate) fn new(list: List, buffer: Vec<u8>, start: usize) -> Result<Self> {
        let length = list.plain_length();
        let wrong_length = Error::Invalid { what: "the plain length of a group" };
        match list.encoding {
            Encoding::Plain if buffer.len() - start == length => Ok(Self { list, buffer, start }),
            Encoding::Plain => Err(wrong_length),
            Encoding::Zstd => {
                check_frame(&buffer[start..], length)?;
                let mut plain = Vec::with_capacity(length);
                let written = zstd::bulk::Decompressor::new()
                    .and_then(|mut zstd| zstd.decompress_to_buffer(&buffer[start..], &mut plain))
                    .map_err(|_| Error::Compression("decompress a group"))?;
                if written != length {
                    return Err(wrong_length);
                }
                Ok(Self { list, buffer: plain, start: 0 })
            }
        }
    }

    /// All chunks, end to end.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// The bytes that a chunk should have; not checked against its name.
    pub fn slice(&self, offset: u32, length: u32) -> Option<&[u8]> {
        let end = (offset as usize).checked_add(length as usize)?;
        self.bytes().get(offset as usize..end)
    }

    /// Memory that it holds in bytes.
    pub fn memory(&self) -> usize {
        self.buffer.capacity() + self.list.chunks.len() * size_of::<(ChunkName, u32)>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(encoding: Encoding, length: usize) -> List {
        List { encoding, chunks: vec![(ChunkName([1; 32]), u32::try_from(length).unwrap())], nodes: false }
    }

    #[test]
    fn text_shrinks_and_noise_stays_plain() {
        let mut compressor = Compressor::new().unwrap();
        let text = b"one line after another, much alike\n".repeat(20_000);
        let mut out = Vec::new();
        assert_eq!(compressor.compress(&text, &mut out).unwrap(), Encoding::Zstd);
        assert!(out.len() < text.len() / 10);
        let plain = Plain::new(list(Encoding::Zstd, text.len()), out.clone(), 0).unwrap();
        assert_eq!(plain.bytes(), text);
        let mut noise = vec![0; 1 << 20];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        assert_eq!(compressor.compress(&noise, &mut out).unwrap(), Encoding::Plain);
        assert!(out.is_empty());
    }

    #[test]
    fn some_text_in_noise_is_found() {
        let mut mixed = vec![0; 1 << 20];
        blake3::Hasher::new().finalize_xof().fill(&mut mixed);
        mixed[512 << 10..768 << 10].fill(b'a');
        let mut out = Vec::new();
        assert_eq!(Compressor::new().unwrap().compress(&mixed, &mut out).unwrap(), Encoding::Zstd);
    }

    #[test]
    fn a_bomb_is_refused_at_its_declared_length() {
        let mut out = Vec::new();
        Compressor::new().unwrap().compress(&vec![0; 4 << 20], &mut out).unwrap();
        assert!(Plain::new(list(Encoding::Zstd, 1000), out, 0).is_err());
        assert!(Plain::new(list(Encoding::Plain, 1000), vec![0; 999], 0).is_err());
    }

    #[test]
    fn a_frame_declares_its_length_and_nothing_follows_it() {
        let text = b"one line after another, much alike\n".repeat(200);
        let open = |data: Vec<u8>| Plain::new(list(Encoding::Zstd, text.len()), data, 0);
        let frame = zstd::bulk::compress(&text, 3).unwrap();
        assert!(open(frame.clone()).is_ok());
        let odd = Error::Invalid { what: "the zstd frame of a group" };
        assert_eq!(open([frame.clone(), vec![0]].concat()).unwrap_err(), odd);
        let empty = zstd::bulk::compress(b"", 3).unwrap();
        assert_eq!(open([frame.clone(), empty].concat()).unwrap_err(), odd);
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0];
        assert_eq!(open([&skippable, frame.as_slice()].concat()).unwrap_err(), odd);
        let mut silent = zstd::bulk::Compressor::new(3).unwrap();
        silent.include_contentsize(false).unwrap();
        assert_eq!(open(silent.compress(&text).unwrap()).unwrap_err(), odd);
        assert_eq!(open(frame[..frame.len() - 1].to_vec()).unwrap_err(), odd);
    }

    #[test]
    fn lists_with_wrong_numbers_are_refused() {
        let good = wire::GroupList { encoding: 1, names: vec![7; 64], lengths: vec![3, 4], nodes: true };
        assert_eq!(List::decode(&good.encode_to_vec()).unwrap().plain_length(), 7);
        let bad = [
            wire::GroupList { names: vec![7; 63], ..good.clone() },
            wire::GroupList { lengths: vec![3, 0], ..good.clone() },
            wire::GroupList { lengths: vec![3, 9 << 20], ..good.clone() },
            wire::GroupList { encoding: 2, ..good.clone() },
            wire::GroupList { names: vec![0; 64], ..good.clone() },
            wire::GroupList { names: vec![], lengths: vec![], ..good },
        ];
        bad.iter().for_each(|list| assert!(List::decode(&list.encode_to_vec()).is_err(), "{list:?}"));
    }
}
