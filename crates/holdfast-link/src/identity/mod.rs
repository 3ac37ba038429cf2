//! Who a host is, and how it proves that: names, the site's own certificate authority, certificates that renew themselves,
//! and the check that every connection passes.
//!
//! | file | question |
//! |---|---|
//! | [`name`] | what is a host called? |
//! | [`authority`] | who certifies it? |
//! | [`credentials`] | what does a host show, and when does it ask for a new certificate? |
//! | [`current`] | which credentials are shown now, when they change while the process runs? |
//! | [`files`] | where do keys and certificates lie, and who may read them? |
//! | [`verify`] | is this peer who it should be? |
//! | [`issued`] | has the site's authority signed this certificate, whatever else is wrong with it? |
//! | [`private`] | how is a file kept that is its owner's alone? |
//! | [`pin`] | is this server the one that a token names? |
//! | [`token`] | what does a new host need to know, in one line? |
//! | [`operator`] | what does a person elsewhere need, in one line, to ask a primary server? |
//! | `text` | what does a line look like that people copy? |
//! | [`ledger`] | which tokens were given out, what are they good for, and which certificates were? |
//! | [`registrar`] | who certifies whom, on the primary server? |
//! | [`revocation`] | which certificates are good no more? |
//! | [`ticket`] | what may a host do at a media server? |

pub mod authority;
pub mod credentials;
pub mod current;
pub mod files;
pub mod issued;
pub mod ledger;
pub mod name;
pub mod operator;
pub mod pin;
mod primitives;
pub mod private;
pub mod registrar;
pub mod revocation;
mod text;
pub mod ticket;
pub mod token;
pub mod verify;

pub use authority::Authority;
pub use credentials::Credentials;
pub use current::Current;
pub use files::HostFiles;
pub use issued::Issuer;
pub use ledger::{Grant, Ledger};
pub use name::{Identity, Role};
pub use operator::OperatorToken;
pub use primitives::Fingerprint;
pub use registrar::{Office, Registrar};
pub use revocation::{Revocations, Revoked};
pub use token::Token;
pub use verify::Peer;

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
    /// The check says no.
    #[error("{0}")]
    Refused(verify::Refused),
}

/// The result of what this module does.
pub type Result<T> = std::result::Result<T, Error>;
