//! The shapes of `--json` output; docs/commands.md describes them. Only names and conversions, no printing.

use std::time::Duration;

use holdfast_format::record::ImageRecord;
use holdfast_types::{Counts, sanitise, to_hex};
use serde::Serialize;

use crate::time;

/// A path. JSON is Unicode: of a path that is not UTF-8, `path` is for people and `path_bytes` for programs.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PathText {
    path: String,
    /// The bytes in hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
}

impl PathText {
    /// A path as bytes.
    pub(crate) fn new(path: &[u8]) -> Self {
        match std::str::from_utf8(path) {
            Ok(text) => Self { path: text.to_owned(), path_bytes: None },
            Err(_) => Self { path: sanitise(path), path_bytes: Some(to_hex(path)) },
        }
    }

    /// The text alone, for lists of paths that stand beside their bytes.
    fn text(path: &[u8]) -> String {
        Self::new(path).path
    }
}

/// The numbers of a backup or restore.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Numbers {
    files: u64,
    dirs: u64,
    other: u64,
    errors: u64,
    bytes_source: u64,
    bytes_read: u64,
    bytes_added: u64,
    chunks_new: u64,
}

impl Numbers {
    /// The same numbers under the names of the output.
    pub(crate) fn of(counts: &Counts) -> Self {
        Self {
            files: counts.files,
            dirs: counts.directories,
            other: counts.others,
            errors: counts.errors,
            bytes_source: counts.bytes_source,
            bytes_read: counts.bytes_read,
            bytes_added: counts.bytes_added,
            chunks_new: counts.chunks_new,
        }
    }
}

/// "complete", or "incomplete" if there were errors.
pub(crate) fn status(counts: &Counts) -> &'static str {
    if counts.errors == 0 { "complete" } else { "incomplete" }
}

/// The last line of `backup --json`.
#[derive(Debug, Serialize)]
pub(crate) struct Backup<'a> {
    /// Absent (null) in a dry run.
    image: Option<String>,
    status: &'static str,
    #[serde(flatten)]
    numbers: Numbers,
    seconds: f64,
    dry_run: bool,
    name: &'a str,
    host: &'a str,
    time: String,
    #[serde(flatten)]
    paths: Paths,
    parent: Option<String>,
}

impl<'a> Backup<'a> {
    /// Of a run that took so long.
    pub(crate) fn new(record: &'a ImageRecord, dry_run: bool, took: Duration) -> Self {
        Self {
            image: (!dry_run).then(|| record.image.to_string()),
            status: status(&record.counts),
            numbers: Numbers::of(&record.counts),
            seconds: took.as_secs_f64(),
            dry_run,
            name: &record.name,
            host: &record.host,
            time: time::rfc3339_millis(record.started_millis),
            paths: Paths::new(&record.roots),
            parent: record.parent.map(|parent| parent.to_string()),
        }
    }
}

/// The last line of `restore --json`.
#[derive(Debug, Serialize)]
pub(crate) struct Restore<'a> {
    /// The image.
    pub(crate) image: String,
    /// Whether there were errors.
    pub(crate) status: &'static str,
    /// What was done; `bytes_read` is file content that was written.
    #[serde(flatten)]
    pub(crate) numbers: Numbers,
    /// How long it took.
    pub(crate) seconds: f64,
    /// Whether it only said what it would do.
    pub(crate) dry_run: bool,
    /// Of the entries above, how many were right already.
    pub(crate) unchanged: u64,
    /// Entries that `--overwrite` left as they were.
    pub(crate) kept: u64,
    /// Entries below a directory that could not be made.
    pub(crate) unreachable: u64,
    /// What could not be kept, one sentence for each kind.
    pub(crate) notes: &'a [String],
}

/// The paths of an image.
#[derive(Debug, Serialize)]
pub(crate) struct Paths {
    paths: Vec<String>,
    /// All of them in hexadecimal digits, if one is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    paths_bytes: Option<Vec<String>>,
}

impl Paths {
    fn new(paths: &[Vec<u8>]) -> Self {
        let is_text = paths.iter().all(|path| std::str::from_utf8(path).is_ok());
        Self {
            paths: paths.iter().map(|path| PathText::text(path)).collect(),
            paths_bytes: (!is_text).then(|| paths.iter().map(|path| to_hex(path)).collect()),
        }
    }
}

/// An image in a list.
#[derive(Debug, Serialize)]
pub(crate) struct Image<'a> {
    id: String,
    name: &'a str,
    host: &'a str,
    time: String,
    finished: String,
    #[serde(flatten)]
    paths: Paths,
    excludes: &'a [String],
    status: &'static str,
    #[serde(flatten)]
    numbers: Numbers,
    parent: Option<String>,
    program: &'a str,
    /// The first entries that were in trouble.
    faults: Vec<Fault<'a>>,
}

/// An entry that was in trouble.
#[derive(Debug, Serialize)]
struct Fault<'a> {
    #[serde(flatten)]
    path: PathText,
    reason: &'a str,
}

impl<'a> Image<'a> {
    /// Of a record.
    pub(crate) fn new(record: &'a ImageRecord) -> Self {
        Self {
            id: record.image.to_string(),
            name: &record.name,
            host: &record.host,
            time: time::rfc3339_millis(record.started_millis),
            finished: time::rfc3339_millis(record.finished_millis),
            paths: Paths::new(&record.roots),
            excludes: &record.excludes,
            status: status(&record.counts),
            numbers: Numbers::of(&record.counts),
            parent: record.parent.map(|parent| parent.to_string()),
            program: &record.program,
            faults: record
                .faults
                .iter()
                .map(|fault| Fault { path: PathText::new(&fault.path), reason: &fault.reason })
                .collect(),
        }
    }
}

/// An image in a list whose record cannot be read.
#[derive(Debug, Serialize)]
pub(crate) struct Unreadable {
    /// Its id.
    pub(crate) id: String,
    /// When its job began.
    pub(crate) time: String,
    /// Always "unreadable".
    pub(crate) status: &'static str,
    /// Why.
    pub(crate) error: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::out::to_json;

    #[test]
    fn paths_that_are_no_text_come_with_their_bytes() {
        assert_eq!(to_json(&PathText::new(b"/a\nb")), r#"{"path":"/a\nb"}"#);
        assert_eq!(to_json(&PathText::new(b"/\xff")), r#"{"path":"/\\xff","path_bytes":"2fff"}"#);
        let paths = Paths::new(&[b"/a".to_vec(), b"/\xff".to_vec()]);
        assert_eq!(to_json(&paths), r#"{"paths":["/a","/\\xff"],"paths_bytes":["2f61","2fff"]}"#);
    }
}
