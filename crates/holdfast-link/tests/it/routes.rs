//! What is remembered of routes outlives the process.

use holdfast_link::net::host::Place;
use holdfast_proto::session::Class;

use crate::site::{Site, anywhere, store1, web1};

#[tokio::test]
async fn a_new_process_knows_what_the_one_before_has_learned() {
    let site = Site::new();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("routes");
    let server = site.start(&store1());
    let at = server.listen(anywhere()).await.unwrap();
    // Nobody listens there: a port that was free a moment ago, and is held without listening.
    let closed = tokio::net::TcpSocket::new_v4().unwrap();
    closed.bind(anywhere()).unwrap();
    let places = vec![Place::Address(closed.local_addr().unwrap()), Place::Address(at)];

    for run in 0..2 {
        let client = site.start_with(&web1(), file.clone());
        client.set_places(&store1(), places.clone());
        let session = client.connect(&store1(), Class::Control, "x").await.unwrap();
        assert_eq!(session.status().history.connections(), 1);
        drop(session);
        client.drain(std::time::Duration::ZERO).await;
        let kept = std::fs::read_to_string(&file).unwrap();
        let has = |what: &str| kept.lines().any(|line| line.contains("store1") && line.contains(what));
        assert!(has(&at.to_string()) && has(&places[0].to_string()), "run {run}: {kept}");
    }
}

#[tokio::test]
async fn who_stops_is_heard_by_a_peer_that_is_sending() {
    use tokio::io::AsyncWriteExt;
    let site = Site::new();
    for _ in 0..20 {
        let (client, server) = (site.start(&web1()), site.start(&store1()));
        let at = server.listen(anywhere()).await.unwrap();
        client.set_places(&store1(), vec![Place::Address(at)]);
        let mut session = client.connect(&store1(), Class::Bulk, "x").await.unwrap();
        let mut there = server.incoming().await.unwrap();
        let sending = tokio::spawn(async move {
            let piece = vec![7; 1 << 16];
            let error = loop {
                if let Err(error) = session.write_all(&piece).await {
                    break error;
                }
            };
            (session.end(), error)
        });
        // Bytes are under way, and go on coming while the last words are said.
        tokio::io::copy(&mut tokio::io::AsyncReadExt::take(&mut there, 8 << 20), &mut tokio::io::sink())
            .await
            .unwrap();
        server.drain(std::time::Duration::ZERO).await;
        // Unheard, it would wait for the peer for a day.
        let sent = tokio::time::timeout(std::time::Duration::from_secs(30), sending).await;
        let (end, error) = sent.expect("the last words were not heard").unwrap();
        assert_eq!(end, Some(holdfast_link::session::machine::End::PeerStopped), "{error}");
    }
}
