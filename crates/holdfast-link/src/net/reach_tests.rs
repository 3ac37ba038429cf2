//! From a token to sessions, and to the end of them: a host is enrolled, talks, is renewed, is revoked.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use holdfast_proto::session::Class;
use tokio::sync::watch;

use super::*;
use crate::identity::ledger::{Grant, Ledger};
use crate::identity::registrar::{LedgerFile, Office};
use crate::identity::revocation::Revocations;
use crate::identity::{Authority, Revoked, Role};
use crate::net::Me;
use crate::net::process::Settings;
use crate::net::sim::Sim;
use crate::session::machine::End;

const PRIMARY: &str = "192.0.2.10";
const CLIENT: &str = "192.0.2.1";

struct Site {
    sim: Sim,
    _surroundings: watch::Sender<u64>,
    office: Arc<Office>,
    primary: Link,
    identity: Identity,
    _directory: tempfile::TempDir,
}

impl Site {
    async fn new() -> Self {
        let (sim, directory, now) = (Sim::default(), tempfile::tempdir().unwrap(), SystemTime::now());
        let authority = Authority::create("lab", now).unwrap();
        let certificate = authority.certificate().clone();
        let revoked = Revoked::default();
        let revocations = Arc::new(Revocations::open("lab", &certificate, None, &revoked).unwrap());
        let store = Box::new(LedgerFile::new(directory.path().join("ledger")));
        let office =
            Office::open(authority, Ledger::new("lab"), store, Arc::clone(&revocations), now).unwrap();
        let key = HostKey::generate().unwrap();
        let issued = office.certify_primary("p1", &key.request().unwrap(), now).unwrap();
        let credentials = Credentials::new(key, issued.certificate, issued.authority).unwrap();
        let identity = credentials.identity().clone();
        let surroundings = watch::Sender::new(0);
        let me = Me::new(Arc::new(credentials), revoked, "test".into()).unwrap();
        let primary = Link::start(me, sim.host(PRIMARY), Settings::default(), surroundings.subscribe());
        primary.listen(format!("{PRIMARY}:7556").parse().unwrap()).await.unwrap();
        primary.share(revocations);
        let office = Arc::new(office);
        primary.certify(Arc::clone(&office) as _);
        Self { sim, _surroundings: surroundings, office, primary, identity, _directory: directory }
    }

    fn token(&self) -> Token {
        let day = Duration::from_secs(24 * 3600);
        let grant = Grant { role: Role::Client, host: None, uses: 1, life: day };
        self.office.issue_token(&grant, SystemTime::now()).unwrap()
    }

    fn start(&self, credentials: Arc<Credentials>) -> Link {
        let me = Me::new(credentials, Revoked::default(), "test".into()).unwrap();
        let link =
            Link::start(me, self.sim.host(CLIENT), Settings::default(), self._surroundings.subscribe());
        link.set_places(&self.identity, places(&["192.0.2.10:7556"]));
        link
    }
}

fn places(texts: &[&str]) -> Vec<Place> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_host_is_enrolled_renewed_and_shut_out() {
    let site = Site::new().await;
    let network = site.sim.host(CLIENT);
    // The first place is dead, and another has no name: neither is in the way.
    site.sim.silence("192.0.2.11:7556".parse().unwrap(), true);
    let known = places(&["192.0.2.11", "nobody.example.org", "192.0.2.10:7556"]);
    let key = HostKey::generate().unwrap();
    let credentials = enrol_at(&network, &known, site.token(), "web1", key).await.unwrap();
    let current = Current::new(credentials);
    let serial = current.get().facts().serial.clone();

    let client = site.start(current.get());
    let here = client.connect(&site.identity, Class::Control, "x").await.unwrap();
    let there = site.primary.incoming().await.unwrap();
    assert_eq!(there.peer().to_string(), "holdfast://lab/client/web1");

    let process = Arc::clone(client.process());
    let mut renewer =
        Renewer { process, primary: site.identity.clone(), current: current.clone(), on: |_: &Event| {} };
    let renewed = renewer.renew(current.get()).await.unwrap();
    assert_ne!(renewed.facts().serial, serial);
    current.replace(renewed);
    renewer.on(Event::Renewed(current.get().facts().clone()));
    assert_eq!(client.process().me().credentials.facts().serial, current.get().facts().serial);
    let again = client.connect(&site.identity, Class::Control, "y").await.unwrap();

    // Revoked by name: every certificate of the host, so every session.
    site.office.revoke_host(current.get().identity(), SystemTime::now()).unwrap();
    assert_eq!((here.ended().await, again.ended().await), (End::Revoked, End::Revoked));
    let refused = renewer.renew(current.get()).await.unwrap_err();
    assert!(refused.is_final(), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_by_the_primary_server_is_not_asked_for_twice_and_silence_is_told() {
    let site = Site::new().await;
    let network = site.sim.host(CLIENT);
    let token = site.token();
    site.office.revoke_token(token.id()).unwrap();
    let key = || HostKey::generate().unwrap();
    let known = places(&["192.0.2.10:7556"]);
    let refused = enrol_at(&network, &known, token, "web1", key()).await.unwrap_err();
    assert!(matches!(refused, Error::Refused(_)), "{refused}");

    site.sim.silence("192.0.2.10:7556".parse().unwrap(), true);
    let unreached = enrol_at(&network, &known, site.token(), "web1", key()).await.unwrap_err().to_string();
    assert!(unreached.contains("192.0.2.10:7556 no answer in 5.0 s: dropped silently"), "{unreached}");
}

#[tokio::test(start_paused = true)]
async fn an_operator_is_let_in_without_a_certificate_and_knows_whom_he_has_reached() {
    let (site, other) = (Site::new().await, Site::new().await);
    let network = site.sim.host(CLIENT);
    let known = places(&["192.0.2.10:7556"]);
    let token = |site: &Site| OperatorToken::draw("lab", SystemTime::now(), site.office.authority()).unwrap();
    for http2 in [true, false] {
        let stream = visit_at(&network, &known, &token(&site), http2).await.unwrap();
        let mut visitor = site.primary.visitor().await.unwrap();
        assert_eq!((visitor.is_http2, &visitor.peer), (http2, &None));
        // He keeps his place among the strangers: what he may is decided above.
        assert!(timeout(Duration::from_secs(60), visitor.place.taken_away()).await.is_err());
        drop(stream);
    }
    // The site's name is the same, the authority is not.
    let unreached = visit_at(&network, &known, &token(&other), false).await.unwrap_err();
    let Error::Unreached(unreached) = unreached else { panic!("{unreached}") };
    assert!(unreached.is_somebody_else(), "{unreached}");
    assert!(
        unreached.to_string().contains("not certified by the authority that the token names"),
        "{unreached}"
    );
    site.sim.silence("192.0.2.10:7556".parse().unwrap(), true);
    let unreached = visit_at(&network, &known, &token(&site), false).await.unwrap_err();
    let Error::Unreached(unreached) = unreached else { panic!("{unreached}") };
    assert!(!unreached.is_somebody_else(), "{unreached}");
}
