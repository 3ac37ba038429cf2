//! What the kernel says of running processes: processor time and peak memory, and who listens where.
//!
//! The processor time of a daemon is that of its threads and of the children that it has waited for. The kernel counts it
//! in ticks, a hundredth of a second on most machines: differences below that are none.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use nix::unistd::{SysconfVar, sysconf};

/// Ports that daemons of the bench try: below those that the kernel gives to who asks for any.
const PORTS: std::ops::Range<u16> = 20_000..30_000;
/// The state of a socket that listens, in `/proc/net/tcp`.
const LISTENING: &str = "0A";

/// Seconds of processor time that a process and its finished children have taken so far.
pub(super) fn cpu_seconds(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path}: it has ended"))?;
    let ticks = cpu_ticks(&text).with_context(|| format!("{path} is not understood: {text}"))?;
    let a_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    #[allow(clippy::cast_precision_loss, reason = "ticks since the process began fit")]
    Ok(ticks as f64 / a_second as f64)
}

/// The most memory that a process had since it began, or since [`forget_peak`], in MiB.
pub(super) fn peak_mib(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path}: it has ended"))?;
    let kib = peak_kib(&text).with_context(|| format!("{path} has no VmHWM"))?;
    #[allow(clippy::cast_precision_loss, reason = "kibibytes of memory fit")]
    Ok(kib as f64 / 1024.0)
}

/// Lets the peak of a process begin anew with what it has now.
pub(super) fn forget_peak(pid: u32) -> Result<()> {
    let path = format!("/proc/{pid}/clear_refs");
    std::fs::write(&path, "5").with_context(|| format!("writing {path}"))
}

/// Whether a process has children that it has not waited for.
pub(super) fn has_children(pid: u32) -> bool {
    let path = format!("/proc/{pid}/task/{pid}/children");
    std::fs::read_to_string(path).is_ok_and(|text| !text.trim().is_empty())
}

/// The ports on which somebody listens over IPv4 or IPv6.
pub(super) fn listening() -> Result<BTreeSet<u16>> {
    let mut ports = ports_in(&std::fs::read_to_string("/proc/net/tcp").context("reading /proc/net/tcp")?);
    // Not there on machines without IPv6.
    ports.append(&mut ports_in(&std::fs::read_to_string("/proc/net/tcp6").unwrap_or_default()));
    Ok(ports)
}

/// Ports on which nobody listens, other ones for benches that run at a time. That they are still free when a daemon wants
/// them is not certain: then it says so and ends.
pub(super) fn free_ports<const COUNT: usize>() -> Result<[u16; COUNT]> {
    let taken = listening()?;
    let first = PORTS.start + u16::try_from(std::process::id() % 9_000)?;
    let free: Vec<u16> = (first..PORTS.end).filter(|port| !taken.contains(port)).take(COUNT).collect();
    free.try_into().ok().context("too few ports are free")
}

/// The fields utime, stime, cutime and cstime of `/proc/PID/stat`. The name before them may hold spaces and brackets.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    // The state, the first after the name, is field 3 of proc(5); utime is field 14.
    let times: Vec<u64> =
        fields.get(11..15)?.iter().map(|field| field.parse()).collect::<Result<_, _>>().ok()?;
    Some(times.iter().sum())
}

fn peak_kib(status: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok())
}

fn ports_in(table: &str) -> BTreeSet<u16> {
    let port = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let (_, port) = fields.next()?.rsplit_once(':')?;
        let state = fields.nth(1)?;
        (state == LISTENING).then(|| u16::from_str_radix(port, 16).ok()).flatten()
    };
    table.lines().skip(1).filter_map(port).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "17 (a ) b) S 1 17 17 0 -1 4194560 500 600 0 0 120 30 4 5 20 0 3 0 88 1000 20 0";
        assert_eq!(cpu_ticks(stat), Some(159));
        assert_eq!(cpu_ticks("17 (a) S 1 17"), None);
        assert_eq!(cpu_ticks(""), None);
    }

    #[test]
    fn the_peak_is_found() {
        assert_eq!(peak_kib("Name:\ta\nVmPeak:\t  900 kB\nVmHWM:\t    812 kB\nVmRSS:\t 5 kB\n"), Some(812));
        assert_eq!(peak_kib("Name:\tkthreadd\n"), None);
    }

    #[test]
    fn only_listeners_count() {
        let table = "  sl  local_address rem_address   st tx_queue\n   \
                     0: 0100007F:1F90 00000000:0000 0A 00000000:00000000\n   \
                     1: 0100007F:1F91 0100007F:C001 01 00000000:00000000\n\
                     broken\n";
        assert_eq!(ports_in(table), BTreeSet::from([8080]));
    }

    #[test]
    fn our_own_figures_can_be_read() {
        assert!(cpu_seconds(std::process::id()).unwrap() >= 0.0);
        assert!(peak_mib(std::process::id()).unwrap() > 0.0);
        let [one, other] = free_ports::<2>().unwrap();
        assert!(one < other && PORTS.contains(&other));
    }
}
