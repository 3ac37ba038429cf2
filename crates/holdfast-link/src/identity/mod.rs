//! Who a host is, and how it proves that: names, the site's own certificate authority, certificates that renew themselves,
//! and the check that every connection passes.
//!
//! | file | question |
//! |---|---|
//! | [`name`] | what is a host called? |
//! | [`authority`] | who certifies it? |
//! | [`credentials`] | what does a host show, and when does it ask for a new certificate? |
//! | [`verify`] | is this peer who it should be? |

pub mod authority;
pub mod credentials;
pub mod name;
pub mod verify;

pub use authority::Authority;
pub use credentials::Credentials;
pub use name::{Identity, Role};
pub use verify::{Peer, Revoked};

/// What is wrong with a key, a certificate or a request for one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name that cannot be one.
    #[error("{name:?} cannot be the name of a {what}: {why}")]
    Name {
        /// What it should name.
        what: &'static str,
        /// The text.
        name: String,
        /// Why not.
        why: &'static str,
    },
    /// The bytes are no certificate, key or request of the kind that is needed.
    #[error("{0}")]
    Unreadable(&'static str),
    /// The certificate library refused.
    #[error("cannot {doing}: {cause}")]
    Certificate {
        /// What was tried.
        doing: &'static str,
        /// What it said.
        cause: rcgen::Error,
    },
    /// The TLS library refused.
    #[error("cannot {doing}: {cause}")]
    Tls {
        /// What was tried.
        doing: &'static str,
        /// What it said.
        cause: rustls::Error,
    },
}

/// The result of what this module does.
pub type Result<T> = std::result::Result<T, Error>;
