//! Good inputs for the targets, made by the encoders.

use std::sync::Arc;

use holdfast_types::{
    ChunkName, Content, Counts, Device, Entry, EntryFlags, Fault, ImageId, JobId, Kind, Metadata, Owner,
    PackId, Piece, TableId, Timestamp, Xattr,
};
use prost::Message;

use crate::chunker::Sizes;
use crate::filter::Filter;
use crate::group::{Encoding, List};
use crate::key::NamingKey;
use crate::manifest::{Builder, ContentBuilder, NodeSink, Root};
use crate::seal::{Header, ObjectKind};
use crate::{mark, record, wire};

use super::objects::vault_key;

pub(super) fn header() -> Vec<Vec<u8>> {
    let kinds =
        [ObjectKind::Config, ObjectKind::Pack, ObjectKind::Index, ObjectKind::Image, ObjectKind::Mark];
    kinds.iter().map(|kind| Header::new(*kind, [7; 32]).as_bytes().to_vec()).collect()
}

pub(super) fn config() -> Vec<Vec<u8>> {
    let naming = NamingKey::from_bytes([2; 32]);
    let sizes = Sizes::DEFAULT;
    let object =
        crate::config::encode(&vault_key(), [3; 32], holdfast_types::VaultId([4; 16]), &naming, sizes)
            .unwrap_or_default();
    let secret = wire::SecretConfig {
        naming_key: vec![5; 32],
        chunk_min: sizes.min,
        chunk_normal: sizes.normal,
        chunk_max: sizes.max,
    };
    vec![object, secret.encode_to_vec()]
}

pub(super) fn key_text() -> Vec<Vec<u8>> {
    vec![vault_key().to_text().as_bytes().to_vec(), b"hf1- ".to_vec()]
}

pub(super) fn group() -> Vec<Vec<u8>> {
    let text = b"one line after another, ".repeat(20);
    let sample = |encoding, data: &[u8]| {
        let length = u32::try_from(text.len()).unwrap_or_default();
        let list = List {
            encoding,
            chunks: vec![(ChunkName([1; 32]), 5), (ChunkName([2; 32]), length - 5)],
            nodes: true,
        };
        let list = list.encode().unwrap_or_default();
        [&[u8::try_from(list.len()).unwrap_or_default()], list.as_slice(), data].concat()
    };
    let frame = zstd::bulk::compress(&text, 3).unwrap_or_default();
    let head = crate::pack::Frame { number: 7, list_length: 90, data_length: 100 }.to_bytes();
    vec![
        sample(Encoding::Plain, &text),
        sample(Encoding::Zstd, &frame),
        [head.as_slice(), &[9; 190]].concat(),
    ]
}

pub(super) fn pack_footer() -> Vec<Vec<u8>> {
    let message = wire::PackFooter { group_offsets: vec![48, 5000, 9000] };
    vec![message.encode_to_vec(), b"\x20\0\0\0HFPE".to_vec()]
}

pub(super) fn index() -> Vec<Vec<u8>> {
    let block = wire::IndexBlock {
        names: [[1; 32], [2; 32], [2; 32]].concat(),
        packs: vec![0, 1, 0],
        group_offsets: vec![48, 48, 900],
        group_lengths: vec![100, 200, 300],
        chunk_offsets: vec![0, 5, 0],
        chunk_lengths: vec![5, 6, 7],
    };
    let footer = wire::IndexFooter {
        packs: vec![wire::IndexPack { id: PackId([1; 16]).0.to_vec(), size: 5000 }],
        blocks: vec![wire::IndexBlockPlace { first_name: vec![1; 32], offset: 48, length: 200 }],
        entries: 3,
        filter: Filter::for_names(3).as_bytes().to_vec(),
        replaces: vec![TableId([9; 16]).0.to_vec()],
    };
    vec![block.encode_to_vec(), footer.encode_to_vec(), b"\x20\0\0\0HFIE".to_vec()]
}

pub(super) fn filter() -> Vec<Vec<u8>> {
    vec![Filter::for_names(20).as_bytes().to_vec(), vec![0xff; 32]]
}

/// Takes nodes, with the number of levels below each.
#[derive(Default)]
struct Collected(Vec<Vec<u8>>);

impl NodeSink for Collected {
    type Error = std::convert::Infallible;

    fn node(&mut self, _: ChunkName, bytes: Vec<u8>) -> Result<(), Self::Error> {
        self.0.push(bytes);
        Ok(())
    }
}

/// An entry that says something in each field that its kind has.
pub(super) fn entry(number: u32) -> Entry {
    let kinds = [Kind::File, Kind::Directory, Kind::Symlink, Kind::Fifo, Kind::Socket, Kind::CharacterDevice];
    let kind = kinds[number as usize % kinds.len()];
    let chunk = |byte| Piece::Chunk { name: ChunkName([byte; 32]), length: 300 };
    let pieces =
        if kind == Kind::File { vec![chunk(3), Piece::Hole { length: 4096 }, chunk(4)] } else { Vec::new() };
    let time = Timestamp { seconds: -5, nanos: 999_999_999 };
    Entry {
        name: format!("entry {number:05}").into_bytes(),
        metadata: Metadata {
            kind,
            mode: 0o4755,
            owner: Arc::new(Owner {
                uid: number % 3,
                gid: 7,
                user: b"user".to_vec(),
                group: b"group".to_vec(),
            }),
            mtime: time,
            ctime: time,
            ino: 77,
            dev: 5,
            nlink: 2,
            size: 4696,
            device: Device { major: 8, minor: 1 },
            link_target: if kind == Kind::Symlink { b"../there".to_vec() } else { Vec::new() },
            xattrs: vec![Xattr { name: b"user.comment".to_vec(), value: b"mine".to_vec() }],
        },
        content: Content { pieces, depth: 0 },
        flags: EntryFlags(EntryFlags::YOUNG),
    }
}

pub(super) fn node() -> Vec<Vec<u8>> {
    let naming = NamingKey::from_bytes([2; 32]);
    let mut nodes = Collected::default();
    let mut builder = Builder::new(naming);
    let directories: [Arc<[u8]>; 2] = [Arc::from(b"/a".as_slice()), Arc::from(b"/a/b".as_slice())];
    for number in 0..300 {
        let pushed = builder.push(&directories[number as usize / 150], &entry(number), &mut nodes);
        assert!(pushed.is_ok());
    }
    let height = builder.finish(&mut nodes).ok().flatten().map_or(0, |root| root.height);
    let last = nodes.0.len() - 1;
    let height = |at: usize| if at == last { height } else { 0 };
    nodes.0.iter().enumerate().map(|(at, bytes)| [&[height(at)], bytes.as_slice()].concat()).collect()
}

pub(super) fn piece_list() -> Vec<Vec<u8>> {
    let naming = NamingKey::from_bytes([2; 32]);
    let mut nodes = Collected::default();
    let mut builder = ContentBuilder::new(&naming);
    for number in 0..200u8 {
        let name = naming.name(&[number]);
        let piece =
            if number % 9 == 0 { Piece::Hole { length: 5 } } else { Piece::Chunk { name, length: 300 } };
        assert!(builder.push(piece, &mut nodes).is_ok());
    }
    assert!(builder.finish(&mut nodes).is_ok());
    nodes.0.iter().map(|bytes| [&[0], bytes.as_slice()].concat()).collect()
}

pub(super) fn record() -> Vec<Vec<u8>> {
    let job = JobId::at_millis(1_795_000_000_000, [1; 10]);
    let record = record::ImageRecord {
        image: job.image_id(),
        job,
        name: "web1".into(),
        host: "web1.example".into(),
        started_millis: job.created_millis(),
        finished_millis: 1_795_000_001_000,
        roots: vec![b"/srv".to_vec(), b"/".to_vec()],
        excludes: vec!["*.tmp".into()],
        manifest: Some(Root { name: ChunkName([5; 32]), length: 77, height: 1 }),
        counts: Counts { files: 3, bytes_added: 9, ..Counts::default() },
        faults: vec![Fault { path: b"/srv/\xff".to_vec(), reason: "gone".into() }],
        parent: Some(ImageId([3; 16])),
        program: "holdfast 0".into(),
    };
    let key = record::object_key(record.started_millis, record.image);
    vec![record::encode(&record), key.as_bytes()[7..].to_vec()]
}

pub(super) fn mark() -> Vec<Vec<u8>> {
    vec![mark::encode(1_795_000_000), mark::encode(-1)]
}
