//! People and programs from elsewhere, over TLS: each request shows an operator's token. Who shows none, or a wrong one, waits
//! for his answer, has one try a connection, and sits among the strangers until then; so guessing is hopeless, and a flood
//! takes nobody's place but its own.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::IntoResponse;
use holdfast_link::net::clock::after;
use holdfast_link::net::exchange::Visitor;
use holdfast_link::rpc::Caller;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::api::{Api, Operator, Trouble, Who, is_question};
use crate::serve::Door;

/// Who has not shown a token by then has to come again.
const STRANGE_MAX: Duration = Duration::from_secs(10);
/// How long a refusal takes.
const REFUSAL: Duration = Duration::from_secs(1);
/// What is under way on a connection that is to end may take so long.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Between the requests of a connection of HTTP/1.1, and for the head of one.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// How long an answer may take to begin: longer than `wait` takes.
const ANSWER_MAX: Duration = Duration::from_secs(120);
/// Connections of all operators elsewhere, and of one.
const PLACES_ALL: usize = 256;
const PLACES_EACH: usize = 64;
/// Requests of a connection at a time.
const REQUESTS_MAX: u32 = 64;
/// Bytes of the head of a request.
const HEAD_MAX: u32 = 16 << 10;
/// What a media server is asked to read images: all else of it is for hosts.
const READING: [&str; 5] = [
    "/holdfast.v1.Media/Images",
    "/holdfast.v1.Media/Walk",
    "/holdfast.v1.Media/Nodes",
    "/holdfast.v1.Media/Locate",
    "/holdfast.v1.Media/Fetch",
];

/// Whether a request is for the API.
pub(crate) fn is_api(path: &str) -> bool {
    path.starts_with("/api/")
}

/// The door for those who come from elsewhere.
pub(crate) struct Visitors {
    door: Arc<Door>,
    api: Api,
    places: Arc<Places>,
}

/// How a connection stands.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Standing {
    /// No token was shown yet.
    Strange,
    /// A good one was, of this id.
    Known(String),
    /// A bad one was: this was the only try.
    Refused,
}

/// One connection.
struct Guest {
    standing: watch::Sender<Standing>,
    place: Mutex<Option<Place>>,
}

impl Visitors {
    pub(crate) fn new(door: Arc<Door>, api: Api) -> Arc<Self> {
        Arc::new(Self { door, api, places: Arc::default() })
    }

    /// Serves a connection to its end.
    pub(crate) async fn serve(self: Arc<Self>, visitor: Visitor) {
        let guest =
            Arc::new(Guest { standing: watch::Sender::new(Standing::Strange), place: Mutex::default() });
        let mut standing = guest.standing.subscribe();
        let service = service_fn(|request| {
            let (visitors, guest) = (Arc::clone(&self), Arc::clone(&guest));
            async move { Ok::<_, Infallible>(visitors.answer(&guest, request).await) }
        });
        let builder = builder();
        let mut connection = pin!(builder.serve_connection(TokioIo::new(visitor.stream), service));
        let mut place = visitor.place;
        // How a program's connection ended is that program's business.
        tokio::select! {
            _ = connection.as_mut() => return,
            () = place.taken_away() => return,
            () = after(STRANGE_MAX) => return,
            _ = standing.wait_for(|standing| *standing != Standing::Strange) => {}
        }
        let known = guest.standing.borrow().clone();
        if known == Standing::Refused {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                _ = timeout(LAST_WORDS, connection) => return,
                () = place.taken_away() => return,
            }
        }
        drop(place);
        tokio::select! {
            _ = connection.as_mut() => return,
            // Whoever has taken his own token back is told so.
            () = self.revoked(known) => {}
            _ = standing.wait_for(|standing| *standing == Standing::Refused) => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ = timeout(LAST_WORDS, connection).await;
    }

    /// Ends when the token that this connection has shown is taken back.
    async fn revoked(&self, standing: Standing) {
        let Standing::Known(token) = standing else { return std::future::pending().await };
        let mut revocations = self.api.revocations();
        while self.api.is_unrevoked(&token).await {
            if revocations.changed().await.is_err() {
                return;
            }
        }
    }

    async fn answer(&self, guest: &Guest, request: http::Request<Incoming>) -> http::Response<Body> {
        let admitted = self.admit(guest, &request).await;
        let operator = match admitted {
            Ok(operator) => operator,
            Err(trouble) => {
                guest.standing.send_replace(Standing::Refused);
                after(REFUSAL).await;
                return trouble.into_response();
            }
        };
        if let Err(trouble) = may(&operator, &request) {
            return trouble.into_response();
        }
        let mut request = request;
        request.extensions_mut().insert(Who::Operator(operator));
        request.extensions_mut().insert(Caller(self.door.here().clone()));
        match timeout(ANSWER_MAX, self.door.answer(request)).await {
            Ok(answer) => answer,
            Err(_) => {
                let cause = format!("no answer in {} s", ANSWER_MAX.as_secs());
                Trouble::busy(cause, "ask again").into_response()
            }
        }
    }

    /// Whose token the request shows, if there is a place for him.
    async fn admit<B>(&self, guest: &Guest, request: &http::Request<B>) -> Result<Operator, Trouble> {
        if *guest.standing.borrow() == Standing::Refused {
            return Err(Trouble::nobody("a token was refused on this connection", "make another connection"));
        }
        let operator = self.api.operator(request.headers()).await?;
        let id = operator.token.clone().unwrap_or_default();
        let mut place = guest.place.lock();
        if place.as_ref().is_none_or(|place| place.of != id) {
            let free = self.places.take(&id).ok_or_else(|| {
                Trouble::busy(
                    format!("there are too many connections of operators, or of {}", operator.name),
                    "end some of them, and ask again",
                )
            })?;
            *place = Some(free);
        }
        drop(place);
        guest.standing.send_if_modified(|standing| {
            let is_new = *standing == Standing::Strange;
            if is_new {
                *standing = Standing::Known(id);
            }
            is_new
        });
        Ok(operator)
    }
}

/// What the operator may ask from elsewhere.
fn may<B>(operator: &Operator, request: &http::Request<B>) -> Result<(), Trouble> {
    let path = request.uri().path();
    if !is_api(path) && !READING.contains(&path) {
        return Err(Trouble::missing("there is nothing of this name", "docs/api.md lists what can be asked"));
    }
    if operator.read_only && !is_question(request.method()) {
        return Err(Trouble::forbidden(
            format!("the token of the operator {} is read-only: it may not do this", operator.name),
            "take a token that was made without --read-only",
        ));
    }
    Ok(())
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_MAX)
        .max_buf_size(HEAD_MAX as usize)
        .max_headers(64);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(IDLE_MAX))
        .max_concurrent_streams(REQUESTS_MAX)
        .max_header_list_size(HEAD_MAX);
    builder
}

/// Places of operators elsewhere.
#[derive(Default)]
struct Places(Mutex<HashMap<String, usize>>);

/// A place, until it is dropped.
struct Place {
    places: Arc<Places>,
    of: String,
}

impl Places {
    fn take(self: &Arc<Self>, of: &str) -> Option<Place> {
        let mut taken = self.0.lock();
        let own = taken.get(of).copied().unwrap_or_default();
        if own >= PLACES_EACH || taken.values().sum::<usize>() >= PLACES_ALL {
            return None;
        }
        taken.insert(of.to_owned(), own + 1);
        Some(Place { places: Arc::clone(self), of: of.to_owned() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock();
        match taken.get_mut(&self.of) {
            Some(own) if *own > 1 => *own -= 1,
            _ => {
                taken.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_operator_does_not_take_all_places_and_gives_back_what_he_has() {
        let places = Arc::new(Places::default());
        let mut taken: Vec<Place> = (0..PLACES_EACH).map(|_| places.take("a").unwrap()).collect();
        assert!(places.take("a").is_none());
        let others =
            ["b", "c", "d"].map(|of| (0..PLACES_EACH).map(|_| places.take(of).unwrap()).collect::<Vec<_>>());
        assert!(places.take("e").is_none(), "all are taken");
        taken.pop();
        assert!(places.take("e").is_some());
        drop((taken, others));
        assert!(places.0.lock().is_empty());
    }

    #[test]
    fn a_read_only_token_may_only_look_and_nobody_reaches_what_is_for_hosts() {
        let operator =
            |read_only| Operator { token: Some("1".into()), name: "a".into(), read_only, expires: None };
        let request =
            |method: &str, path: &str| http::Request::builder().method(method).uri(path).body(()).unwrap();
        for (method, path, all, looking) in [
            ("GET", "/api/v1/jobs", true, true),
            ("HEAD", "/api/v1/jobs", true, true),
            ("POST", "/api/v1/policies", true, false),
            ("DELETE", "/api/v1/policies/x", true, false),
            ("PUT", "/api/v1/hosts/client/x/labels", true, false),
            ("POST", "/api/v1/images/x/open", true, false),
            ("POST", "/holdfast.v1.Media/Fetch", true, false),
            ("POST", "/holdfast.v1.Media/Put", false, false),
            ("POST", "/holdfast.v1.Media/Commit", false, false),
            ("POST", "/holdfast.v1.Primary/Attend", false, false),
            ("GET", "/", false, false),
        ] {
            let request = request(method, path);
            assert_eq!(may(&operator(false), &request).is_ok(), all, "{method} {path}");
            assert_eq!(may(&operator(true), &request).is_ok(), looking, "{method} {path}");
        }
    }
}
