//! Sockets on loopback: what was set is held, what was sent is seen, and who cannot listen is told why.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

fn keepalive() -> Keepalive {
    Keepalive::for_detection(Duration::from_secs(45))
}

async fn pair() -> (TcpStream, Held, TcpStream) {
    let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let keepalive = keepalive();
    let (dialled, accepted) = tokio::join!(connect(address, &keepalive, UNSENT), listener.accept());
    let (near, held) = dialled.unwrap();
    (near, held, accepted.unwrap().0)
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_is_set_is_held_on_both_sides() {
    let (_near, dialled, far) = pair().await;
    let accepted = tune(&far, &keepalive(), UNSENT).unwrap();
    assert_eq!(dialled, accepted);
    assert_eq!(dialled.differences(&keepalive(), UNSENT), []);
    assert_eq!(
        dialled.to_string(),
        "no delay on, keepalive on (idle 24 s, interval 7 s, count 3), user timeout 45 s, bytes not sent at most 131072"
    );
    let without = Keepalive { user_timeout: None, ..keepalive() };
    let held = tune(&far, &without, 4096).unwrap();
    assert_eq!(held.differences(&without, 4096), []);
    assert!(held.to_string().contains("user timeout off"));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_the_kernel_does_not_take_is_told() {
    let (_near, _, far) = pair().await;
    // The kernel takes at most 32767 s (MAX_TCP_KEEPIDLE).
    let wanted = Keepalive { idle: Duration::from_secs(40_000), ..keepalive() };
    let differences = tune(&far, &wanted, UNSENT).unwrap().differences(&wanted, UNSENT);
    let told: Vec<String> = differences.iter().map(ToString::to_string).collect();
    assert!(told[0].starts_with("keepalive idle: 40000 s was wanted, the system holds "), "{told:?}");
    assert!(told.iter().all(|line| line.starts_with("keepalive ")), "{told:?}");
}

#[test]
fn a_system_that_has_less_is_told_point_by_point() {
    let held = Held {
        no_delay: true,
        keepalive: true,
        idle: Some(keepalive().idle),
        interval: None,
        count: None,
        user_timeout: None,
        unsent: None,
    };
    let told: Vec<&str> = held.differences(&keepalive(), UNSENT).iter().map(|point| point.what).collect();
    assert_eq!(told, ["keepalive interval", "keepalive count", "user timeout", "bytes not sent"]);
    let told = held.differences(&keepalive(), UNSENT)[2].to_string();
    assert_eq!(told, "user timeout: 45 s was wanted, the system holds what the system does not tell");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn facts_tell_what_the_other_side_has_acknowledged() {
    let (mut near, _, mut far) = pair().await;
    let before = facts(&near).unwrap();
    let mut bytes = [7; 50_000];
    near.write_all(&bytes).await.unwrap();
    far.read_exact(&mut bytes).await.unwrap();
    far.write_all(&bytes[..1]).await.unwrap();
    near.read_exact(&mut bytes[..1]).await.unwrap();
    // What came back carried the acknowledgement of what was sent.
    let after = facts(&near).unwrap();
    assert_eq!(after.bytes_acked.unwrap() - before.bytes_acked.unwrap(), 50_000);
    assert_eq!((after.retransmits, after.unacked, after.not_sent), (0, 0, Some(0)));
    assert!(after.last_ack < Duration::from_secs(60) && after.round_trip < Duration::from_secs(1), "{after}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn facts_tell_what_waits_here_while_nobody_reads() {
    let (near, _, _far) = pair().await;
    let chunk = [7; 65_536];
    loop {
        near.writable().await.unwrap();
        match near.try_write(&chunk) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    // TCP takes no more than the bound beyond what the peer's window holds, and one write over it.
    let not_sent = facts(&near).unwrap().not_sent.unwrap();
    assert!(not_sent > 0 && not_sent <= UNSENT + 65_536, "{not_sent}");
}

#[tokio::test]
async fn both_families_have_the_same_port() {
    // Another process may just have the port that was drawn, in the other family.
    for _ in 0..16 {
        let v4 = listen("0.0.0.0:0".parse().unwrap()).unwrap();
        let port = v4.local_addr().unwrap().port();
        match listen(SocketAddr::new(std::net::Ipv6Addr::UNSPECIFIED.into(), port)) {
            Ok(v6) => return assert_eq!(v6.local_addr().unwrap().port(), port),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => {
                use std::io::Write;
                return writeln!(io::stderr(), "SKIPPED: this host has no IPv6: {error}").unwrap();
            }
        }
    }
    panic!("no port of 16 could be had in both families");
}

#[tokio::test]
async fn who_cannot_listen_is_told_what_to_do() {
    let first = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = first.local_addr().unwrap();
    let error = listen(address).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    let port = address.port();
    assert!(error.to_string().contains(&format!("`ss -ltnp 'sport = :{port}'`")), "{error}");
    // TEST-NET-1 is nobody's (RFC 5737).
    let error = listen("192.0.2.1:7556".parse().unwrap()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    assert!(error.to_string().contains("no such address"), "{error}");
    let denied = ListenError::new("0.0.0.0:80".parse().unwrap(), io::ErrorKind::PermissionDenied.into());
    assert!(denied.to_string().contains("CAP_NET_BIND_SERVICE"), "{denied}");
}

#[tokio::test]
async fn a_port_is_free_again_when_its_connections_are_only_remembered() {
    let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let keepalive = keepalive();
    let (dialled, accepted) = tokio::join!(connect(address, &keepalive, UNSENT), listener.accept());
    let (mut near, _) = dialled.unwrap();
    // Who closes first keeps the connection in TIME_WAIT: here the listener's side.
    drop(accepted);
    drop(listener);
    assert_eq!(near.read(&mut [0; 1]).await.unwrap(), 0);
    drop(near);
    listen(address).unwrap();
}
