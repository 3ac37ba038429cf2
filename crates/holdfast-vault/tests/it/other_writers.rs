//! Index tables as another writer may make them: blocks of any size that docs/format.md allows.

use holdfast_format::filter::Filter;
use holdfast_format::index::{self, BlockPlace, Footer, Place, TAIL_LENGTH};
use holdfast_format::seal::{HEADER_LENGTH, Header, ObjectKind, Sealer};
use holdfast_store::{Key, MemoryStore};
use holdfast_types::{ChunkName, PackId, TableId};
use holdfast_vault::cleanup::Report;

use crate::support::*;

type Entries = Vec<(ChunkName, Place)>;

/// All entries of all tables, sorted, and the packs that they speak of.
fn read_index(store: &MemoryStore) -> (Vec<(PackId, u64)>, Entries) {
    let (mut packs, mut entries) = (Vec::new(), Entries::new());
    for key in keys(store, "index") {
        let object = store.raw_get(&key).unwrap();
        let header = Header::parse(ObjectKind::Index, &object[..HEADER_LENGTH]).unwrap();
        let sealer = Sealer::new(&vault_key(), &header).unwrap();
        let tail_at = object.len() - TAIL_LENGTH;
        let at = tail_at - index::footer_length(&object[tail_at..]).unwrap();
        let mut sealed = object[at..tail_at].to_vec();
        let footer = index::open_footer(&sealer, &header, key.as_str(), &mut sealed).unwrap();
        let first = u32::try_from(packs.len()).unwrap();
        for (block, position) in footer.blocks.iter().zip(0..) {
            let start = usize::try_from(block.offset).unwrap();
            let mut sealed = object[start..][..block.length as usize].to_vec();
            let block = index::open_block(&sealer, position, footer.packs.len(), &mut sealed).unwrap();
            let moved = |(name, place): (_, Place)| (name, Place { pack: first + place.pack, ..place });
            entries.extend(block.entries.into_iter().map(moved));
        }
        packs.extend(footer.packs);
    }
    entries.sort_unstable_by_key(|(name, place)| (*name, place.pack, place.group_offset, place.chunk_offset));
    (packs, entries)
}

/// One table in the place of all, its first block of `first` entries, the others of `then`.
fn write_index(store: &MemoryStore, first: usize, then: usize) {
    let (packs, entries) = read_index(store);
    let id = TableId([9; 16]);
    let key = Key::new(format!("index/{id}")).unwrap();
    let header = Header::new(ObjectKind::Index, [9; 32]);
    let sealer = Sealer::new(&vault_key(), &header).unwrap();
    let mut object = header.as_bytes().to_vec();
    let mut footer = Footer { packs, entries: entries.len() as u64, ..Footer::default() };
    footer.filter = Filter::for_names(entries.len());
    entries.iter().for_each(|(name, _)| footer.filter.insert(name));
    let (head, rest) = entries.split_at(first);
    for (block, position) in std::iter::once(head).chain(rest.chunks(then)).zip(0..) {
        let sealed = index::seal_block(&sealer, position, block).unwrap();
        let (offset, length) = (object.len() as u64, u32::try_from(sealed.len()).unwrap());
        footer.blocks.push(BlockPlace { first: block[0].0, offset, length });
        object.extend(sealed);
    }
    object.extend(index::seal_footer(&sealer, &header, key.as_str(), &footer).unwrap());
    keys(store, "index").iter().for_each(|key| assert!(store.raw_remove(key)));
    store.raw_put(&key, object);
}

fn files(prefix: &str, count: u64) -> Tree {
    tree((0..count).map(|at| (format!("/{prefix}{at:03}"), noise(at + prefix.len() as u64 * 1_000, 900))))
}

/// 256 entries make two blocks of this program's; here they are two blocks that differ, or many.
#[test]
fn blocks_of_any_size_are_cleaned_up_right() {
    let (store, vault) = new_vault();
    let (kept, gone) = (files("k", 128), files("go", 120));
    let image = backup(&vault, 1, &kept).image;
    let old = backup(&vault, 2, &gone).image;
    vault.forget(old).unwrap();
    drop(vault);
    let count = read_index(&store).1.len();
    assert!((249..=256).contains(&count), "{count}");
    let before = objects(&store);
    for (first, then) in [(64, 4_096), (192, 4_096), (1, 4_096), (count - 1, 1), (1, 1), (7, 100)] {
        let context = format!("{first} entries, then {then}");
        let store = store_of(&before);
        write_index(&store, first, then);
        let vault = open(&store);
        assert_clean(&vault);
        let report: Report = clean_up(&vault, 0, 1_000);
        assert_eq!((report.deleted, report.rewritten), (2, 0), "{context}: what is dead, and nothing else");
        assert_whole(&open(&store), image, &kept);
        assert_clean(&vault);
    }
}
