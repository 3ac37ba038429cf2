//! The credentials that new connections show. They are replaced while the process runs; connections that there are keep
//! theirs, since a session belongs to the identity and not to a certificate.

use std::sync::Arc;

use parking_lot::RwLock;

use super::Credentials;

/// A holder of credentials that all of a process share.
#[derive(Clone, Debug)]
pub struct Current(Arc<RwLock<Arc<Credentials>>>);

impl Current {
    /// Begins with these.
    pub fn new(credentials: Credentials) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(credentials))))
    }

    /// Those of now. Ask again for each connection.
    pub fn get(&self) -> Arc<Credentials> {
        Arc::clone(&self.0.read())
    }

    /// From now on these, and what they now are.
    pub fn replace(&self, credentials: Credentials) -> Arc<Credentials> {
        let credentials = Arc::new(credentials);
        *self.0.write() = Arc::clone(&credentials);
        credentials
    }
}
