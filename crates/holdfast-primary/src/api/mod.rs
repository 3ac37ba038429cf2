//! The REST API, version 1 (docs/api.md): who may ask, what is answered, how errors look.

mod hosts;
mod images;
mod jobs;
mod policies;
mod views;

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use holdfast_catalog::{Catalog, Error as CatalogError};
use holdfast_link::identity::Identity;
use holdfast_link::identity::registrar::Office;
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::board::Board;
use crate::manager::Command;
use crate::orders::Orders;
use crate::serve::Options;

/// Bytes of a request's body.
const BODY_MAX: usize = 4 << 20;

/// Who asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Who {
    /// Somebody who may do everything.
    Operator,
    /// A host of the site: what is its own.
    Host(Identity),
}

impl Who {
    fn operator(&self) -> Result<(), Trouble> {
        match self {
            Self::Operator => Ok(()),
            Self::Host(_) => Err(Trouble::new(
                StatusCode::FORBIDDEN,
                "only an operator may do this",
                "do it on the primary server's host, or with an operator's token",
            )),
        }
    }

    /// Of which client what is asked may be seen; none: of all.
    fn only(&self) -> Option<String> {
        match self {
            Self::Operator => None,
            Self::Host(host) => Some(host.host().to_owned()),
        }
    }

    /// The client that is meant, if it may be.
    fn client(&self, wanted: Option<String>) -> Result<String, Trouble> {
        match (self, wanted) {
            (Self::Operator, Some(client)) => Ok(client),
            (Self::Operator, None) => Err(Trouble::bad("no client is named", "name one with --client")),
            (Self::Host(host), wanted) if wanted.as_ref().is_none_or(|wanted| wanted == host.host()) => {
                Ok(host.host().to_owned())
            }
            (Self::Host(_), _) => Err(Trouble::new(
                StatusCode::FORBIDDEN,
                "a client may ask for itself only",
                "ask on the primary server's host",
            )),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Who {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Trouble> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            Trouble::new(
                StatusCode::UNAUTHORIZED,
                "it is not known who asks",
                "ask through the local socket of the primary server or of an enrolled host",
            )
        })
    }
}

/// What the API works with.
#[derive(Clone)]
pub(crate) struct Api(Arc<Inner>);

pub(crate) struct Inner {
    here: Identity,
    program: String,
    office: Arc<Office>,
    orders: Orders,
    catalog: Catalog,
    board: Arc<Board>,
    manager: mpsc::Sender<Command>,
    /// Policies are applied one file after another.
    applying: Mutex<()>,
}

impl std::ops::Deref for Api {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Api {
    pub(crate) fn new(
        options: &Options,
        here: &Identity,
        office: &Arc<Office>,
        catalog: &Catalog,
        board: &Arc<Board>,
        manager: mpsc::Sender<Command>,
    ) -> Self {
        Self(Arc::new(Inner {
            here: here.clone(),
            program: options.program.clone(),
            office: Arc::clone(office),
            orders: Orders::new(Arc::clone(office), here.site()),
            catalog: catalog.clone(),
            board: Arc::clone(board),
            manager,
            applying: Mutex::new(()),
        }))
    }

    /// Asks the manager.
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Trouble> {
        let stopping =
            || Trouble::new(StatusCode::SERVICE_UNAVAILABLE, "the primary server is stopping", "ask again");
        let (answer, here) = oneshot::channel();
        self.manager.send(command(answer)).await.map_err(|_| stopping())?;
        here.await.map_err(|_| stopping())
    }
}

/// Why a request is not fulfilled.
#[derive(Debug)]
pub(crate) struct Trouble {
    status: StatusCode,
    cause: String,
    next: String,
}

impl Trouble {
    fn new(status: StatusCode, cause: impl Into<String>, next: impl Into<String>) -> Self {
        Self { status, cause: cause.into(), next: next.into() }
    }

    fn bad(cause: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, cause, next)
    }

    /// Another host is not reached.
    pub(crate) fn unreached(cause: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, cause, next)
    }

    fn missing(cause: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, cause, next)
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "error": self.cause, "next": self.next });
        (self.status, Json(body)).into_response()
    }
}

impl From<CatalogError> for Trouble {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Ambiguous { .. } | CatalogError::ShortPrefix { .. } => {
                Self::bad(error.to_string(), "`holdfast jobs` lists them")
            }
            _ => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                error.to_string(),
                "look at the primary server's log and its disk",
            ),
        }
    }
}

type Answer<T> = Result<Json<T>, Trouble>;

/// All that may be asked.
pub(crate) fn router(api: Api) -> Router {
    let repeated = middleware::from_fn_with_state(api.clone(), answer_again);
    let v1 = Router::new()
        .route("/status", get(hosts::status))
        .route("/tokens", post(hosts::token))
        .route("/hosts", get(hosts::list))
        .route("/hosts/{role}/{name}/labels", put(hosts::labels))
        .route("/hosts/{role}/{name}/revoke", post(hosts::revoke))
        .route("/policies", get(policies::list).post(policies::apply))
        .route("/policies/{name}", get(policies::show).delete(policies::delete))
        .route("/policies/{name}/run", post(policies::run))
        .route("/jobs", get(jobs::list).post(jobs::make))
        .route("/jobs/{id}", get(jobs::show))
        .route("/jobs/{id}/events", get(jobs::events))
        .route("/jobs/{id}/wait", get(jobs::wait))
        .route("/jobs/{id}/cancel", post(jobs::cancel))
        .route("/jobs/{id}/retry", post(jobs::retry))
        .route("/images", get(images::list))
        .route("/images/{id}/open", post(images::open))
        .fallback(nothing)
        .layer(repeated)
        .with_state(api);
    Router::new().nest("/api/v1", v1)
}

async fn nothing() -> Trouble {
    Trouble::missing("there is nothing of this name", "docs/api.md lists what can be asked")
}

/// A request that is repeated, because its answer was lost, gets the answer that it had.
async fn answer_again(State(api): State<Api>, request: Request, next: Next) -> Response {
    let key = request.headers().get("idempotency-key").and_then(|key| key.to_str().ok());
    let Some(key) = key.filter(|key| key.len() <= 64).map(str::to_owned) else {
        return next.run(request).await;
    };
    match api.catalog.answer(&key).await {
        Ok(Some(answer)) => ([("content-type", "application/json")], answer).into_response(),
        Ok(None) => keep(&api, &key, next.run(request).await).await,
        Err(error) => Trouble::from(error).into_response(),
    }
}

async fn keep(api: &Api, key: &str, response: Response) -> Response {
    if !response.status().is_success() {
        return response;
    }
    let (parts, body) = response.into_parts();
    let bytes = match axum::body::to_bytes(body, BODY_MAX).await {
        Ok(bytes) => bytes,
        Err(error) => {
            return Trouble::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string(), "ask again")
                .into_response();
        }
    };
    // A token is shown once: a copy of it would not be kept hashed.
    if !bytes.starts_with(b"{\"token\"") {
        let text = String::from_utf8_lossy(&bytes);
        // Without it a repeated request may be fulfilled twice; it was fulfilled once all the same.
        let _ = api.catalog.keep_answer(key, &text, crate::day_millis()).await;
    }
    Response::from_parts(parts, bytes.into())
}
