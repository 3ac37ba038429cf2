//! The words that every other crate speaks: names of chunks, ids, entries of an image, paths and their order.
//!
//! Nothing here knows how a word is stored, sent or printed for people (holdfast-format and the program do), and
//! nothing here does I/O.

mod content;
mod entry;
mod hex;
mod ids;
mod path;
mod summary;
pub mod terminal;
mod time;

pub use content::{ChunkName, Content, Piece};
pub use entry::{Device, Entry, EntryFlags, FileId, Kind, Metadata, Owner, Place, Xattr};
pub use hex::{HexError, from_hex, to_hex};
pub use ids::{ImageId, JobId, KeyId, PackId, TableId, VaultId};
pub use path::{NameError, check_component, compare_directories, is_inside, join, place_of, sanitise};
pub use summary::{Counts, Fault};
pub use time::Timestamp;
