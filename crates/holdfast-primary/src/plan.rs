//! Which jobs a policy makes, for whom, and when.

use std::collections::BTreeSet;

use holdfast_catalog::{Error as CatalogError, HostRow};
use holdfast_jobs::Now;
use holdfast_jobs::policy::{Clients, Policy};
use holdfast_jobs::schedule;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::manager::{Manager, Wish};
use crate::work::Work;

/// The mark of a policy's schedules.
pub(crate) const MARK: &str = "schedule";

/// The rules of a time zone, as this system has them.
pub(crate) fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

/// The enrolled clients that a policy means, and the names in it that nobody has.
pub(crate) fn clients(policy: &Policy, hosts: &[HostRow]) -> (BTreeSet<String>, Vec<String>) {
    let (mut found, mut missing) = (BTreeSet::new(), Vec::new());
    let clients = || hosts.iter().filter(|host| host.role == "client");
    for wanted in &policy.clients {
        match wanted {
            Clients::Name(name) => match clients().any(|host| host.name == *name) {
                true => drop(found.insert(name.clone())),
                false => missing.push(name.clone()),
            },
            Clients::Label { key, value } => {
                let labelled = clients().filter(|host| host.labels.get(key) == Some(value));
                found.extend(labelled.map(|host| host.name.clone()));
            }
        }
    }
    (found, missing)
}

impl Manager {
    /// Makes the jobs that are due by now.
    pub(crate) async fn plan(&mut self) -> Result<(), CatalogError> {
        let now = self.now();
        let Ok(time) = timestamp(now.day_millis) else { return Ok(()) };
        let mut wishes = Vec::new();
        for (name, policy) in self.policies.clone() {
            if policy.schedule.is_empty() {
                continue;
            }
            let key = (name.clone(), MARK.to_owned());
            let Some(considered) = self.marks.get(&key).copied() else {
                // From now on: nothing is made up for that was due before there was a policy.
                self.catalog.set_mark(&name, MARK, now.day_millis).await?;
                self.marks.insert(key, now.day_millis);
                continue;
            };
            let Ok(considered) = timestamp(considered) else { continue };
            let schedules = policy.schedules(&zone);
            let Some(due) = schedule::due(&schedules, considered, time) else { continue };
            wishes.extend(self.due(&name, &policy, due).await?);
        }
        if !wishes.is_empty() {
            self.make(wishes).await?;
        }
        Ok(())
    }

    async fn due(
        &mut self,
        name: &str,
        policy: &Policy,
        due: schedule::Due,
    ) -> Result<Vec<Wish>, CatalogError> {
        let (clients, _) = clients(policy, &self.catalog.hosts().await?);
        let until = due.until.and_then(|until| u64::try_from(until.as_millisecond()).ok());
        let at = u64::try_from(due.at.as_millisecond()).unwrap_or_default();
        if clients.is_empty() {
            self.catalog.set_mark(name, MARK, at).await?;
            self.marks.insert((name.to_owned(), MARK.to_owned()), at);
        }
        let wish = |client| Wish {
            client,
            policy: Some(name.to_owned()),
            label: name.to_owned(),
            priority: policy.priority,
            work: Work::of_policy(policy, due.rehash, until),
            media: None,
            why: format!("due at {} by its policy", due.at),
            mark: Some((name.to_owned(), MARK.to_owned(), at)),
        };
        Ok(clients.into_iter().map(wish).collect())
    }

    /// In how many milliseconds something is due next.
    pub(crate) fn next_planned(&self, now: Now) -> Option<u64> {
        let time = timestamp(now.day_millis).ok()?;
        let next = |policy: &Policy| schedule::next(&policy.schedules(&zone), time);
        let soonest = self.policies.values().filter_map(next).min()?;
        let at = u64::try_from(soonest.as_millisecond()).ok()?;
        Some(at.saturating_sub(now.day_millis))
    }
}

fn timestamp(millis: u64) -> Result<Timestamp, jiff::Error> {
    Timestamp::from_millisecond(i64::try_from(millis).unwrap_or(i64::MAX))
}
