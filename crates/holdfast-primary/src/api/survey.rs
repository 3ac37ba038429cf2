//! Who reaches whom: every host that attends is asked, and this one tries the others too.

use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_doctor::matrix::facts::{Facts, Host, Outcome, Role as Part, Way};
use holdfast_link::identity::{Identity, Role};
use holdfast_link::net::survey::HOSTS_MAX;
use holdfast_proto::services::{self as wire, sight::Outcome as WireOutcome};
use holdfast_types::sanitise;
use serde::Deserialize;

use super::{Answer, Api, Trouble, Who};
use crate::board;
use crate::manager::Command;
use crate::survey::{Survey, SurveyId};

/// How long hosts are waited for: a little longer than they take at most.
const WAIT_MAX: Duration = Duration::from_secs(25);
/// Bytes of what a host tells of one attempt.
const DETAIL_MAX: usize = 512;
/// Bytes of an address as text.
const ADDRESS_MAX: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    /// Names of hosts; none: the media servers, and as many clients as there is room for.
    #[serde(default)]
    hosts: Vec<String>,
}

/// Answers when all have told what they found, or after 25 s.
pub(super) async fn ask(State(api): State<Api>, who: Who, Json(wish): Json<Wish>) -> Answer<Facts> {
    who.operator()?;
    let hosts = chosen(&api, &wish.hosts).await?;
    let mut id: SurveyId = [0; 16];
    getrandom::fill(&mut id)
        .map_err(|error| Trouble::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string(), "ask again"))?;
    let busy = || Trouble::busy("others ask the same at the moment", "ask again in a minute");
    api.board.surveys.begin(id, &hosts).ok_or_else(busy)?;
    let mut changes = api.board.surveys.changes();
    let attending = api.board.hosts();
    api.ask(|answer| Command::Survey { id, hosts: hosts.clone(), answer }).await?;
    let begun = Instant::now();
    while !api.board.surveys.is_complete(&id) && begun.elapsed() < WAIT_MAX {
        board::change(&mut changes, WAIT_MAX.saturating_sub(begun.elapsed())).await;
    }
    let survey = api.board.surveys.end(&id).ok_or_else(busy)?;
    let connected = |host: &Identity| attending.get(host).is_some_and(|host| host.is_connected);
    Ok(Json(facts(&api.here, &hosts, &survey, connected)))
}

/// This host first, then media servers, then clients, by name.
async fn chosen(api: &Api, wanted: &[String]) -> Result<Vec<Identity>, Trouble> {
    let known = api.catalog.hosts().await?;
    let unknown = wanted.iter().find(|name| !known.iter().any(|row| row.name == **name));
    if let Some(name) = unknown {
        return Err(Trouble::missing(format!("there is no host {name}"), "`holdfast hosts` lists them"));
    }
    let mut hosts: Vec<Identity> = Vec::new();
    for row in known.iter().filter(|row| wanted.is_empty() || wanted.contains(&row.name)) {
        let role = super::hosts::role(&row.role)?;
        hosts.extend(Identity::new(api.here.site(), role, &row.name).ok().filter(|host| *host != api.here));
    }
    hosts.sort_by_key(|host| (host.role() != Role::Media, host.host().to_owned()));
    hosts.truncate(HOSTS_MAX - 1);
    hosts.insert(0, api.here.clone());
    Ok(hosts)
}

/// What was told, and by whom nothing.
fn facts(
    here: &Identity,
    hosts: &[Identity],
    survey: &Survey,
    connected: impl Fn(&Identity) -> bool,
) -> Facts {
    let host = |host: &Identity| Host {
        name: host.host().to_owned(),
        role: match host.role() {
            _ if host == here => Part::Primary,
            Role::Media => Part::Media,
            _ => Part::Client,
        },
        told: survey.told.contains_key(host),
        error: survey
            .open
            .contains(host)
            .then(|| format!("It attends, and has not answered within {} s.", WAIT_MAX.as_secs())),
        connected: connected(host),
    };
    let mut ways = Vec::new();
    for (from, sights) in hosts.iter().enumerate().filter_map(|(at, host)| Some((at, survey.told.get(host)?)))
    {
        ways.extend(sights.iter().filter_map(|sight| way(from, hosts, sight)));
    }
    Facts { hosts: hosts.iter().map(host).collect(), ways }
}

fn way(from: usize, hosts: &[Identity], sight: &wire::Sight) -> Option<Way> {
    let identity: Identity = sight.host.parse().ok()?;
    let to = hosts.iter().position(|host| *host == identity)?;
    let outcome = match sight.outcome() {
        WireOutcome::Open => Outcome::Open,
        WireOutcome::Refused => Outcome::Refused,
        WireOutcome::Unreachable => Outcome::Unreachable,
        WireOutcome::Mute => Outcome::Mute,
        WireOutcome::Silent => Outcome::Dropped,
        WireOutcome::Foreign => Outcome::Foreign,
        WireOutcome::Untried => Outcome::Untried,
        // Of a later version.
        WireOutcome::Unknown => return None,
    };
    let text = |text: &str, most: usize| {
        let mut text = sanitise(text.as_bytes());
        text.truncate(text.floor_char_boundary(most));
        text
    };
    Some(Way {
        from,
        to,
        address: text(&sight.address, ADDRESS_MAX),
        outcome,
        millis: sight.millis,
        detail: text(&sight.detail, DETAIL_MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::Surveys;

    #[test]
    fn what_hosts_say_of_hosts_that_were_not_asked_about_is_left_out() {
        let host = |role, name: &str| Identity::new("lab", role, name).unwrap();
        let hosts = [host(Role::Primary, "p"), host(Role::Client, "a"), host(Role::Client, "b")];
        let surveys = Surveys::default();
        surveys.begin([1; 16], &hosts).unwrap();
        let sight = |of: &Identity, outcome: WireOutcome| wire::Sight {
            host: of.to_string(),
            address: "10.0.0.1:7556\u{1b}".into(),
            outcome: outcome.into(),
            millis: 2,
            detail: "x".repeat(2_000),
        };
        let other = host(Role::Client, "c");
        let sights = vec![
            sight(&hosts[0], WireOutcome::Silent),
            sight(&other, WireOutcome::Open),
            sight(&hosts[2], WireOutcome::Unknown),
        ];
        surveys.tell(&hosts[1], wire::Surveyed { id: vec![1; 16], sights });
        surveys.lost(&hosts[0]);
        let facts = facts(&hosts[0], &hosts, &surveys.end(&[1; 16]).unwrap(), |_| false);
        let told: Vec<_> = facts.hosts.iter().map(|host| (host.told, host.error.is_some())).collect();
        assert_eq!(told, [(false, false), (true, false), (false, true)]);
        assert_eq!(facts.ways.len(), 1);
        let way = &facts.ways[0];
        assert_eq!((way.from, way.to, way.outcome, way.detail.len()), (1, 0, Outcome::Dropped, DETAIL_MAX));
        assert!(!way.address.contains('\u{1b}'));
    }
}
