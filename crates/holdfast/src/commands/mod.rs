//! The commands, one file each: its arguments, its help with examples, what it does, what it prints.

pub(crate) mod backup;
pub(crate) mod cat;
pub(crate) mod cleanup;
pub(crate) mod client;
pub(crate) mod config;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod find;
pub(crate) mod forget;
pub(crate) mod hosts;
pub(crate) mod images;
pub(crate) mod jobs;
pub(crate) mod key;
pub(crate) mod login;
pub(crate) mod ls;
pub(crate) mod media;
pub(crate) mod policy;
pub(crate) mod primary;
pub(crate) mod restore;
pub(crate) mod token;
pub(crate) mod vault;
pub(crate) mod verify;

use holdfast_types::{Counts, ImageId};

use crate::console::Console;
use crate::errors::{Failure, Result};
use crate::text;

/// Prints the result of work that is done. If that fails, the work is done all the same, and its status stands.
fn print_result(console: &Console, print: impl FnOnce() -> Result<()>) {
    if let Err(Failure::Told { cause, .. }) = print() {
        console.trouble(&format!("it is done, but its result could not be printed: {cause}"));
    }
}

/// The beginning of an image's id, as lists for people show it.
fn short(image: ImageId) -> String {
    let mut id = image.to_string();
    id.truncate(8);
    id
}

/// `3 files, 2 directories, 1 other, 5.0 KiB`.
fn in_words(counts: &Counts) -> String {
    let mut words = vec![
        text::counted(counts.files, "file", "files"),
        text::counted(counts.directories, "directory", "directories"),
    ];
    if counts.others > 0 {
        words.push(text::counted(counts.others, "other", "others"));
    }
    words.push(text::bytes(counts.bytes_source));
    words.join(", ")
}
