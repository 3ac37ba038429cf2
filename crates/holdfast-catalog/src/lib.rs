//! The primary server's catalog: hosts, policies, jobs with their events, images. Rows only: what they mean is known above. It
//! holds no lists of files; those are manifests, in vaults.
//!
//! | file | question |
//! |---|---|
//! | `database` | how is it opened, and what may go wrong? |
//! | `schema` | which tables are there, and how do old ones become new? |
//! | `hosts`, `policies`, `jobs`, `images`, `answers` | what is kept of each? |

mod answers;
mod database;
mod hosts;
mod images;
mod jobs;
mod policies;
mod schema;

pub use database::{Catalog, Error, Result};
pub use hosts::{HostRow, HostSeen};
pub use images::{ImageFilter, ImageRow};
pub use jobs::{EventRow, JobFilter, JobRow, NewEvent, NewJob};
pub use policies::PolicyRow;
