//! The walk over images: what it reads once, and what it keeps in memory.

#![allow(clippy::unwrap_used)] // to fail is to panic

use super::*;

use holdfast_format::VaultKey;
use holdfast_format::chunker::Sizes;
use holdfast_format::group::{Encoding, List};
use holdfast_format::manifest::{Builder, ContentBuilder, NodeSink};
use holdfast_store::MemoryStore;
use holdfast_types::{Counts, Device, Entry, EntryFlags, JobId, Kind, Metadata, Owner, Timestamp, place_of};

use crate::{GroupData, ImageDraft, Ingest, Mode};

fn new_vault() -> Vault {
    let (store, key) = (MemoryStore::new(), VaultKey::from_bytes([1; 32]));
    Vault::init(&store, &key, Sizes { min: 4 << 10, normal: 16 << 10, max: 64 << 10 }).unwrap();
    Vault::open(Arc::new(store), &key, Mode::Write).unwrap()
}

/// Stores every node as a group of its own.
struct Nodes<'a>(&'a Ingest);

impl NodeSink for Nodes<'_> {
    type Error = Error;

    fn node(&mut self, name: ChunkName, data: Vec<u8>) -> Result<()> {
        if self.0.claim(&[name])?[0] {
            let chunks = vec![(name, u32::try_from(data.len()).unwrap())];
            let list = List { encoding: Encoding::Plain, chunks, nodes: true };
            self.0.put(&GroupData { list, data })?;
        }
        Ok(())
    }
}

fn entry(name: &str, content: Content) -> Entry {
    let time = Timestamp { seconds: 0, nanos: 0 };
    let metadata = Metadata {
        kind: Kind::File,
        mode: 0o644,
        owner: Arc::new(Owner { uid: 0, gid: 0, user: Vec::new(), group: Vec::new() }),
        mtime: time,
        ctime: time,
        ino: 1,
        dev: 0,
        nlink: 1,
        size: content.length(),
        device: Device::default(),
        link_target: Vec::new(),
        xattrs: Vec::new(),
    };
    Entry { name: name.into(), metadata, content, flags: EntryFlags::default() }
}

/// An image of one file, whose chunks were never stored.
fn commit(vault: &Vault, number: u64, pieces: usize) {
    let ingest = vault.ingest().unwrap();
    let mut sink = Nodes(&ingest);
    let mut content = ContentBuilder::new(vault.naming());
    for at in 0..pieces {
        let name = vault.naming().name(&at.to_le_bytes());
        assert!(content.push(Piece::Chunk { name, length: 5 }, &mut sink).is_ok());
    }
    let content = content.finish(&mut sink).map_err(|_| ()).unwrap();
    assert_eq!(content.depth, if pieces > 100_000 { 2 } else { 1 });
    let mut builder = Builder::new(vault.naming().clone());
    let place = place_of(format!("/{number}").as_bytes());
    let entry = entry(&number.to_string(), content);
    assert!(builder.push(&place.directory.as_slice().into(), &entry, &mut sink).is_ok());
    let manifest = builder.finish(&mut sink).map_err(|_| ()).unwrap();
    let job = JobId::at_millis(1_800_000_000_000 + number, [1; 10]);
    let draft = ImageDraft {
        job,
        name: "n".into(),
        host: "h".into(),
        finished_millis: job.created_millis(),
        roots: vec![b"/".to_vec()],
        excludes: Vec::new(),
        manifest,
        counts: Counts::default(),
        faults: Vec::new(),
        parent: None,
        program: "test".into(),
    };
    ingest.commit(draft).unwrap();
}

#[test]
fn a_list_is_walked_once_however_many_images_have_it() {
    for pieces in [1_000, 300_000] {
        let vault = new_vault();
        (0..3).for_each(|number| commit(&vault, number, pieces));
        let live = Live::compute(&vault, &mut |_, _| {}).unwrap();
        assert_eq!(live.missing(), pieces as u64, "every chunk of the file, once");
    }
}

#[test]
fn names_do_not_pile_up_within_one_leaf() {
    let vault = new_vault();
    commit(&vault, 1, 3 * BATCH);
    let live = Live::compute(&vault, &mut |_, _| {}).unwrap();
    assert_eq!((live.missing(), live.names.capacity()), (3 * BATCH as u64, BATCH));
}
