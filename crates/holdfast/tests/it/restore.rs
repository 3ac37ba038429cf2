//! `restore`: where things go, what becomes of what is there, the stream.

use std::process::{Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use holdfast_testkit::{Compare, Plan};

use crate::{BINARY, Host, small};

#[track_caller]
fn same(host: &Host, a: &str, b: &str) {
    let differences = Compare::default().trees(&host.path(a), &host.path(b)).unwrap();
    assert_eq!(differences, Vec::<String>::new());
}

#[test]
fn one_root_several_roots_and_paths() {
    let host = Host::new();
    host.make("src", &small());
    host.make("more/deep", &small());
    host.run(["backup", &host.text("src"), &host.text("more/deep")]).assert_ok();
    let src = host.text("src");
    host.run(["restore", "latest", "--to", &host.text("all")]).assert_ok();
    same(&host, "src", "all/src");
    same(&host, "more/deep", "all/more/deep");
    host.run(["restore", "latest", &format!("{src}/dir"), "--to", &host.text("dir")]).assert_ok();
    same(&host, "src/dir", "dir/dir");
    let (a, b) = (format!("{src}/a"), format!("{src}/dir/b"));
    host.run(["restore", "latest", &b, &a, "--to", &host.text("two")]).assert_ok();
    same(&host, "src/a", "two/a");
    same(&host, "src/dir/b", "two/dir/b");
    let missing = host
        .run(["restore", "latest", &format!("{src}/dir/none"), "--to", &host.text("none")])
        .assert_code(3);
    assert!(
        missing.stderr.contains("is not in the image") && missing.stderr.contains("/src/dir"),
        "{missing}"
    );
}

#[test]
fn in_place_puts_everything_back() {
    let (host, _) = Host::with_image();
    host.make("copy", &small());
    std::fs::remove_dir_all(host.path("src")).unwrap();
    host.words("restore latest --in-place").assert_ok();
    assert_eq!(std::fs::read(host.path("src/a")).unwrap(), b"first\n");
    std::fs::write(host.path("src/a"), "spoilt").unwrap();
    std::fs::write(host.path("src/mine"), "mine").unwrap();
    let json = host.words("restore latest --in-place --overwrite changed --json").assert_ok().json().unwrap();
    assert!(json["unchanged"].as_u64().unwrap() >= 2, "{json}");
    assert_eq!(json["bytes_read"], 6, "only what differs is written: {json}");
    assert_eq!(std::fs::read(host.path("src/a")).unwrap(), b"first\n");
    assert!(host.path("src/mine").exists(), "what the image does not know stays");
}

/// One row: the policy, the time of the file that is there, what it holds afterwards, the exit status.
#[track_caller]
fn check(policy: &[&str], mtime: u64, expected: &str, status: i32) {
    let host = Host::new();
    host.make("src", &Plan::new().file("f", "image").mtime(1_600_000_000, 0));
    host.backup("src");
    host.make("to/src", &Plan::new().file("f", "there"));
    let file = std::fs::File::options().write(true).open(host.path("to/src/f")).unwrap();
    file.set_modified(UNIX_EPOCH + Duration::from_secs(mtime)).unwrap();
    let to = host.text("to");
    let line = [&["restore", "latest", "--json", "--to", &to], policy].concat();
    let outcome = host.run(line).assert_code(status);
    assert_eq!(std::fs::read_to_string(host.path("to/src/f")).unwrap(), expected, "{policy:?} {outcome}");
    let json = outcome.json().unwrap();
    assert_eq!(json["status"], if status == 0 { "complete" } else { "incomplete" });
}

#[test]
fn what_is_there_is_overwritten_as_was_wished() {
    let (older, same, newer) = (1_500_000_000, 1_600_000_000, 1_700_000_000);
    check(&[], older, "there", 1);
    check(&["--overwrite", "never"], older, "there", 0);
    check(&["--overwrite", "older"], older, "image", 0);
    check(&["--overwrite", "older"], newer, "there", 0);
    check(&["--overwrite", "always"], newer, "image", 0);
    check(&["--overwrite", "changed"], newer, "image", 0);
    // The same size and time count as unchanged.
    check(&["--overwrite", "changed"], same, "there", 0);
    check(&["--overwrite", "always", "--dry-run"], older, "there", 0);
}

#[test]
fn json_and_words() {
    let (host, image) = Host::with_image();
    let outcome = host.run(["restore", "latest", "--json", "--to", &host.text("to")]).assert_ok();
    let json = outcome.json().unwrap();
    assert_eq!(json["image"], image.as_str());
    for (member, value) in [("files", 2), ("dirs", 3), ("other", 1), ("errors", 0), ("bytes_read", 100_006)] {
        assert_eq!(json[member], value, "{member} in {json}");
    }
    for member in ["bytes_source", "bytes_added", "chunks_new", "seconds"] {
        assert!(json[member].is_number(), "{member} in {json}");
    }
    assert_eq!(outcome.text().lines().count(), 1);
    let words = host.run(["restore", "latest", "--to", &host.text("words")]).assert_ok().text();
    assert!(
        words.contains(&format!("restored image {image}")) && words.contains("wrote 97.7 KiB"),
        "{words}"
    );
    let quiet = host.run(["restore", "latest", "--quiet", "--to", &host.text("quiet")]).assert_ok();
    assert_eq!((quiet.text().as_str(), quiet.stderr.as_str()), ("", ""));
}

#[test]
fn a_stream_for_tar() {
    let (host, _) = Host::with_image();
    std::fs::create_dir(host.path("out")).unwrap();
    let mut restore = Command::new(BINARY)
        .args(["restore", "latest", "--tar"])
        .env("HOLDFAST_STATE_DIR", host.program.state())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let tar = Command::new("tar")
        .args(["-x", "-p", "-C", &host.text("out")])
        .stdin(restore.stdout.take().unwrap())
        .output()
        .unwrap();
    assert!(tar.status.success(), "{tar:?}");
    assert!(restore.wait().unwrap().success());
    same(&host, "src", "out/src");
}

#[test]
fn exactly_one_target() {
    let (host, _) = Host::with_image();
    for line in [
        "restore latest",
        "restore latest --to /x --in-place",
        "restore latest --tar --to /x",
        "restore latest --tar --json",
        "restore latest --tar --dry-run",
        "restore latest --in-place --overwrite sometimes",
        "restore latest relative --in-place",
        "restore --to /x",
    ] {
        host.words(line).assert_code(2);
    }
    let file =
        host.run(["restore", "latest", "--to", &format!("{}/a/below", host.text("src"))]).assert_code(3);
    assert!(file.stderr.contains("cannot restore to"), "{file}");
}
