//! Which hosts were asked whom they reach, and what they have said. Kept in memory while somebody waits for it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_link::identity::Identity;
use holdfast_link::net::link::Link;
use holdfast_link::net::survey::{ADDRESSES_MAX, HOSTS_MAX};
use holdfast_link::rpc::survey::sights;
use holdfast_proto::services as wire;
use parking_lot::Mutex;
use tokio::sync::watch;

/// Surveys at a time: each has every host dial every other.
const OPEN_MAX: usize = 4;
/// Nobody waits longer.
const KEPT_FOR: Duration = Duration::from_secs(60);
/// What a host may tell.
const SIGHTS_MAX: usize = HOSTS_MAX * ADDRESSES_MAX;

/// Names a survey.
pub(crate) type SurveyId = [u8; 16];

/// What is known of a survey.
#[derive(Clone, Debug)]
pub(crate) struct Survey {
    /// Who has not answered yet.
    pub(crate) open: BTreeSet<Identity>,
    pub(crate) told: BTreeMap<Identity, Vec<wire::Sight>>,
    begun: Instant,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Surveys {
    all: Mutex<HashMap<SurveyId, Survey>>,
    changes: watch::Sender<u64>,
}

impl Surveys {
    /// Begins one in which these hosts are asked. `None`: there are too many.
    pub(crate) fn begin(&self, id: SurveyId, hosts: &[Identity]) -> Option<()> {
        let mut all = self.all.lock();
        all.retain(|_, survey| survey.begun.elapsed() < KEPT_FOR);
        if all.len() >= OPEN_MAX {
            return None;
        }
        let open = hosts.iter().cloned().collect();
        all.insert(id, Survey { open, told: BTreeMap::new(), begun: Instant::now() });
        Some(())
    }

    /// A host says what it has found. One that was not asked, or has answered, is not heard.
    pub(crate) fn tell(&self, host: &Identity, surveyed: wire::Surveyed) {
        let Ok(id) = SurveyId::try_from(surveyed.id.as_slice()) else { return };
        if let Some(survey) = self.all.lock().get_mut(&id)
            && survey.open.remove(host)
        {
            let mut sights = surveyed.sights;
            sights.truncate(SIGHTS_MAX);
            survey.told.insert(host.clone(), sights);
        }
        self.changed();
    }

    /// A host is gone, or was not there.
    pub(crate) fn lost(&self, host: &Identity) {
        for survey in self.all.lock().values_mut() {
            survey.open.remove(host);
        }
        self.changed();
    }

    /// Whether all have answered who could.
    pub(crate) fn is_complete(&self, id: &SurveyId) -> bool {
        self.all.lock().get(id).is_none_or(|survey| survey.open.is_empty())
    }

    /// What there is of it. It is over then.
    pub(crate) fn end(&self, id: &SurveyId) -> Option<Survey> {
        self.all.lock().remove(id)
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }
}

/// An order as it is sent.
pub(crate) fn order(
    id: SurveyId,
    hosts: &[Identity],
    known: impl Fn(&Identity) -> Vec<SocketAddr>,
) -> wire::Survey {
    let target = |host: &Identity| {
        let addresses = known(host).iter().take(ADDRESSES_MAX).map(SocketAddr::to_string).collect();
        wire::Target { host: host.to_string(), addresses }
    };
    wire::Survey { id: id.to_vec(), targets: hosts.iter().take(HOSTS_MAX).map(target).collect() }
}

/// This host tries the others, too.
pub(crate) fn do_here(surveys: &Arc<Surveys>, here: Identity, link: Arc<Link>, order: wire::Survey) {
    let surveys = Arc::clone(surveys);
    tokio::spawn(async move {
        let sights = sights(&link, &order.targets).await;
        surveys.tell(&here, wire::Surveyed { id: order.id, sights });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_link::identity::Role;

    fn host(name: &str) -> Identity {
        Identity::new("lab", Role::Client, name).unwrap()
    }

    fn said(id: SurveyId) -> wire::Surveyed {
        wire::Surveyed { id: id.to_vec(), sights: vec![wire::Sight::default()] }
    }

    #[test]
    fn it_is_complete_when_all_have_answered_or_are_gone() {
        let surveys = Surveys::default();
        surveys.begin([1; 16], &[host("a"), host("b")]).unwrap();
        surveys.tell(&host("c"), said([1; 16]));
        surveys.tell(&host("a"), said([2; 16]));
        surveys.tell(&host("a"), said([1; 16]));
        assert!(!surveys.is_complete(&[1; 16]));
        surveys.lost(&host("b"));
        assert!(surveys.is_complete(&[1; 16]));
        let survey = surveys.end(&[1; 16]).unwrap();
        assert_eq!(survey.told.keys().collect::<Vec<_>>(), [&host("a")]);
        assert!(surveys.end(&[1; 16]).is_none());
    }

    #[test]
    fn there_are_few_at_a_time() {
        let surveys = Surveys::default();
        for number in 0..OPEN_MAX {
            surveys.begin([u8::try_from(number).unwrap(); 16], &[host("a")]).unwrap();
        }
        assert!(surveys.begin([9; 16], &[host("a")]).is_none());
        surveys.end(&[0; 16]);
        assert!(surveys.begin([9; 16], &[host("a")]).is_some());
    }
}
