//! Reading packs: a group by its spot, all groups of a pack by its footer, and what can be saved of a damaged one.

use std::sync::Arc;

use holdfast_format::group::List;
use holdfast_format::pack::{self, FIRST_GROUP, FRAME_LENGTH, Frame, TAIL_LENGTH};
use holdfast_format::seal::{HEADER_LENGTH, Header, ObjectKind, Sealer};
use holdfast_format::{Error as FormatError, VaultKey};
use holdfast_store::{Key, Store};
use holdfast_types::PackId;
use quick_cache::sync::Cache;

use crate::error::{Error, Result, hurts_one};
use crate::index::pack_key;

/// Sealers of packs that were used lately: each costs a read of the pack's header otherwise.
#[derive(Debug)]
pub(crate) struct Packs {
    sealers: Cache<PackId, Arc<(Header, Sealer)>>,
}

/// A group found in a pack.
#[derive(Debug)]
pub(crate) struct FoundGroup {
    pub(crate) offset: u64,
    pub(crate) frame: Frame,
    pub(crate) list: List,
}

/// What a walk over a pack found.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub(crate) groups: Vec<FoundGroup>,
    /// What is damaged: empty for a good pack.
    pub(crate) damage: Vec<String>,
}

impl Packs {
    pub(crate) fn new() -> Self {
        Self { sealers: Cache::new(1024) }
    }

    pub(crate) fn sealer(
        &self,
        store: &dyn Store,
        key: &VaultKey,
        id: PackId,
    ) -> Result<Arc<(Header, Sealer)>> {
        self.sealers.get_or_insert_with(&id, || {
            let object = pack_key(id)?;
            let head = store.get_range(&object, 0, HEADER_LENGTH)?;
            let header = Header::parse(ObjectKind::Pack, &head).map_err(Error::damaged(&object))?;
            let sealer = Sealer::new(key, &header).map_err(Error::damaged(&object))?;
            Ok(Arc::new((header, sealer)))
        })
    }

    /// The bytes of a group as stored.
    pub(crate) fn read_group(
        &self,
        store: &dyn Store,
        id: PackId,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>> {
        let object = pack_key(id)?;
        let bound =
            pack::FRAME_LENGTH as u64 + holdfast_format::group::LIST_MAX + holdfast_format::group::DATA_MAX;
        match usize::try_from(length) {
            Ok(length) if length as u64 <= bound => Ok(Vec::from(store.get_range(&object, offset, length)?)),
            _ => Err(Error::damaged(object)(FormatError::Bound {
                what: "the length of a group",
                value: length,
                bound,
            })),
        }
    }

    /// A group, open.
    pub(crate) fn open_group(
        &self,
        store: &dyn Store,
        key: &VaultKey,
        id: PackId,
        offset: u64,
        length: u64,
    ) -> Result<holdfast_format::group::Plain> {
        let sealer = self.sealer(store, key, id)?;
        let bytes = self.read_group(store, id, offset, length)?;
        pack::open_group(&sealer.1, bytes).map_err(Error::damaged(pack_key(id)?))
    }

    /// A group, unsealed, its data encoded as the list says: as `pack::unseal_group` gives it.
    pub(crate) fn unseal_group(
        &self,
        store: &dyn Store,
        key: &VaultKey,
        id: PackId,
        offset: u64,
        length: u64,
    ) -> Result<(List, Vec<u8>, usize)> {
        let sealer = self.sealer(store, key, id)?;
        let bytes = self.read_group(store, id, offset, length)?;
        pack::unseal_group(&sealer.1, bytes).map_err(Error::damaged(pack_key(id)?))
    }

    /// All groups of a pack with their lists, by its footer, or where that is damaged, by looking for them.
    pub(crate) fn survey(&self, store: &dyn Store, key: &VaultKey, id: PackId, size: u64) -> Result<Survey> {
        let object = pack_key(id)?;
        let sealer = match self.sealer(store, key, id) {
            Ok(sealer) => sealer,
            Err(Error::Store(error)) if !hurts_one(&error) => return Err(error.into()),
            Err(error) => return Ok(Survey { groups: Vec::new(), damage: vec![error.to_string()] }),
        };
        let mut survey = Survey::default();
        let (header, sealer) = &*sealer;
        match self.footer(store, header, sealer, &object, size) {
            Ok(offsets) => {
                for offset in offsets {
                    match self.list_at(store, sealer, &object, offset, size) {
                        Ok(group) => survey.groups.push(group),
                        Err(Error::Store(error)) if !hurts_one(&error) => return Err(error.into()),
                        Err(error) => survey.damage.push(format!("the group at {offset}: {error}")),
                    }
                }
            }
            Err(Error::Store(error)) if !hurts_one(&error) => return Err(error.into()),
            Err(error) => {
                survey.damage.push(error.to_string());
                self.salvage(store, sealer, &object, size, &mut survey)?;
            }
        }
        Ok(survey)
    }

    fn footer(
        &self,
        store: &dyn Store,
        header: &Header,
        sealer: &Sealer,
        object: &Key,
        size: u64,
    ) -> Result<Vec<u64>> {
        let short = || Error::damaged(object)(FormatError::Short { what: "the end of the pack" });
        let tail_at = size.checked_sub(TAIL_LENGTH as u64).ok_or_else(short)?;
        let tail = store.get_range(object, tail_at, TAIL_LENGTH)?;
        let length = pack::footer_length(&tail).map_err(Error::damaged(object))?;
        let at = tail_at.checked_sub(length as u64).ok_or_else(short)?;
        let mut sealed = Vec::from(store.get_range(object, at, length)?);
        pack::open_footer(sealer, header, object.as_str(), &mut sealed).map_err(Error::damaged(object))
    }

    fn list_at(
        &self,
        store: &dyn Store,
        sealer: &Sealer,
        object: &Key,
        offset: u64,
        size: u64,
    ) -> Result<FoundGroup> {
        let head = store.get_range(object, offset, FRAME_LENGTH)?;
        let frame = Frame::parse(&head).map_err(Error::damaged(object))?;
        if offset.saturating_add(frame.group_length()) > size {
            return Err(Error::damaged(object)(FormatError::Short { what: "a group" }));
        }
        let mut bytes =
            Vec::from(store.get_range(object, offset, FRAME_LENGTH + frame.list_length as usize)?);
        let list = pack::open_list(sealer, &mut bytes).map_err(Error::damaged(object))?;
        Ok(FoundGroup { offset, frame, list })
    }

    /// Goes from group to group, and where none begins, to the next place that looks like one and whose list opens.
    fn salvage(
        &self,
        store: &dyn Store,
        sealer: &Sealer,
        object: &Key,
        size: u64,
        survey: &mut Survey,
    ) -> Result<()> {
        let mut at = FIRST_GROUP;
        while at + (FRAME_LENGTH as u64) < size {
            match self.list_at(store, sealer, object, at, size) {
                Ok(group) => {
                    at += group.frame.group_length();
                    survey.groups.push(group);
                    continue;
                }
                Err(Error::Store(error)) if !hurts_one(&error) => return Err(error.into()),
                Err(_) => {}
            }
            at += 1 + self.step(store, object, at + 1, size)?;
        }
        Ok(())
    }

    /// How far it is from here to what looks like a group, or to where the search goes on.
    fn step(&self, store: &dyn Store, object: &Key, from: u64, size: u64) -> Result<u64> {
        // Near a bad sector less is read at once, so that less is passed over.
        for window in [1 << 20, 64 << 10] {
            let length = usize::try_from(size - from).unwrap_or(window).min(window);
            match store.get_range(object, from, length) {
                Ok(bytes) => {
                    // A magic may lie across the border of two windows.
                    let next = (length as u64).saturating_sub(3).max(1);
                    return Ok(pack::find_group(&bytes).map_or(next, |position| position as u64));
                }
                Err(error) if error.is_unreadable() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(64 << 10)
    }
}
