//! Holds on real connections on loopback, which the kernel answers for. What a path in between does is the lab's.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::door::Door;
use super::idle::{End, HOLD_MIN, Hold, Path, Patience, reach};
use super::watch::{Watch, What};

/// Holds a connection for the least time against a service that does this with what it accepts.
async fn against<F>(behave: impl FnOnce(TcpStream) -> F + Send + 'static) -> Hold
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let to = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { behave(listener.accept().await.unwrap().0).await });
    let hold = path(to).hold(HOLD_MIN).await;
    server.abort();
    hold
}

fn path(to: SocketAddr) -> Path {
    Path { to, door: Door::default(), begun: Instant::now(), patience: Patience::default() }
}

async fn wait_for_the_end(stream: &TcpStream) {
    let mut bytes = [0; 16];
    while !matches!(stream.try_read(&mut bytes), Ok(0)) && stream.readable().await.is_ok() {}
}

#[tokio::test]
async fn a_quiet_connection_is_kept_and_nothing_is_sent_meanwhile() {
    let hold = against(|mut stream| async move {
        // What a service says first is read, and then it is quiet.
        stream.write_all(b"220 ready\r\n").await.unwrap();
        wait_for_the_end(&stream).await;
    })
    .await;
    assert_eq!(hold.end, End::Kept, "{hold:?}");
    assert!(hold.idle_s >= hold.wanted_s && hold.wanted_s == HOLD_MIN.as_secs_f64(), "{hold:?}");
    assert!(hold.from.is_some_and(|from| from.ip() == Ipv4Addr::LOCALHOST), "{hold:?}");
}

#[tokio::test]
async fn who_ends_it_before_it_is_asked_after_is_named() {
    let closed = against(|stream| async move { drop(stream) }).await;
    assert_eq!(closed.end, End::Closed);
    let reset = against(|stream| async move { stream.set_zero_linger().unwrap() }).await;
    assert_eq!(reset.end, End::Reset);
    assert!(reset.idle_s < HOLD_MIN.as_secs_f64());
}

#[tokio::test]
async fn what_speaks_meanwhile_is_not_idle() {
    let busy = against(|mut stream| async move {
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        while stream.write_all(b".").await.is_ok() {
            tick.tick().await;
        }
    })
    .await;
    assert_eq!(busy.end, End::NotIdle);
}

#[tokio::test]
async fn where_nobody_listens_there_is_nothing_to_hold() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let to = listener.local_addr().unwrap();
    drop(listener);
    assert!(matches!(path(to).hold(HOLD_MIN).await.end, End::NotConnected { .. }));
    let why = reach(&[to], Duration::from_secs(5)).await.unwrap_err();
    assert!(why.contains("refused") && why.contains("127.0.0.1"), "{why}");
}

#[tokio::test]
async fn a_watch_hears_the_path_and_notes_what_ends_it() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let to = listener.local_addr().unwrap();
    let watch = Watch::begin(to, Instant::now(), Door::default());
    let (stream, _) = listener.accept().await.unwrap();
    stream.set_zero_linger().unwrap();
    drop(stream);
    // It comes again after that.
    let (stream, _) = listener.accept().await.unwrap();
    let events = watch.watched().events;
    assert_eq!(events.iter().map(|event| event.what).collect::<Vec<_>>(), [What::Reset], "{events:?}");
    drop((stream, listener));
    // The next is refused.
    let watch = &watch;
    let until = |wanted: What| async move {
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        while !watch.watched().events.iter().any(|event| event.what == wanted) {
            tick.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), until(What::Refused)).await.unwrap();
    assert!(watch.watched().events.iter().any(|event| event.what == What::Closed));
    assert!(!watch.watched().events.iter().any(|event| event.what == What::Silence));
}
