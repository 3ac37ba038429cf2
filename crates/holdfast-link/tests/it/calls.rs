//! gRPC over sessions, whoever has dialled.

use std::sync::Arc;

use bytes::Bytes;
use holdfast_link::net::host::Place;
use holdfast_link::net::link::Link;
use holdfast_proto::session::Class;

use crate::grpc::{Caller, serve};
use crate::site::{Site, anywhere, store1, web1};

/// Calls of every kind over one session.
async fn call(caller: &Link, server: &Arc<Link>, host: &holdfast_link::identity::Identity) {
    let serving = Arc::clone(server);
    let serving = tokio::spawn(async move { serve(serving.incoming().await.unwrap()).await });
    let session = caller.connect(host, Class::Control, "calls").await.unwrap();
    let mut calls = Caller::over(session).await;
    let callers = (0..8u8).map(|number| {
        let mut calls = calls.clone();
        tokio::spawn(async move {
            for length in [0, 1, 1_000, 100_000, 3_000_000] {
                let data = Bytes::from(vec![number; length]);
                assert_eq!(calls.echo(data.clone()).await.unwrap(), data);
            }
        })
    });
    for one in callers.collect::<Vec<_>>() {
        one.await.unwrap();
    }
    let piece = Bytes::from(vec![7; 1 << 20]);
    assert_eq!(calls.put(piece, 40).await.unwrap(), 40 << 20);
    drop(calls);
    // The end of the calls is an orderly end of the session, at both sides.
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn whoever_dials_may_call() {
    let site = Site::new();
    let (client, server) = (site.start(&web1()), Arc::new(site.start(&store1())));
    let at = server.listen(anywhere()).await.unwrap();
    client.set_places(&store1(), vec![Place::Address(at)]);
    call(&client, &server, &store1()).await;
}

#[tokio::test]
async fn who_is_dialled_may_call_too() {
    let site = Site::new();
    let (client, server) = (Arc::new(site.start(&web1())), site.start(&store1()));
    let at = server.listen(anywhere()).await.unwrap();
    client.set_places(&store1(), vec![Place::Address(at)]);
    client.park_at(&store1());
    while server.parked_by(&web1()) == 0 {
        tokio::task::yield_now().await;
    }
    call(&server, &client, &web1()).await;
}
