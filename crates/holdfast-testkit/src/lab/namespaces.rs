//! The namespaces of a lab. Their names carry the id of the process that made them, so that what a killed run left behind
//! is known, and a number, so that a process can have many.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process};

use super::tools::{self, Result};

const PREFIX: &str = "hflab";
static NEXT: AtomicU32 = AtomicU32::new(1);
/// `ip` makes its directory of namespaces when the first is added, and two at a time get in each other's way.
static MAKING: Mutex<()> = Mutex::new(());

/// A host of the lab.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Host {
    /// Left of the router.
    Client,
    /// In the middle.
    Router,
    /// Right of the router.
    Server,
}

impl Host {
    pub(super) const ALL: [Self; 3] = [Self::Client, Self::Router, Self::Server];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Router => "router",
            Self::Server => "server",
        }
    }
}

/// Three namespaces; gone with this. The server's may be another's, and is left then.
#[derive(Debug)]
pub(super) struct Namespaces {
    stem: String,
    server: Option<String>,
}

impl Namespaces {
    pub(super) fn create() -> Result<Self> {
        Self::make(None)
    }

    /// A client and a router of its own before the same server.
    pub(super) fn beside(&self) -> Result<Self> {
        Self::make(Some(self.name(Host::Server)))
    }

    fn make(server: Option<String>) -> Result<Self> {
        let _one_at_a_time = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // From here on dropping it removes what there is of it.
        let spaces = Self { stem: format!("{PREFIX}-{}-{number}", std::process::id()), server };
        for host in spaces.own() {
            tools::run("ip", &["netns", "add", &spaces.name(host)])?;
            spaces.ip(host, &["link", "set", "lo", "up"])?;
        }
        Ok(spaces)
    }

    pub(super) fn name(&self, host: Host) -> String {
        match (&self.server, host) {
            (Some(server), Host::Server) => server.clone(),
            _ => format!("{}-{}", self.stem, host.word()),
        }
    }

    fn own(&self) -> impl Iterator<Item = Host> + use<> {
        let is_own = self.server.is_none();
        Host::ALL.into_iter().filter(move |host| is_own || *host != Host::Server)
    }

    /// `ip` as on that host.
    pub(super) fn ip(&self, host: Host, arguments: &[&str]) -> Result<String> {
        let name = self.name(host);
        tools::run("ip", &["-n", &name].iter().chain(arguments).copied().collect::<Vec<_>>())
    }

    /// A command on that host, to its end.
    pub(super) fn exec(&self, host: Host, command: &[&str]) -> Result<String> {
        self.exec_with(host, command, "")
    }

    /// What runs on that host.
    pub(super) fn running(&self, host: Host) -> Result<Vec<u32>> {
        let pids = tools::run("ip", &["netns", "pids", &self.name(host)])?;
        Ok(pids.lines().filter_map(|line| line.trim().parse().ok()).collect())
    }

    /// The same with this on its standard input.
    pub(super) fn exec_with(&self, host: Host, command: &[&str], input: &str) -> Result<String> {
        let name = self.name(host);
        let words: Vec<&str> = ["netns", "exec", &name].iter().chain(command).copied().collect();
        tools::feed("ip", &words, input)
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for host in self.own() {
            remove(&self.name(host));
        }
    }
}

/// Ends what runs in it and removes it. Whether that worked shows in `ip netns list`; there is nobody to tell.
fn remove(name: &str) {
    if let Ok(pids) = tools::run("ip", &["netns", "pids", name]) {
        for pid in pids.lines().filter_map(|line| Pid::from_raw(line.trim().parse().ok()?)) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    let _ = tools::run("ip", &["netns", "del", name]);
}

/// Removes namespaces of labs whose process is no more, and what still runs in them. Returns how many there were.
pub fn remove_leftovers() -> Result<usize> {
    tools::check()?;
    let _one_at_a_time = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let listed = tools::run("ip", &["netns", "list"])?;
    let left: Vec<&str> = listed.lines().filter_map(|line| line.split(' ').next()).filter(is_left).collect();
    left.iter().for_each(|name| remove(name));
    Ok(left.len())
}

fn is_left(name: &&str) -> bool {
    let maker = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('-')?.split('-').next());
    let maker = maker.and_then(|pid| pid.parse::<u32>().ok());
    maker.is_some_and(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_dead_processes_are_leftovers() {
        let own = format!("{PREFIX}-{}-1-client", std::process::id());
        assert!(!is_left(&own.as_str()));
        // Above the highest number that a process can have (PID_MAX_LIMIT).
        assert!(is_left(&"hflab-4194305-1-client"));
        for other in ["rs-c", "hflab", "hflab-x-1-client", "hflab2-4194305-1", ""] {
            assert!(!is_left(&other), "{other}");
        }
    }
}
