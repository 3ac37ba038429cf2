//! From a peer that has answered the hello to a session on its connection: ATTACH, and ATTACHED or REFUSED
//! (docs/protocol.md, sections 3 and 5).

use std::sync::Arc;

use holdfast_proto::session::{Attach, BootId, Close, Code, Frame, Violation};
use tokio::time::timeout;
use tokio_rustls::TlsStream;

use super::core::{About, Core};
use super::frames::Frames;
use super::handle::Session;
use super::hello::{Greeted, STEP_MAX};
use super::process::{Guard, Process};
use super::pump::Pump;
use super::status::{Shown, Via};
use super::stream::AnyStream;
use super::{Error, Phase};
use crate::identity::Identity;
use crate::route::Route;
use crate::session::machine::{Connection, End, Machine, Side};
use crate::session::registry::Answer;

/// What became of asking.
#[derive(Debug)]
pub(super) enum Asked {
    /// The connection carries the session now.
    Attached,
    /// The peer has refused, or another connection was quicker.
    Refused(Code),
    /// The session has ended.
    Over,
    /// The connection failed first.
    Failed(Error),
}

/// Asks for a connection, the winner of a race, and on success lets it run.
pub(super) async fn ask(core: &Arc<Core>, greeted: Greeted<AnyStream>, route: Route, guard: Guard) -> Asked {
    let shown = shown(&greeted);
    let Greeted { mut frames, boot, .. } = greeted;
    let via = via(&frames, route);
    let connection = core.process.next_connection();
    let attach = match core.ask(connection, boot) {
        Ok(Some(attach)) => attach,
        Ok(None) => return Asked::Refused(Code::Superseded),
        Err(_) => return Asked::Over,
    };
    let place = Place { core, connection };
    match converse(core, connection, &mut frames, attach).await {
        Ok(Some(Ok(attached))) => {
            if core.on_attached(connection, attached, via, shown) {
                core.process.attached(core.id, boot);
                std::mem::forget(place);
                run(core, connection, frames, guard);
                return Asked::Attached;
            }
            part(core, &mut frames).await;
            outcome(core, Asked::Refused(Code::Superseded))
        }
        Ok(Some(Err(close))) => {
            core.on_refused(connection, close.code);
            Asked::Refused(close.code)
        }
        Ok(None) => {
            part(core, &mut frames).await;
            outcome(core, Asked::Refused(Code::Superseded))
        }
        Err(error) => {
            if let Error::Violation(Violation(what)) = error {
                core.violation(connection, what);
                part(core, &mut frames).await;
            }
            core.connection_over(connection, error.to_string());
            outcome(core, Asked::Failed(error))
        }
    }
}

fn outcome(core: &Core, otherwise: Asked) -> Asked {
    if core.end().is_some() { Asked::Over } else { otherwise }
}

/// A connection on which ATTACH was sent. However the asking ends, by a defect too, the session knows that it is over.
struct Place<'a> {
    core: &'a Arc<Core>,
    connection: Connection,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.core.connection_over(self.connection, "superseded by another connection".into());
    }
}

/// Sends ATTACH and waits for what is said to it. What was asked is not taken back, unless the session has no use for this
/// connection any more: `None`.
async fn converse(
    core: &Core,
    connection: Connection,
    frames: &mut Frames<TlsStream<AnyStream>>,
    attach: Attach,
) -> Result<Option<Result<holdfast_proto::session::Attached, Close>>, Error> {
    let late = || Error::Deadline { phase: Phase::Attach };
    let answer = timeout(STEP_MAX, async {
        frames.send(&Frame::Attach(attach)).await?;
        match frames.next().await? {
            Frame::Attached(attached) => Ok(Some(Ok(attached))),
            Frame::Refused(close) | Frame::Close(close) => Ok(Some(Err(close))),
            _ => Err(Violation("a frame that is no answer to ATTACH").into()),
        }
    });
    tokio::select! {
        answer = answer => answer.map_err(|_| late())?,
        () = core.until_discarded(connection) => Ok(None),
    }
}

/// Waits for ATTACH on a connection on which the peer has introduced itself, and answers it.
pub(super) async fn answer(process: &Arc<Process>, greeted: Greeted<AnyStream>, route: Route, guard: Guard) {
    let shown = shown(&greeted);
    let Greeted { mut frames, peer, boot, .. } = greeted;
    let Ok(Ok(Frame::Attach(attach))) = timeout(STEP_MAX, frames.next()).await else {
        // Most connections that are not attached have lost a race.
        return;
    };
    let connection = process.next_connection();
    let via = via(&frames, route);
    let (core, attached) = match answer_to(process, &peer.identity, boot, connection, &attach, via, shown) {
        Ok(answer) => answer,
        Err(code) => {
            let refused = Frame::Refused(Close { code, text: String::new() });
            let _ = timeout(STEP_MAX, frames.send_and_end(&refused)).await;
            return;
        }
    };
    match timeout(STEP_MAX, frames.send(&Frame::Attached(attached))).await {
        Ok(Ok(())) => run(&core, connection, frames, guard),
        Ok(Err(error)) => core.connection_over(connection, error.to_string()),
        Err(_) => core.connection_over(connection, "the answer to ATTACH could not be sent".into()),
    }
}

/// What an ATTACH is answered: by a session that is there, or a new one.
fn answer_to(
    process: &Arc<Process>,
    peer: &Identity,
    boot: BootId,
    connection: Connection,
    attach: &Attach,
    via: Via,
    shown: Shown,
) -> Result<(Arc<Core>, holdfast_proto::session::Attached), Code> {
    let core = match process.answer(attach, peer, boot) {
        Answer::Refused(code) => return Err(code),
        Answer::Known => match process.session(attach.session) {
            Some(core) => core,
            // It has ended between the two looks: how, the second look knows.
            None => match process.answer(attach, peer, boot) {
                Answer::Refused(code) => return Err(code),
                Answer::Known | Answer::Open => return Err(Code::UnknownSession),
            },
        },
        Answer::Open => return accept(process, peer, boot, connection, attach, via, shown),
    };
    let attached = core.on_attach(connection, attach, via, shown)?;
    Ok((core, attached))
}

/// A session that the peer opens.
fn accept(
    process: &Arc<Process>,
    peer: &Identity,
    boot: BootId,
    connection: Connection,
    attach: &Attach,
    via: Via,
    shown: Shown,
) -> Result<(Arc<Core>, holdfast_proto::session::Attached), Code> {
    let place = process.place_for_incoming().ok_or(Code::Overloaded)?;
    let about = About { id: attach.session, class: attach.class, label: attach.label.clone() };
    let machine = Machine::accept(attach, boot);
    let core = process.add(peer, Some(boot), machine, Side::Server, &about).map_err(|_| Code::Overloaded)?;
    let attached =
        core.on_attach(connection, attach, via, shown).inspect_err(|_| core.end_with(End::Lost))?;
    place.send(Session::new(Arc::clone(&core)));
    super::keeper::spawn(&core);
    Ok((core, attached))
}

fn shown(greeted: &Greeted<AnyStream>) -> Shown {
    Shown { serial: greeted.peer.serial.clone(), list: greeted.revocations }
}

fn via(frames: &Frames<TlsStream<AnyStream>>, route: Route) -> Via {
    Via { route, held: frames.stream().get_ref().0.held() }
}

fn run(core: &Arc<Core>, connection: Connection, frames: Frames<TlsStream<AnyStream>>, guard: Guard) {
    let pump = Pump::new(Arc::clone(core), connection, frames.into_parts());
    core.process.spawn_pump(async move {
        pump.run().await;
        drop(guard);
    });
}

/// Tells the peer why this side has no use for the connection: what the session ended with, or that another carries it. An
/// ATTACH that is on its way may be answered all the same; then this is what the peer's new connection hears.
async fn part(core: &Core, frames: &mut Frames<TlsStream<AnyStream>>) {
    let superseded = || Some(Close { code: Code::Superseded, text: String::new() });
    let words = core.end().map_or_else(superseded, |end| end.told());
    if let Some(close) = words {
        let _ = timeout(STEP_MAX, frames.send_and_end(&Frame::Close(close))).await;
    }
}
