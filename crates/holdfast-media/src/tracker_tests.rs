//! What an image may rest on: manifests that are made here, whole and with each thing wrong that a client could get wrong.

use super::*;
use holdfast_format::NamingKey;
use holdfast_format::manifest::{Builder, ContentBuilder, NodeSink};
use holdfast_types::{Content, Device, Entry, EntryFlags, Kind, Metadata, Owner, Piece, Timestamp};
use std::sync::Arc;

#[derive(Default)]
struct Sink(HashMap<ChunkName, Vec<u8>>);

impl NodeSink for Sink {
    type Error = std::convert::Infallible;

    fn node(&mut self, name: ChunkName, bytes: Vec<u8>) -> std::result::Result<(), Self::Error> {
        self.0.insert(name, bytes);
        Ok(())
    }
}

struct Manifest {
    root: Root,
    nodes: Vec<(ChunkName, u32, Named)>,
    chunks: Vec<ChunkName>,
}

fn entry(name: String, content: Content, flags: u32) -> Entry {
    let time = Timestamp { seconds: 1, nanos: 1 };
    let metadata = Metadata {
        kind: Kind::File,
        mode: 0o644,
        owner: Arc::new(Owner::default()),
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
    Entry { name: name.into_bytes(), metadata, content, flags: EntryFlags(flags) }
}

/// Some files, the last of them large enough for a list of pieces.
fn manifest(flags: u32) -> Manifest {
    let naming = NamingKey::from_bytes([5; 32]);
    let (mut sink, mut chunks) = (Sink::default(), Vec::new());
    let mut builder = Builder::new(naming.clone());
    for file in 0..300u32 {
        let pieces = if file == 299 { 5000 } else { 1 };
        let mut content = ContentBuilder::new(&naming);
        for piece in 0..pieces {
            let name = naming.name(&[file.to_le_bytes(), u32::to_le_bytes(piece)].concat());
            chunks.push(name);
            content.push(Piece::Chunk { name, length: 8 }, &mut sink).unwrap();
        }
        let content = content.finish(&mut sink).unwrap();
        let flags = if file == 7 { flags } else { 0 };
        builder.push(&b"/d"[..].into(), &entry(format!("f{file:05}"), content, flags), &mut sink).unwrap();
    }
    let root = builder.finish(&mut sink).unwrap().unwrap();
    let read = |(name, bytes): (ChunkName, Vec<u8>)| {
        (name, u32::try_from(bytes.len()).unwrap(), Named::read(&bytes).unwrap())
    };
    Manifest { root, nodes: sink.0.into_iter().map(read).collect(), chunks }
}

fn tell(tracker: &mut Tracker, manifest: &Manifest, skip: Option<ChunkName>) {
    for (name, size, named) in &manifest.nodes {
        if Some(*name) != skip {
            tracker.arrived(*name, true);
            tracker.put_node(*name, *size, named.clone()).unwrap();
        }
    }
}

#[test]
fn a_manifest_that_rests_on_what_was_sent_may_be_committed() {
    let manifest = manifest(0);
    let mut tracker = Tracker::default();
    tell(&mut tracker, &manifest, None);
    assert!(matches!(tracker.check(manifest.root), Err(Error::NotSent(_))), "no content has come");
    manifest.chunks.iter().for_each(|chunk| tracker.arrived(*chunk, true));
    assert!(tracker.check(manifest.root).unwrap().is_empty());
}

#[test]
fn every_node_and_every_chunk_is_needed() {
    let manifest = manifest(0);
    for (missing, _, _) in &manifest.nodes {
        let mut tracker = Tracker::default();
        manifest.chunks.iter().for_each(|chunk| tracker.arrived(*chunk, true));
        tell(&mut tracker, &manifest, Some(*missing));
        assert!(matches!(tracker.check(manifest.root), Err(Error::NotSent(name)) if name == *missing));
    }
    let mut tracker = Tracker::default();
    manifest.chunks[1..].iter().for_each(|chunk| tracker.arrived(*chunk, true));
    tell(&mut tracker, &manifest, None);
    assert!(matches!(tracker.check(manifest.root), Err(Error::NotSent(name)) if name == manifest.chunks[0]));
}

#[test]
fn a_root_that_says_something_else_of_its_node_is_refused() {
    let manifest = manifest(0);
    let mut tracker = Tracker::default();
    manifest.chunks.iter().for_each(|chunk| tracker.arrived(*chunk, true));
    tell(&mut tracker, &manifest, None);
    let root = manifest.root;
    for wrong in [Root { height: root.height + 1, ..root }, Root { length: root.length + 1, ..root }] {
        assert!(matches!(tracker.check(wrong), Err(Error::Mismatch(_))), "{wrong:?}");
    }
    let list = manifest.nodes.iter().find(|(_, _, named)| named.shape == Shape::List).unwrap();
    let as_root = Root { name: list.0, length: list.1, height: 0 };
    assert!(matches!(tracker.check(as_root), Err(Error::Mismatch(_))));
}

#[test]
fn what_only_a_checkpoint_may_have_is_never_committed() {
    let manifest = manifest(EntryFlags::UNFINISHED);
    let mut tracker = Tracker::default();
    manifest.chunks.iter().for_each(|chunk| tracker.arrived(*chunk, true));
    tell(&mut tracker, &manifest, None);
    assert!(matches!(tracker.check(manifest.root), Err(Error::Unfinished)));
}

/// Nodes of the parent, given to the client, may be named again; what the vault has lost of them may not.
#[test]
fn what_was_given_may_be_named_unless_the_vault_lacks_it() {
    let manifest = manifest(0);
    for lost in [None, Some(manifest.chunks[3])] {
        let mut tracker = Tracker::default();
        tracker.know(&manifest.root.name);
        for (name, size, named) in &manifest.nodes {
            let there: Vec<bool> = named.references.iter().map(|one| Some(*one.name()) != lost).collect();
            tracker.gave_node(*name, *size, named.clone(), &there);
        }
        match lost {
            None => assert!(tracker.check(manifest.root).unwrap().is_empty()),
            Some(lost) => {
                assert!(matches!(tracker.check(manifest.root), Err(Error::NotSent(name)) if name == lost));
                tracker.arrived(lost, true);
                assert!(tracker.check(manifest.root).unwrap().is_empty());
            }
        }
    }
}

#[test]
fn a_known_node_that_was_not_looked_at_is_asked_for() {
    let manifest = manifest(0);
    let mut tracker = Tracker::default();
    tracker.know(&manifest.root.name);
    assert_eq!(tracker.check(manifest.root).unwrap(), [(manifest.root.name, manifest.root.length)]);
}

#[test]
fn a_chunk_is_asked_for_once_and_counts_as_known_when_it_came() {
    let name = ChunkName([9; 32]);
    let mut tracker = Tracker::default();
    assert_eq!(tracker.standing(&name), Standing::Unknown);
    assert!(tracker.expect(name).unwrap() && !tracker.expect(name).unwrap());
    assert_eq!(tracker.standing(&name), Standing::OnWay);
    tracker.arrived(name, true);
    assert!(tracker.is_put(&name) && tracker.knows(&name));
    let checkpoint = tracker.checkpoint();
    tracker.durable(checkpoint);
    assert_eq!(tracker.standing(&name), Standing::Known);
    assert!(!tracker.is_put(&name));
    // Claimed by a connection that is gone: it may be claimed again.
    let other = ChunkName([8; 32]);
    assert!(tracker.expect(other).unwrap());
    tracker.forget_claims();
    assert!(tracker.expect(other).unwrap());
}
