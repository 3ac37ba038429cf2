//! Held connections between processes on a pretend network, on a virtual clock: who may have them, how long, and what becomes of
//! the sessions of the same host.

use std::net::SocketAddr;
use std::time::SystemTime;

use holdfast_proto::session::Class;
use tokio::sync::watch;
use tokio::time::Instant;

use super::*;
use crate::identity::credentials::HostKey;
use crate::identity::{Authority, Role};
use crate::net::Me;
use crate::net::host::Place as At;
use crate::net::link::Link;
use crate::net::process::Settings;
use crate::net::sim::Sim;

const CLIENT: &str = "192.0.2.1";
const SERVER: &str = "192.0.2.2";

struct Site {
    sim: Sim,
    authority: Authority,
    web1: Arc<Credentials>,
    store1: Identity,
    revoked: Revoked,
    server: Link,
}

fn certified(authority: &Authority, role: Role, host: &str, then: SystemTime) -> Arc<Credentials> {
    let (key, identity) = (HostKey::generate().unwrap(), Identity::new("lab", role, host).unwrap());
    let certificate = authority.certify(&key.request().unwrap(), &identity, then).unwrap();
    Arc::new(Credentials::new(key, certificate, authority.certificate().clone()).unwrap())
}

fn at() -> SocketAddr {
    format!("{SERVER}:7556").parse().unwrap()
}

fn start(sim: &Sim, credentials: &Arc<Credentials>, revoked: &Revoked, ip: &str) -> Link {
    let me = Me::new(Arc::clone(credentials), revoked.clone(), "test".into()).unwrap();
    Link::start(me, sim.host(ip), Settings::default(), watch::channel(0).1)
}

impl Site {
    async fn new() -> Self {
        let (sim, now, revoked) = (Sim::default(), SystemTime::now(), Revoked::default());
        let authority = Authority::create("lab", now).unwrap();
        let web1 = certified(&authority, Role::Client, "web1", now);
        let store1 = certified(&authority, Role::Media, "store1", now);
        let server = start(&sim, &store1, &revoked, SERVER);
        server.listen(at()).await.unwrap();
        Self { sim, authority, web1, store1: store1.identity().clone(), revoked, server }
    }

    async fn ask(&self, who: &Credentials, seconds: u32) -> Result<TlsStream<AnyStream>, Error> {
        let stream = self.sim.host(CLIENT).dial(at()).await.unwrap();
        ask(stream, who, &Revoked::default(), &self.store1, seconds).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_held_connection_stays_for_its_time_and_nothing_is_said_on_it() {
    let site = Site::new().await;
    let mut held = site.ask(&site.web1, 3600).await.unwrap();
    let begun = Instant::now();
    // The end comes after the time that was asked for and a little more, and nothing before it.
    assert!(matches!(held.read(&mut [0; 1]).await, Ok(0) | Err(_)));
    let lasted = begun.elapsed();
    assert!(lasted >= Duration::from_secs(3600), "{lasted:?}");
    assert!(lasted <= Duration::from_secs(3600) + MORE + Duration::from_secs(1), "{lasted:?}");
}

#[tokio::test(start_paused = true)]
async fn the_sessions_of_the_host_that_asks_are_left_alone() {
    let site = Site::new().await;
    let client = start(&site.sim, &site.web1, &Revoked::default(), CLIENT);
    client.set_places(&site.store1, vec![At::Address(at())]);
    let mut here = client.connect(&site.store1, Class::Bulk, "test").await.unwrap();
    let mut there = site.server.incoming().await.unwrap();
    // Another process of the same host: a hello of it would end the session.
    let held = site.ask(&site.web1, 60).await.unwrap();
    tokio::time::advance(Duration::from_secs(30)).await;
    here.write_all(b"still here").await.unwrap();
    let mut bytes = [0; 10];
    there.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"still here");
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_host_has_so_many_and_gets_their_places_back() {
    let site = Site::new().await;
    let mut held = Vec::new();
    for _ in 0..EACH_MAX {
        held.push(site.ask(&site.web1, 3600).await.unwrap());
    }
    let refused = site.ask(&site.web1, 3600).await.unwrap_err().to_string();
    assert!(refused.contains("holds too many"), "{refused}");
    let other = certified(&site.authority, Role::Client, "web2", SystemTime::now());
    site.ask(&other, 3600).await.unwrap();
    // Any byte ends one.
    held[0].write_all(b"x").await.unwrap();
    held[0].flush().await.unwrap();
    assert!(matches!(held[0].read(&mut [0; 1]).await, Ok(0) | Err(_)));
    site.ask(&site.web1, 3600).await.unwrap();
}

#[test]
fn all_hosts_together_have_so_many() {
    let holds = Holds::default();
    let of = |number: usize| Identity::new("lab", Role::Client, &format!("web{number}")).unwrap();
    let places: Vec<_> = (0..ALL_MAX).map(|number| holds.take(&of(number / EACH_MAX)).unwrap()).collect();
    assert!(holds.take(&of(ALL_MAX)).is_none());
    drop(places);
    assert!(holds.0.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_was_revoked_or_has_expired_is_told() {
    let site = Site::new().await;
    let old = certified(
        &site.authority,
        Role::Client,
        "web2",
        SystemTime::now() - Duration::from_secs(40 * 24 * 3600),
    );
    let expired = site.ask(&old, 60).await.unwrap_err().to_string();
    assert!(expired.contains("was revoked, or has expired"), "{expired}");
    site.revoked.insert(site.web1.facts().serial.clone());
    let revoked = site.ask(&site.web1, 60).await.unwrap_err().to_string();
    assert!(revoked.contains("was revoked, or has expired"), "{revoked}");
}

#[tokio::test(start_paused = true)]
async fn a_binding_of_another_connection_and_a_time_that_is_none_are_refused() {
    let site = Site::new().await;
    let question = |seconds| Hold { seconds, channel_binding: [0; 32] }.encode();
    for (seconds, answer) in [(60, Some(Answer::Binding)), (0, None)] {
        let config = site.web1.dial(site.store1.clone(), &Revoked::default(), ALPN).unwrap();
        let name = ServerName::from(std::net::IpAddr::from([127, 0, 0, 1]));
        let stream = site.sim.host(CLIENT).dial(at()).await.unwrap();
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        stream.write_all(&question(seconds)).await.unwrap();
        stream.flush().await.unwrap();
        let answered = stream.read_u8().await.ok().map(|byte| Answer::decode(byte).unwrap());
        assert_eq!(answered, answer);
    }
}
