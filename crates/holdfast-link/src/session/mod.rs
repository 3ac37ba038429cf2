//! One session (docs/protocol.md, sections 4 and 5): a byte stream each way, whatever becomes of its connections.
//!
//! | file | question |
//! |---|---|
//! | `outbox` | what was accepted from the application and not yet consumed by the peer's? |
//! | `inbox` | what has come and was not yet consumed here? |
//! | [`budget`] | how much memory may each direction have? |
//! | [`registry`] | which sessions are there, and what is an ATTACH answered? |
//! | [`machine`] | which connection carries it, and what goes onto it next? |

pub mod budget;
mod inbox;
pub mod machine;
mod outbox;
pub mod registry;

pub use budget::{Budget, Flow};
pub use machine::{Connection, End, Machine, Refusal, Side};
pub use registry::Registry;
