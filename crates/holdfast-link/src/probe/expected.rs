//! What an enrolled host can expect of others: who signs for hosts of its site, and where such hosts are known to listen. Read
//! from the state directory, which is left as it is. What an answer means against it is `whose`'s.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::door::Door;
use crate::identity::{Credentials, Identity, Issuer, Revocations, Revoked};
use crate::net::enrolled::StateFiles;
use crate::net::host::Place;
use crate::route::Route;

/// What is expected; nothing on a host that is not enrolled.
#[derive(Debug, Default)]
pub struct Expected {
    issuer: Option<Issuer>,
    /// By what this host shows who it is, and whom it must not believe.
    own: Option<(Arc<Credentials>, Revoked)>,
    addresses: HashMap<(IpAddr, u16), Vec<Identity>>,
    names: HashMap<(String, u16), Vec<Identity>>,
}

impl Expected {
    /// What this state directory says. One that is not there or cannot be read says nothing.
    #[must_use]
    pub fn of_state(state: &StateFiles) -> Self {
        let files = state.identity();
        let Ok(Some(credentials)) = files.load() else { return Self::default() };
        let (authority, site) = (credentials.authority(), credentials.identity().site());
        let revoked = Revoked::default();
        // Without the list a revoked certificate looks good: that it is this site's stays true.
        let _ = Revocations::open(site, authority, Some(&files.revocations()), &revoked);
        let Ok(issuer) = Issuer::new(authority, site, &revoked) else { return Self::default() };
        let mut expected = Self::by(issuer);
        let credentials = Arc::new(credentials);
        expected.own = Some((Arc::clone(&credentials), revoked));
        let site = credentials.identity().site();
        if let Ok(primary) = Identity::primary(site) {
            for place in state.places().unwrap_or_default() {
                expected.add(place, primary.clone());
            }
        }
        for (host, memory) in state.look_at_routes().all() {
            let Ok(host) = host.parse::<Identity>() else { continue };
            for (route, trace) in memory.traces() {
                // Only where it has answered once. What hosts tell of their addresses may be another's in this network.
                if let (Route::Dial(address), Some(_)) = (route, trace.usual) {
                    expected.add(Place::Address(*address), host.clone());
                }
            }
        }
        expected
    }

    /// This authority, and no known host yet.
    #[must_use]
    pub fn by(issuer: Issuer) -> Self {
        Self { issuer: Some(issuer), ..Self::default() }
    }

    /// A host of the site is known to listen there.
    pub fn add(&mut self, place: Place, host: Identity) {
        let hosts = match place {
            Place::Address(address) => self.addresses.entry(key(address)).or_default(),
            Place::Name(name, port) => self.names.entry((plain(&name), port)).or_default(),
        };
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }

    /// Whether this host is enrolled, so that it can show who it is.
    #[must_use]
    pub fn is_enrolled(&self) -> bool {
        self.own.is_some()
    }

    /// How this host opens connections to be held to a host of its site; `None` if it is of none, or that is no such host.
    #[must_use]
    pub fn door_to(&self, host: &str) -> Option<Door> {
        let (credentials, revoked) = self.own.as_ref()?;
        let host = host.parse::<Identity>().ok()?;
        Some(Door::agreed(Arc::clone(credentials), revoked.clone(), host))
    }

    pub(super) fn issuer(&self) -> Option<&Issuer> {
        self.issuer.as_ref()
    }

    /// Which hosts of the site are known to listen at an address that was found by this name.
    pub(super) fn hosts_at(&self, to: SocketAddr, name: &str) -> Vec<&Identity> {
        let by_address = self.addresses.get(&key(to)).into_iter().flatten();
        let by_name = self.names.get(&(plain(name), to.port())).into_iter().flatten();
        let mut hosts: Vec<_> = by_address.chain(by_name).collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts
    }
}

fn key(address: SocketAddr) -> (IpAddr, u16) {
    (address.ip().to_canonical(), address.port())
}

fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::identity::credentials::HostKey;
    use crate::identity::{Authority, Role};
    use crate::net::remembered::{FILE_NAME, Remembered};
    use crate::route::Outcome;

    fn enrolled(directory: &std::path::Path) -> StateFiles {
        let now = SystemTime::now();
        let (authority, key) = (Authority::create("lab", now).unwrap(), HostKey::generate().unwrap());
        let host = Identity::new("lab", Role::Client, "web1").unwrap();
        let certificate = authority.certify(&key.request().unwrap(), &host, now).unwrap();
        let state = StateFiles::new(directory);
        let credentials = Credentials::new(key, certificate, authority.certificate().clone()).unwrap();
        state.identity().store(&credentials).unwrap();
        state
    }

    #[test]
    fn an_enrolled_host_knows_its_primary_server_and_who_has_answered_before() {
        let directory = tempfile::tempdir().unwrap();
        let state = enrolled(directory.path());
        let places = ["Backup.example.org:7556", "192.0.2.7:7556"].map(|place| place.parse().unwrap());
        state.store_places(&places).unwrap();
        let (mut routes, _) = Remembered::load(directory.path().join(FILE_NAME), SystemTime::now());
        let (answered, told): (SocketAddr, SocketAddr) =
            ("192.0.2.8:7556".parse().unwrap(), "192.0.2.9:7556".parse().unwrap());
        let store1 = Identity::new("lab", Role::Media, "store1").unwrap();
        let memory = routes.hosts_mut().memory_mut(&store1.to_string());
        let now = SystemTime::now();
        memory.note(Route::Dial(answered), Outcome::Open(Duration::from_millis(3)), now);
        memory.note(Route::Dial(answered), Outcome::Intercepted, now);
        memory.note(Route::Dial(told), Outcome::Silent, now);
        drop(routes);

        let expected = Expected::of_state(&state);
        assert_eq!(expected.issuer().unwrap().site(), "lab");
        let primary = Identity::primary("lab").unwrap();
        let nobody: [&Identity; 0] = [];
        assert_eq!(expected.hosts_at("192.0.2.7:7556".parse().unwrap(), "x"), [&primary]);
        assert_eq!(expected.hosts_at("[::ffff:192.0.2.7]:7556".parse().unwrap(), "x"), [&primary]);
        assert_eq!(expected.hosts_at(told, "backup.example.org."), [&primary]);
        assert_eq!(expected.hosts_at("192.0.2.7:7557".parse().unwrap(), "backup.example.org"), nobody);
        assert_eq!(expected.hosts_at(answered, "192.0.2.8"), [&store1]);
        assert_eq!(expected.hosts_at(told, "192.0.2.9"), nobody);
    }

    #[test]
    fn without_a_readable_enrolment_nothing_is_expected() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateFiles::new(directory.path().join("not there"));
        assert!(Expected::of_state(&state).issuer().is_none());
        // Places are kept before the host is enrolled.
        let state = StateFiles::new(directory.path());
        state.store_places(&["192.0.2.7:7556".parse().unwrap()]).unwrap();
        let expected = Expected::of_state(&state);
        assert!(expected.hosts_at("192.0.2.7:7556".parse().unwrap(), "x").is_empty());
        enrolled(directory.path());
        assert!(Expected::of_state(&state).issuer().is_some());
        std::fs::write(directory.path().join("identity/host.pem"), "spoilt").unwrap();
        assert!(Expected::of_state(&state).issuer().is_none());
    }
}
