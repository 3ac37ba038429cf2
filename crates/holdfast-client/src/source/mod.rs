//! The reading side of the file system: what is there, in the order of a manifest, and what do files hold?
//!
//! | module | question it answers |
//! |---|---|
//! | `roots` | which places did the user name, as true absolute paths? |
//! | `select`, `cache` | what of that is left out? |
//! | `walk` | what is below them, batch by batch, in order? |
//! | `enter`, `current`, `frames`, `names` | parts of a walk: going in, one directory, the way back, many names |
//! | `tree` | how do several roots make one ordered walk? |
//! | `read` | the bytes and holes of a file |
//! | `fault` | why could something not be read? |
//! | `dir`, `stat`, `xattr`, `owners` | the calls that are particular to Linux |
//!
//! A walk stats every entry once, and nothing more: a backup that finds it unchanged needs no more. For the others,
//! [`SourceFile::complete`] or [`complete`] adds extended attributes and where a symlink points.
//!
//! All calls are relative to directory file descriptors and follow no symlink below a root, so paths may be of any
//! length and nobody who can write there can lead a backup elsewhere. What to do about a file that changed, and what of
//! all this to store, is the backup's business.

mod cache;
mod chosen;
mod current;
mod dir;
mod enter;
mod fault;
mod frames;
mod names;
mod owners;
mod read;
mod roots;
mod select;
mod stat;
mod tree;
mod walk;
mod xattr;

pub use chosen::{Chosen, ChosenError};
pub use dir::Directory;
pub use fault::ReadFault;
pub use read::{Extent, Outcome, SourceFile, YOUNG, is_young, open_file};
pub use roots::{Root, RootError, normalise_roots};
pub use select::{SelectError, Selection, Selector};
pub use stat::stat;
pub use walk::{Batch, Found, Walk};
pub use xattr::complete;
