//! How a job is brought to the phase in which a fault is to come, and let go on from it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use holdfast_testkit::lab::{self, Host};

use super::case::{Case, Fault, Phase};
use super::gate::Gate;
use super::job::{self, Gates, Job};
use super::site::{Role, Site};
use super::step;
use super::tree::Tree;
use super::wait::{self, OFTEN};

/// Bytes a second of the path: as a usual line, slow enough that a fault finds something under way.
pub(super) const SPEED: u64 = 25_000_000;
/// A phase comes within the time of the transfer, and this.
const SOON: Duration = Duration::from_secs(60);

/// So long a job may take from one point to another if nothing is in its way.
pub(super) fn limit(tree: &Tree) -> Duration {
    SOON + Duration::from_secs(3 * tree.bytes / SPEED)
}

/// The gates that a phase needs.
pub(super) fn gates(site: &Site, phase: Phase) -> Result<Gates> {
    let gate = || Gate::new(&site.dir().join("gate")).map(Some);
    Ok(match phase {
        Phase::Scan => Gates { before: gate()?, after: None },
        Phase::After => Gates { before: None, after: gate()? },
        _ => Gates::default(),
    })
}

/// Sets the speed of the path.
pub(super) fn lay_path(site: &Site) -> Result<()> {
    Ok(site.lab.slow_down(SPEED)?)
}

/// Begins a job with this and waits until it is in the phase. Its id.
pub(super) fn reach(
    site: &mut Site,
    case: Case,
    tree: &Tree,
    gates: &Gates,
    begin: impl FnOnce(&Site) -> Result<String>,
) -> Result<String> {
    if case.phase == Phase::Connect {
        return order_while_frozen(site, case.fault, begin);
    }
    let id = begin(site)?;
    let within = limit(tree);
    match case.phase {
        Phase::Connect => {}
        Phase::Scan => gates.before.as_ref().context("a gate")?.wait_begun(within)?,
        Phase::After => gates.after.as_ref().context("a gate")?.wait_begun(within)?,
        Phase::Transfer => drop(sent(site, &id, within, tree.small / 20)?),
        Phase::Large => {
            let now = sent(site, &id, within, tree.small + (tree.bytes - tree.small) / 10)?;
            ensure!(now < tree.bytes / 10 * 9, "{now} of {} bytes were sent already", tree.bytes);
        }
        Phase::Commit => {
            let made = case.fault == Fault::LostReply;
            step::to_commit(site, &id, tree.bytes, made, within)?;
        }
        Phase::Restore => {
            let is_there =
                |job: &Job| job.text("phase") == "restore" && job.number("bytes_read") >= tree.small / 20;
            job::follow(site, &id, within, OFTEN, is_there)?;
        }
    }
    Ok(id)
}

fn sent(site: &Site, id: &str, within: Duration, bytes: u64) -> Result<u64> {
    let is_there = |job: &Job| job.text("phase") == "transfer" && job.number("bytes_sent") >= bytes;
    Ok(job::follow(site, id, within, OFTEN, is_there)?.number("bytes_sent"))
}

/// The client stands still while its order comes, so that it is there when the client goes on, whatever the network does then.
fn order_while_frozen(
    site: &mut Site,
    fault: Fault,
    begin: impl FnOnce(&Site) -> Result<String>,
) -> Result<String> {
    match fault {
        // These are there from the beginning.
        Fault::PortDropped => return begin(site),
        Fault::Idle => {
            lab::let_pass(fault.lasts());
            return begin(site);
        }
        _ => {}
    }
    site.stop(Role::Client)?;
    let before = site.lab.unread(Host::Client)?;
    let id = begin(site)?;
    let come = wait::until(SOON, OFTEN, || Ok((site.lab.unread(Host::Client)? > before).then_some(())))?;
    come.context("the order does not come to the client's host")?;
    Ok(id)
}

/// Lets the job go on from where it was held, if it was; but these roles, which a fault holds.
pub(super) fn release(site: &mut Site, phase: Phase, gates: &Gates, but: &[Role]) -> Result<()> {
    let held: &[Role] = match phase {
        Phase::Connect => &[Role::Client],
        Phase::Commit => &[Role::Media, Role::Client],
        _ => &[],
    };
    for role in held.iter().filter(|role| !but.contains(role)) {
        if site.has(*role) {
            site.go_on(*role)?;
        }
    }
    [&gates.before, &gates.after].into_iter().flatten().try_for_each(Gate::open)
}
