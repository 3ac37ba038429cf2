//! Attempts against real sockets on loopback.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::connect::{Waits, attempt, attempt_all, resolve};
use super::expected::Expected;
use super::verdict::Verdict;

fn waits() -> Waits {
    Waits {
        connect: Duration::from_secs(10),
        banner: Duration::from_millis(200),
        hello: Duration::from_millis(500),
    }
}

/// What becomes of an attempt if the other end does this with what it accepts.
async fn against<F>(behave: impl FnOnce(TcpStream) -> F + Send + 'static) -> Verdict
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let to = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { behave(listener.accept().await.unwrap().0).await });
    let attempt = attempt(to, "localhost", waits(), &Expected::default()).await;
    assert_eq!(attempt.from, Some(Ipv4Addr::LOCALHOST.into()));
    server.abort();
    attempt.verdict
}

#[tokio::test]
async fn who_accepts_is_told_apart_by_what_it_does() {
    let mute = against(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    assert_eq!(mute, Verdict::Mute);
    assert_eq!(against(|stream| async move { drop(stream) }).await, Verdict::ClosedAfterAccept);
    let reset = against(|stream| async move { stream.set_zero_linger().unwrap() }).await;
    assert_eq!(reset, Verdict::ResetAfterAccept);
    let speaks = against(|mut stream| async move {
        stream.write_all(b"220 ready\x1b\r\nmore").await.unwrap();
        std::future::pending::<()>().await;
    });
    assert_eq!(speaks.await, Verdict::Speaks { banner: "220 ready?".into() });
}

#[tokio::test]
async fn a_service_that_is_not_tls_is_open() {
    let open = against(|mut stream| async move {
        // The beginning of the TLS hello: only then does it answer.
        stream.read_u8().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        std::future::pending::<()>().await;
    });
    assert_eq!(open.await, Verdict::Open);
}

#[tokio::test]
async fn where_nothing_listens_it_is_refused_on_both_families() {
    let mut targets = Vec::new();
    for address in [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), SocketAddr::from((Ipv6Addr::LOCALHOST, 0))] {
        // A host without IPv6 has nothing to be refused by.
        let Ok(listener) = TcpListener::bind(address).await else { continue };
        targets.push((listener.local_addr().unwrap(), "localhost".to_owned()));
    }
    let attempts = attempt_all(&targets, waits(), &Arc::default()).await;
    assert_eq!(attempts.len(), targets.len());
    for attempt in attempts {
        assert_eq!(
            (&attempt.verdict, attempt.errno),
            (&Verdict::Refused, Some(libc::ECONNREFUSED)),
            "{}",
            attempt.to
        );
    }
}

#[tokio::test]
async fn an_address_resolves_to_itself() {
    let (found, _) = resolve("127.0.0.1", Duration::from_secs(5)).await;
    assert_eq!(found.unwrap(), vec![Ipv4Addr::LOCALHOST]);
}
