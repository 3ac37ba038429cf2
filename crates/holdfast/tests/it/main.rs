//! The program as a user meets it: the real binary, one test binary, a file for each theme.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests, where a panic is the report")]

mod backup;
mod browse;
mod catalog;
mod doctor;
mod doctor_connect;
mod doctor_idle;
mod doctor_keepalive;
mod doctor_logs;
mod keys;
mod operators;
mod output;
mod restore;
mod site;
mod together;
mod upkeep;
mod vaults;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use holdfast_testkit::{Outcome, Plan, Program};
use serde_json::Value;
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_holdfast");

/// The program with a state directory, and a directory for sources and targets.
struct Host {
    program: Program,
    dir: TempDir,
}

impl Host {
    /// Nothing is there yet.
    fn new() -> Self {
        let program = Program::new(BINARY).unwrap().env("TZ", "UTC").env("HOME", "/nowhere");
        Self { program, dir: tempfile::Builder::new().prefix("holdfast-it-").tempdir().unwrap() }
    }

    /// A few files and a link in `src`, backed up.
    fn with_image() -> (Self, String) {
        let host = Self::new();
        host.make("src", &small());
        let image = host.backup("src");
        (host, image)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The same as text, for arguments and outputs.
    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn make(&self, name: &str, plan: &Plan) {
        std::fs::create_dir_all(self.path(name)).unwrap();
        plan.create(&self.path(name)).unwrap();
    }

    #[track_caller]
    fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Outcome {
        self.program.run(arguments).unwrap()
    }

    /// Runs it with one word for each argument.
    #[track_caller]
    fn words(&self, line: &str) -> Outcome {
        self.run(line.split_whitespace())
    }

    /// Backs up a directory; the image's id.
    #[track_caller]
    fn backup(&self, name: &str) -> String {
        let outcome = self.run(["backup", &self.text(name), "--json"]).assert_ok();
        outcome.json().unwrap()["image"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    fn images(&self) -> Vec<Value> {
        self.words("images --json").assert_ok().json().unwrap().as_array().unwrap().clone()
    }

    fn vault(&self) -> PathBuf {
        self.program.state().join("vault")
    }
}

/// `a`, `dir/b` (executable), `dir/link -> b`, `empty/`.
fn small() -> Plan {
    Plan::new()
        .file("a", "first\n")
        .directory("dir")
        .file("dir/b", vec![b'b'; 100_000])
        .mode(0o755)
        .mtime(1_600_000_000, 123_456_789)
        .symlink("dir/link", "b")
        .directory("empty")
}

/// All files below a directory, with their sizes and times: what a reading command must leave as it is.
fn snapshot(top: &Path) -> Vec<String> {
    use std::os::unix::fs::MetadataExt;
    let (mut found, mut left) = (Vec::new(), vec![top.to_owned()]);
    while let Some(path) = left.pop() {
        let Ok(metadata) = path.symlink_metadata() else { continue };
        found.push(format!(
            "{} {} {}.{}",
            path.display(),
            metadata.len(),
            metadata.mtime(),
            metadata.mtime_nsec()
        ));
        if metadata.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found.sort();
    found
}
