//! Entries for the tests of this module's files.

use std::sync::Arc;

use holdfast_types::{Content, Device, Entry, EntryFlags, Kind, Metadata, Owner, Timestamp};

/// An entry with nothing remarkable about it.
pub(super) fn entry(name: &[u8], kind: Kind) -> Entry {
    let metadata = Metadata {
        kind,
        mode: 0o644,
        owner: Arc::new(Owner::default()),
        mtime: Timestamp::default(),
        ctime: Timestamp::default(),
        ino: 1,
        dev: 0,
        nlink: 1,
        size: 0,
        device: Device::default(),
        link_target: Vec::new(),
        xattrs: Vec::new(),
    };
    Entry { name: name.to_vec(), metadata, content: Content::default(), flags: EntryFlags::default() }
}
