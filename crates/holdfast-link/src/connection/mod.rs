//! One connection: is it alive, and what does the kernel do about it? (docs/protocol.md, section 6)
//!
//! | file | question |
//! |---|---|
//! | [`life`] | when is a ping due, when is the peer silent, when is the path dead? |
//! | [`keepalive`] | what is set on the socket, and what does that mean in seconds? |

pub mod keepalive;
pub mod life;

pub use keepalive::Keepalive;
pub use life::Life;
