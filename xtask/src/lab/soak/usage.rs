//! What processes use: processors, memory, threads, open files, as the kernel counts them (/proc).

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::super::hosts;

/// The kernel's clock for these, a second (USER_HZ; the same on all that runs here).
const TICKS: f64 = 100.0;

/// A process at a moment.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Usage {
    /// Since it began.
    pub(super) age_s: f64,
    /// Of all processors together.
    pub(super) cpu_s: f64,
    pub(super) memory: u64,
    /// Of it what is no file, so what no other process of the same program shares.
    pub(super) memory_own: u64,
    pub(super) memory_peak: u64,
    pub(super) threads: u64,
    pub(super) files: usize,
}

impl Usage {
    pub(super) fn of(process: u32) -> Result<Self> {
        let dir = Path::new("/proc").join(process.to_string());
        let read = |name: &str| {
            fs::read_to_string(dir.join(name)).with_context(|| format!("process {process} has no {name}"))
        };
        let (stat, status, uptime) = (read("stat")?, read("status")?, fs::read_to_string("/proc/uptime")?);
        let mut usage = parse(&stat, &status, &uptime).context("what /proc says is not understood")?;
        usage.files = fs::read_dir(dir.join("fd")).map_or(0, Iterator::count);
        Ok(usage)
    }

    pub(super) fn shown(&self) -> String {
        format!(
            "{} memory, {} files, {} threads, {:.0} s old",
            hosts::bytes(Some(self.memory)),
            self.files,
            self.threads,
            self.age_s
        )
    }
}

fn parse(stat: &str, status: &str, uptime: &str) -> Option<Usage> {
    // The name may hold anything, spaces and brackets too.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    let value = |key: &str| {
        status.lines().find_map(|line| line.strip_prefix(key)?.split_whitespace().next()?.parse::<u64>().ok())
    };
    let now: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    Some(Usage {
        age_s: now - ticks(19)? / TICKS,
        cpu_s: (ticks(11)? + ticks(12)?) / TICKS,
        memory: value("VmRSS:")? << 10,
        memory_own: value("RssAnon:")? << 10,
        memory_peak: value("VmHWM:")? << 10,
        threads: value("Threads:")?,
        files: 0,
    })
}

/// What one role has used in all its processes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Account {
    pub(super) processes: u32,
    pub(super) cpu_s: f64,
    pub(super) memory_peak: u64,
    /// At a quarter of the run, and at its end.
    pub(super) quarter: Option<Usage>,
    pub(super) end: Option<Usage>,
}

impl Account {
    /// A process is about to be no more.
    pub(super) fn close(&mut self, usage: Usage) {
        self.processes += 1;
        self.cpu_s += usage.cpu_s;
        self.memory_peak = self.memory_peak.max(usage.memory_peak);
    }

    pub(super) fn shown(&self) -> String {
        let at = |usage: &Option<Usage>| usage.map_or("unknown".to_owned(), |usage| usage.shown());
        format!(
            "{:.1} s of processors in {} processes, peak {}; at a quarter {}; at the end {}",
            self.cpu_s,
            self.processes,
            hosts::bytes(Some(self.memory_peak)),
            at(&self.quarter),
            at(&self.end)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_understood() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 4 0 1000 1 1";
        let status = "Name:\ta\nVmHWM:\t   2048 kB\nVmRSS:\t   1024 kB\nRssAnon:\t 512 kB\nThreads:\t4\n";
        let usage = parse(stat, status, "25.50 40.00\n").unwrap();
        assert!((usage.age_s - 15.5).abs() < 1e-9 && (usage.cpu_s - 3.0).abs() < 1e-9, "{usage:?}");
        assert_eq!((usage.memory, usage.memory_own, usage.memory_peak), (1 << 20, 1 << 19, 2 << 20));
        assert_eq!(usage.threads, 4);
        assert_eq!(parse("", status, "1 1"), None);
        assert!(Usage::of(std::process::id()).unwrap().files > 0);
    }
}
