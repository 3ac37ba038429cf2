//! A host tells the primary server whom it reaches: the order, and the report that answers it.

use std::net::SocketAddr;
use std::sync::Arc;

use holdfast_proto::services::report::Report as Said;
use holdfast_proto::services::sight::Outcome as WireOutcome;
use holdfast_proto::services::{Report, Sight, Survey, Surveyed, Target};

use super::attend::Reports;
use crate::identity::Identity;
use crate::net::link::Link;
use crate::net::survey::{ADDRESSES_MAX, HOSTS_MAX, Tried};
use crate::route::Outcome;

/// Bytes of what is told of one attempt.
const DETAIL_MAX: usize = 512;

/// Does what the order says, and reports. Other orders do not wait for it. If the primary server is out of reach when it is
/// done, whoever asked asks again.
pub fn answer(link: &Arc<Link>, order: Survey, reports: Reports) {
    let link = Arc::clone(link);
    tokio::spawn(async move {
        let sights = sights(&link, &order.targets).await;
        let surveyed = Surveyed { id: order.id, sights };
        reports.say(Report { report: Some(Said::Surveyed(surveyed)) });
    });
}

/// What this host finds at the addresses of these hosts.
pub async fn sights(link: &Link, targets: &[Target]) -> Vec<Sight> {
    let wanted = targets.iter().take(HOSTS_MAX).filter_map(|target| {
        let addresses = target.addresses.iter().take(ADDRESSES_MAX);
        let addresses: Vec<SocketAddr> = addresses.filter_map(|address| address.parse().ok()).collect();
        Some((target.host.parse::<Identity>().ok()?, addresses))
    });
    let tried = link.survey(wanted.collect()).await;
    tried.iter().map(sight).collect()
}

fn sight(tried: &Tried) -> Sight {
    let Some(outcome) = tried.outcome else {
        return of(tried, WireOutcome::Untried);
    };
    let outcome = match outcome {
        Outcome::Open(_) => WireOutcome::Open,
        Outcome::Refused => WireOutcome::Refused,
        Outcome::Unreachable => WireOutcome::Unreachable,
        Outcome::Mute => WireOutcome::Mute,
        Outcome::Silent => WireOutcome::Silent,
        Outcome::Intercepted => WireOutcome::Foreign,
    };
    of(tried, outcome)
}

fn of(tried: &Tried, outcome: WireOutcome) -> Sight {
    let mut detail = tried.detail.clone();
    detail.truncate(detail.floor_char_boundary(DETAIL_MAX));
    Sight {
        host: tried.host.to_string(),
        address: tried.address.to_string(),
        outcome: outcome.into(),
        millis: u64::try_from(tried.after.as_millis()).unwrap_or(u64::MAX),
        detail,
    }
}
