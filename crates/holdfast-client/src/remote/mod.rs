//! A media server as a depot (docs/jobs.md, sections 5 to 7): the calls of the `Media` service behind the traits of
//! [`depot`](crate::depot).
//!
//! | file | question it answers |
//! |---|---|
//! | `line` | how does a thread wait for a call, and what ends all waiting? |
//! | `status` | what does an error of a call mean? |
//! | `pipe` | how are many questions on their way in one stream? |
//! | `limit` | how fast may groups be sent? |
//! | [`writer`](RemoteWriter) | claim, put, checkpoint, commit |
//! | [`reader`](RemoteReader) | images, locate, fetch |
//! | `walk` | how does a manifest come here without a question for each node? |
//! | `group` | a group that came, checked |
//! | `wire` | words to messages and back, with their bounds |
//!
//! Threads of the client are synchronous and are not the runtime's; the calls run on the runtime. A thread waits for an
//! answer, for the end of the line (a failure that ends everything, or cancelling), and for nothing else; there are no
//! limits of time, for the session below knows whether the media server is there.

mod group;
mod limit;
mod line;
mod pipe;
mod reader;
mod status;
mod walk;
mod wire;
mod writer;

pub use limit::Limit;
pub use line::{Line, Sent};
pub use reader::RemoteReader;
pub use walk::WalkSource;
pub(crate) use wire::root as read_root;
pub use wire::{AttemptId, Begun, Ticket};
pub use writer::{Draft, RemoteWriter};
