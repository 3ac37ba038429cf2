//! A site for tests: hosts with certificates, and their processes on loopback.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use holdfast_link::identity::credentials::HostKey;
use holdfast_link::identity::{Authority, Credentials, Identity, Revoked, Role};
use holdfast_link::net::Me;
use holdfast_link::net::link::Link;
use holdfast_link::net::process::Settings;
use holdfast_link::net::tcp::Tcp;
use tokio::sync::watch;

/// A site.
pub(crate) struct Site {
    authority: Authority,
    surroundings: watch::Sender<u64>,
}

impl Site {
    /// A new one.
    pub(crate) fn new() -> Self {
        let authority = Authority::create("lab", SystemTime::now()).unwrap();
        Self { authority, surroundings: watch::Sender::new(0) }
    }

    /// What a host shows.
    pub(crate) fn credentials(&self, identity: &Identity) -> Credentials {
        let key = HostKey::generate().unwrap();
        let certificate =
            self.authority.certify(&key.request().unwrap(), identity, SystemTime::now()).unwrap();
        Credentials::new(key, certificate, self.authority.certificate().clone()).unwrap()
    }

    /// A process of a host that remembers routes in this file.
    #[allow(dead_code)] // the bench needs none
    pub(crate) fn start_with(&self, identity: &Identity, routes: std::path::PathBuf) -> Link {
        let credentials = Arc::new(self.credentials(identity));
        let me = Me::new(credentials, Revoked::default(), "test".into()).unwrap();
        let (link, lacking) = Link::on_this_host(me, Settings::default(), Some(routes));
        assert!(lacking.is_empty(), "{lacking:?}");
        link
    }

    /// A process of a host.
    pub(crate) fn start(&self, identity: &Identity) -> Link {
        let credentials = Arc::new(self.credentials(identity));
        let me = Me::new(credentials, Revoked::default(), "test".into()).unwrap();
        let settings = Settings::default();
        Link::start(me, Tcp::new(&settings.times), settings, self.surroundings.subscribe())
    }
}

/// A client.
pub(crate) fn web1() -> Identity {
    Identity::new("lab", Role::Client, "web1").unwrap()
}

/// A media server.
pub(crate) fn store1() -> Identity {
    Identity::new("lab", Role::Media, "store1").unwrap()
}

/// Any port of this host.
pub(crate) fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}
