//! A program in a process group of its own, so that it ends with all that it has started, and is not waited for beyond that.
//!
//! The process is waited for on a thread of its own, and stays a zombie until nobody signals its group any more: so its
//! number is not another's by then.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};

use rustix::io::retry_on_intr;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::sync::oneshot;

/// A group that runs. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Group {
    id: Pid,
    exited: Option<oneshot::Receiver<()>>,
    /// Tells the thread that nobody signals the group any more.
    reap: Option<oneshot::Sender<()>>,
    status: Option<oneshot::Receiver<io::Result<ExitStatus>>>,
}

impl Group {
    /// Starts a program.
    pub(super) fn spawn(command: &mut Command) -> io::Result<Self> {
        let child = command.process_group(0).spawn()?;
        let id = Pid::from_child(&child);
        let (exited_out, exited) = oneshot::channel();
        let (reap, reaped) = oneshot::channel();
        let (status_out, status) = oneshot::channel();
        // Made first: if there is no thread it is dropped, and the group with it.
        let group = Self { id, exited: Some(exited), reap: Some(reap), status: Some(status) };
        let watch = move || watch(child, exited_out, reaped, status_out);
        std::thread::Builder::new().name("command".into()).spawn(watch)?;
        Ok(group)
    }

    /// Waits until the program has exited. To be called again after a timeout; at once if it has.
    pub(super) async fn exited(&mut self) {
        if let Some(exited) = &mut self.exited {
            // If the thread is gone there is nothing to wait for.
            let _ = exited.await;
            self.exited = None;
        }
    }

    /// Sends a signal to all of the group.
    pub(super) fn signal(&self, signal: Signal) {
        if self.reap.is_some() {
            // It may have ended by itself just now.
            let _ = kill_process_group(self.id, signal);
        }
    }

    /// How the program ended, which it has. What it has started goes on.
    pub(super) async fn status(mut self) -> io::Result<ExitStatus> {
        self.reap = None;
        let lost = || io::Error::other("how it ended is not known");
        match self.status.take() {
            Some(status) => status.await.map_err(|_| lost())?,
            None => Err(lost()),
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

fn watch(
    mut child: Child,
    exited: oneshot::Sender<()>,
    reap: oneshot::Receiver<()>,
    status: oneshot::Sender<io::Result<ExitStatus>>,
) {
    let id = Pid::from_child(&child);
    // An error is that of waiting below.
    let _ = retry_on_intr(|| waitid(WaitId::Pid(id), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT));
    let _ = exited.send(());
    // The sender is dropped.
    let _ = reap.blocking_recv();
    let _ = status.send(child.wait());
}
