//! The media server role: takes images into its vault for the clients of a site, and gives them out again (docs/jobs.md,
//! sections 4 to 7). How calls travel is holdfast-link's, what a vault is holdfast-vault's; which jobs there are only the
//! primary server knows.
//!
//! | file | question it answers |
//! |---|---|
//! | [`service`](MediaService) | what is done when a host calls? |
//! | [`role`] | how does a media server run in a process of its own? |
//! | `streams` | how are many questions of one call answered in order? |
//! | `desks`, `calls` | may this question be asked, and this call be made, now? |
//! | `ticket` | what does a ticket allow? |
//! | `attempts` | which attempts live, and which are fenced? |
//! | `attempt` | claims, groups, checkpoints and the commit of one |
//! | `tracker` | what may its image rest on? |
//! | `readers`, `show` | what may a reader see, and how is a manifest walked? |
//! | `places` | who goes when there are too many? |
//! | `budget` | who may remember more names of chunks? |
//! | `clock` | can the wall clock be believed? |
//! | `reports` | which images has the primary server not heard of? |
//! | `inventory` | which images are there, for a catalog that was lost? |
//! | `upkeep` | what does an operator have done to the vault? |
//! | `groups`, `words`, `names`, `durable`, `workers` | checked groups, checked messages, sets of names, small files, threads |

mod attempt;
mod attempts;
mod budget;
mod calls;
mod clock;
mod desks;
mod durable;
mod error;
mod groups;
mod inventory;
mod names;
mod places;
mod readers;
mod reports;
pub mod role;
mod service;
mod show;
mod streams;
mod ticket;
mod tracker;
mod upkeep;
mod words;
mod workers;

pub use error::{Error, Result};
pub use service::{MediaService, Options};
pub use ticket::{ReadRight, Right, StoreRight, TicketCheck};
pub use words::{AttemptId, to_attempt};
