//! The session protocol (docs/protocol.md): frames in [`frame`], the messages in some of them in [`message`].
//!
//! What a peer may say when is the link's business; here is only what has a meaning at all.

pub mod frame;
pub mod message;
mod wire;

pub use frame::{Decoder, Frame};
pub use message::{Attach, Attached, BootId, Class, Close, Code, Hello, Opener, SessionId, Welcome, Window};

/// The version that this program speaks.
pub const VERSION: u32 = 1;
/// The name of the protocol in TLS (ALPN, RFC 7301).
pub const ALPN: &[u8] = b"holdfast-session/1";
/// The label of the TLS exporter output that binds a hello to its connection.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-holdfast-session";

/// The peer broke the protocol. The text names how; it ends the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("broke the protocol: {0}")]
pub struct Violation(pub &'static str);

/// The result of decoding.
pub type Result<T> = std::result::Result<T, Violation>;
