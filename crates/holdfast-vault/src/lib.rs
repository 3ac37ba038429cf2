//! The vault engine: puts chunks into packs, finds them again, commits images, cleans up, verifies.
//!
//! It knows nothing of jobs, clients or the network, and nothing of where objects lie: that is the store's. What the
//! bytes are is docs/format.md and holdfast-format.
//!
//! | file | question it answers |
//! |---|---|
//! | [`vault`](Vault) | how is a vault made and opened? |
//! | `config` | what if the one object that all others need is lost? |
//! | `index`, `table`, `merge` | where does a chunk lie? |
//! | `packer` | how do groups become durable packs? |
//! | `packs` | how is a group read, and a damaged pack salvaged? |
//! | `pins` | which packs must clean-up leave alone? |
//! | [`ingest`](Ingest) | what does one job store, and when is it done? |
//! | [`images`](Vault::images) | which images are there? |
//! | [`briefs`](Vault::briefs) | which image is it, without reading all records again? |
//! | [`cleanup`] | what may be deleted, and how without a race? |
//! | [`verify`] | is everything there and whole? |
//!
//! # What may run at the same time
//!
//! One process has a vault open for writing (the store sees to that); any number read. Within that process:
//!
//! | | ingest | commit | clean-up | read, verify | forget |
//! |---|---|---|---|---|---|
//! | **ingest** | yes | yes | yes: packs that a claim rests on are pinned | yes | yes |
//! | **commit** | | one at a time | not during its delete step (the gate) | yes | yes |
//! | **clean-up** | | | one at a time | yes; readers of other processes hold off the delete step | yes |
//!
//! A claim ("the vault has this chunk") pins the pack for as long as the [`Ingest`] lives, and for as long as a clean-up
//! lasts that ran meanwhile, so what was answered stays true until its commit, which checks the pinned packs once more
//! and takes their marks away before it writes the record. If the index was made anew meanwhile and left something out of
//! such a pack as damaged, the commit is refused: the job may have counted on just that.
//!
//! Making the index anew excludes clean-up; commits wait only while the new tables are put in the place of the old. Index
//! tables are merged by one at a time, and not while a clean-up or a rebuild works with them. Whoever looks
//! chunks up may find a table gone; then the index has changed, and the look-up begins anew.

mod briefs;
mod cache;
pub mod cleanup;
mod config;
mod error;
mod images;
mod index;
mod ingest;
mod live;
mod merge;
mod packer;
mod packs;
mod pins;
mod table;
mod vault;
pub mod verify;

pub use briefs::Brief;
pub use cache::PlainGroup;
pub use error::{Error, Result};
pub use images::{ImageDraft, Listed, Selector};
pub use index::Spot;
pub use ingest::{Committed, GroupData, Ingest, IngestStats};
pub use vault::{Info, Mode, Vault};
