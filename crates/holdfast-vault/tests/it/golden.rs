//! A vault that the first format version wrote, kept and read for ever: `tests/golden/v1`. When the format changes, this
//! one stays as it is and a new one is added beside it.
//!
//! To make one for a new version: give it a directory of its own here, and run this test once with
//! `HOLDFAST_WRITE_GOLDEN=1`. What is there already is never written again.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use holdfast_format::VaultKey;
use holdfast_store::{Key, MemoryStore};
use holdfast_types::{
    Counts, Device, Entry, EntryFlags, Fault, Kind, Metadata, Owner, Piece, Timestamp, Xattr, sanitise,
};
use holdfast_vault::{ImageDraft, Mode, Vault};

use crate::support::*;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1")
}

// ---- Reading it ----

fn load() -> (MemoryStore, VaultKey) {
    let store = MemoryStore::new();
    load_below(&directory().join("vault"), "", &store);
    let text = std::fs::read_to_string(directory().join("key.txt")).unwrap();
    (store, VaultKey::from_text(&text).unwrap())
}

fn load_below(path: &Path, prefix: &str, store: &MemoryStore) {
    for entry in std::fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        let key = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            load_below(&entry.path(), &format!("{key}/"), store);
        } else {
            store.raw_put(&Key::new(key).unwrap(), std::fs::read(entry.path()).unwrap());
        }
    }
}

fn open_golden(store: &MemoryStore, key: &VaultKey, mode: Mode) -> Vault {
    Vault::open(Arc::new(store.clone()), key, mode).unwrap()
}

/// Everything that the images say, as text.
fn dump(vault: &Vault) -> String {
    let mut text = String::new();
    for listed in vault.images().unwrap() {
        let record = listed.record.unwrap();
        let root = record.manifest.unwrap();
        let roots: Vec<String> = record.roots.iter().map(|root| sanitise(root)).collect();
        let Counts { files, directories, others, errors, bytes_source, bytes_read, .. } = record.counts;
        writeln!(
            text,
            "image {} {:?} of {:?} by {:?}",
            record.image, record.name, record.host, record.program
        )
        .unwrap();
        writeln!(text, "  job {} from {} to {}", record.job, record.started_millis, record.finished_millis)
            .unwrap();
        writeln!(text, "  roots {roots:?} without {:?}, height {}", record.excludes, root.height).unwrap();
        writeln!(text, "  counts {files} {directories} {others} {errors} {bytes_source} {bytes_read}")
            .unwrap();
        for fault in &record.faults {
            writeln!(text, "  fault {} {:?}", sanitise(&fault.path), fault.reason).unwrap();
        }
        let parent = record.parent.map(|parent| parent.to_string());
        writeln!(text, "  parent {}", parent.unwrap_or_else(|| "none".into())).unwrap();
        let reader = vault.manifest(Some(root));
        for placed in reader.entries() {
            let placed = placed.unwrap();
            let mut bytes = Vec::new();
            let mut holes = 0;
            for piece in reader.pieces(&placed.entry.content) {
                match piece.unwrap() {
                    Piece::Chunk { name, length } => {
                        bytes.extend_from_slice(&vault.chunk(&name, length).unwrap())
                    }
                    Piece::Hole { length } => {
                        holes += length;
                        bytes.resize(bytes.len() + usize::try_from(length).unwrap(), 0);
                    }
                    Piece::List { .. } => unreachable!("lists are opened"),
                }
            }
            text.push_str(&describe(vault, &sanitise(&placed.path()), &placed.entry, &bytes, holes));
        }
    }
    text
}

fn describe(vault: &Vault, path: &str, entry: &Entry, bytes: &[u8], holes: u64) -> String {
    let m = &entry.metadata;
    let time = |time: Timestamp| format!("{}.{:09}", time.seconds, time.nanos);
    let owner =
        format!("{}:{} {}:{}", m.owner.uid, m.owner.gid, sanitise(&m.owner.user), sanitise(&m.owner.group));
    let mut line = format!("{path} {:?} {:o} {owner} {} {}", m.kind, m.mode, time(m.mtime), time(m.ctime));
    write!(line, " ino {} dev {} nlink {} flags {}", m.ino, m.dev, m.nlink, entry.flags.0).unwrap();
    match m.kind {
        Kind::File => {
            let content = &entry.content;
            // The name of the whole content as one chunk stands for its bytes.
            let name = vault.naming().name(bytes).to_string();
            write!(line, " size {} holes {holes} pieces {}", m.size, content.pieces.len()).unwrap();
            write!(line, " depth {} {}", content.depth, &name[..16]).unwrap();
            assert_eq!(bytes.len() as u64, content.length());
        }
        Kind::Symlink => write!(line, " -> {}", sanitise(&m.link_target)).unwrap(),
        Kind::CharacterDevice | Kind::BlockDevice => {
            write!(line, " {}:{}", m.device.major, m.device.minor).unwrap()
        }
        _ => {}
    }
    for xattr in &m.xattrs {
        write!(line, " {}={}", sanitise(&xattr.name), sanitise(&xattr.value)).unwrap();
    }
    line + "\n"
}

#[test]
fn the_first_version_is_read() {
    let (store, key) = load();
    let before = objects(&store);
    assert_eq!(before.values().map(|bytes| bytes.len()).sum::<usize>(), BYTES);
    assert_eq!(key.id().to_string(), KEY_ID);
    let vault = open_golden(&store, &key, Mode::Read);
    let info = vault.info().unwrap();
    assert_eq!((info.sizes, info.packs, info.marked, info.images, info.tables), (SIZES, 6, 2, 2, 3));
    assert_clean(&vault);
    let found = dump(&vault);
    // The 120 files of the second image in one line.
    let (many, others): (Vec<&str>, Vec<&str>) = found.lines().partition(|line| line.starts_with("/many/"));
    let name = vault.naming().name(many.join("\n").as_bytes()).to_string();
    let found = format!("{}\n{} in /many {}\n", others.join("\n"), many.len(), &name[..16]);
    assert_eq!(found.trim(), EXPECTED.trim(), "found:\n{found}");
    // Some bytes as they are, whatever hashes say.
    let listed = vault.images().unwrap();
    let first = restore(&vault, listed[1].record.as_ref().unwrap()).unwrap();
    assert_eq!(first[b"/data/hard-b".as_slice()], b"two names");
    assert_eq!(first[b"/data/\x80\n not UTF-8".as_slice()], text());
    assert_eq!(first[b"/data/sparse".as_slice()], sparse());
    assert!(
        first[b"/data/long".as_slice()].starts_with(b"aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbeeeeeeeeeeeeeeeec")
    );
    assert!(objects(&store) == before);
}

#[test]
fn the_first_version_is_written_on() {
    let (store, key) = load();
    let before = objects(&store);
    let vault = open_golden(&store, &key, Mode::Write);
    // It was made before vaults had a copy of the config.
    let copy = holdfast_store::Key::new("config-copy").unwrap();
    let mut mended = objects(&store);
    assert_eq!(mended.remove(&copy), before.get(&holdfast_store::Key::new("config").unwrap()).cloned());
    assert!(mended == before, "there is nothing else to mend");
    // Content is cut and named as it was then: all is found.
    let mut again = Backup::begin(&vault).unwrap();
    for bytes in [text(), cut_noise(), sparse()] {
        again.content(&bytes).unwrap();
    }
    assert_eq!(again.ingest.stats().chunks_new, 0);
    again.file(b"/new", &noise(99, 10_000)).unwrap();
    let new = again.commit(draft(job(99))).unwrap().record;
    // The marks are those of then.
    assert_eq!(clean_up(&vault, 100, MARKED_SECONDS + 99).waiting, 2);
    assert_eq!(clean_up(&vault, 100, MARKED_SECONDS + 100).deleted, 2);
    vault.rebuild_index(&mut |_, _| {}).unwrap();
    let vault = open_golden(&store, &key, Mode::Write);
    assert_clean(&vault);
    assert_whole(&vault, new.image, &tree([("/new", noise(99, 10_000))]));
    assert_eq!(vault.images().unwrap().len(), 3);
}

// ---- Writing it, once ----

const MARKED_SECONDS: i64 = 1_800_000_100;

fn text() -> Vec<u8> {
    b"Holdfast keeps what you gave it.\n".repeat(60)
}

/// Cut into several chunks.
fn cut_noise() -> Vec<u8> {
    b"0123456789abcdef".iter().cycle().take(48_000).enumerate().map(|(at, byte)| byte ^ mix(at)).collect()
}

/// Repeats after 250 bytes times 16, so that it compresses, and differs enough to be cut by content.
fn mix(at: usize) -> u8 {
    u8::try_from((at / 7 * (at / 1_000 + 3)) % 251).unwrap()
}

fn sparse() -> Vec<u8> {
    [text(), vec![0; 4096 - text().len()], vec![0; 1 << 20], b"the end".to_vec()].concat()
}

fn metadata(kind: Kind, mode: u32) -> Metadata {
    Metadata {
        kind,
        mode,
        owner: Arc::new(Owner { uid: 1000, gid: 100, user: b"ann".to_vec(), group: b"users".to_vec() }),
        mtime: Timestamp { seconds: 1_700_000_000, nanos: 123_456_789 },
        ctime: Timestamp { seconds: 1_700_000_001, nanos: 1 },
        ino: 40,
        dev: 0,
        nlink: 1,
        size: 0,
        device: Device::default(),
        link_target: Vec::new(),
        xattrs: Vec::new(),
    }
}

fn entry(name: &[u8], metadata: Metadata) -> Entry {
    Entry {
        name: name.to_vec(),
        metadata,
        content: holdfast_types::Content::default(),
        flags: EntryFlags::default(),
    }
}

/// The entries below `/data` of the first image, whose directory is in both.
fn write_first(backup: &mut Backup) {
    backup.entry(b"", &entry(b"", Metadata { nlink: 4, ..metadata(Kind::Directory, 0o755) })).unwrap();
    let root = Arc::new(Owner::default());
    backup
        .entry(b"/", &entry(b"data", Metadata { owner: root, nlink: 3, ..metadata(Kind::Directory, 0o1777) }))
        .unwrap();
    let file = |backup: &mut Backup, name: &[u8], bytes: &[u8], metadata: Metadata, flags: u32| {
        let content = backup.content(bytes).unwrap();
        let metadata = Metadata { size: bytes.len() as u64, ..metadata };
        let entry = Entry { content, flags: EntryFlags(flags), ..entry(name, metadata) };
        backup.entry(b"/data", &entry).unwrap();
    };
    let plain = || metadata(Kind::File, 0o644);
    let device = Device { major: 8, minor: 1_048_575 };
    backup
        .entry(b"/data", &entry(b"block", Metadata { device, ..metadata(Kind::BlockDevice, 0o660) }))
        .unwrap();
    let device = Device { major: 1, minor: 3 };
    backup
        .entry(b"/data", &entry(b"char", Metadata { device, ..metadata(Kind::CharacterDevice, 0o666) }))
        .unwrap();
    file(backup, b"cut", &cut_noise(), plain(), 0);
    file(
        backup,
        b"empty",
        b"",
        Metadata { mtime: Timestamp { seconds: -1, nanos: 999_999_999 }, ..plain() },
        0,
    );
    backup.entry(b"/data", &entry(b"fifo", metadata(Kind::Fifo, 0o600))).unwrap();
    let linked = || Metadata { ino: 77, dev: 66_306, nlink: 2, ..plain() };
    file(backup, b"hard-a", b"two names", linked(), 0);
    file(backup, b"hard-b", b"two names", linked(), 0);
    let link_target = b"../elsewhere/\xff".to_vec();
    backup
        .entry(b"/data", &entry(b"link", Metadata { link_target, ..metadata(Kind::Symlink, 0o777) }))
        .unwrap();
    // Many pieces of little: what makes a list of its own.
    let parts: Vec<Vec<u8>> = (0..8u8).map(|at| vec![b'a' + at; 16]).collect();
    parts.iter().for_each(|part| drop(backup.content(part).unwrap()));
    let naming = backup.ingest.vault().naming().clone();
    let piece = |at: usize| Piece::Chunk { name: naming.name(&parts[at * at % 7]), length: 16 };
    let content = backup.pieces((0..300).map(piece).collect()).unwrap();
    assert_eq!(content.depth, 1);
    let long = Metadata { size: content.length(), ..plain() };
    backup.entry(b"/data", &Entry { content, ..entry(b"long", long) }).unwrap();
    file(backup, b"sparse", &sparse(), plain(), EntryFlags::YOUNG);
}

/// What comes after `sparse` in order.
fn write_rest(backup: &mut Backup) {
    let xattrs = vec![
        Xattr { name: b"security.capability".to_vec(), value: b"\x01\x00\x00\x02".to_vec() },
        Xattr { name: b"user.comment".to_vec(), value: b"kept".to_vec() },
    ];
    backup.entry(b"/data", &entry(b"unix-socket", metadata(Kind::Socket, 0o755))).unwrap();
    let content = backup.content(&text()).unwrap();
    let metadata = Metadata { size: text().len() as u64, xattrs, ..metadata(Kind::File, 0o6755) };
    backup.entry(b"/data", &Entry { content, ..entry(b"\x80\n not UTF-8", metadata) }).unwrap();
}

fn write_second(backup: &mut Backup) {
    backup.entry(b"", &entry(b"", Metadata { nlink: 4, ..metadata(Kind::Directory, 0o755) })).unwrap();
    backup.entry(b"/", &entry(b"many", metadata(Kind::Directory, 0o700))).unwrap();
    for at in 0..120u64 {
        let bytes = at.to_string().into_bytes();
        let content = backup.content(&bytes).unwrap();
        let metadata = Metadata { ino: 1_000 + at, size: bytes.len() as u64, ..metadata(Kind::File, 0o640) };
        backup
            .entry(b"/many", &Entry { content, ..entry(format!("f{at:03}").as_bytes(), metadata) })
            .unwrap();
    }
}

#[test]
fn write_golden() {
    let directory = directory();
    if std::env::var_os("HOLDFAST_WRITE_GOLDEN").is_none() || directory.exists() {
        return;
    }
    let (store, vault) = new_vault();
    let draft = |number: u64, name: &str| ImageDraft { name: name.into(), ..draft(job(number)) };
    let mut backup = Backup::begin(&vault).unwrap();
    write_first(&mut backup);
    write_rest(&mut backup);
    let first = backup
        .commit(ImageDraft {
            counts: Counts {
                files: 7,
                directories: 2,
                others: 5,
                bytes_source: 7,
                bytes_read: 9,
                ..Counts::default()
            },
            excludes: vec!["*.tmp".into()],
            ..draft(1, "first")
        })
        .unwrap()
        .record;
    let mut backup = Backup::begin(&vault).unwrap();
    write_second(&mut backup);
    let fault = Fault { path: b"/many/\xfe".to_vec(), reason: "Permission denied".into() };
    let second = backup
        .commit(ImageDraft {
            parent: Some(first.image),
            roots: vec![b"/many".to_vec(), b"/\xff".to_vec()],
            counts: Counts { files: 120, directories: 2, errors: 1, ..Counts::default() },
            faults: vec![fault],
            ..draft(2, "second")
        })
        .unwrap()
        .record;
    assert_eq!((first.manifest.unwrap().height, second.manifest.unwrap().height), (0, 1));
    let forgotten = crate::support::backup(&vault, 3, &tree([("/forgotten", b"forgotten".to_vec())]));
    vault.forget(forgotten.image).unwrap();
    clean_up(&vault, 1_000_000, MARKED_SECONDS);
    for (key, bytes) in objects(&store) {
        let path = directory.join("vault").join(key.as_str());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    std::fs::write(directory.join("key.txt"), vault_key().to_text().as_str().to_owned() + "\n").unwrap();
}

const KEY_ID: &str = "1ddb87129784d11f";
const BYTES: usize = 44_590;
const EXPECTED: &str = r#"
image 62b31d0f5efddcc362e8259121983170 "second" of "lab.example" by "test"
  job 01a3185c-57d0-7200-8000-000000000000 from 1800000002000 to 1800000002500
  roots ["/many", "/\\xff"] without [], height 1
  counts 120 2 0 1 0 0
  fault /many/\xfe "Permission denied"
  parent 3e44a3745369068df7160fffbed1799b
/ Directory 755 1000:100 ann:users 1700000000.123456789 1700000001.000000001 ino 40 dev 0 nlink 4 flags 0
/many Directory 700 1000:100 ann:users 1700000000.123456789 1700000001.000000001 ino 40 dev 0 nlink 1 flags 0
image 3e44a3745369068df7160fffbed1799b "first" of "lab.example" by "test"
  job 01a3185c-53e8-7100-8000-000000000000 from 1800000001000 to 1800000001500
  roots ["/"] without ["*.tmp"], height 0
  counts 7 2 5 0 7 9
  parent none
/ Directory 755 1000:100 ann:users 1700000000.123456789 1700000001.000000001 ino 40 dev 0 nlink 4 flags 0
/data Directory 1777 0:0 : 1700000000.123456789 1700000001.000000001 ino 40 dev 0 nlink 3 flags 0
/data/block BlockDevice 660 1000:100 ann:users 1700000000.123456789 1700000001.000000001 ino 40 dev 0 nlink 1 flags 0 8:1048575
/data/char CharacterDevice 666 1000:100 ann:users 1700000000.123456789 1700000001.000000001 ino 40 dev 0 nlink 1 flags 0 1:3
/data/cut File 644 1000:100 ann:users 1700000000.123456789 1700000001.000000001 ino 40 dev 0 nlink 1 flags 0 size 48000 holes 0 pieces 3 depth 0 52164408f4b6d3f7
/data/empty File 644 1000:100 ann:users -1.999999999 1700000001.000000001 ino 40 dev 0 nlink 1 flags 0 size 0 holes 0 pieces 0 depth 0 5dc76cbd474e91b7
/data/fifo Fifo 600 1000:100 ann:users 1700000000.123456789 1700000001.000000001 ino 40 dev 0 nlink 1 flags 0
/data/hard-a File 644 1000:100 ann:users 1700000000.123456789 1700000001.000000001 ino 77 dev 66306 nlink 2 flags 0 size 9 holes 0 pieces 1 depth 0 abd83ef1424a1dfe
/data/hard-b File 644 1000:100 ann:users 1700000000.123456789 1700000001.000000001 ino 77 dev 66306 nlink 2 flags 0 size 9 holes 0 pieces 1 depth 0 abd83ef1424a1dfe
/data/link Symlink 777 1000:100 ann:users 1700000000.123456789 1700000001.000000001 ino 40 dev 0 nlink 1 flags 0 -> ../elsewhere/\xff
/data/long File 644 1000:100 ann:users 1700000000.123456789 1700000001.000000001 ino 40 dev 0 nlink 1 flags 0 size 4800 holes 0 pieces 1 depth 1 914bb92f20c0436f
/data/sparse File 644 1000:100 ann:users 1700000000.123456789 1700000001.000000001 ino 40 dev 0 nlink 1 flags 2 size 1052679 holes 1048576 pieces 3 depth 0 c009bb54af503d2f
/data/unix-socket Socket 755 1000:100 ann:users 1700000000.123456789 1700000001.000000001 ino 40 dev 0 nlink 1 flags 0
/data/\x80\n not UTF-8 File 6755 1000:100 ann:users 1700000000.123456789 1700000001.000000001 ino 40 dev 0 nlink 1 flags 0 size 1980 holes 0 pieces 1 depth 0 37beef1af230dc92 security.capability=\u{1}\u{0}\u{0}\u{2} user.comment=kept
120 in /many 0ab36cedbac3ce66
"#;
