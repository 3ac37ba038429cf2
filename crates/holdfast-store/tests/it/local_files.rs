//! How objects lie on the disk, and what a local store makes of files that it did not put there.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use holdfast_store::{Access, Error, LocalStore, Store, StoreExt};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::tempdir;

use crate::key;
use crate::process::Other;

fn mode_of(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Every file and directory below one.
fn all_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![dir.to_owned()];
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(all_below(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

#[test]
fn files_are_for_their_owner_alone() {
    let dir = tempdir().unwrap();
    let top = dir.path().join("new");
    let vault = top.join("vault");
    let other = Other::start("umask 0", "create", &vault);
    let found = all_below(&top);
    assert!(found.contains(&vault.join("packs/00/a")) && found.contains(&vault.join("reserve")));
    assert!(found.iter().any(|path| path.extension().is_some_and(|extension| extension == "part")));
    for path in found {
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode_of(&path), expected, "{}", path.display());
    }
    other.kill();
}

#[test]
fn an_object_is_a_file_at_its_key() {
    let dir = tempdir().unwrap();
    let store = LocalStore::create(dir.path()).unwrap();
    store.put(&key("packs/0a/0a1b"), b"bytes").unwrap();
    assert_eq!(fs::read(dir.path().join("packs/0a/0a1b")).unwrap(), b"bytes");
    assert_eq!(store.describe(), dir.path().display().to_string());
}

#[test]
fn symbolic_links_are_not_followed() {
    let (dir, outside) = (tempdir().unwrap(), tempdir().unwrap());
    let store = LocalStore::create(dir.path()).unwrap();
    fs::write(outside.path().join("secret"), b"secret").unwrap();
    symlink(outside.path().join("secret"), dir.path().join("packs/link")).unwrap();
    symlink(outside.path(), dir.path().join("images")).unwrap();

    for planted in ["packs/link", "images/secret"].map(key) {
        assert!(matches!(store.get(&planted, 100), Err(Error::Io { .. })));
        assert!(matches!(store.get_range(&planted, 0, 1), Err(Error::Io { .. })));
        assert!(matches!(store.size(&planted), Err(Error::Io { .. })));
        assert!(store.put(&planted, b"x").is_err());
    }
    assert!(matches!(store.delete(&key("images/secret")), Err(Error::Io { .. })));
    assert!(matches!(store.list_all("images"), Err(Error::Place { .. })));
    assert!(store.list_all("packs").unwrap().is_empty());
    // The link itself may go.
    store.delete(&key("packs/link")).unwrap();
    assert_eq!(fs::read(outside.path().join("secret")).unwrap(), b"secret");
    assert!(store.put(&key("images/new"), b"x").is_err());
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn what_is_no_file_is_an_error_and_not_a_wait() {
    let dir = tempdir().unwrap();
    let store = LocalStore::create(dir.path()).unwrap();
    mknodat(CWD, dir.path().join("packs/fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    fs::create_dir(dir.path().join("packs/directory")).unwrap();
    for planted in ["packs/fifo", "packs/directory"].map(key) {
        for result in [
            store.get(&planted, 100).map(|_| ()),
            store.get_range(&planted, 0, 1).map(|_| ()),
            store.size(&planted).map(|_| ()),
        ] {
            assert_eq!(
                result.unwrap_err().to_string(),
                format!("cannot read {planted}: it is no regular file")
            );
        }
        assert!(matches!(store.put(&planted, b"x"), Err(Error::Exists { .. })));
    }
    assert!(store.list_all("packs").unwrap().is_empty());
}

#[test]
fn names_that_are_no_keys_are_left_out() {
    let dir = tempdir().unwrap();
    let store = LocalStore::create(dir.path()).unwrap();
    store.put(&key("packs/00/good"), b"").unwrap();
    for name in ["packs/00/Bad", "packs/00/bad.tmp", "packs/.hidden"] {
        fs::write(dir.path().join(name), b"x").unwrap();
    }
    fs::create_dir_all(dir.path().join("packs/1/2/3/4/5/6")).unwrap();
    fs::write(dir.path().join("packs/1/2/3/4/5/6/deep"), b"x").unwrap();
    let listed = store.list_all("packs").unwrap();
    assert_eq!(listed.iter().map(|listed| listed.key.as_str()).collect::<Vec<_>>(), ["packs/00/good"]);
}

#[test]
fn the_stores_own_names_are_no_objects() {
    let dir = tempdir().unwrap();
    let store = LocalStore::create(dir.path()).unwrap();
    fs::write(dir.path().join("tmp/file"), b"x").unwrap();
    for own in ["reserve", "tmp/file"].map(key) {
        assert!(store.get(&own, 1 << 30).unwrap_err().is_missing());
        assert!(store.size(&own).unwrap_err().is_missing());
        assert!(store.create(&own).is_err());
        store.delete(&own).unwrap();
        assert!(dir.path().join(own.as_str()).exists());
    }
    assert!(store.list_all("tmp").unwrap().is_empty());
}

#[test]
fn an_object_that_lost_its_end_is_short() {
    let dir = tempdir().unwrap();
    let store = LocalStore::create(dir.path()).unwrap();
    let key = key("packs/00/00");
    store.put(&key, b"0123456789").unwrap();
    assert_eq!(store.get_range(&key, 5, 5).unwrap(), "56789");
    fs::OpenOptions::new().write(true).open(dir.path().join(key.as_str())).unwrap().set_len(7).unwrap();
    assert!(matches!(store.get_range(&key, 5, 5), Err(Error::Short { size: 7, wanted: 10, .. })));
    assert_eq!(store.get_range(&key, 5, 2).unwrap(), "56");
}

#[test]
fn more_objects_are_read_than_files_stay_open() {
    let dir = tempdir().unwrap();
    let store = LocalStore::create(dir.path()).unwrap();
    let keys: Vec<_> = (0..100).map(|number| key(&format!("packs/00/{number}"))).collect();
    for (number, key) in (0..100).zip(&keys) {
        store.put(key, &[number]).unwrap();
    }
    for (number, key) in (0..100).zip(&keys).chain((0..100).zip(&keys).rev()) {
        assert_eq!(store.get_range(key, 0, 1).unwrap(), [number].as_slice());
    }
    let packs = dir.path().join("packs/00");
    let is_open_pack =
        |entry: &fs::DirEntry| fs::read_link(entry.path()).is_ok_and(|to| to.starts_with(&packs));
    let open = fs::read_dir("/proc/self/fd").unwrap().filter_map(Result::ok).filter(is_open_pack).count();
    assert_eq!(open, 32);
}

#[test]
fn directories_that_cannot_be_stores_are_refused() {
    let dir = tempdir().unwrap();
    let missing = dir.path().join("missing");
    for access in [Access::Read, Access::Write] {
        let error = LocalStore::open(&missing, access).err().unwrap().to_string();
        assert_eq!(
            error,
            format!("cannot open {}: No such file or directory (os error 2)", missing.display())
        );
    }
    assert!(!missing.exists());

    fs::write(dir.path().join("file"), b"").unwrap();
    assert!(matches!(LocalStore::create(&dir.path().join("file")), Err(Error::Place { .. })));
    assert!(matches!(LocalStore::create(dir.path()), Err(Error::NotEmpty { .. })));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing was added");

    fs::create_dir_all(dir.path().join("new/lost+found")).unwrap();
    LocalStore::create(&dir.path().join("new")).unwrap();
    assert!(matches!(LocalStore::create(&dir.path().join("new")), Err(Error::NotEmpty { .. })));
}
