//! Enrolment and renewal through TLS, over a pretend connection on a virtual clock: who gets a certificate, and what each
//! of the others is told.

use std::sync::atomic::{AtomicBool, Ordering};

use holdfast_proto::session;
use tokio::io::{DuplexStream, duplex};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::identity::ledger::Grant;
use crate::identity::registrar::{LedgerFile, NotHere, Office, Store};
use crate::identity::{Authority, HostFiles, Ledger, Revocations, Role, files};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn now() -> SystemTime {
    SystemTime::now()
}

/// A store that can be told to fail.
#[derive(Clone, Default)]
struct Full(Arc<AtomicBool>);

impl Store for Full {
    fn save(&self, _: &Ledger) -> files::Result<()> {
        if self.0.load(Ordering::Relaxed) {
            Err(files::Error::Content { path: "ledger.json".into(), what: "no room".into() })
        } else {
            Ok(())
        }
    }
}

struct Site {
    authority: Authority,
    primary: Credentials,
    revoked: Revoked,
    office: Arc<Office>,
    full: Full,
}

fn certified(authority: &Authority, role: Role, host: &str, then: SystemTime) -> Credentials {
    let key = HostKey::generate().unwrap();
    let identity = Identity::new(authority.site(), role, host).unwrap();
    let certificate = authority.certify(&key.request().unwrap(), &identity, then).unwrap();
    Credentials::new(key, certificate, authority.certificate().clone()).unwrap()
}

/// The same authority once more.
fn copy(authority: &Authority) -> Authority {
    let certificate = crate::identity::authority::to_pem(authority.certificate());
    Authority::from_pem(authority.site(), &certificate, &authority.key_pem()).unwrap()
}

fn site() -> Site {
    let authority = Authority::create("lab", now()).unwrap();
    let primary = certified(&authority, Role::Primary, "main", now());
    let revoked = Revoked::default();
    let revocations = Arc::new(Revocations::open("lab", authority.certificate(), None, &revoked).unwrap());
    let full = Full::default();
    let office =
        Office::open(copy(&authority), Ledger::new("lab"), Box::new(full.clone()), revocations, now());
    Site { authority, primary, revoked, office: Arc::new(office.unwrap()), full }
}

impl Site {
    fn token(&self, uses: u32) -> Token {
        self.office.issue_token(&Grant { role: Role::Client, host: None, uses, life: DAY }, now()).unwrap()
    }

    fn token_for(&self, host: &str) -> Token {
        let grant = Grant { role: Role::Client, host: Some(host.into()), uses: 1, life: DAY };
        self.office.issue_token(&grant, now()).unwrap()
    }

    /// What the primary server does with a connection.
    async fn serve(&self, far: DuplexStream) -> Result<Served, super::super::Error> {
        let registrar: Arc<dyn Registrar> = Arc::clone(&self.office) as _;
        serve_as(&self.primary, &self.revoked, &registrar, far).await
    }

    async fn enrol(&self, token: &Token, host: &str, key: &HostKey) -> Result<Credentials, Error> {
        let (near, far) = duplex(1 << 16);
        let (got, _) = tokio::join!(enrol(near, token, host, key, now()), self.serve(far));
        got
    }

    async fn renew(&self, with: &Credentials, key: &HostKey) -> Result<Credentials, Error> {
        let (near, far) = duplex(1 << 16);
        let none = Revoked::default();
        let renewing = renew(near, with, &none, self.primary.identity(), key, now());
        let (got, _) = tokio::join!(renewing, self.serve(far));
        got
    }
}

async fn serve_as(
    credentials: &Credentials,
    revoked: &Revoked,
    registrar: &Arc<dyn Registrar>,
    far: DuplexStream,
) -> Result<Served, super::super::Error> {
    // As the exchange does: one listener for all protocols.
    let config = credentials.listen(revoked, &[session::ALPN, ALPN]).unwrap();
    let accepting = TlsAcceptor::from(Arc::new(config)).accept(far);
    let stream = in_time(Phase::Tls, accepting).await?.map_err(tls)?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(ALPN));
    serve(TlsStream::Server(stream), registrar, revoked).await
}

#[track_caller]
fn refused(got: Result<Credentials, Error>, code: Code, text: &str) {
    let error = got.map(|credentials| credentials.identity().to_string()).unwrap_err();
    assert!(error.to_string().contains(text), "{error}");
    assert!(matches!(&error, Error::Refused(refused) if refused.code == code), "{error:?}");
}

fn key() -> HostKey {
    HostKey::generate().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_new_host_gets_a_certificate_and_can_renew_it() {
    let site = site();
    let text = site.token(1).to_text();
    let (token, first) = (text.parse::<Token>().unwrap(), key());
    let credentials = site.enrol(&token, "web1", &first).await.unwrap();
    assert_eq!(credentials.identity().to_string(), "holdfast://lab/client/web1");
    assert_eq!(credentials.authority(), site.authority.certificate());
    assert_eq!(*credentials.key().to_pem(), *first.to_pem());
    let renewed = site.renew(&credentials, &key()).await.unwrap();
    assert_eq!(renewed.identity(), credentials.identity());
    assert_ne!(renewed.facts().serial, credentials.facts().serial);
    assert_ne!(*renewed.key().to_pem(), *first.to_pem());
    // The same question again is answered as before: that answer may have been lost.
    let again = site.renew(&credentials, renewed.key()).await.unwrap();
    assert_eq!(again.facts(), renewed.facts());
    // The key may stay.
    let old = certified(&site.authority, Role::Client, "web2", now() - DAY * 20);
    let renewed = site.renew(&old, old.key()).await.unwrap();
    assert_eq!(*renewed.key().to_pem(), *old.key().to_pem());
    assert_ne!(renewed.facts().serial, old.facts().serial);
}

#[tokio::test(start_paused = true)]
async fn both_sides_say_what_was_done() {
    let site = site();
    let (near, far) = duplex(1 << 16);
    let (token, key) = (site.token(1), key());
    let (got, served) = tokio::join!(enrol(near, &token, "web1", &key, now()), site.serve(far));
    let credentials = got.unwrap();
    assert_eq!(served.unwrap(), Served::Enrolled("holdfast://lab/client/web1".into()));
    let (near, far) = duplex(1 << 16);
    let renewing = renew(near, &credentials, &site.revoked, site.primary.identity(), &key, now());
    let (got, served) = tokio::join!(renewing, site.serve(far));
    assert_eq!(served.unwrap(), Served::Renewed(got.unwrap().identity().clone()));
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_a_lost_answer_is_answered_and_a_replay_is_not() {
    let site = site();
    let (token, mine) = (site.token(1), key());
    // The answer does not come through: the host has gone when it is sent.
    let (near, far) = duplex(1 << 16);
    let asking = async {
        let mut stream = connect(near, pin::dial(&token, ALPN).unwrap()).await.unwrap();
        let channel_binding = admit::binding(&stream, EXPORTER_LABEL).unwrap();
        let wish = Enrol {
            token: token.id().0,
            secret: token.secret().clone(),
            identity: "holdfast://lab/client/web1".into(),
            request: mine.request().unwrap(),
            channel_binding,
        };
        send(&mut stream, &Frame::Enrol(wish)).await.unwrap();
    };
    let ((), served) = tokio::join!(asking, site.serve(far));
    assert!(served.is_err());
    assert_eq!(site.office.ledger().tokens().next().unwrap().uses_left, 0);
    let credentials = site.enrol(&token, "web1", &mine).await.unwrap();
    assert_eq!(site.enrol(&token, "web1", &mine).await.unwrap().facts(), credentials.facts());
    refused(site.enrol(&token, "web1", &key()).await, Code::TokenUsedUp, "as often as it may be");
    refused(site.enrol(&token, "web2", &mine).await, Code::TokenUsedUp, "as often as it may be");
}

#[tokio::test(start_paused = true)]
async fn each_refusal_of_a_token_says_which() {
    let site = site();
    let token = site.token(5);
    let other = self::site();
    // A token of another site's ledger, with this one's authority.
    let unknown = {
        let mut ledger = Ledger::new("lab");
        let grant = Grant { role: Role::Client, host: None, uses: 1, life: DAY };
        ledger.issue(&grant, token.authority(), now()).unwrap()
    };
    refused(site.enrol(&unknown, "web1", &key()).await, Code::WrongToken, "not known here");
    refused(site.enrol(&site.token_for("db1"), "web1", &key()).await, Code::OtherHost, "is for db1");
    assert!(site.enrol(&token, "web1", &key()).await.is_ok());
    refused(site.enrol(&token, "WEB1", &key()).await, Code::NameTaken, "is enrolled already");
    assert!(site.enrol(&site.token_for("web1"), "web1", &key()).await.is_ok());
    site.office.revoke_token(token.id()).unwrap();
    refused(site.enrol(&token, "web2", &key()).await, Code::TokenRevoked, "was revoked");
    // A token that has expired by the primary's clock only.
    let short = Grant { role: Role::Client, host: None, uses: 1, life: Duration::from_secs(60) };
    let expired = site.office.issue_token(&short, now() - DAY).unwrap();
    refused(site.enrol(&expired, "web2", &key()).await, Code::TokenExpired, "has expired");
    // And one that has expired by any clock, for which nobody is asked.
    let (near, _far) = duplex(1 << 16);
    let old = enrol(near, &other.token(1), "web2", &key(), now() + DAY * 4).await;
    assert!(matches!(old, Err(Error::TokenExpired)));
    let error = site.enrol(&token, "a/b", &key()).await.unwrap_err();
    assert!(error.to_string().contains("cannot be the name of a host"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_the_owner_reserves_is_taken() {
    let mut site = site();
    let office = Arc::get_mut(&mut site.office).unwrap();
    let revocations =
        Arc::new(Revocations::open("lab", site.authority.certificate(), None, &site.revoked).unwrap());
    let another = Office::open(
        copy(&site.authority),
        Ledger::new("lab"),
        Box::new(Full::default()),
        revocations,
        now(),
    );
    *office = another.unwrap().with_reserved(Box::new(|host| host.host() == "web1"));
    refused(site.enrol(&site.token(1), "web1", &key()).await, Code::NameTaken, "is enrolled already");
    assert!(site.enrol(&site.token_for("web1"), "web1", &key()).await.is_ok());
}

/// Sends a request that no good program makes.
async fn odd(
    site: &Site,
    with: Option<&Credentials>,
    frame: impl FnOnce([u8; 32]) -> Frame,
) -> Result<Issued, Error> {
    let (near, far) = duplex(1 << 16);
    let token = site.token(1);
    let config = match with {
        Some(with) => with.dial(site.primary.identity().clone(), &Revoked::default(), ALPN).unwrap(),
        None => pin::dial(&token, ALPN).unwrap(),
    };
    let asking = async {
        let mut stream = connect(near, config).await?;
        let binding = admit::binding(&stream, EXPORTER_LABEL)?;
        ask(&mut stream, &frame(binding), binding).await
    };
    let (got, _) = tokio::join!(asking, site.serve(far));
    got
}

#[track_caller]
fn told(got: Result<Issued, Error>, code: Code) {
    let Err(Error::Refused(refused)) = got else { panic!("{got:?}") };
    assert_eq!(refused.code, code, "{refused}");
}

#[tokio::test(start_paused = true)]
async fn requests_that_cannot_be_meant_are_refused() {
    let site = site();
    let token = site.token(1);
    let wish = |identity: &str, request: Vec<u8>, channel_binding| {
        let (token, secret) = (token.id().0, token.secret().clone());
        Frame::Enrol(Enrol { token, secret, identity: identity.into(), request, channel_binding })
    };
    let (good, name) = (key().request().unwrap(), "holdfast://lab/client/web1");
    told(odd(&site, None, |binding| wish("web1", good.clone(), binding)).await, Code::BadRequest);
    told(odd(&site, None, |binding| wish(name, b"noise".to_vec(), binding)).await, Code::BadRequest);
    let mut forged = good.clone();
    *forged.last_mut().unwrap() ^= 1;
    told(odd(&site, None, |binding| wish(name, forged, binding)).await, Code::BadRequest);
    let role = "holdfast://lab/media/web1";
    told(odd(&site, None, |binding| wish(role, good.clone(), binding)).await, Code::OtherRole);
    let elsewhere = "holdfast://elsewhere/client/web1";
    told(odd(&site, None, |binding| wish(elsewhere, good.clone(), binding)).await, Code::OtherSite);
    told(odd(&site, None, |_| wish(name, good.clone(), [0; 32])).await, Code::ChannelBinding);
    let renew = |channel_binding| Frame::Renew(Renew { request: good.clone(), channel_binding });
    told(odd(&site, None, renew).await, Code::NoCertificate);
    assert_eq!(
        site.office.ledger().tokens().map(|token| token.uses_left).min(),
        Some(1),
        "nothing was used up"
    );
    // What is no request at all is not answered.
    let refused = |_| Frame::Refused(no_certificate());
    assert!(matches!(odd(&site, None, refused).await, Err(Error::Net(_))));
}

#[tokio::test(start_paused = true)]
async fn an_expired_certificate_is_renewed_for_ninety_days() {
    let site = site();
    for (days, good) in [(31, true), (119, true), (121, false)] {
        let old = certified(&site.authority, Role::Client, "web1", now() - DAY * days);
        match site.renew(&old, &key()).await {
            Ok(renewed) => assert!(good && renewed.facts().not_after > now(), "{days}"),
            Err(error) => {
                assert!(!good && error.is_final(), "{days}: {error}");
                assert!(error.to_string().contains("more than 90 days ago"), "{error}");
            }
        }
    }
    // Who does not look at his own clock is refused in the handshake.
    let old = certified(&site.authority, Role::Client, "web1", now() - DAY * 121);
    let (near, far) = duplex(1 << 16);
    let early = now() - DAY * 30;
    let asking = renew(near, &old, &site.revoked, site.primary.identity(), old.key(), early);
    let (got, served) = tokio::join!(asking, site.serve(far));
    assert!(got.is_err());
    assert!(served.unwrap_err().to_string().contains("client/web1 has expired"));
}

#[tokio::test(start_paused = true)]
async fn a_revoked_host_is_told_so_and_comes_back_with_a_new_key_only() {
    let site = site();
    let (token, mine) = (site.token(2), key());
    let credentials = site.enrol(&token, "web1", &mine).await.unwrap();
    let mut changes = site.revoked.changes();
    assert!(site.office.revoke_host(credentials.identity(), now()).unwrap());
    assert!(changes.has_changed().unwrap());
    assert_eq!(*changes.borrow_and_update(), 1);
    assert!(site.revoked.contains(&credentials.facts().serial));
    refused(site.renew(&credentials, &key()).await, Code::Revoked, "client/web1 was revoked");
    // By the token that it had, by another, and by none that does not name it.
    refused(site.enrol(&token, "web1", &mine).await, Code::Revoked, "make a new key");
    refused(site.enrol(&site.token_for("web1"), "web1", &mine).await, Code::Revoked, "make a new key");
    refused(site.enrol(&token, "web1", &key()).await, Code::NameTaken, "is enrolled already");
    let again = site.enrol(&site.token_for("web1"), "web1", &key()).await.unwrap();
    assert!(site.renew(&again, again.key()).await.is_ok());
    assert!(!site.office.revoke_host(&Identity::new("lab", Role::Client, "web9").unwrap(), now()).unwrap());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_stored_is_not_given_out() {
    let site = site();
    let (token, mine) = (site.token(1), key());
    site.full.0.store(true, Ordering::Relaxed);
    refused(site.enrol(&token, "web1", &mine).await, Code::Unavailable, "cannot store its ledger");
    site.full.0.store(false, Ordering::Relaxed);
    assert_eq!(site.office.ledger().tokens().next().unwrap().uses_left, 1);
    assert!(site.enrol(&token, "web1", &mine).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_no_primary_certifies_nobody() {
    let site = site();
    let store = certified(&site.authority, Role::Media, "store1", now());
    let registrar: Arc<dyn Registrar> = Arc::new(NotHere);
    // Enrolment ends at the handshake: no secret is sent to who may not certify.
    let (near, far) = duplex(1 << 16);
    let (token, key) = (site.token(1), key());
    let asking = enrol(near, &token, "web1", &key, now());
    let (got, _) = tokio::join!(asking, serve_as(&store, &site.revoked, &registrar, far));
    let error = got.unwrap_err().to_string();
    assert!(error.contains("media/store1 answered, which is no primary server"), "{error}");
    let host = certified(&site.authority, Role::Client, "web1", now());
    let (near, far) = duplex(1 << 16);
    let asking = renew(near, &host, &site.revoked, store.identity(), &key, now());
    let (got, _) = tokio::join!(asking, serve_as(&store, &site.revoked, &registrar, far));
    refused(got, Code::NotHere, "certifies nobody");
}

#[tokio::test(start_paused = true)]
async fn a_first_contact_that_is_intercepted_sends_no_secret() {
    let site = site();
    let token = site.token(1);
    // The same names, certified by somebody else.
    let forged = Authority::create("lab", now()).unwrap();
    let stranger = certified(&forged, Role::Primary, "main", now());
    let registrar: Arc<dyn Registrar> = Arc::new(NotHere);
    // Who shows the right authority's certificate behind a leaf of his own.
    let above = Credentials::new(
        stranger.key().duplicate().unwrap(),
        stranger.certificate().clone(),
        site.authority.certificate().clone(),
    );
    let other_site = Authority::create("elsewhere", now()).unwrap();
    let expired = certified(&site.authority, Role::Primary, "main", now() - DAY * 31);
    for (server, why) in [
        (stranger, "somebody is in between"),
        (above.unwrap(), "is certified by another authority"),
        (certified(&other_site, Role::Primary, "main", now()), "somebody is in between"),
        (expired, "has expired"),
    ] {
        let (near, far) = duplex(1 << 16);
        let key = key();
        let asking = enrol(near, &token, "web1", &key, now());
        let serving = serve_as(&server, &site.revoked, &registrar, far);
        let (got, served) = tokio::join!(asking, serving);
        let error = got.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
        assert!(served.is_err(), "no request has come");
    }
    assert_eq!(site.office.ledger().tokens().next().unwrap().uses_left, 1);
}

/// A primary server that answers what it likes.
struct Liar(Issued);

impl Registrar for Liar {
    fn enrol(&self, _: &Enrol, _: SystemTime) -> Result<registrar::Issued, Refused> {
        let (certificate, authority) = (self.0.certificate.clone().into(), self.0.authority.clone().into());
        Ok(registrar::Issued { certificate, authority })
    }

    fn renew(&self, _: &Peer, _: &[u8], now: SystemTime) -> Result<registrar::Issued, Refused> {
        let nothing = Enrol {
            token: [0; 8],
            secret: Zeroizing::new([0; 16]),
            identity: String::new(),
            request: vec![],
            channel_binding: [0; 32],
        };
        self.enrol(&nothing, now)
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_this_hosts_is_not_taken() {
    let site = site();
    let (token, mine) = (site.token(1), key());
    let request = mine.request().unwrap();
    let name = |host: &str| Identity::new("lab", Role::Client, host).unwrap();
    let right = site.authority.certificate().to_vec();
    let forged = Authority::create("lab", now()).unwrap();
    let made = |by: &Authority, host: &str, then| by.certify(&request, &name(host), then).unwrap().to_vec();
    let others = certified(&site.authority, Role::Client, "web1", now()).certificate().to_vec();
    let host = certified(&site.authority, Role::Client, "web1", now());
    for (certificate, authority, why) in [
        (made(&site.authority, "web2", now()), right.clone(), "of another host"),
        (made(&forged, "web1", now()), right.clone(), "certified by another authority"),
        (made(&forged, "web1", now()), forged.certificate().to_vec(), "its authority is not the one"),
        (made(&site.authority, "web1", now() + DAY * 3), right.clone(), "compare the clocks"),
        (others, right.clone(), "of another key"),
        (b"noise".to_vec(), right.clone(), "cannot be read"),
    ] {
        let liar = Liar(Issued { certificate, authority, channel_binding: [0; 32] });
        let registrar: Arc<dyn Registrar> = Arc::new(liar);
        let (near, far) = duplex(1 << 16);
        let asking = enrol(near, &token, "web1", &mine, now());
        let (got, _) = tokio::join!(asking, serve_as(&site.primary, &site.revoked, &registrar, far));
        let error = got.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
        let (near, far) = duplex(1 << 16);
        let asking = renew(near, &host, &site.revoked, site.primary.identity(), &mine, now());
        let (got, _) = tokio::join!(asking, serve_as(&site.primary, &site.revoked, &registrar, far));
        let error = got.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_does_not_go_on_costs_five_seconds_a_step() {
    let site = site();
    let begun = tokio::time::Instant::now();
    // A dialler that says nothing after TLS.
    let (near, far) = duplex(1 << 16);
    let token = site.token(1);
    let mute = async {
        let stream = connect(near, pin::dial(&token, ALPN).unwrap()).await.unwrap();
        std::future::pending::<()>().await;
        drop(stream);
    };
    tokio::select! {
        served = site.serve(far) => {
            let error = served.unwrap_err();
            assert!(matches!(error, super::super::Error::Deadline { phase: Phase::Enrol }), "{error}");
        }
        () = mute => unreachable!(),
    }
    assert_eq!(begun.elapsed(), STEP_MAX);
    // A server that says nothing at all.
    let (near, _far) = duplex(1 << 16);
    let error = enrol(near, &token, "web1", &key(), now()).await.unwrap_err();
    assert!(matches!(error, Error::Net(super::super::Error::Deadline { phase: Phase::Tls })), "{error}");
    // One that reads the request and does not answer.
    let (near, far) = duplex(1 << 16);
    let deaf = async {
        let config = site.primary.listen(&site.revoked, &[ALPN]).unwrap();
        let stream = TlsAcceptor::from(Arc::new(config)).accept(far).await.unwrap();
        let mut stream = TlsStream::Server(stream);
        receive(&mut stream).await.unwrap();
        std::future::pending::<()>().await;
        drop(stream);
    };
    let mine = key();
    tokio::select! {
        got = enrol(near, &token, "web1", &mine, now()) => {
            let error = got.unwrap_err();
            assert!(matches!(error, Error::Net(super::super::Error::Deadline { phase: Phase::Enrol })), "{error}");
        }
        () = deaf => unreachable!(),
    }
}

#[tokio::test(start_paused = true)]
async fn more_than_a_request_needs_is_not_read() {
    let site = site();
    let (near, far) = duplex(1 << 16);
    let token = site.token(1);
    let flood = async {
        let mut stream = connect(near, pin::dial(&token, ALPN).unwrap()).await.unwrap();
        // A body of 16 KiB and one byte is announced.
        let _ = stream.write_all(&[1, 1, 64, 0]).await;
        let _ = stream.flush().await;
        receive(&mut stream).await.unwrap_err();
    };
    let ((), served) = tokio::join!(flood, site.serve(far));
    let error = served.unwrap_err();
    assert!(matches!(error, super::super::Error::Violation(_)), "{error}");
}

/// The whole of it with files: a host dies between each two steps and goes on.
#[tokio::test(start_paused = true)]
async fn an_office_and_a_host_come_back_from_their_files() {
    let place = tempfile::tempdir().unwrap();
    let (at_primary, at_host) =
        (HostFiles::new(place.path().join("primary")), HostFiles::new(place.path().join("host")));
    let authority = Authority::create("lab", now()).unwrap();
    at_primary.create_authority(&authority).unwrap();
    let open = || {
        let authority = at_primary.load_authority("lab").unwrap().unwrap();
        let (revoked, file) = (Revoked::default(), LedgerFile::new(at_primary.ledger()));
        let list = at_primary.revocations();
        let revocations = Revocations::open("lab", authority.certificate(), Some(&list), &revoked).unwrap();
        let ledger = file.load("lab").unwrap();
        let office =
            Office::open(copy(&authority), ledger, Box::new(file), Arc::new(revocations), now()).unwrap();
        if at_primary.load().unwrap().is_none() {
            // The primary server's own first certificate.
            let key = at_primary.enrolling_key().unwrap();
            let issued = office.certify_primary("main", &key.request().unwrap(), now()).unwrap();
            at_primary.store(&Credentials::new(key, issued.certificate, issued.authority).unwrap()).unwrap();
        }
        let primary = at_primary.load().unwrap().unwrap();
        Site { authority, primary, revoked, office: Arc::new(office), full: Full::default() }
    };
    let token = open().token(1);
    let mine = at_host.enrolling_key().unwrap();
    open().enrol(&token, "web1", &mine).await.unwrap();
    // The host has lost the answer with its process, not its key.
    let mine = at_host.enrolling_key().unwrap();
    at_host.store(&open().enrol(&token, "web1", &mine).await.unwrap()).unwrap();
    let credentials = at_host.load().unwrap().unwrap();
    at_host.store(&open().renew(&credentials, &key()).await.unwrap()).unwrap();
    open().office.revoke_host(credentials.identity(), now()).unwrap();
    let (reopened, credentials) = (open(), at_host.load().unwrap().unwrap());
    assert_eq!(reopened.revoked.number(), 1);
    refused(reopened.renew(&credentials, &key()).await, Code::Revoked, "was revoked");
    // A ledger that is an old copy forgets no revocation, and its lists go on above what is known.
    std::fs::remove_file(at_primary.ledger()).unwrap();
    let old = open();
    let token = old.token(1);
    let other = old.enrol(&token, "web2", &key()).await.unwrap();
    old.office.revoke_host(other.identity(), now()).unwrap();
    assert_eq!(old.revoked.number(), 2);
    let fresh = open();
    assert!(
        fresh.revoked.contains(&credentials.facts().serial) && fresh.revoked.contains(&other.facts().serial)
    );
}
