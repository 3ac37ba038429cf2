//! What reaches the terminal: help with examples, nothing raw from hostile names, quiet ends when a reader goes away.

use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

use holdfast_testkit::Plan;

use crate::{BINARY, Host, snapshot};

const COMMANDS: &[&[&str]] = &[
    &[],
    &["backup"],
    &["images"],
    &["ls"],
    &["find"],
    &["diff"],
    &["restore"],
    &["cat"],
    &["verify"],
    &["forget"],
    &["cleanup"],
    &["vault"],
    &["vault", "init"],
    &["vault", "info"],
    &["vault", "rebuild-index"],
    &["key"],
    &["key", "show"],
    &["key", "export"],
    &["key", "import"],
];

#[test]
fn every_command_has_help_with_an_example() {
    let host = Host::new();
    for command in COMMANDS {
        let outcome = host.run(command.iter().chain(&["--help"])).assert_ok();
        let help = outcome.text();
        assert!(help.contains("Example") && help.contains("  holdfast "), "{command:?}: {help}");
        assert!(
            help.contains(&["Usage: holdfast", &command.join(" ")].join(" ").trim_end().to_owned()),
            "{help}"
        );
    }
    host.run(["--version"]).assert_ok();
    for bad in [vec![], vec!["no-such"], vec!["vault"], vec!["images", "surplus"]] {
        host.run(bad).assert_code(2);
    }
}

#[test]
fn a_script_gets_json_also_for_a_wrong_command_line() {
    let host = Host::new();
    let outcome = host.words("backup --json").assert_code(2);
    let event: serde_json::Value = serde_json::from_str(outcome.stderr.trim()).unwrap();
    assert!(event["event"] == "error" && event["cause"].as_str().unwrap().contains("PATH"), "{event}");
    let text = host.words("backup").assert_code(2);
    assert!(text.stderr.starts_with("error: "), "{text}");
}

#[test]
fn names_do_not_steer_the_terminal() {
    let host = Host::new();
    let names: [&[u8]; 4] = [b"\x1b[2J\x07", "\u{9b}2J\u{202e}".as_bytes(), b"new\nline", b"\xff\xfe"];
    let plan = names.iter().fold(Plan::new(), |plan, name| {
        plan.file(name, "x").symlink([name, b"-l".as_slice()].concat(), name)
    });
    host.make("src", &plan);
    let first = host.backup("src");
    names.iter().for_each(|name| {
        std::fs::write(host.path("src").join(std::ffi::OsStr::from_bytes(name)), "changed").unwrap();
    });
    host.backup("src");
    let target = host.text("back");
    host.run(["restore", "latest", "--to", &target]).assert_ok();
    let lines: [&[&str]; 9] = [
        &["ls", "latest", "-r"],
        &["ls", "latest", "-r", "--long"],
        &["ls", "latest", "-r", "--json"],
        &["find", "*"],
        &["find", "*", "--json"],
        &["diff", &first, "latest"],
        &["diff", &first, "latest", "--json"],
        &["restore", "latest", "--to", &target],
        &["restore", "latest", "--to", &target, "--json"],
    ];
    for line in lines {
        let outcome = host.run(line);
        for text in [outcome.text(), outcome.stderr.clone()] {
            let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}' || c == '\u{fffd}';
            assert!(!text.contains(steers), "{line:?}: {text:?}");
        }
        assert!(
            outcome.text().lines().chain(outcome.stderr.lines()).all(|line| !line.starts_with("line")),
            "{outcome}"
        );
    }
    let json = host.words("find * --image latest --json").json().unwrap();
    let bytes: Vec<&str> =
        json.as_array().unwrap().iter().filter_map(|one| one["path_bytes"].as_str()).collect();
    assert_eq!(bytes.len(), 2);
    assert!(bytes[0].ends_with("fffe"), "{bytes:?}");
}

#[test]
fn a_reader_that_goes_away_is_no_drama() {
    let host = Host::new();
    let plan = (0..3000).fold(Plan::new(), |plan, n| plan.file(format!("{n:0>200}"), ""));
    host.make("src", &plan.file("big", vec![7; 4_000_000]));
    host.backup("src");
    let big = format!("{}/big", host.text("src"));
    let lines: [&[&str]; 5] = [
        &["ls", "latest", "-r"],
        &["ls", "latest", "-r", "--json"],
        &["find", "*"],
        &["cat", "latest", &big],
        &["restore", "latest", "--tar"],
    ];
    for line in lines {
        let mut child = Command::new(BINARY)
            .args(line)
            .env("HOLDFAST_STATE_DIR", host.program.state())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = [0; 10];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(stderr, "", "{line:?}");
        // A list was long enough for its reader; a file or a stream is not whole.
        let expected = if matches!(line[0], "ls" | "find") { 0 } else { 3 };
        assert_eq!(output.status.code(), Some(expected), "{line:?}");
    }
}

#[test]
fn a_full_output_is_an_error() {
    let (host, _) = Host::with_image();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = Command::new(BINARY)
        .args(["ls", "latest", "-r"])
        .env("HOLDFAST_STATE_DIR", host.program.state())
        .stdout(full.try_clone().unwrap())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8(output.stderr).unwrap().contains("No space left"));
    // The image is there: printing its id is not what the backup was for.
    let output = Command::new(BINARY)
        .args(["backup", &host.text("src"), "--json"])
        .env("HOLDFAST_STATE_DIR", host.program.state())
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stderr).unwrap().contains("it is done, but"));
    assert_eq!(host.images().len(), 2);
}

#[test]
fn reading_commands_change_and_create_nothing() {
    let (host, image) = Host::with_image();
    let file = format!("{}/a", host.text("src"));
    let lines: [&[&str]; 14] = [
        &["images"],
        &["ls", "latest", "-r"],
        &["find", "*"],
        &["diff", &image, "latest"],
        &["cat", "latest", &file],
        &["verify", "--read-data"],
        &["vault", "info"],
        &["key", "show"],
        &["key", "export"],
        &["restore", "latest", "--tar"],
        &["restore", "latest", "--in-place", "--overwrite", "changed", "--dry-run"],
        &["forget", "--keep-last", "1", "--dry-run"],
        &["cleanup", "--dry-run"],
        &["backup", &file, "--dry-run"],
    ];
    let before = snapshot(host.program.state());
    for line in lines {
        host.run(line).assert_ok();
        assert_eq!(snapshot(host.program.state()), before, "{line:?}");
    }
    // Where there is nothing, they say so, and there is nothing still.
    let fresh = Host::new();
    for line in &lines[..7] {
        let outcome = fresh.run(*line).assert_code(3);
        assert!(
            outcome.stderr.contains("there is no vault in") && outcome.stderr.contains("holdfast backup"),
            "{outcome}"
        );
    }
    assert_eq!(std::fs::read_dir(fresh.program.state()).unwrap().count(), 0);
}
