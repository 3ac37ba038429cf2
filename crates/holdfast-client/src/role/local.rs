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
use holdfast_link::identity::{Identity, Role};
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

/// Names the host that a request is for, if that is not the primary server.
pub const TO: &str = "holdfast-to";
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
    async fn answer(&self, mut request: http::Request<Incoming>) -> http::Response<Body> {
        let to = request.headers_mut().remove(TO);
        let Some(to) = wanted(to.as_ref(), &self.primary) else {
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

/// The host that a request is for: one that serves, of this site.
fn wanted(to: Option<&http::HeaderValue>, primary: &Identity) -> Option<Identity> {
    let Some(to) = to else { return Some(primary.clone()) };
    let to: Identity = to.to_str().ok()?.parse().ok()?;
    (to.site() == primary.site() && to.role() != Role::Client).then_some(to)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_for_servers_of_this_site() {
        let primary = Identity::primary("lab").unwrap();
        let to = |text: &str| wanted(Some(&http::HeaderValue::from_str(text).unwrap()), &primary);
        assert_eq!(wanted(None, &primary), Some(primary.clone()));
        assert_eq!(to("holdfast://lab/media/store1").unwrap().host(), "store1");
        for bad in ["holdfast://lab/client/web2", "holdfast://other/media/store1", "store1", ""] {
            assert_eq!(to(bad), None, "{bad}");
        }
    }
}
