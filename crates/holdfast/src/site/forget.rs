//! Images of a site that no rule keeps. What rules mean is `retention`'s, forgetting is the media servers'.

use holdfast_types::sanitise;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::{asked, upkeep};
use crate::console::Console;
use crate::errors::{Failure, Result};
use crate::retention::{self, Candidate, Rules};
use crate::time;

/// Images of one order.
const STEP: usize = 10_000;

/// An image that stays, and the rules that keep it.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) image: Value,
    pub(crate) by: Vec<&'static str>,
}

/// Forgets what no rule keeps. What stays, and what goes.
pub(crate) fn by_rules(
    console: &Console,
    rules: &Rules,
    client: Option<&str>,
    dry_run: bool,
) -> Result<(Vec<Kept>, Vec<Value>)> {
    let images = asked::images(None, client)?;
    let candidates: Option<Vec<Candidate>> = images.iter().map(candidate).collect();
    let unclear = || {
        Failure::failed(
            "the primary server's list of images is not understood",
            "do both run the same version?",
        )
    };
    let verdicts = retention::judge(&candidates.ok_or_else(unclear)?, rules, &TimeZone::system());
    let (mut kept, mut gone) = (Vec::new(), Vec::new());
    for (image, verdict) in images.into_iter().zip(verdicts) {
        match verdict.kept_by.is_empty() {
            true => gone.push(image),
            false => kept.push(Kept { image, by: verdict.kept_by }),
        }
    }
    if !dry_run {
        let ids: Vec<String> =
            gone.iter().filter_map(|image| image["id"].as_str().map(str::to_owned)).collect();
        for some in ids.chunks(STEP) {
            upkeep::forget(console, some, (None, None), false)?;
        }
    }
    Ok((kept, gone))
}

/// As rules see it. Whatever lacks what they look at is judged with nothing.
fn candidate(image: &Value) -> Option<Candidate> {
    let text = |key: &str| image[key].as_str().map(str::to_owned);
    let roots =
        image["roots"].as_array()?.iter().map(|root| root.as_str().map(|root| root.as_bytes().to_vec()));
    Some(Candidate {
        image: text("id")?.parse().ok()?,
        group: (text("client")?, text("name")?, text("policy"), roots.collect::<Option<_>>()?),
        started_millis: image["started"].as_u64()?,
        is_complete: image["errors"].as_u64()? == 0,
    })
}

/// One line of what is said.
pub(crate) fn line(image: &Value) -> String {
    let word = |key: &str| sanitise(image[key].as_str().unwrap_or_default().as_bytes());
    let started = time::local_millis(image["started"].as_u64().unwrap_or_default());
    format!("{:.8}  {started}  {}  {}", word("id"), word("client"), word("name"))
}
