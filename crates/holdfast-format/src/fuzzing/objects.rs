//! Targets: everything but manifests.

use crate::config;
use crate::filter::Filter;
use crate::group::{Encoding, List, PLAIN_MAX, Plain};
use crate::index;
use crate::key::VaultKey;
use crate::mark;
use crate::pack::{self, Frame};
use crate::record;
use crate::seal::{HEADER_LENGTH, Header, ObjectKind, PartKind, Sealer};

const OBJECT_KEY: &str = "an/object";

pub(super) fn vault_key() -> VaultKey {
    VaultKey::from_bytes([1; 32])
}

/// A sealer, its header, and these bytes sealed as that part. `None` never happens with keys of the right length.
fn sealed(
    kind: PartKind,
    associated: impl Fn(&Header) -> Vec<u8>,
    plain: &[u8],
) -> Option<(Sealer, Header, Vec<u8>)> {
    let header = Header::new(ObjectKind::Pack, [2; 32]);
    let sealer = Sealer::new(&vault_key(), &header).ok()?;
    let mut out = Vec::new();
    sealer.seal(kind, 0, &associated(&header), plain, &mut out).ok()?;
    Some((sealer, header, out))
}

pub(super) fn header(bytes: &[u8]) {
    for kind in [ObjectKind::Config, ObjectKind::Pack, ObjectKind::Index, ObjectKind::Image, ObjectKind::Mark]
    {
        if let Ok(header) = Header::parse(kind, bytes) {
            assert_eq!(header.as_bytes(), &bytes[..HEADER_LENGTH]);
            assert!(header.reader_version() <= crate::seal::VERSION);
        }
    }
}

pub(super) fn config(bytes: &[u8]) {
    let _ = config::decode_plain(bytes);
    let _ = config::decode(bytes, &vault_key());
    // As the secret part of a config that is good otherwise.
    let object = config::testing::with_secret(&vault_key(), bytes);
    if let Ok(config) = object.and_then(|object| config::decode(&object, &vault_key())) {
        assert!(config.sizes.check().is_ok());
    }
}

pub(super) fn key_text(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(key) = VaultKey::from_text(text) {
        let again = VaultKey::from_text(&key.to_text());
        assert!(again.is_ok_and(|again| again.id() == key.id()));
    }
}

pub(super) fn group(bytes: &[u8]) {
    if let Ok(frame) = Frame::parse(bytes) {
        assert_eq!(frame.to_bytes(), bytes[..pack::FRAME_LENGTH]);
    }
    let _ = pack::find_group(bytes);
    let Some((sealer, ..)) = sealed(PartKind::Object, |_| Vec::new(), b"") else { return };
    let _ = pack::open_list(&sealer, &mut bytes.to_vec());
    let _ = pack::open_group(&sealer, bytes.to_vec());
    // The list, its length before it in one byte, and then the data.
    let Some((length, rest)) = bytes.split_first() else { return };
    let (list, data) = rest.split_at(rest.len().min(usize::from(*length)));
    let Ok(list) = List::decode(list) else { return };
    assert!(list.plain_length() <= PLAIN_MAX);
    assert!(list.encode().and_then(|bytes| List::decode(&bytes)).as_ref() == Ok(&list));
    if list.plain_length() > data.len() * 1000 && list.encoding == Encoding::Zstd {
        return; // would only be slow
    }
    if let Ok(plain) = Plain::new(list, data.to_vec(), 0) {
        assert_eq!(plain.bytes().len(), plain.list.plain_length());
    }
}

pub(super) fn pack_footer(bytes: &[u8]) {
    let _ = pack::footer_length(bytes);
    let associated = |header: &Header| {
        let length = u32::try_from(bytes.len() + crate::seal::TAG_LENGTH).unwrap_or(u32::MAX);
        [header.bound_to(OBJECT_KEY).as_slice(), &length.to_le_bytes(), b"HFPE"].concat()
    };
    let Some((sealer, header, mut sealed)) = sealed(PartKind::PackFooter, associated, bytes) else { return };
    if let Ok(offsets) = pack::open_footer(&sealer, &header, OBJECT_KEY, &mut sealed) {
        assert!(offsets.iter().all(|offset| *offset >= pack::FIRST_GROUP));
        assert!(pack::seal_footer(&sealer, &header, OBJECT_KEY, &offsets).is_ok());
    }
}

pub(super) fn index(bytes: &[u8]) {
    let _ = index::footer_length(bytes);
    if let Some((sealer, _, mut sealed)) = sealed(PartKind::IndexBlock, |_| Vec::new(), bytes)
        && let Ok(block) = index::open_block(&sealer, 0, 2, &mut sealed)
    {
        assert!(block.entries.is_sorted_by(|a, b| a.0 <= b.0) && !block.entries.is_empty());
        assert!(block.entries.iter().all(|(name, place)| place.pack < 2 && block.find(name).count() > 0));
        assert!(index::seal_block(&sealer, 0, &block.entries).is_ok());
    }
    let associated = |header: &Header| {
        let length = u32::try_from(bytes.len() + crate::seal::TAG_LENGTH).unwrap_or(u32::MAX);
        [header.bound_to(OBJECT_KEY).as_slice(), &length.to_le_bytes(), b"HFIE"].concat()
    };
    let Some((sealer, header, mut sealed)) = sealed(PartKind::IndexFooter, associated, bytes) else { return };
    if let Ok(footer) = index::open_footer(&sealer, &header, OBJECT_KEY, &mut sealed) {
        let _ = footer.filter.may_hold(&holdfast_types::ChunkName([7; 32]));
        assert!(index::seal_footer(&sealer, &header, OBJECT_KEY, &footer).is_ok());
    }
}

pub(super) fn filter(bytes: &[u8]) {
    let mut name = [0; 32];
    let length = bytes.len().min(32);
    name[..length].copy_from_slice(&bytes[..length]);
    let name = holdfast_types::ChunkName(name);
    if let Ok(mut filter) = Filter::from_bytes(bytes.to_vec())
        && !bytes.is_empty()
    {
        filter.insert(&name);
        assert!(filter.may_hold(&name));
    }
}

pub(super) fn record(bytes: &[u8]) {
    if let Ok(record) = record::decode(bytes) {
        assert_eq!(record::decode(&record::encode(&record)), Ok(record));
    }
    if let Some((millis, image)) = std::str::from_utf8(bytes).ok().and_then(record::parse_object_key) {
        assert_eq!(record::object_key(millis, image).as_bytes()[7..], *bytes);
    }
}

pub(super) fn mark(bytes: &[u8]) {
    if let Ok(since) = mark::decode(bytes) {
        assert_eq!(mark::decode(&mark::encode(since)), Ok(since));
    }
}
