//! Parked connections: how a host that can only dial is reached all the same (docs/protocol.md, section 3, Parking).
//!
//! On the side that was dialled a guard keeps heartbeats on each until it is taken. On the side that dials a parker keeps a
//! few parked at a host, and replaces at once what is used or lost.

use std::sync::Arc;
use std::time::Duration;

use holdfast_proto::session::Frame;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::clock::{after, now, until};
use super::dial;
use super::hello::{self, Greeted, STEP_MAX};
use super::host::Host;
use super::keeper::{Before, Pauses};
use super::process::{Guard, Process};
use super::stream::AnyStream;
use super::{Error, Phase, attach};
use crate::connection::Life;
use crate::connection::life::Action;
use crate::route::race::DELAY;

/// How soon a parked connection that was lost is replaced at the earliest, so that one that is refused at once is not made
/// again and again.
const AGAIN: Duration = Duration::from_millis(100);

type Taken = (Greeted<AnyStream>, Guard);

/// A parked connection, on the side that may open on it. Dropping it closes the connection.
#[derive(Debug)]
pub(super) struct Slot {
    take: oneshot::Sender<oneshot::Sender<Taken>>,
}

impl Slot {
    /// Whether the connection is still there.
    pub(super) fn is_there(&self) -> bool {
        !self.take.is_closed()
    }

    /// Takes it; `None` if it was lost just now.
    pub(super) async fn take(self) -> Option<Taken> {
        let (give, taken) = oneshot::channel();
        self.take.send(give).ok()?;
        taken.await.ok()
    }
}

/// Keeps a connection that the peer has parked here, until it is taken or lost.
pub(super) fn keep(process: &Arc<Process>, greeted: Greeted<AnyStream>, guard: Guard) {
    let (take, mut taken) = oneshot::channel::<oneshot::Sender<Taken>>();
    let host = process.host(&greeted.peer.identity);
    host.park(Slot { take });
    let owner = Arc::clone(process);
    process.spawn(async move {
        let mut greeted = greeted;
        let give = tokio::select! {
            give = &mut taken => give.ok(),
            _ = live(&owner, &mut greeted) => None,
        };
        if let Some(give) = give {
            let _ = give.send((greeted, guard));
        }
    });
}

/// Heartbeats on a parked connection, both ways. Ends when it is lost, or with the frame that is none.
async fn live(process: &Process, greeted: &mut Greeted<AnyStream>) -> Option<Frame> {
    let mut life = Life::new(process.settings.times, now());
    loop {
        let wake = life.next_wake();
        let mut answer = None;
        tokio::select! {
            frame = greeted.frames.next() => {
                life.heard(now());
                match frame.ok()? {
                    Frame::Ping(number) => {
                        life.pinged(now()).ok()?;
                        answer = Some(Frame::Pong(number));
                    }
                    Frame::Pong(number) => life.ponged(number, now()).ok()?,
                    Frame::Revocations(list) => process.on_list(list).await.ok()?,
                    other => return Some(other),
                }
            }
            () = until(wake) => {
                for action in life.poll(now()) {
                    match action {
                        Action::Ping(number) => answer = Some(Frame::Ping(number)),
                        // There is no other connection to change to: it goes when it is dead.
                        Action::Suspect(_) => {}
                        Action::Drop(_) => return None,
                    }
                }
            }
        }
        if let Some(frame) = answer {
            // A peer that takes not even this is not there.
            timeout(STEP_MAX, greeted.frames.send(&frame)).await.ok()?.ok()?;
        }
    }
}

/// Keeps connections parked at a host, for as long as the process runs.
pub(super) fn park_at(process: &Arc<Process>, host: &Arc<Host>) {
    for _ in 0..process.settings.parked {
        let (owner, host) = (Arc::clone(process), Arc::clone(host));
        process.spawn(async move { park_again(&owner, &host).await });
    }
}

async fn park_again(process: &Arc<Process>, host: &Arc<Host>) {
    let mut pauses = Pauses::new(now());
    loop {
        let mut before = Before::of(process, host);
        if let Ok(won) = dial::race(process, host, dial::Purpose::Park).await {
            pauses = Pauses::new(now());
            wait_for_hello(process, won).await;
            after(AGAIN).await;
        } else {
            pauses.wait(&mut before).await;
        }
    }
}

/// Waits until the host opens on the connection, or it is lost; then what the host asks for runs by itself.
async fn wait_for_hello(process: &Arc<Process>, won: dial::Won) {
    let dial::Won { mut greeted, guard, route } = won;
    let Some(frame) = live(process, &mut greeted).await else { return };
    let Ok(greeted) = hello::answer_parked(&process.me(), greeted, frame).await else { return };
    process.seen(&greeted.peer.identity, greeted.boot);
    let owner = Arc::clone(process);
    process.spawn(async move { attach::answer(&owner, greeted, route, guard).await });
}

/// Opens on a parked connection: this side introduces itself, and the peer must answer. One that does not answer soon is dead
/// in secret, perhaps: the next is tried beside it.
pub(super) async fn open(process: &Arc<Process>, host: &Host) -> Result<Taken, Error> {
    let mut attempts = JoinSet::new();
    let mut failure = Error::Io { phase: Phase::Hello, cause: std::io::ErrorKind::NotConnected.into() };
    loop {
        if let Some(slot) = host.take_parked() {
            let me = process.me();
            attempts.spawn(async move {
                let (greeted, guard) = slot.take().await?;
                Some(hello::greet_parked(&me, greeted).await.map(|greeted| (greeted, guard)))
            });
        }
        tokio::select! {
            ended = attempts.join_next() => match ended {
                Some(Ok(Some(Ok(taken)))) => return Ok(taken),
                Some(Ok(Some(Err(error)))) => failure = error,
                Some(Ok(None) | Err(_)) => {}
                None => return Err(failure),
            },
            () = after(DELAY) => {}
        }
    }
}
