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
