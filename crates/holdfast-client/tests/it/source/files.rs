//! What is in files: data and holes, files that do not hold still, extended attributes.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;

use holdfast_client::source::{Extent, Outcome, SourceFile, complete, open_file};
use holdfast_types::Xattr;
use rustix::fs::{XattrFlags, lsetxattr};
use rustix::io::Errno;

use super::{Base, found};

fn opened(base: &Base, name: &str) -> SourceFile {
    let (directory, found) = found(base.walk(&["."], |_| ()), name);
    open_file(&directory, &found.name, &found.metadata).unwrap()
}

/// The content, holes as zeros, and how much of it was holes.
fn content(file: &mut SourceFile) -> (Vec<u8>, u64) {
    let (mut bytes, mut holes) = (Vec::new(), 0);
    let mut buffer = vec![0; 100_000];
    loop {
        match file.next(&mut buffer).unwrap() {
            Extent::Data(length) => bytes.extend_from_slice(&buffer[..length]),
            Extent::Hole(length) => {
                holes += length;
                bytes.resize(bytes.len() + usize::try_from(length).unwrap(), 0);
            }
            Extent::End => return (bytes, holes),
        }
    }
}

#[test]
fn a_file_is_read_whole() {
    let base = Base::new();
    for size in [0, 1, 100_000, 3_000_000] {
        let expected: Vec<u8> = (0..size).map(|at: usize| at.to_le_bytes()[0]).collect();
        fs::write(base.at("file"), &expected).unwrap();
        let mut file = opened(&base, "file");
        assert_eq!(content(&mut file), (expected, 0));
        assert_eq!(file.next(&mut [0; 1]).unwrap(), Extent::End);
        assert_eq!(file.finish(), Outcome::Unchanged);
    }
}

/// Blocks of 64 KiB: `x` data, `.` hole.
fn check_sparse(layout: &str) {
    const BLOCK: usize = 64 << 10;
    let base = Base::new();
    let sparse = File::create(base.at("sparse")).unwrap();
    sparse.set_len((layout.len() * BLOCK) as u64).unwrap();
    for (at, _) in layout.match_indices('x') {
        sparse.write_all_at(&[1; BLOCK], (at * BLOCK) as u64).unwrap();
    }
    let expected: Vec<u8> = layout.bytes().flat_map(|block| [u8::from(block == b'x'); BLOCK]).collect();
    let mut file = opened(&base, "sparse");
    let (bytes, holes) = content(&mut file);
    assert!(bytes == expected, "{layout}");
    // Every file system that these tests run on says where holes are.
    assert_eq!(holes, (layout.matches('.').count() * BLOCK) as u64, "{layout}");
    assert_eq!(file.finish(), Outcome::Unchanged);
}

#[test]
fn holes_are_found_where_they_are() {
    for layout in [".", "x", "x.", ".x", "x.x", "..xx..x.x..", "xxxx........xxxx"] {
        check_sparse(layout);
    }
}

#[test]
fn a_file_that_does_not_hold_still_ends_and_says_so() {
    let change = |size: u64, how: fn(&File), expected: u64| {
        let base = Base::new();
        fs::write(base.at("file"), vec![1; usize::try_from(size).unwrap()]).unwrap();
        let mut file = opened(&base, "file");
        assert_eq!(file.next(&mut [0; 1_000]).unwrap(), Extent::Data(1_000));
        how(&File::options().write(true).open(base.at("file")).unwrap());
        assert_eq!(content(&mut file).0.len() as u64, expected - 1_000);
        assert_eq!(file.finish(), Outcome::Changed);
    };
    change(500_000, |file| file.set_len(200_000).unwrap(), 200_000);
    change(500_000, |file| file.set_len(10).unwrap(), 1_000);
    change(500_000, |file| file.set_len(900_000).unwrap(), 500_000);
    change(500_000, |mut file| file.write_all(&[2; 1_000_000]).unwrap(), 500_000);
}

fn attribute(name: &[u8], value: &[u8]) -> Xattr {
    Xattr { name: name.to_vec(), value: value.to_vec() }
}

#[test]
fn all_extended_attributes_are_read() {
    let base = Base::new();
    base.make(&["file", "dir/"]);
    let long = vec![7; 3_000];
    for name in ["file", "dir"] {
        for (key, value) in [("user.z", b"\0\xff".as_slice()), ("user.empty", b""), ("user.long", &long)] {
            match lsetxattr(base.at(name), key, value, XattrFlags::empty()) {
                // This file system has none: nothing to prove here.
                Err(Errno::OPNOTSUPP) => return,
                other => other.unwrap(),
            }
        }
        let expected =
            [attribute(b"user.empty", b""), attribute(b"user.long", &long), attribute(b"user.z", b"\0\xff")];
        let (directory, mut found) = found(base.walk(&["."], |_| ()), name);
        complete(&directory, &found.name, &mut found.metadata).unwrap();
        assert_eq!(found.metadata.xattrs, expected);
        found.metadata.xattrs.clear();
        if name == "file" {
            let file = open_file(&directory, &found.name, &found.metadata).unwrap();
            file.complete(&mut found.metadata).unwrap();
            assert_eq!(found.metadata.xattrs, expected);
        }
    }
}

/// Only root may set these, and only they can be on a link or a FIFO.
#[test]
fn links_and_fifos_have_their_own_attributes() {
    let base = Base::new();
    base.make(&["target", "link -> target"]);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        base.at("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    for name in ["link", "fifo"] {
        match lsetxattr(base.at(name), "trusted.mark", name.as_bytes(), XattrFlags::empty()) {
            Err(Errno::PERM | Errno::OPNOTSUPP) => return,
            other => other.unwrap(),
        }
        let (directory, mut found) = found(base.walk(&["."], |_| ()), name);
        complete(&directory, &found.name, &mut found.metadata).unwrap();
        assert_eq!(found.metadata.xattrs, [attribute(b"trusted.mark", name.as_bytes())]);
    }
}
