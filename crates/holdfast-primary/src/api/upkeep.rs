//! Images forgotten, and room freed, by operators.

use std::collections::BTreeMap;
use std::time::Instant;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use holdfast_link::identity::{Identity, Role};
use holdfast_proto::services::{self as wire, upkeep::Work};
use holdfast_types::ImageId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::jobs::WAIT_MAX;
use super::{Answer, Api, Trouble, Who, images};
use crate::board;
use crate::manager::Command;
use crate::upkeep::{UpkeepId, order};

/// Images that are forgotten at a time.
const IMAGES_MAX: usize = 10_000;
/// The longest grace, in seconds: ten years.
const GRACE_MAX: u64 = 10 * 366 * 86_400;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Forget {
    images: Vec<String>,
    client: Option<String>,
    at: Option<u64>,
    #[serde(default)]
    dry_run: bool,
}

/// Finds all, then forgets all: `latest` means what it meant when it was asked.
pub(super) async fn forget(State(api): State<Api>, who: Who, Json(forget): Json<Forget>) -> Answer<Value> {
    who.operator()?;
    if forget.images.is_empty() || forget.images.len() > IMAGES_MAX {
        return Err(Trouble::bad("1 to 10,000 images are forgotten at a time", "name them by their ids"));
    }
    let mut found = BTreeMap::new();
    for wanted in &forget.images {
        let image = images::find(&api, &who, wanted, (forget.client.clone(), forget.at)).await?;
        found.insert(image.id.clone(), image);
    }
    let mut of_media: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for image in found.values() {
        of_media.entry(image.media.clone()).or_default().push(image.id.clone());
    }
    let mut begun = Vec::new();
    for (media, ids) in of_media.into_iter().filter(|_| !forget.dry_run) {
        let media: Identity = media.parse().unwrap_or_else(|_| api.here.clone());
        let bytes = ids.iter().filter_map(|id| id.parse::<ImageId>().ok()).map(|id| id.0.to_vec());
        let work = Work::Forget(wire::Forget { images: bytes.collect() });
        begun.push(begin(&api, media, ids, work).await?);
    }
    let images: Vec<_> = found.into_values().map(super::views::Image::from).collect();
    Ok(Json(json!({ "upkeeps": begun, "images": images })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cleanup {
    /// A media server; that of the policies' default if none is named.
    media: Option<String>,
    #[serde(default = "day")]
    grace_seconds: u64,
    #[serde(default)]
    dry_run: bool,
}

fn day() -> u64 {
    86_400
}

pub(super) async fn cleanup(State(api): State<Api>, who: Who, Json(cleanup): Json<Cleanup>) -> Answer<Value> {
    who.operator()?;
    if cleanup.grace_seconds > GRACE_MAX {
        return Err(Trouble::bad("a grace is at most ten years", "give a shorter one"));
    }
    let hosts = api.catalog.hosts().await?;
    let mut known: Vec<_> = hosts.iter().filter(|host| host.role == "media").collect();
    known.sort_by_key(|host| host.first_seen);
    let name = cleanup.media.or_else(|| known.first().map(|host| host.name.clone()));
    let media = match name {
        Some(name) if known.iter().any(|host| host.name == name) => {
            Identity::new(api.here.site(), Role::Media, &name).unwrap_or_else(|_| api.here.clone())
        }
        Some(name) if name != api.here.host() => {
            return Err(Trouble::missing(
                format!("there is no media server {name}"),
                "`holdfast hosts` lists them",
            ));
        }
        _ => api.here.clone(),
    };
    let work =
        Work::Cleanup(wire::Cleanup { grace_seconds: cleanup.grace_seconds, dry_run: cleanup.dry_run });
    let id = begin(&api, media, Vec::new(), work).await?;
    Ok(Json(json!({ "upkeeps": [id] })))
}

/// Gives an order. Its id.
async fn begin(api: &Api, media: Identity, images: Vec<String>, work: Work) -> Result<String, Trouble> {
    let mut id: UpkeepId = [0; 16];
    getrandom::fill(&mut id)
        .map_err(|error| Trouble::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string(), "ask again"))?;
    let busy =
        || Trouble::new(StatusCode::SERVICE_UNAVAILABLE, "too much is asked at a time", "ask again later");
    api.board.upkeeps.begin(id, media.clone(), images).ok_or_else(busy)?;
    let is_sent =
        api.ask(|answer| Command::Upkeep { media: media.clone(), order: order(id, work), answer }).await?;
    if is_sent {
        return Ok(holdfast_types::to_hex(&id));
    }
    api.board.upkeeps.lost(&media);
    Err(Trouble::unreached(
        format!("the media server {} does not attend", media.host()),
        "start it: `holdfast media run`; or look at its log",
    ))
}

/// What has become of an order. Answers when it is done, or after 25 s.
pub(super) async fn wait(State(api): State<Api>, who: Who, Path(id): Path<String>) -> Answer<Value> {
    who.operator()?;
    let missing = || {
        let cause =
            "nothing is known of this any more: the primary server was started anew, or it is long ago";
        Trouble::missing(cause, "ask again for what was to be done: what is done already does no harm")
    };
    let bytes: UpkeepId = holdfast_types::from_hex(&id).map_err(|_| missing())?;
    let begun = Instant::now();
    let mut changes = api.board.upkeeps.changes();
    loop {
        let upkeep = api.board.upkeeps.get(&bytes).ok_or_else(missing)?;
        if let Some(answer) = upkeep.answer {
            return Ok(Json(json!({
                "done": true,
                "media": upkeep.media.host(),
                "error": answer.error,
                "forgotten": upkeep.images,
                "cleanup": answer.report.map(|report| view(&report)),
            })));
        }
        if begun.elapsed() >= WAIT_MAX {
            return Ok(Json(json!({ "done": false, "media": upkeep.media.host() })));
        }
        board::change(&mut changes, WAIT_MAX.saturating_sub(begun.elapsed())).await;
    }
}

/// As the command line has it.
fn view(report: &wire::CleanupReport) -> Value {
    let packs = |packs: u64, bytes: u64| json!({ "packs": packs, "bytes": bytes });
    json!({
        "marked": packs(report.marked, report.marked_bytes),
        "unmarked_packs": report.unmarked,
        "deleted": packs(report.deleted, report.deleted_bytes),
        "rewritten": packs(report.rewritten, report.rewritten_bytes),
        "waiting": packs(report.waiting, report.waiting_bytes),
        "bytes_left": report.bytes_left,
        "put_off_for_readers": report.readers,
    })
}
