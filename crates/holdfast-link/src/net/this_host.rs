//! The connections of a process on the host that it runs on: real sockets, routes that are remembered in a file, and an eye
//! on the host's own addresses.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::Me;
use super::changes::Watcher;
use super::clock::{after, now};
use super::link::Link;
use super::process::{Process, Settings};
use super::remembered::{Remembered, SAVE_EVERY};
use super::tcp::Tcp;

/// What a process does without, and why. It runs all the same.
#[derive(Debug, thiserror::Error)]
pub enum Lacking {
    /// Nobody tells when addresses and routes change: after a change, what was remembered ages by itself.
    #[error(transparent)]
    Surroundings(#[from] super::changes::Unwatched),
    /// What was remembered of routes could not be read, or cannot be kept: dead routes are found out again.
    #[error(transparent)]
    Routes(#[from] super::remembered::Error),
}

impl Link {
    /// Begins on this host. `routes` is the file in which routes are remembered, in the state directory. To be called in a
    /// runtime.
    pub fn on_this_host(me: Me, settings: Settings, routes: Option<PathBuf>) -> (Self, Vec<Lacking>) {
        let mut lacking = Vec::new();
        let (changes, surroundings) = watch::channel(0);
        let tcp = Tcp::new(&settings.times);
        let mut link = Self::start(me, tcp, settings, surroundings);
        match Watcher::open() {
            Ok(watcher) => link.process().spawn(async move {
                // Without it the others go on, with what they have.
                let _ = watcher.run(&changes).await;
            }),
            Err(unwatched) => lacking.push(unwatched.into()),
        }
        if let Some(path) = routes {
            let (remembered, problem) = Remembered::load(path, SystemTime::now());
            lacking.extend(problem.map(Lacking::from));
            link.remember(&remembered);
            let shelf = Arc::new(Mutex::new(remembered));
            link.process().spawn(save_now_and_then(Arc::clone(link.process()), Arc::clone(&shelf)));
            link.keep_on(shelf);
        }
        (link, lacking)
    }
}

async fn save_now_and_then(process: Arc<Process>, shelf: Arc<Mutex<Remembered>>) {
    loop {
        after(SAVE_EVERY).await;
        let (process, shelf) = (Arc::clone(&process), Arc::clone(&shelf));
        // A directory that cannot be written now may be writable later; what is lost is only time.
        let _ = tokio::task::spawn_blocking(move || {
            let mut shelf = shelf.lock();
            gather(&process, &mut shelf);
            shelf.save_if_due(now())
        })
        .await;
    }
}

/// Takes over what the process remembers now.
pub(super) fn gather(process: &Process, shelf: &mut Remembered) {
    for host in process.hosts() {
        let (name, memory) = (host.identity.to_string(), host.memory());
        if shelf.hosts().memory(&name) != Some(&memory) {
            *shelf.hosts_mut().memory_mut(&name) = memory;
        }
    }
}
