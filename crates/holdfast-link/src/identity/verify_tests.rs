//! Handshakes in memory: who is let in, who is refused, and what both sides are told.

use std::io::{Read, Write};

use rustls::{ClientConnection, ServerConnection};

use super::super::credentials::HostKey;
use super::super::{Authority, Role};
use super::*;

const PROTOCOL: &[u8] = b"holdfast-session/1";
const DAY: Duration = Duration::from_secs(24 * 3600);

fn now() -> SystemTime {
    SystemTime::now()
}

fn host(authority: &Authority, identity: &Identity, made: SystemTime) -> Credentials {
    let key = HostKey::generate().unwrap();
    let certificate = authority.certify(&key.request().unwrap(), identity, made).unwrap();
    Credentials::new(key, certificate, authority.certificate().clone()).unwrap()
}

fn named(role: Role, name: &str) -> Identity {
    Identity::new("lab", role, name).unwrap()
}

/// What each side says of the handshake: the peer, or the error.
fn shake(
    client: ClientConfig,
    server: ServerConfig,
    revoked: &Revoked,
) -> (std::result::Result<Option<Peer>, String>, std::result::Result<Option<Peer>, String>) {
    let name = ServerName::try_from("holdfast").unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    let (mut client_error, mut server_error) = (None, None);
    for _ in 0..8 {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut from = wire.as_slice();
        while !from.is_empty() && server.read_tls(&mut from).is_ok_and(|read| read > 0) {
            server_error = server_error.or(server.process_new_packets().err());
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut from = wire.as_slice();
        while !from.is_empty() && client.read_tls(&mut from).is_ok_and(|read| read > 0) {
            client_error = client_error.or(client.process_new_packets().err());
        }
    }
    if client_error.is_none() && server_error.is_none() {
        client.writer().write_all(b"x").unwrap();
        let binding = |connection: &rustls::CommonState| connection.protocol_version();
        assert_eq!(binding(&client), Some(rustls::ProtocolVersion::TLSv1_3));
        let export = |label: &[u8]| {
            let (ours, theirs) = (
                client.export_keying_material([0; 32], label, None).unwrap(),
                server.export_keying_material([0; 32], label, None).unwrap(),
            );
            assert_eq!(ours, theirs, "the channel binding is the same at both ends");
        };
        export(holdfast_proto::session::EXPORTER_LABEL);
        assert_eq!(server.reader().read(&mut [0; 1]).unwrap_or(0), 0);
    }
    let of_client = match client_error {
        Some(error) => Err(told(&error)),
        None => shown(&client, revoked),
    };
    let of_server = match server_error {
        Some(error) => Err(told(&error)),
        None => shown(&server, revoked),
    };
    (of_client, of_server)
}

fn shown(connection: &rustls::CommonState, revoked: &Revoked) -> std::result::Result<Option<Peer>, String> {
    peer_of(connection.peer_certificates(), now(), revoked).map_err(|refused| refused.to_string())
}

fn told(error: &rustls::Error) -> String {
    refusal(error).map_or_else(|| error.to_string(), ToString::to_string)
}

struct Lab {
    authority: Authority,
    server: Credentials,
    client: Credentials,
    revoked: Revoked,
}

fn lab() -> Lab {
    let authority = Authority::create("lab", now()).unwrap();
    let server = host(&authority, &named(Role::Media, "store1"), now());
    let client = host(&authority, &named(Role::Client, "web1"), now());
    Lab { authority, server, client, revoked: Revoked::default() }
}

impl Lab {
    fn shake(
        &self,
    ) -> (std::result::Result<Option<Peer>, String>, std::result::Result<Option<Peer>, String>) {
        let wanted = self.server.identity().clone();
        shake(
            self.client.dial(wanted, &self.revoked, PROTOCOL).unwrap(),
            self.server.listen(&self.revoked, &[PROTOCOL]).unwrap(),
            &self.revoked,
        )
    }
}

#[test]
fn both_sides_know_each_other() {
    let lab = lab();
    let (of_client, of_server) = lab.shake();
    let (server, client) = (of_client.unwrap().unwrap(), of_server.unwrap().unwrap());
    assert_eq!((&server.identity, server.expired), (lab.server.identity(), false));
    assert_eq!((&client.identity, client.expired), (lab.client.identity(), false));
    assert_eq!(client.serial, lab.client.facts().serial);
}

#[test]
fn another_host_than_the_wanted_one_is_told_by_name() {
    let mut lab = lab();
    let wanted = lab.server.identity().clone();
    lab.server = host(&lab.authority, &named(Role::Media, "store2"), now());
    let (of_client, _) = shake(
        lab.client.dial(wanted, &lab.revoked, PROTOCOL).unwrap(),
        lab.server.listen(&lab.revoked, &[PROTOCOL]).unwrap(),
        &lab.revoked,
    );
    let error = of_client.unwrap_err();
    assert!(error.contains("media/store2 answered, not holdfast://lab/media/store1"), "{error}");
}

#[test]
fn another_authority_is_refused_by_either_side() {
    let mut lab = lab();
    let other = Authority::create("lab", now()).unwrap();
    let good = std::mem::replace(&mut lab.client, host(&other, &named(Role::Client, "web1"), now()));
    let (of_client, _) = lab.shake();
    assert!(of_client.unwrap_err().contains("another authority"));
    // A client that trusts the right authority and shows a certificate of another.
    let stranger = Credentials::new(
        HostKey::from_pem(&lab.client.key.to_pem()).unwrap(),
        lab.client.certificate.clone(),
        lab.authority.certificate().clone(),
    );
    lab.client = stranger.unwrap();
    let (_, of_server) = lab.shake();
    let error = of_server.unwrap_err();
    assert!(error.contains("client/web1 is certified by another authority"), "{error}");
    lab.client = good;
    assert!(lab.shake().1.is_ok());
}

#[test]
fn a_revoked_certificate_is_refused_at_once_at_either_side() {
    let lab = lab();
    assert!(lab.shake().1.is_ok());
    lab.revoked.insert(lab.client.facts().serial.clone());
    let (_, of_server) = lab.shake();
    let error = of_server.unwrap_err();
    assert!(error.contains("client/web1 was revoked"), "{error}");
    lab.revoked.insert(lab.server.facts().serial.clone());
    let error = lab.shake().0.unwrap_err();
    assert!(error.contains("media/store1 was revoked"), "{error}");
}

#[test]
fn an_expired_host_is_let_in_to_renew_for_ninety_days_and_is_no_server() {
    let mut lab = lab();
    for (days, let_in) in [(31, true), (119, true), (121, false)] {
        lab.client = host(&lab.authority, &named(Role::Client, "web1"), now() - DAY * days);
        let (_, of_server) = lab.shake();
        match of_server {
            Ok(peer) => {
                let peer = peer.unwrap();
                assert!(let_in && peer.expired, "{days}");
                assert!(matches!(peer.unexpired(), Err(Refused::Expired(_))));
            }
            Err(error) => assert!(!let_in && error.contains("expired"), "{days}: {error}"),
        }
    }
    let mut lab = self::lab();
    lab.server = host(&lab.authority, &named(Role::Media, "store1"), now() - DAY * 31);
    let error = lab.shake().0.unwrap_err();
    assert!(error.contains("media/store1 has expired"), "{error}");
    lab.server = host(&lab.authority, &named(Role::Media, "store1"), now() + DAY * 3);
    let error = lab.shake().0.unwrap_err();
    assert!(error.contains("not valid yet: compare the clocks"), "{error}");
}

#[test]
fn people_come_without_a_certificate_and_are_nobody() {
    let lab = lab();
    let mut roots = RootCertStore::empty();
    roots.add(lab.authority.certificate().clone()).unwrap();
    let check = lab.client.check(&lab.revoked, None).unwrap();
    let person = ClientConfig::builder_with_provider(Arc::clone(&check.provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(check)
        .with_no_client_auth();
    let (_, of_server) =
        shake(person, lab.server.listen(&lab.revoked, &[PROTOCOL, b"h2"]).unwrap(), &lab.revoked);
    assert_eq!(of_server, Ok(None));
}

#[test]
fn renewal_is_due_at_two_thirds_of_a_life() {
    let made = SystemTime::UNIX_EPOCH + DAY * 20_000;
    let authority = Authority::create("lab", made).unwrap();
    let facts = host(&authority, &named(Role::Client, "web1"), made).facts().clone();
    assert_eq!(facts.not_after, made + DAY * 30);
    assert_eq!(facts.not_before, made - DAY * 2);
    assert_eq!(facts.renew_at(), made + DAY * 20);
}

#[test]
fn an_authority_comes_back_from_its_files_and_certifies_only_its_site() {
    let lab = lab();
    let pem = |der: &[u8]| {
        let parsed = CertificateDer::from(der.to_vec());
        pem_of(&parsed)
    };
    let again =
        Authority::from_pem("lab", &pem(lab.authority.certificate()), &lab.authority.key_pem()).unwrap();
    let client = host(&again, &named(Role::Client, "web2"), now());
    assert_eq!(client.identity().host(), "web2");
    let key = HostKey::generate().unwrap();
    let other = Identity::new("elsewhere", Role::Client, "web1").unwrap();
    assert!(again.certify(&key.request().unwrap(), &other, now()).is_err());
    assert!(again.certify(b"noise", &named(Role::Client, "x"), now()).is_err());
    let of_another = Credentials::new(key, client.certificate.clone(), lab.authority.certificate().clone());
    assert!(of_another.is_err(), "a certificate goes with its key");
}

fn pem_of(der: &CertificateDer<'_>) -> String {
    super::super::authority::to_pem(der)
}
