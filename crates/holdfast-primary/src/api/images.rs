//! Images: what there are, and the way to read one.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use holdfast_catalog::{ImageFilter, ImageRow};
use holdfast_link::identity::Identity;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Api, Trouble, Who, views};

/// Images of a list, if nobody says how many.
const LIST: u32 = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    client: Option<String>,
    name: Option<String>,
    at: Option<u64>,
    after_started: Option<u64>,
    after_id: Option<String>,
    limit: Option<u32>,
}

pub(super) async fn list(
    State(api): State<Api>,
    who: Who,
    Query(query): Query<List>,
) -> Answer<Vec<views::Image>> {
    let filter = ImageFilter {
        client: who.only()?.or(query.client),
        name: query.name,
        until: query.at,
        after: query.after_started.zip(query.after_id),
        limit: query.limit.unwrap_or(LIST),
        ..ImageFilter::default()
    };
    let rows = api.catalog.images(&filter).await?;
    Ok(Json(rows.into_iter().map(views::Image::from).collect()))
}

/// The image that is meant: by its id, the beginning of it, `latest`, or `latest:NAME`.
pub(super) async fn find(
    api: &Api,
    who: &Who,
    wanted: &str,
    (client, at): (Option<String>, Option<u64>),
) -> Result<ImageRow, Trouble> {
    let missing = || Trouble::missing(format!("there is no image {wanted}"), "`holdfast images` lists them");
    let client = who.only()?.or(client);
    let mut filter = ImageFilter { client, until: at, limit: 2, ..ImageFilter::default() };
    match wanted.strip_prefix("latest") {
        Some("") => filter.limit = 1,
        Some(name) if name.starts_with(':') => {
            filter.limit = 1;
            filter.name = Some(name[1..].to_owned());
        }
        _ => filter.prefix = Some(wanted.to_owned()),
    }
    let mut found = api.catalog.images(&filter).await?;
    if found.len() > 1 {
        return Err(Trouble::bad(format!("several images begin with {wanted}"), "give more of the id"));
    }
    found.pop().ok_or_else(missing)
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Open {
    client: Option<String>,
    at: Option<u64>,
}

pub(super) async fn open(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Query(query): Query<Open>,
) -> Answer<Value> {
    let image = find(&api, &who, &id, (query.client, query.at)).await?;
    let broken = |cause: String| {
        Trouble::new(StatusCode::INTERNAL_SERVER_ERROR, cause, "look at the primary server's log")
    };
    let media: Identity =
        image.media.parse().map_err(|_| broken("the image's media server has no name".into()))?;
    let holder = match &who {
        Who::Operator(_) => api.here.clone(),
        Who::Host(host) => host.clone(),
    };
    let id = image.id.parse().map_err(|_| broken("the image has no id".into()))?;
    let signed = api.orders.browse(&holder, &media, &image.client, Some(id));
    let signed = signed.map_err(|error| broken(error.to_string()))?;
    let hex = |bytes: &[u8]| holdfast_types::to_hex(bytes);
    let ticket = json!({ "ticket": hex(&signed.ticket), "signature": hex(&signed.signature) });
    Ok(Json(json!({ "media": media.to_string(), "ticket": ticket, "image": views::Image::from(image) })))
}
