//! Index tables that are sealed with the right key and say what cannot be: by a writer with a defect, say. They are damage
//! like any other, and no memory is taken for what they promise.

use holdfast_format::index::{self, BlockPlace, Footer, Place};
use holdfast_format::seal::{HEADER_LENGTH, Header, ObjectKind, Sealer};
use holdfast_store::{Key, MemoryStore};
use holdfast_types::ChunkName;

use crate::support::*;

/// Puts a table of one entry into a vault, and a footer that tells of so many.
fn forge(store: &MemoryStore, pack: &Key, told: u64) -> Key {
    let key = Key::new(format!("index/{}", "5".repeat(32))).unwrap();
    let header = Header::new(ObjectKind::Index, [5; 32]);
    let sealer = Sealer::new(&vault_key(), &header).unwrap();
    let first = ChunkName([1; 32]);
    let place = Place { pack: 0, group_offset: 48, group_length: 100, chunk_offset: 0, chunk_length: 5 };
    let block = index::seal_block(&sealer, 0, &[(first, place)]).unwrap();
    let length = u32::try_from(block.len()).unwrap();
    let size = store.raw_get(pack).unwrap().len() as u64;
    let footer = Footer {
        packs: vec![(pack.last_part().parse().unwrap(), size)],
        blocks: vec![BlockPlace { first, offset: HEADER_LENGTH as u64, length }],
        entries: told,
        ..Footer::default()
    };
    let footer = index::seal_footer(&sealer, &header, key.as_str(), &footer).unwrap();
    store.raw_put(&key, [header.as_bytes().as_slice(), &block, &footer].concat());
    key
}

#[test]
fn a_footer_that_cannot_be_true_is_damage() {
    for told in [0, 2, 4096, u64::MAX] {
        let (store, vault) = new_vault();
        let files = tree([("/a", noise(1, 30_000))]);
        let image = backup(&vault, 1, &files).image;
        drop(vault);
        let table = forge(&store, &keys(&store, "packs")[0], told);
        let reader = open_to_read(&store);
        assert_whole(&reader, image, &files);
        let damage = reader.verify(None, false, &mut ()).unwrap().damage;
        assert!(damage.len() == 1 && damage[0].object == table.as_str(), "{damage:?}");
        let vault = open(&store);
        clean_up(&vault, 0, 1_000);
        vault.rebuild_index(&mut |_, _| {}).unwrap();
        assert_whole(&vault, image, &files);
        assert_clean(&vault);
    }
}
