//! The REST API, version 1 (docs/api.md): who may ask, what is answered, how errors look.

mod hosts;
mod images;
mod jobs;
mod policies;
mod survey;
pub(crate) mod tokens;
mod upkeep;
mod views;
mod who;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use holdfast_catalog::{Catalog, Error as CatalogError};
use holdfast_link::identity::Identity;
use holdfast_link::identity::registrar::Office;
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use crate::board::Board;
use crate::manager::Command;
use crate::orders::Orders;
use crate::serve::{Notes, Options};

pub(crate) use who::{Operator, Who};

/// Bytes of a request's body.
const BODY_MAX: usize = 4 << 20;
/// Bytes of a key that marks a request as the same.
const KEY_MAX: usize = 64;
/// Bytes of an answer that is kept for who asks again.
const ANSWER_MAX: usize = 64 << 10;
/// Before the path of every request.
const BASE: &str = "/api/v1";
/// In `cache-control`, of an answer that nobody may keep.
const NO_STORE: &str = "no-store";

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
    notes: Arc<dyn Notes>,
    /// Changes whenever an operator's token is taken back.
    revoked: watch::Sender<u64>,
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
            notes: Arc::clone(&options.notes),
            revoked: watch::Sender::new(0),
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
    /// The asking side has not shown who it is.
    pub(crate) fn nobody(cause: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, cause, next)
    }

    /// It is known who asks, and he may not.
    pub(crate) fn forbidden(cause: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, cause, next)
    }

    /// There is no room at the moment.
    pub(crate) fn busy(cause: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, cause, next)
    }

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

    pub(crate) fn missing(cause: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, cause, next)
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "error": self.cause, "next": self.next });
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = header::HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

impl From<CatalogError> for Trouble {
    fn from(error: CatalogError) -> Self {
        match error {
            // It is closing, or somebody else holds its file: asked again, it answers.
            CatalogError::Closed | CatalogError::Busy { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string(), "ask again")
            }
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
        .route("/me", get(tokens::me))
        .route("/tokens", get(tokens::list).post(tokens::make))
        .route("/tokens/{wanted}/revoke", post(tokens::revoke))
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
        .route("/images/forget", post(upkeep::forget))
        .route("/cleanup", post(upkeep::cleanup))
        .route("/upkeep/{id}", get(upkeep::wait))
        .route("/survey", post(survey::ask))
        .fallback(nothing)
        .layer(repeated)
        .layer(middleware::from_fn_with_state(api.clone(), note))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(api);
    Router::new().nest(BASE, v1)
}

async fn nothing() -> Trouble {
    Trouble::missing("there is nothing of this name", "docs/api.md lists what can be asked")
}

/// What an operator changes is in the log.
async fn note(State(api): State<Api>, request: Request, next: Next) -> Response {
    let by = match request.extensions().get::<Who>() {
        Some(who @ Who::Operator(_)) if !is_question(request.method()) => who.by(),
        _ => return next.run(request).await,
    };
    // The router has taken the base path off.
    let what = format!("{} {BASE}{}", request.method(), request.uri().path());
    let response = next.run(request).await;
    api.notes.say(&format!("{by}: {what}: {}", response.status().as_u16()));
    response
}

/// Whether a request only asks.
pub(crate) fn is_question(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// A request that is repeated, because its answer was lost, gets the answer that it had.
async fn answer_again(State(api): State<Api>, request: Request, next: Next) -> Response {
    let key = request.headers().get("idempotency-key").and_then(|key| key.to_str().ok());
    let Some(key) = key.filter(|key| key.len() <= KEY_MAX && request.method() != Method::GET) else {
        return next.run(request).await;
    };
    // The same words of somebody else, or for something else, are another request.
    let who = match request.extensions().get::<Who>() {
        Some(Who::Operator(operator)) => {
            format!("operator {}", operator.token.as_deref().unwrap_or("here"))
        }
        Some(Who::Host(host)) => host.to_string(),
        None => return next.run(request).await,
    };
    let key = format!("{who} {} {} {key}", request.method(), request.uri().path());
    match api.catalog.answer(&key).await {
        Ok(Some(answer)) => ([("content-type", "application/json")], answer).into_response(),
        Ok(None) => keep(&api, &key, next.run(request).await).await,
        Err(error) => Trouble::from(error).into_response(),
    }
}

async fn keep(api: &Api, key: &str, response: Response) -> Response {
    // A token is shown once: a copy of it would not be kept hashed.
    let is_secret = response.headers().get(header::CACHE_CONTROL).is_some_and(|value| value == NO_STORE);
    if is_secret || !response.status().is_success() {
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
    if bytes.len() <= ANSWER_MAX {
        let text = String::from_utf8_lossy(&bytes);
        // Without it a repeated request may be fulfilled twice; it was fulfilled once all the same.
        let _ = api.catalog.keep_answer(key, &text, crate::day_millis()).await;
    }
    Response::from_parts(parts, bytes.into())
}
