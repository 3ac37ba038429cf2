//! Two hosts over a pretend connection, on a virtual clock: who answers, who is refused, who stays mute.

use std::time::SystemTime;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::identity::credentials::HostKey;
use crate::identity::{Authority, Credentials, Revoked, Role};
use crate::route::Outcome;

fn me(authority: &Authority, role: Role, host: &str) -> Me {
    made(authority, role, host, SystemTime::now())
}

fn made(authority: &Authority, role: Role, host: &str, then: SystemTime) -> Me {
    let identity = Identity::new("lab", role, host).unwrap();
    let key = HostKey::generate().unwrap();
    let certificate = authority.certify(&key.request().unwrap(), &identity, then).unwrap();
    Me {
        credentials: Arc::new(Credentials::new(key, certificate, authority.certificate().clone()).unwrap()),
        revoked: Revoked::default(),
        boot: BootId([host.as_bytes()[0]; 16]),
        addresses: vec!["192.0.2.7:7556".parse().unwrap()],
        program: "holdfast test".into(),
    }
}

fn lab() -> (Authority, Me, Me) {
    let authority = Authority::create("lab", SystemTime::now()).unwrap();
    let (client, server) = (me(&authority, Role::Client, "web1"), me(&authority, Role::Media, "store1"));
    (authority, client, server)
}

fn pipe() -> (DuplexStream, DuplexStream) {
    duplex(1 << 20)
}

#[tokio::test(start_paused = true)]
async fn both_sides_know_each_other() {
    let (_, client, server) = lab();
    for park in [false, true] {
        let (near, far) = pipe();
        let wanted = server.credentials.identity().clone();
        let (dialled, accepted) = tokio::join!(dial(&client, near, &wanted, park), accept(&server, far));
        let (dialled, accepted) = (dialled.unwrap(), accepted.unwrap());
        assert_eq!((&dialled.peer.identity, dialled.boot), (&wanted, server.boot));
        assert_eq!((&accepted.peer.identity, accepted.boot), (client.credentials.identity(), client.boot));
        assert_eq!((dialled.parked, accepted.parked), (false, park));
        assert_eq!(accepted.addresses, client.addresses);
    }
}

/// Dials something that is no host of the site; what a route would be remembered for.
async fn dial_odd<F: Future<Output = ()>>(odd: impl FnOnce(DuplexStream) -> F) -> (Error, Outcome) {
    let (_, client, server) = lab();
    let (near, far) = pipe();
    let wanted = server.credentials.identity().clone();
    let begun = tokio::time::Instant::now();
    let (dialled, ()) = tokio::join!(dial(&client, near, &wanted, false), odd(far));
    assert!(begun.elapsed() <= STEP_MAX * 2, "{:?}", begun.elapsed());
    let error = dialled.unwrap_err();
    let outcome = error.outcome();
    (error, outcome)
}

#[tokio::test(start_paused = true)]
async fn who_swallows_everything_is_mute() {
    let swallow = |mut far: DuplexStream| async move {
        let mut all = Vec::new();
        far.read_to_end(&mut all).await.unwrap();
    };
    let (error, outcome) = dial_odd(swallow).await;
    assert!(matches!(error, Error::Deadline { phase: Phase::Tls }), "{error}");
    assert_eq!(outcome, Outcome::Mute);
}

#[tokio::test(start_paused = true)]
async fn who_closes_at_once_refuses() {
    let (error, outcome) = dial_odd(|far| async move { drop(far) }).await;
    assert_eq!(outcome, Outcome::Refused, "{error}");
}

#[tokio::test(start_paused = true)]
async fn another_protocol_is_somebody_else() {
    let greet = |mut far: DuplexStream| async move {
        far.write_all(b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n").await.unwrap();
        let mut all = Vec::new();
        let _ = far.read_to_end(&mut all).await;
    };
    let (error, outcome) = dial_odd(greet).await;
    assert_eq!(outcome, Outcome::Intercepted, "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_freezes_after_tls_is_mute() {
    let (_, client, server) = lab();
    let (near, far) = pipe();
    let wanted = server.credentials.identity().clone();
    let frozen = async {
        let config = server.credentials.listen(&server.revoked, &[ALPN]).unwrap();
        let stream = TlsAcceptor::from(Arc::new(config)).accept(far).await.unwrap();
        std::future::pending::<()>().await;
        drop(stream);
    };
    tokio::select! {
        dialled = dial(&client, near, &wanted, false) => {
            let error = dialled.unwrap_err();
            assert!(matches!(error, Error::Deadline { phase: Phase::Hello }), "{error}");
            assert_eq!(error.outcome(), Outcome::Mute);
        }
        () = frozen => unreachable!(),
    }
}

#[tokio::test(start_paused = true)]
async fn another_host_of_the_site_is_told_by_name() {
    let (authority, client, _) = lab();
    let other = me(&authority, Role::Media, "store2");
    let (near, far) = pipe();
    let wanted = Identity::new("lab", Role::Media, "store1").unwrap();
    let (dialled, accepted) = tokio::join!(dial(&client, near, &wanted, false), accept(&other, far));
    let error = dialled.unwrap_err();
    assert!(error.to_string().contains("store2 answered, not"), "{error}");
    assert_eq!(error.outcome(), Outcome::Intercepted);
    assert!(accepted.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_client_without_a_certificate_is_nobody_and_a_mute_one_costs_five_seconds() {
    let (_, _, server) = lab();
    let (near, far) = pipe();
    let begun = tokio::time::Instant::now();
    let error = accept(&server, far).await.unwrap_err();
    assert!(matches!(error, Error::Deadline { phase: Phase::Tls }), "{error}");
    assert_eq!(begun.elapsed(), STEP_MAX);
    drop(near);
}

/// A peer that is let in by TLS and then says this.
async fn say(frame: impl FnOnce([u8; 32]) -> Frame) -> (Error, Option<Frame>) {
    let (_, client, server) = lab();
    let (near, far) = pipe();
    let wanted = server.credentials.identity().clone();
    let sayer = async {
        let config = client.credentials.dial(wanted, &client.revoked, ALPN).unwrap();
        let name = rustls::pki_types::ServerName::try_from("x").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, near).await.unwrap();
        let stream = TlsStream::Client(stream);
        let frame = frame(admit::binding(&stream, EXPORTER_LABEL).unwrap());
        let mut frames = Frames::new(stream);
        frames.send(&frame).await.unwrap();
        frames.next().await.ok()
    };
    let (answered, accepted) = tokio::join!(sayer, async { accept(&server, far).await.map(drop) });
    (accepted.unwrap_err(), answered)
}

fn hello(versions: Vec<u32>, channel_binding: [u8; 32]) -> Frame {
    let (boot_id, addresses, program) = (BootId([9; 16]), Vec::new(), String::new());
    Frame::Hello(Hello { versions, boot_id, channel_binding, addresses, program, revocations: 0 })
}

#[tokio::test(start_paused = true)]
async fn hellos_that_cannot_be_answered() {
    let (error, answer) = say(|binding| hello(vec![2, 3], binding)).await;
    assert!(error.to_string().contains("speaks version 1, not any of [2, 3]"), "{error}");
    assert!(matches!(answer, Some(Frame::Refused(Close { code: Code::Version, .. }))), "{answer:?}");
    let (error, _) = say(|_| hello(vec![1], [0; 32])).await;
    assert!(matches!(error, Error::Binding), "{error}");
    let (error, _) = say(|_| Frame::Ping(1)).await;
    assert!(error.to_string().contains("before the hello"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn each_side_says_which_revocation_list_it_has() {
    let (_, client, server) = lab();
    server.revoked.insert(vec![9; 16]);
    let (near, far) = pipe();
    let wanted = server.credentials.identity().clone();
    let (dialled, accepted) = tokio::join!(dial(&client, near, &wanted, false), accept(&server, far));
    assert_eq!((dialled.unwrap().revocations, accepted.unwrap().revocations), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_dialler_that_was_revoked_or_has_expired_is_told_so() {
    let (authority, mut client, server) = lab();
    let wanted = server.credentials.identity().clone();
    server.revoked.insert(client.credentials.facts().serial.clone());
    let cases = [(Code::Revoked, "client/web1 was revoked"), (Code::Expired, "client/web1 has expired")];
    for (code, why) in cases {
        let (near, far) = pipe();
        let (dialled, accepted) = tokio::join!(dial(&client, near, &wanted, false), accept(&server, far));
        let error = dialled.unwrap_err();
        assert!(matches!(&error, Error::Refused { code: found, .. } if *found == code), "{error}");
        assert!(error.to_string().contains(why), "{error}");
        let error = accepted.unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
        let then = SystemTime::now() - Duration::from_secs(31 * 24 * 3600);
        client = made(&authority, Role::Client, "web1", then);
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_is_read_than_the_hello_needs() {
    let (near, mut far) = duplex(1 << 16);
    let mut bytes = BytesMut::new();
    Frame::Ping(7).encode(&mut bytes);
    bytes.extend_from_slice(&[16, 0, 0, 1]);
    far.write_all(&bytes).await.unwrap();
    let mut frames = Frames::new(near);
    assert_eq!(frames.next().await.unwrap(), Frame::Ping(7));
    let (_, _, buffer) = frames.into_parts();
    assert!(buffer.is_empty(), "what follows is left for who comes next");
}
