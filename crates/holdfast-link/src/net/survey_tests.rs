//! What a host finds at the addresses of others, on a pretend network.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::Instant;

use super::*;
use crate::identity::credentials::HostKey;
use crate::identity::{Authority, Credentials, Revoked, Role};
use crate::net::Me;
use crate::net::process::Settings;
use crate::net::sim::Sim;

fn host(role: Role, name: &str) -> Identity {
    Identity::new("lab", role, name).unwrap()
}

fn start(sim: &Sim, authority: &Authority, identity: &Identity, ip: &str) -> Link {
    let key = HostKey::generate().unwrap();
    let certificate = authority.certify(&key.request().unwrap(), identity, SystemTime::now()).unwrap();
    let credentials = Credentials::new(key, certificate, authority.certificate().clone()).unwrap();
    let me = Me::new(Arc::new(credentials), Revoked::default(), "test".into()).unwrap();
    Link::start(me, sim.host(ip), Settings::default(), watch::channel(0).1)
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn each_address_is_told_apart() {
    let (sim, authority) = (Sim::default(), Authority::create("lab", SystemTime::now()).unwrap());
    let (web1, store1, store2) =
        (host(Role::Client, "web1"), host(Role::Media, "store1"), host(Role::Media, "store2"));
    let client = start(&sim, &authority, &web1, "192.0.2.1");
    let first = start(&sim, &authority, &store1, "192.0.2.2");
    let second = start(&sim, &authority, &store2, "192.0.2.3");
    first.listen(at("192.0.2.2:7556")).await.unwrap();
    second.listen(at("192.0.2.3:7556")).await.unwrap();
    sim.silence(at("192.0.2.3:7557"), true);
    client.set_places(&store1, vec![Place::Address(at("192.0.2.2:7556"))]);
    let wanted = vec![
        (web1, vec![at("192.0.2.1:7556")]),
        // The address that is known, one where nobody listens, and one of somebody else.
        (store1.clone(), vec![at("192.0.2.2:7556"), at("192.0.2.2:99"), at("192.0.2.3:7556")]),
        (store2.clone(), vec![at("192.0.2.3:7557")]),
    ];
    let begun = Instant::now();
    let mut tried = client.survey(wanted).await;
    tried.sort_by_key(|one| one.address);
    let found: Vec<_> = tried
        .iter()
        .map(|one| {
            let outcome = match one.outcome.unwrap() {
                Outcome::Open(_) => Outcome::Open(Duration::ZERO),
                other => other,
            };
            (one.host.host(), one.address.to_string(), outcome)
        })
        .collect();
    let expected = [
        ("store1", "192.0.2.2:99", Outcome::Refused),
        ("store1", "192.0.2.2:7556", Outcome::Open(Duration::ZERO)),
        ("store1", "192.0.2.3:7556", Outcome::Intercepted),
        ("store2", "192.0.2.3:7557", Outcome::Silent),
    ];
    assert_eq!(found, expected.map(|(host, address, outcome)| (host, address.to_owned(), outcome)));
    // All at once: the one that is silent takes its time.
    assert!(begun.elapsed() <= ATTEMPT_MAX + Duration::from_secs(1), "{:?}", begun.elapsed());
    assert!(second.status().is_empty() && first.status().is_empty(), "no session comes of it");
}

#[tokio::test(start_paused = true)]
async fn it_ends_in_time_with_what_there_is() {
    let (sim, authority) = (Sim::default(), Authority::create("lab", SystemTime::now()).unwrap());
    let client = start(&sim, &authority, &host(Role::Client, "web1"), "192.0.2.1");
    let wanted = (0..HOSTS_MAX + 9).map(|number| {
        let ports = (1_000..).take(ADDRESSES_MAX + 9);
        let addresses = ports.map(|port: u16| SocketAddr::from(([198, 51, 100, 1], port)));
        let addresses: Vec<_> = addresses.collect();
        addresses.iter().for_each(|address| sim.silence(*address, true));
        (host(Role::Client, &format!("host{number}")), addresses)
    });
    let begun = Instant::now();
    let tried = client.survey(wanted.collect()).await;
    assert!(begun.elapsed() <= SURVEY_MAX, "{:?}", begun.elapsed());
    // What there was no time for is told as well.
    assert_eq!(tried.len(), HOSTS_MAX * ADDRESSES_MAX);
    let silent = tried.iter().filter(|one| one.outcome == Some(Outcome::Silent)).count();
    let untried = tried.iter().filter(|one| one.outcome.is_none()).count();
    assert!(silent > 0 && untried > 0 && silent + untried == tried.len(), "{silent} {untried}");
}
