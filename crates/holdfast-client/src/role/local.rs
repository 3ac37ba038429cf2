//! What programs on this host may ask through the local socket: they speak HTTP, and are handed on to the primary server, or to
//! a media server that they name, over this host's sessions and under its identity. What they may ask is decided there.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use holdfast_link::identity::Identity;
use holdfast_link::net::clock::after;
use holdfast_link::net::link::Link;
use holdfast_link::rpc::forward::{self, Body, Forward};
use holdfast_proto::session::Class;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;

/// Programs that ask at one time.
const VISITORS_MAX: usize = 64;
/// Hosts that are asked through the socket.
const HOSTS_MAX: usize = 64;
/// After an error of the socket itself, which may last: too many open files, say.
const PAUSE: Duration = Duration::from_millis(500);

/// Listens in the state directory, and serves for as long as what this gives is awaited.
pub(super) fn serve(
    state: &Path,
    link: Arc<Link>,
    primary: Identity,
) -> io::Result<impl Future<Output = ()> + use<>> {
    let socket = holdfast_link::rpc::local::bind(state)?;
    let door = Arc::new(Door { link, primary, hosts: Mutex::default() });
    Ok(async move {
        let places = Arc::new(Semaphore::new(VISITORS_MAX));
        let mut visitors = JoinSet::new();
        // It is never closed.
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            while visitors.try_join_next().is_some() {}
            let Ok((stream, _)) = socket.accept().await else {
                after(PAUSE).await;
                continue;
            };
            let door = Arc::clone(&door);
            visitors.spawn(async move {
                let service = service_fn(|request| {
                    let door = Arc::clone(&door);
                    async move { Ok::<_, Infallible>(door.answer(request).await) }
                });
                let builder = auto::Builder::new(TokioExecutor::new());
                // How a program's connection ended is that program's business.
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                drop(place);
            });
        }
    })
}

struct Door {
    link: Arc<Link>,
    primary: Identity,
    hosts: Mutex<HashMap<Identity, Arc<Forward>>>,
}

impl Door {
    async fn answer(&self, request: http::Request<Incoming>) -> http::Response<Body> {
        let Some(to) = holdfast_link::rpc::local::wanted(request.uri(), &self.primary) else {
            let cause = "the request is for no server of this site";
            return trouble(
                http::StatusCode::BAD_REQUEST,
                cause,
                "name the primary server or a media server",
            );
        };
        let forward = self.forward(to).await;
        match forward.ask(request.map(forward::body)).await {
            Ok(response) => response.map(forward::body),
            Err(error) => {
                let next = "`holdfast doctor connect` tells what is in the way";
                trouble(http::StatusCode::BAD_GATEWAY, &error.to_string(), next)
            }
        }
    }

    async fn forward(&self, to: Identity) -> Arc<Forward> {
        let mut hosts = self.hosts.lock().await;
        if hosts.len() >= HOSTS_MAX && !hosts.contains_key(&to) {
            hosts.clear();
        }
        let made = || Arc::new(Forward::new(Arc::clone(&self.link), to.clone(), Class::Control));
        Arc::clone(hosts.entry(to.clone()).or_insert_with(made))
    }
}

/// An answer of this host's own, as the primary server's API gives errors.
fn trouble(status: http::StatusCode, cause: &str, next: &str) -> http::Response<Body> {
    let text = serde_json::json!({ "error": cause, "next": next, "code": "local" }).to_string();
    let body = Full::new(Bytes::from(text)).map_err(|never: Infallible| match never {}).boxed_unsync();
    let mut response = http::Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}
