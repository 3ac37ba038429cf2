//! How a fault is made and ended.

use std::time::Duration;

use anyhow::{Context, Result};
use holdfast_testkit::lab::{Lab, Then, Way, let_pass};

use super::case::{Case, Fault, Phase};
use super::clock::Clock;
use super::job::Gates;
use super::phase;
use super::site::{MEDIA_PORTS, PORTS, Role, Site};
use super::wait::{self, OFTEN};

/// What is so before anything runs.
pub(super) fn arrange(lab: &Lab, case: Case) -> Result<()> {
    match (case.fault, case.phase) {
        (Fault::PortDropped, Phase::Connect) => drop_preferred(lab)?,
        (Fault::Idle, _) => {
            PORTS.iter().chain(&MEDIA_PORTS).try_for_each(|port| lab.forget(*port, Then::Silence))?;
        }
        _ => {}
    }
    Ok(())
}

/// The same of what belongs to the site.
pub(super) fn arrange_site(site: &mut Site, case: Case) -> Result<()> {
    if let Fault::Clock(..) = case.fault {
        site.clock = Some(Clock::new(site.dir())?);
    }
    Ok(())
}

fn drop_preferred(lab: &Lab) -> Result<()> {
    Ok([PORTS[0], MEDIA_PORTS[0]].into_iter().try_for_each(|port| lab.drop_port(port, Way::Both))?)
}

/// The fault, from its beginning to its end, while a job is in its phase. What holds the job lets it go on in the middle of the
/// fault, so that the job meets it; its command after when the fault is over.
pub(super) fn happen(site: &mut Site, case: Case, gates: &Gates, within: Duration) -> Result<()> {
    let Case { phase, fault } = case;
    let is_of_client = fault.of_whom().is_some_and(|who| who.has_client());
    // A client that is to be hit while it scans has to be let go first.
    let is_hit_scanning = phase == Phase::Scan && is_of_client;
    if is_hit_scanning {
        phase::release(site, phase, gates, &[])?;
    }
    begin(site, fault)?;
    let goes_on = !is_hit_scanning && phase != Phase::After && !is_of_client && fault != Fault::Idle;
    let goes_on = goes_on || phase == Phase::Commit;
    if goes_on {
        let held = if let Fault::Stop(who) = fault { site.roles_of(who) } else { Vec::new() };
        phase::release(site, phase, gates, &held)?;
    }
    last(site, case, within)?;
    end(site, fault)?;
    let was_let_go = goes_on || is_hit_scanning || (phase == Phase::Connect && is_of_client);
    if !was_let_go {
        phase::release(site, phase, gates, &[])?;
    }
    Ok(())
}

fn begin(site: &mut Site, fault: Fault) -> Result<()> {
    match fault {
        Fault::PortDropped => drop_preferred(&site.lab)?,
        Fault::Cut(..) => site.lab.cut(Way::Both)?,
        Fault::Reset => site.lab.reset(&site.lab.established()?)?,
        Fault::Move => drop(site.lab.move_client()?),
        Fault::Clock(_, seconds) => site.clock.as_ref().context("a clock")?.jump(seconds)?,
        Fault::Stop(_) | Fault::RideOut => each(site, fault, Site::stop)?,
        Fault::Kill(_) | Fault::LostReply | Fault::PrimaryDown => each(site, fault, Site::kill)?,
        Fault::Idle | Fault::VaultFull | Fault::SourceError => {}
    }
    Ok(())
}

/// Until it is over.
fn last(site: &mut Site, case: Case, within: Duration) -> Result<()> {
    match case.fault {
        // At the beginning it has been idle already.
        Fault::Idle if case.phase == Phase::Connect => {}
        Fault::PrimaryDown => {
            let ends = site.state(Role::Client).join("attempts");
            let is_over = || Ok((site.images_made() > 0 && count(&ends) > 0).then_some(()));
            wait::until(within, OFTEN, is_over)?
                .context("the backup does not end without the primary server")?;
        }
        fault => let_pass(fault.lasts()),
    }
    Ok(())
}

fn end(site: &mut Site, fault: Fault) -> Result<()> {
    match fault {
        Fault::Cut(..) => site.lab.mend()?,
        Fault::Reset => {
            // Who has nothing to say meets it with its next heartbeat.
            let_pass(Duration::from_secs(2));
            site.lab.stop_resets()?;
        }
        Fault::Stop(_) | Fault::RideOut => each(site, fault, Site::go_on)?,
        Fault::Kill(_) | Fault::LostReply | Fault::PrimaryDown => each(site, fault, Site::start)?,
        _ => {}
    }
    Ok(())
}

fn each(site: &mut Site, fault: Fault, mut act: impl FnMut(&mut Site, Role) -> Result<()>) -> Result<()> {
    let roles = fault.of_whom().map(|who| site.roles_of(who)).unwrap_or_default();
    roles.into_iter().try_for_each(|role| act(site, role))
}

/// How many entries a directory has.
pub(super) fn count(dir: &std::path::Path) -> usize {
    std::fs::read_dir(dir).map_or(0, Iterator::count)
}
