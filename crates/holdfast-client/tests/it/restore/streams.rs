//! The tar stream, read by the system's tar, and the content of single files.

use std::process::{Command, Stdio};

use super::*;
use holdfast_client::restore::{cat, tar};
use holdfast_testkit::Compare;
use holdfast_types::Xattr;

fn stream(depot: &Depot, root: Option<Root>, paths: &[&str]) -> (Vec<u8>, Outcome, Vec<String>) {
    let ears = Ears::default();
    let mut out = Vec::new();
    let paths: Vec<Vec<u8>> = paths.iter().map(|path| path.as_bytes().to_vec()).collect();
    let roots = [b"/r".to_vec()];
    let outcome = tar::write(
        &LocalDepot(depot.vault.clone()),
        root,
        &roots,
        &paths,
        &Progress::default(),
        &ears,
        &mut out,
    )
    .unwrap();
    (out, outcome, ears.heard())
}

/// Runs the system's tar on a stream; what it printed, which on errors must be nothing.
fn tar(arguments: &[&str], input: &[u8], directory: &Path) -> String {
    let mut child = Command::new("tar")
        .args(arguments)
        .current_dir(directory)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Words about times before 1970, and about a keyword of the standard that GNU tar does not know, are no errors.
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let harmless = |line: &&str| !line.contains("implausibly old") && !line.contains("'hdrcharset'");
    assert_eq!(said.lines().filter(harmless).collect::<Vec<_>>(), Vec::<&str>::new());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// An image with everything that a stream can hold.
fn rich(depot: &Depot) -> Image {
    let mut noted = depot.file(b"noted");
    noted.metadata.xattrs.push(Xattr { name: b"user.a=b%".to_vec(), value: b"\0\xff\n".to_vec() });
    noted.metadata.xattrs.push(Xattr { name: b"user.empty".to_vec(), value: Vec::new() });
    let mut old = depot.file(b"old");
    old.metadata.mtime = Timestamp { seconds: -2, nanos: 500_000_000 };
    let one = linked(depot.file(b"one file"), 5, 2);
    let long = "l".repeat(200);
    let deep = format!("/r/{long}/{long}/{long}");
    Image::default()
        .directory("/r")
        .with("/r/empty", depot.file(b""))
        .with("/r/f", depot.file(&[b'f'; 1025]))
        .with("/r/fifo", entry(Kind::Fifo, 0o640))
        .with("/r/noted", noted)
        .with("/r/old", old)
        .with("/r/one", one.clone())
        .with(format!("/r/{long}/two"), one)
        .with(
            "/r/parts",
            file_of(vec![depot.chunk(&[1; 700]), Piece::Hole { length: 100_000 }, depot.chunk(&[2; 9])]),
        )
        .with("/r/setuid", {
            let mut file = depot.file(b"s");
            file.metadata.mode = 0o4711;
            file
        })
        .symlink("/r/short", "f")
        .symlink("/r/far", &format!("{long}/nowhere"))
        .directory(format!("/r/{long}"))
        .directory(format!("/r/{long}/{long}"))
        .with(deep, depot.file(b"deep"))
        .with(b"/r/\xff\xfe", depot.file(b"no text"))
        .with([b"/r/\xff".as_slice(), long.as_bytes()].concat(), depot.file(b"long and no text"))
        .with("/r/\n=%", depot.file(b"odd"))
}

#[test]
fn the_system_tar_extracts_what_a_restore_makes() {
    let depot = Depot::new();
    let root = depot.store(rich(&depot));
    let base = tempfile::tempdir().unwrap();
    let (restored, extracted) = (base.path().join("restored"), base.path().join("extracted"));
    std::fs::create_dir(&extracted).unwrap();
    depot.restore(root, &to(&restored));
    let (out, outcome, faults) = stream(&depot, root, &[]);
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(out.len() % 512, 0);
    tar(&["--xattrs", "--xattrs-include=*", "-xpf", "-"], &out, &extracted);
    let compare = Compare { holes: false, ..Compare::default() };
    let differences = compare.trees(&restored, &extracted).unwrap();
    assert!(differences.iter().all(|line| line.contains(" .: mtime")), "{differences:#?}");
    assert_eq!((outcome.counts.files, outcome.counts.directories, outcome.counts.others), (12, 3, 3));
}

#[test]
fn a_stream_has_the_paths_of_a_restore() {
    let depot = Depot::new();
    let image = Image::default()
        .directory("/r")
        .directory("/r/d")
        .with("/r/d/f", depot.file(b"x"))
        .with("/r/e", depot.file(b"y"));
    let root = depot.store(image);
    let here = Path::new("/");
    let listed = |paths: &[&str]| tar(&["-tf", "-"], &stream(&depot, root, paths).0, here);
    assert_eq!(listed(&[]), "r/\nr/e\nr/d/\nr/d/f\n");
    assert_eq!(listed(&["/r/d"]), "d/\nd/f\n");
    assert_eq!(listed(&["/r/d/f", "/r/e"]), "d/f\ne\n");
    assert_eq!(tar(&["-tf", "-"], &stream(&depot, None, &[]).0, here), "");
}

#[test]
fn large_numbers_are_kept() {
    let depot = Depot::new();
    let mut file = depot.file(b"x");
    let owner = Owner { uid: 4_000_000_000, gid: 3_000_000, user: vec![b'u'; 40], group: b"g".to_vec() };
    file.metadata.owner = Arc::new(owner);
    file.metadata.mtime.seconds = 1 << 35;
    let root = depot.store(Image::default().with("/r", file));
    let (out, ..) = stream(&depot, root, &[]);
    let line = tar(&["--numeric-owner", "--full-time", "-tvf", "-"], &out, Path::new("/"));
    assert!(line.contains("4000000000/3000000") && line.contains("3058-"), "{line}");
    let line = tar(&["-tvf", "-"], &out, Path::new("/"));
    assert!(line.contains(&format!("{}/g", "u".repeat(40))), "{line}");
}

#[test]
fn a_file_of_over_eight_gibibytes_says_so() {
    /// Counts, so that nine gibibytes need not lie anywhere.
    #[derive(Default)]
    struct Sink {
        head: Vec<u8>,
        length: u64,
    }
    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let room = 4096usize.saturating_sub(self.head.len()).min(bytes.len());
            self.head.extend_from_slice(&bytes[..room]);
            self.length += bytes.len() as u64;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let depot = Depot::new();
    let root = depot.store(Image::default().with("/r", file_of(vec![Piece::Hole { length: 9 << 30 }])));
    let (mut out, ears) = (Sink::default(), Ears::default());
    tar::write(
        &LocalDepot(depot.vault.clone()),
        root,
        &[b"/r".to_vec()],
        &[],
        &Progress::default(),
        &ears,
        &mut out,
    )
    .unwrap();
    assert_eq!(out.length, (9 << 30) + 3 * 512 + 2 * 512);
    assert!(out.head.windows(16).any(|part| part == b"size=9663676416\n"));
}

#[test]
fn what_cannot_be_read_is_left_out_and_the_stream_stays_whole() {
    let depot = Depot::new();
    let block = vec![7; 1 << 20];
    let present = depot.chunk(&block);
    let gone = depot.absent_chunk(b"gone");
    let mut pieces = vec![present; 9];
    pieces.push(gone);
    let torn = linked(file_of(vec![gone]), 4, 2);
    let image = Image::default()
        .directory("/r")
        .with("/r/a", file_of(vec![gone]))
        .with("/r/b", torn.clone())
        .with("/r/c", torn)
        .with("/r/large", file_of(pieces))
        .with("/r/socket", entry(Kind::Socket, 0o600))
        .with("/r/z", depot.file(b"z"));
    let root = depot.store(image);
    let (out, outcome, faults) = stream(&depot, root, &[]);
    assert_eq!(faults.len(), 4, "{faults:?}");
    assert_eq!(tar(&["-tf", "-"], &out, Path::new("/")), "r/\nr/z\n");
    assert_eq!(outcome.notes.len(), 1, "{:?}", outcome.notes);
    assert!(outcome.notes[0].starts_with("1: sockets"));
}

#[test]
fn cat_gives_the_bytes_of_a_file() {
    let depot = Depot::new();
    let pieces = vec![depot.chunk(b"begin"), Piece::Hole { length: 100_000 }, depot.chunk(b"end")];
    let image = Image::default()
        .directory("/r")
        .with("/r/f", file_of(pieces))
        .with("/r/gone", file_of(vec![depot.absent_chunk(b"gone")]));
    let root = depot.store(image);
    let read = |path: &str| {
        let mut out = Vec::new();
        cat(&LocalDepot(depot.vault.clone()), root, path.as_bytes(), &mut out).map(|_| out)
    };
    let bytes = read("/r/f").unwrap();
    assert_eq!(bytes.len(), 100_008);
    assert!(bytes.starts_with(b"begin\0\0") && bytes.ends_with(b"\0\0end"));
    assert!(matches!(read("/r"), Err(Error::NotAFile { .. })));
    assert!(matches!(read("/r/x"), Err(Error::NotInImage { .. })));
    assert!(matches!(read("/r/gone"), Err(Error::Depot(_))));
}
