//! What a local store keeps for itself: `tmp/`, the reserve, the sign of a writer; and what a failed write leaves.

use std::fs;
use std::path::Path;

use holdfast_store::{Access, LocalStore, Store, StoreExt};
use tempfile::{TempDir, tempdir};

use crate::key;
use crate::process::Other;

fn vault() -> TempDir {
    let dir = tempdir().unwrap();
    LocalStore::create(dir.path()).unwrap().put(&key("config"), b"").unwrap();
    dir
}

fn in_tmp(dir: &Path) -> usize {
    fs::read_dir(dir.join("tmp")).unwrap().count()
}

#[test]
fn a_killed_writer_is_cleared_up_after() {
    let dir = vault();
    assert_eq!(in_tmp(dir.path()), 0, "a writer that ends in order leaves nothing");
    Other::start("", "write", dir.path()).kill();
    assert_eq!(in_tmp(dir.path()), 2, "the part of an object, and the sign of the writer");
    fs::write(dir.path().join("tmp/of-someone-else"), b"x").unwrap();
    drop(LocalStore::open(dir.path(), Access::Read).unwrap());
    assert_eq!(in_tmp(dir.path()), 3, "a reader changes nothing");
    let store = LocalStore::open(dir.path(), Access::Write).unwrap();
    assert_eq!(in_tmp(dir.path()), 1, "the sign of this writer");
    drop(store);
    assert_eq!(in_tmp(dir.path()), 0);
}

#[test]
fn dropped_writers_leave_no_file() {
    let dir = vault();
    let store = LocalStore::open(dir.path(), Access::Write).unwrap();
    let mut writer = store.create(&key("packs/00/00")).unwrap();
    writer.write(b"x").unwrap();
    assert_eq!(in_tmp(dir.path()), 2);
    drop(writer);
    assert_eq!(in_tmp(dir.path()), 1);
    store.put(&key("packs/00/00"), b"x").unwrap();
    store.put(&key("packs/00/00"), b"x").unwrap_err();
    assert_eq!(in_tmp(dir.path()), 1);
}

#[test]
fn a_vault_that_lost_its_config_is_cleared_up_too() {
    let dir = vault();
    fs::rename(dir.path().join("config"), dir.path().join("config-copy")).unwrap();
    fs::write(dir.path().join("tmp/left.part"), b"x").unwrap();
    let store = LocalStore::open(dir.path(), Access::Write).unwrap();
    assert!(!dir.path().join("tmp/left.part").exists());
    assert_eq!(in_tmp(dir.path()), 1, "the sign of this writer");
    drop(store);
}

#[test]
fn nothing_is_swept_where_no_vault_is() {
    let dir = tempdir().unwrap();
    for name in ["tmp", "packs"] {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    fs::write(dir.path().join("tmp/precious"), b"x").unwrap();
    drop(LocalStore::open(dir.path(), Access::Write).unwrap());
    assert_eq!(fs::read(dir.path().join("tmp/precious")).unwrap(), b"x");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing was added");
}

#[test]
fn what_a_vault_lost_of_its_own_is_made_again() {
    let dir = vault();
    fs::remove_dir(dir.path().join("tmp")).unwrap();
    fs::remove_file(dir.path().join("reserve")).unwrap();
    let store = LocalStore::open(dir.path(), Access::Write).unwrap();
    store.put(&key("packs/00/00"), b"x").unwrap();
    assert!(dir.path().join("reserve").exists());
}

#[test]
fn the_reserve_is_real_and_can_be_given_back() {
    use std::os::unix::fs::MetadataExt;
    let dir = vault();
    let store = LocalStore::open(dir.path(), Access::Write).unwrap();
    let reserve = dir.path().join("reserve");
    let takes_space = || {
        let metadata = fs::metadata(&reserve).unwrap();
        metadata.len() == 1 << 20 && metadata.blocks() * 512 >= 1 << 20
    };
    assert!(takes_space());
    assert!(store.release_reserve().unwrap());
    assert!(!reserve.exists());
    assert!(!store.release_reserve().unwrap());
    store.restore_reserve();
    assert!(takes_space());
    // One that is half made counts as none.
    fs::write(&reserve, b"x").unwrap();
    store.restore_reserve();
    assert!(takes_space());
}

#[test]
fn a_write_that_fails_leaves_nothing() {
    let dir = vault();
    // The signal that a too large file raises is ignored, so that the write fails as on a full disk: half-way.
    let limit = "trap '' XFSZ; ulimit -f 64";
    Other::start(limit, "fill", dir.path()).end();
    assert_eq!(in_tmp(dir.path()), 0);
    let store = LocalStore::open(dir.path(), Access::Read).unwrap();
    let listed = store.list_all("packs").unwrap();
    assert_eq!(listed.iter().map(|listed| listed.key.as_str()).collect::<Vec<_>>(), ["packs/00/small"]);
}
