//! How a fault is made and ended.

use std::path::Path;

use anyhow::Result;
use holdfast_testkit::lab::{Lab, Then, Way, let_pass};

use super::case::{Case, Fault, Phase, Who};
use super::job::Gates;
use super::phase;
use super::site::{PORTS, Role, Site};

/// What is so before anything runs.
pub(super) fn arrange(lab: &Lab, case: Case) -> Result<()> {
    match (case.fault, case.phase) {
        (Fault::PortDropped, Phase::Connect) => lab.drop_port(PORTS[0], Way::Both)?,
        (Fault::Idle, _) => PORTS.iter().try_for_each(|port| lab.forget(*port, Then::Silence))?,
        _ => {}
    }
    Ok(())
}

/// The fault, from its beginning to its end, while a job is in its phase. The job goes on from where it was held: in the
/// middle of it, so that it meets it; from its command after when the fault is over.
pub(super) fn happen(site: &mut Site, case: Case, gates: &Gates) -> Result<()> {
    let Case { phase, fault } = case;
    // A client that is to be hit while it scans has to be let go first.
    let is_hit_scanning = phase == Phase::Scan && of_client(fault);
    if is_hit_scanning {
        phase::release(site, phase, gates)?;
    }
    begin(site, fault)?;
    let goes_on = !is_hit_scanning && phase != Phase::After && !of_client(fault) && fault != Fault::Idle;
    if goes_on {
        phase::release(site, phase, gates)?;
    }
    // At the beginning it has been idle already.
    if !(fault == Fault::Idle && phase == Phase::Connect) {
        let_pass(fault.lasts());
    }
    end(site, fault)?;
    let was_let_go = goes_on || is_hit_scanning || (phase == Phase::Connect && of_client(fault));
    if !was_let_go {
        phase::release(site, phase, gates)?;
    }
    Ok(())
}

fn of_client(fault: Fault) -> bool {
    matches!(fault, Fault::Stop(who) | Fault::Kill(who) if who.has_client())
}

fn begin(site: &mut Site, fault: Fault) -> Result<()> {
    match fault {
        Fault::PortDropped => site.lab.drop_port(PORTS[0], Way::Both)?,
        Fault::Cut(..) => site.lab.cut(Way::Both)?,
        Fault::Reset => site.lab.reset(&site.lab.established()?)?,
        Fault::Move => drop(site.lab.move_client()?),
        Fault::Stop(who) => each(who, |role| Ok(site.process(role)?.stop()?))?,
        Fault::Kill(who) => each(who, |role| Ok(site.process(role)?.kill()?))?,
        Fault::Idle | Fault::VaultFull => {}
    }
    Ok(())
}

fn end(site: &mut Site, fault: Fault) -> Result<()> {
    match fault {
        Fault::Cut(..) => site.lab.mend()?,
        Fault::Stop(who) => each(who, |role| Ok(site.process(role)?.go_on()?))?,
        Fault::Kill(who) => each(who, |role| site.start(role))?,
        _ => {}
    }
    Ok(())
}

fn each(who: Who, mut act: impl FnMut(Role) -> Result<()>) -> Result<()> {
    if who.has_server() {
        act(Role::Primary)?;
    }
    if who.has_client() {
        act(Role::Client)?;
    }
    Ok(())
}

/// A small disk for a vault: a file system in memory. Unmounted when dropped.
#[derive(Debug)]
pub(super) struct SmallDisk {
    at: std::path::PathBuf,
}

impl SmallDisk {
    pub(super) fn mount(at: &Path, bytes: u64) -> Result<Self> {
        std::fs::create_dir_all(at)?;
        run(
            "mount",
            &["-t", "tmpfs", "-o", &format!("size={bytes}"), "holdfast-lab", &at.display().to_string()],
        )?;
        Ok(Self { at: at.to_owned() })
    }

    /// Makes room.
    pub(super) fn grow(&self, bytes: u64) -> Result<()> {
        run("mount", &["-o", &format!("remount,size={bytes}"), &self.at.display().to_string()])
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that is just ending may still be there. Whether it worked shows in `mount`.
        let _ = run("umount", &["--lazy", &self.at.display().to_string()]);
    }
}

fn run(program: &str, words: &[&str]) -> Result<()> {
    let status = std::process::Command::new(program).args(words).status()?;
    anyhow::ensure!(status.success(), "{program} {} failed", words.join(" "));
    Ok(())
}
