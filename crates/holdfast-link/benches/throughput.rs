//! What the session layer costs: gRPC over a session against the same over TLS alone, in turn, on loopback.
//!
//!     cargo bench -p holdfast-link --bench throughput [-- PAIRS]
#![allow(clippy::unwrap_used, clippy::print_stdout)] // a bench that fails has nothing to lose

#[path = "../tests/it/grpc.rs"]
mod grpc;
#[path = "../tests/it/site.rs"]
mod site;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use holdfast_link::identity::{Revoked, Role};
use holdfast_link::net::host::Place;
use holdfast_proto::session::Class;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

const PIECE: usize = 1 << 20;
const PIECES: usize = 384;

fn main() {
    let pairs = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(11);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut ratios = Vec::new();
        for pair in 0..=pairs {
            // Whoever comes first in a pair changes.
            let (plain, session) = if pair % 2 == 0 {
                let plain = over_tls().await;
                (plain, over_session().await)
            } else {
                let session = over_session().await;
                (over_tls().await, session)
            };
            // The first pair only warms up.
            if pair > 0 {
                println!("TLS {plain:.0} MiB/s, session {session:.0} MiB/s, ratio {:.3}", session / plain);
                ratios.push(session / plain);
            }
        }
        ratios.sort_by(f64::total_cmp);
        println!("median of {} pairs: {:.3}", ratios.len(), ratios[ratios.len() / 2]);
    });
}

async fn over_session() -> f64 {
    let site = site::Site::new();
    let (client, server) = (site.start(&site::web1()), Arc::new(site.start(&site::store1())));
    let at = server.listen(site::anywhere()).await.unwrap();
    client.set_places(&site::store1(), vec![Place::Address(at)]);
    let session = client.connect(&site::store1(), Class::Bulk, "bench").await.unwrap();
    let served = server.incoming().await.unwrap();
    put(session, served).await
}

async fn over_tls() -> f64 {
    let site = site::Site::new();
    let (client, server) = (site.credentials(&site::web1()), site.credentials(&site::store1()));
    assert_eq!(server.identity().role(), Role::Media);
    let revoked = Revoked::default();
    let listener = TcpListener::bind(site::anywhere()).await.unwrap();
    let at = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(server.listen(&revoked, &[b"bench"]).unwrap()));
    let connector = TlsConnector::from(Arc::new(client.dial(site::store1(), &revoked, b"bench").unwrap()));
    let accepting = async {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        acceptor.accept(stream).await.unwrap()
    };
    let dialling = async {
        let stream = TcpStream::connect(at).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let name = "127.0.0.1".try_into().unwrap();
        connector.connect(name, stream).await.unwrap()
    };
    let (served, stream) = tokio::join!(accepting, dialling);
    put(stream, served).await
}

/// MiB a second.
async fn put<A, B>(caller: A, served: B) -> f64
where
    A: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    B: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(grpc::serve(served));
    let mut calls = grpc::Caller::over(caller).await;
    let piece = Bytes::from(vec![0x5a; PIECE]);
    calls.echo(piece.slice(..10)).await.unwrap();
    let begun = Instant::now();
    assert_eq!(calls.put(piece, PIECES).await.unwrap(), (PIECE * PIECES) as u64);
    PIECES as f64 / begun.elapsed().as_secs_f64()
}
