//! One connection: is it alive, and what does the kernel do about it? (docs/protocol.md, section 6)
//!
//! | file | question |
//! |---|---|
//! | [`life`] | when is a ping due, when is the peer silent, when is the path dead? |
//! | [`keepalive`] | what is set on the socket? |
//! | [`relations`] | what do all these times mean together, and do they fit? |
//! | [`facts`] | what does TCP know of the path? |

pub mod facts;
pub mod keepalive;
pub mod life;
pub mod relations;

pub use facts::PathFacts;
pub use keepalive::Keepalive;
pub use life::Life;
pub use relations::Relations;
