//! TLS hellos to real sockets on loopback: our own host, strangers, and those that pretend.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use holdfast_proto::session::ALPN;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::expected::Expected;
use super::tls::{Asked, ask};
use super::verdict::{Mismatch, TlsIdentity, Verdict};
use crate::identity::credentials::HostKey;
use crate::identity::verify::provider;
use crate::identity::{Authority, Credentials, Identity, Issuer, Revoked, Role};
use crate::net::host::Place;

const STORE: &str = "holdfast://lab/media/store1";
const DAY: Duration = Duration::from_secs(24 * 3600);

fn authority(site: &str) -> Authority {
    Authority::create(site, SystemTime::now()).unwrap()
}

fn host(authority: &Authority, name: &str, made: SystemTime) -> Credentials {
    let key = HostKey::generate().unwrap();
    let identity = Identity::new(authority.site(), Role::Media, name).unwrap();
    let certificate = authority.certify(&key.request().unwrap(), &identity, made).unwrap();
    Credentials::new(key, certificate, authority.certificate().clone()).unwrap()
}

/// As a host of Holdfast listens.
fn listening(host: &Credentials) -> ServerConfig {
    host.listen(&Revoked::default(), &[ALPN, b"h2"]).unwrap()
}

/// Another service, with a certificate of its own for these names.
fn foreign(names: Vec<rcgen::SanType>) -> ServerConfig {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, "gateway");
    params.subject_alt_names = names;
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    showing(vec![certificate.der().clone()], &key.serialize_pem())
}

/// A server that shows this chain and signs with this key, whether they go together or not.
fn showing(chain: Vec<CertificateDer<'static>>, key: &str) -> ServerConfig {
    #[derive(Debug)]
    struct Always(Arc<CertifiedKey>);
    impl ResolvesServerCert for Always {
        fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
            Some(Arc::clone(&self.0))
        }
    }
    let provider = provider();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let key = provider.key_provider.load_private_key(key).unwrap();
    let always = Always(Arc::new(CertifiedKey { cert: chain, key, ocsp: None }));
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(always))
}

/// What a host of this authority's site expects; `at`: a host is known to listen there.
fn expecting(authority: &Authority, at: Option<(SocketAddr, &str)>) -> Expected {
    let issuer = Issuer::new(authority.certificate(), authority.site(), &Revoked::default()).unwrap();
    let mut expected = Expected::by(issuer);
    if let Some((at, name)) = at {
        let known = Identity::new(authority.site(), Role::Media, name).unwrap();
        expected.add(Place::Address(at), known);
    }
    expected
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let at = listener.local_addr().unwrap();
    (listener, at)
}

async fn verdict(to: SocketAddr, expected: &Expected) -> Verdict {
    let stream = TcpStream::connect(to).await.unwrap();
    ask(stream, &Asked { to, name: "db1", expected }).await
}

async fn asked(to: SocketAddr, expected: &Expected) -> TlsIdentity {
    match verdict(to, expected).await {
        Verdict::Tls { identity } => identity,
        other => panic!("{other:?}"),
    }
}

/// What is said of who listens there, by who expects nothing, by a host of the authority's site, and by one that knows that
/// store1 listens there.
async fn all_three(at: SocketAddr, authority: &Authority) -> [TlsIdentity; 3] {
    [
        asked(at, &Expected::default()).await,
        asked(at, &expecting(authority, None)).await,
        asked(at, &expecting(authority, Some((at, "store1")))).await,
    ]
}

/// The same of this server.
async fn three(server: ServerConfig, authority: &Authority) -> [TlsIdentity; 3] {
    let (listener, at) = listener().await;
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Who asks leaves after the handshake, or in it.
            let _ = acceptor.accept(stream).await;
        }
    });
    let said = all_three(at, authority).await;
    serving.abort();
    said
}

fn ours(flaw: Option<&str>) -> TlsIdentity {
    TlsIdentity::Ours { name: STORE.into(), flaw: flaw.map(Into::into) }
}

/// Why it is taken for intercepted, and what was expected.
#[track_caller]
fn intercepted(said: &TlsIdentity) -> (Mismatch, &str, Option<&str>) {
    let TlsIdentity::Intercepted { subject, expected, why, .. } = said else { panic!("{said:?}") };
    (*why, expected, subject.as_deref())
}

#[tokio::test]
async fn our_host_is_ours_to_who_can_check_it() {
    let lab = authority("lab");
    let said = three(listening(&host(&lab, "store1", SystemTime::now())), &lab).await;
    assert_eq!(said, [TlsIdentity::Holdfast { name: STORE.into() }, ours(None), ours(None)]);
}

#[tokio::test]
async fn what_is_wrong_with_our_host_is_told_and_it_stays_ours() {
    let lab = authority("lab");
    let [_, said, _] = three(listening(&host(&lab, "store1", SystemTime::now() - DAY * 200)), &lab).await;
    assert_eq!(said, ours(Some("the certificate of holdfast://lab/media/store1 has expired")));
    let [_, anywhere, known] = three(listening(&host(&lab, "store2", SystemTime::now())), &lab).await;
    let name = "holdfast://lab/media/store2".to_owned();
    assert_eq!(anywhere, TlsIdentity::Ours { name: name.clone(), flaw: None });
    let flaw = format!("{STORE} is known to listen there");
    assert_eq!(known, TlsIdentity::Ours { name, flaw: Some(flaw) });
    // A service of ours that does not speak the protocol of sessions.
    let store = host(&lab, "store1", SystemTime::now());
    let silent = showing(vec![store.certificate().clone()], &store.key().to_pem());
    let [_, said, _] = three(silent, &lab).await;
    assert_eq!(said, ours(Some("it does not agree on the protocol of Holdfast's sessions")));
}

#[tokio::test]
async fn a_stranger_is_foreign_but_where_our_host_should_be() {
    let lab = authority("lab");
    let [nothing, anywhere, known] = three(foreign(Vec::new()), &lab).await;
    for said in [nothing, anywhere] {
        let TlsIdentity::Foreign { subject, issuer } = &said else { panic!("{said:?}") };
        assert!(subject.contains("CN=gateway") && issuer.contains("CN=gateway"), "{said:?}");
    }
    let (why, expected, subject) = intercepted(&known);
    assert_eq!((why, expected), (Mismatch::NotSigned, STORE));
    assert!(subject.unwrap().contains("CN=gateway"));
}

#[tokio::test]
async fn a_host_of_another_site_is_what_it_says_but_where_our_host_should_be() {
    let (lab, other) = (authority("lab"), authority("lab2"));
    let [nothing, anywhere, known] = three(listening(&host(&other, "store1", SystemTime::now())), &lab).await;
    let says = TlsIdentity::Holdfast { name: "holdfast://lab2/media/store1".into() };
    assert_eq!((&nothing, &anywhere), (&says, &says));
    assert_eq!(intercepted(&known).0, Mismatch::NotSigned);
}

#[tokio::test]
async fn our_name_from_another_authority_is_intercepted_everywhere() {
    let (lab, other) = (authority("lab"), authority("lab"));
    let made = SystemTime::now();
    let uri = rcgen::SanType::URI(STORE.try_into().unwrap());
    // One that speaks our protocol, one that has expired besides, and one that copies no more than the name.
    for forged in [
        listening(&host(&other, "store1", made)),
        listening(&host(&other, "store1", made - DAY * 31)),
        foreign(vec![uri]),
    ] {
        let [_, anywhere, known] = three(forged, &lab).await;
        let (why, expected, _) = intercepted(&anywhere);
        let signed = "a certificate that the authority of site lab signed";
        assert_eq!((why, expected), (Mismatch::NameForged, signed));
        let (why, expected, _) = intercepted(&known);
        assert_eq!((why, expected), (Mismatch::NameForged, STORE));
    }
}

#[tokio::test]
async fn who_shows_our_certificate_without_its_key_is_not_ours() {
    let lab = authority("lab");
    let store = host(&lab, "store1", SystemTime::now());
    let other = HostKey::generate().unwrap();
    let mut server = showing(vec![store.certificate().clone()], &other.to_pem());
    server.alpn_protocols = vec![ALPN.to_vec()];
    let [nothing, anywhere, known] = three(server, &lab).await;
    // Who cannot check is not told that it is a host of Holdfast either.
    assert!(matches!(nothing, TlsIdentity::Foreign { .. }), "{nothing:?}");
    for said in [anywhere, known] {
        let (why, expected, _) = intercepted(&said);
        assert_eq!((why, expected), (Mismatch::NoKey, STORE));
    }
}

#[tokio::test]
async fn garbage_in_the_place_of_a_certificate_is_no_identity() {
    let lab = authority("lab");
    for garbage in [b"\x30\x82\xff\xffgarbage".to_vec(), vec![0x30; 4000]] {
        let chain = vec![CertificateDer::from(garbage)];
        let key = HostKey::generate().unwrap();
        let [nothing, anywhere, known] = three(showing(chain, &key.to_pem()), &lab).await;
        let unreadable = TlsIdentity::Unknown { why: "its certificate cannot be read".into() };
        assert_eq!((&nothing, &anywhere), (&unreadable, &unreadable));
        assert_eq!(intercepted(&known), (Mismatch::NotSigned, STORE, None));
    }
}

/// The same for a server that answers the hello with these bytes.
async fn three_raw(answer: &[u8], authority: &Authority) -> [TlsIdentity; 3] {
    let (listener, at) = listener().await;
    let answer = answer.to_vec();
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 2048]).await;
            let _ = stream.write_all(&answer).await;
            // Until the other end has read it: a close with bytes unread would be a reset.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    });
    let said = all_three(at, authority).await;
    serving.abort();
    said
}

#[tokio::test]
async fn who_refuses_our_hello_is_unknown_but_where_our_host_should_be() {
    let lab = authority("lab");
    // A ServerHello of TLS 1.2: version, random, no session, a cipher suite, no compression.
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0xc0, 0x2f, 0]);
    let mut hello = vec![0x16, 3, 3, 0, 42, 2, 0, 0, 38];
    hello.extend(body);
    let protocol_version = [0x15, 3, 3, 0, 2, 2, 70];
    let no_application_protocol = [0x15, 3, 3, 0, 2, 2, 120];
    for (answer, told) in [
        (&protocol_version[..], "ProtocolVersion"),
        (&no_application_protocol[..], "NoApplicationProtocol"),
        (&hello[..], "cannot TLS 1.3"),
    ] {
        let [nothing, anywhere, known] = three_raw(answer, &lab).await;
        for said in [nothing, anywhere] {
            let TlsIdentity::Unknown { why } = &said else { panic!("{said:?}") };
            assert!(why.contains(told), "{why}");
        }
        assert_eq!(intercepted(&known), (Mismatch::Protocol, STORE, None));
    }
    // An alert that a host of ours may send as well shows nothing.
    let internal_error = [0x15, 3, 3, 0, 2, 2, 80];
    let [_, _, known] = three_raw(&internal_error, &lab).await;
    assert!(matches!(known, TlsIdentity::Unknown { .. }), "{known:?}");
}

#[tokio::test]
async fn nobody_is_shown_a_certificate_or_told_anything() {
    let (lab, other) = (authority("lab"), authority("elsewhere"));
    // Both ask for one: the stranger, and a host of the own site.
    for asks in [&other, &lab] {
        let (listener, at) = listener().await;
        let acceptor = TlsAcceptor::from(Arc::new(listening(&host(asks, "store1", SystemTime::now()))));
        let serving = tokio::spawn(async move {
            let mut stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
            let shown = stream.get_ref().1.peer_certificates().map(<[_]>::len);
            let mut told = Vec::new();
            let _ = stream.read_to_end(&mut told).await;
            (shown, told)
        });
        asked(at, &expecting(&lab, Some((at, "store1")))).await;
        assert_eq!(serving.await.unwrap(), (None, Vec::new()));
    }
}

#[tokio::test]
async fn who_ends_the_connection_at_our_hello_is_told_from_who_answers_something_else() {
    let lab = authority("lab");
    for reset in [false, true] {
        let (listener, at) = listener().await;
        let serving = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                if reset {
                    let _ = stream.readable().await;
                    stream.set_zero_linger().unwrap();
                } else {
                    // Nothing stays unread, which would make it a reset.
                    let _ = stream.read(&mut [0; 8192]).await;
                }
            }
        });
        let nobody = verdict(at, &expecting(&lab, None)).await;
        assert_eq!(nobody, Verdict::EndsAtHello { reset, expected: None });
        let known = verdict(at, &expecting(&lab, Some((at, "store1")))).await;
        assert_eq!(known, Verdict::EndsAtHello { reset, expected: Some(STORE.into()) });
        serving.abort();
    }
}

#[tokio::test]
async fn what_is_no_tls_at_all_is_open_but_where_our_host_should_be() {
    let lab = authority("lab");
    let (listener, at) = listener().await;
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 8192]).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    });
    assert_eq!(verdict(at, &expecting(&lab, None)).await, Verdict::Open);
    let known = asked(at, &expecting(&lab, Some((at, "store1")))).await;
    assert_eq!(intercepted(&known), (Mismatch::Protocol, STORE, None));
    serving.abort();
}
