//! What the failure of an attempt means: the one place where errors become the kinds on which the primary server decides
//! (attend.proto).

use std::io;

use holdfast_format::manifest::ReadError;
use holdfast_link::net::keeper::ConnectError;
use holdfast_link::session::machine::End;
use holdfast_proto::services::outcome::Kind;
use holdfast_proto::services::{Outcome, Phase};
use holdfast_proto::session::Code;

use super::stop::Why;
use super::text::cut;
use crate::depot::Error as DepotError;
use crate::network::Error;
use crate::source::{ChosenError, RootError};
use crate::{backup, restore};

/// Why an attempt ended without what it was for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Failed {
    pub(super) kind: Kind,
    pub(super) cause: String,
    /// When.
    pub(super) phase: Phase,
    /// The peer that it has to do with, if any.
    pub(super) peer: String,
    /// The operating system's number, or 0.
    pub(super) errno: u32,
}

impl Failed {
    /// Of this host alone.
    pub(super) fn new(kind: Kind, phase: Phase, cause: impl Into<String>) -> Self {
        Self { kind, cause: cause.into(), phase, peer: String::new(), errno: 0 }
    }

    /// The order makes no sense.
    pub(super) fn bad_order(cause: impl Into<String>) -> Self {
        Self::new(Kind::BadOrder, Phase::Connect, cause)
    }

    /// Of the work with a media server, whose session has ended so, if it has.
    pub(super) fn of(error: &Error, end: Option<&End>, phase: Phase, peer: &str) -> Self {
        let cause = match (error.depot(), end) {
            (Some(DepotError::Unreachable { .. }), Some(end)) => format!("{error}; the session: {end}"),
            _ => error.to_string(),
        };
        let kind = kind_of(error, end);
        let has_peer = error.depot().is_some() || matches!(error, Error::NoImage);
        let peer = if has_peer { peer.to_owned() } else { String::new() };
        Self { kind, cause, phase, peer, errno: errno_of(error) }
    }

    /// The media server was not reached.
    pub(super) fn not_connected(error: &ConnectError, peer: &str) -> Self {
        let kind = if refuses(error) { Kind::Refused } else { Kind::NotConnected };
        Self { peer: peer.to_owned(), ..Self::new(kind, Phase::Connect, error.to_string()) }
    }

    /// What it was told to end for is why it has ended, whatever came of that. `trouble` is what was in the way of a
    /// connection. `None`: it has not ended.
    pub(super) fn because(self, why: Option<Why>, trouble: &str) -> Option<Self> {
        let (kind, cause) = match why {
            None => return Some(self),
            Some(Why::Stopping) => return None,
            Some(Why::Ordered) => (Kind::Cancelled, "cancelled by order".to_owned()),
            Some(Why::Superseded) => (Kind::Fenced, "a later attempt of the job has begun here".to_owned()),
            Some(Why::OutOfReach(limit)) => {
                let cause = format!("no connection to the media server for {} s: {trouble}", limit.as_secs());
                (Kind::NotConnected, cause)
            }
        };
        Some(Self { kind, cause, ..self })
    }

    pub(super) fn message(self) -> Outcome {
        Outcome {
            kind: self.kind.into(),
            cause: cut(self.cause),
            peer: cut(self.peer),
            phase: self.phase.into(),
            errno: self.errno,
        }
    }
}

/// Whether asking the same again is refused again.
pub(super) fn refuses(error: &ConnectError) -> bool {
    matches!(error, ConnectError::Refused { code: Code::Version | Code::Revoked, .. })
}

fn kind_of(error: &Error, end: Option<&End>) -> Kind {
    if let Some(error) = error.depot() {
        return kind_of_depot(error, end);
    }
    match error {
        Error::Chosen(ChosenError::Root(RootError::Unreadable(_))) => Kind::NoFiles,
        Error::Chosen(_) => Kind::BadOrder,
        // The image is another than was meant, or was deleted.
        Error::NoImage => Kind::BadOrder,
        Error::Backup(backup::Error::Begin(_)) => Kind::ReadFailed,
        Error::Restore(restore::Error::NotInImage { .. }) => Kind::NoFiles,
        Error::Restore(restore::Error::BadPath { .. } | restore::Error::NotAFile { .. }) => Kind::BadOrder,
        Error::Restore(
            restore::Error::Target { .. }
            | restore::Error::Full { .. }
            | restore::Error::ReadOnly { .. }
            | restore::Error::Output(_),
        ) => Kind::WriteFailed,
        Error::Restore(restore::Error::Manifest(ReadError::Format { .. })) => Kind::VaultFailed,
        Error::Backup(_) | Error::Restore(_) | Error::Depot(_) | Error::DryRun | Error::NoRuntime => {
            Kind::Defect
        }
    }
}

fn kind_of_depot(error: &DepotError, end: Option<&End>) -> Kind {
    match error {
        DepotError::Fenced => Kind::Fenced,
        DepotError::UnknownAttempt => Kind::MediaLost,
        DepotError::Unreachable { .. } => kind_of_end(end),
        DepotError::Busy { .. } => Kind::Busy,
        DepotError::Refused { .. } => Kind::Refused,
        DepotError::Protocol { .. } => Kind::Defect,
        DepotError::Cancelled => Kind::Cancelled,
        error if error.is_full() => Kind::VaultFull,
        DepotError::Full { .. }
        | DepotError::Failed { .. }
        | DepotError::Damaged { .. }
        | DepotError::ChunkMissing(_)
        | DepotError::Vault(_) => Kind::VaultFailed,
    }
}

/// The media server is not there any more: what has become of the session says whether it is another process now.
fn kind_of_end(end: Option<&End>) -> Kind {
    match end {
        Some(End::OutageLimit) => Kind::NotConnected,
        Some(End::Revoked) => Kind::Refused,
        Some(End::Violation(_)) => Kind::Defect,
        // It stops, or has stopped.
        None | Some(End::PeerRestarted | End::PeerStopped | End::AbortedByPeer(_) | End::Lost) => {
            Kind::MediaLost
        }
        Some(End::Done | End::Aborted | End::Stopped) => Kind::MediaLost,
    }
}

fn errno_of(error: &Error) -> u32 {
    let cause: Option<&io::Error> = match error {
        Error::Chosen(ChosenError::Cwd(cause)) | Error::Backup(backup::Error::Begin(cause)) => Some(cause),
        Error::Restore(
            restore::Error::Target { source: cause, .. }
            | restore::Error::Full { source: cause, .. }
            | restore::Error::ReadOnly { source: cause, .. }
            | restore::Error::Output(cause),
        ) => Some(cause),
        _ => None,
    };
    cause.and_then(io::Error::raw_os_error).and_then(|errno| u32::try_from(errno).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_types::ChunkName;

    const NAME: ChunkName = ChunkName([0; 32]);

    fn unreachable() -> DepotError {
        DepotError::Unreachable { what: "ask", reason: "gone".into() }
    }

    fn failed() -> Failed {
        Failed::of(&Error::NoImage, None, Phase::Restore, "m")
    }

    #[test]
    fn each_error_of_a_media_server_has_its_kind() {
        let reason = || "x".to_owned();
        for (error, expected) in [
            (DepotError::Fenced, Kind::Fenced),
            (DepotError::UnknownAttempt, Kind::MediaLost),
            (DepotError::Full { reason: reason() }, Kind::VaultFull),
            (DepotError::Busy { what: "x", reason: reason() }, Kind::Busy),
            (DepotError::Refused { what: "x", reason: reason() }, Kind::Refused),
            (DepotError::Failed { what: "x", reason: reason() }, Kind::VaultFailed),
            (DepotError::Damaged { what: reason(), reason: reason() }, Kind::VaultFailed),
            (DepotError::ChunkMissing(NAME), Kind::VaultFailed),
            (DepotError::Protocol { what: "x" }, Kind::Defect),
            (DepotError::Cancelled, Kind::Cancelled),
            (unreachable(), Kind::MediaLost),
        ] {
            let all = [
                Error::Depot(error.clone()),
                Error::Backup(backup::Error::Depot(error.clone())),
                Error::Restore(restore::Error::Depot(error.clone())),
                Error::Restore(restore::Error::Manifest(ReadError::Source {
                    node: NAME,
                    entries: None,
                    cause: error,
                })),
            ];
            for error in all {
                let failed = Failed::of(&error, None, Phase::Transfer, "m");
                assert_eq!((failed.kind, failed.peer.as_str()), (expected, "m"), "{error:?}");
            }
        }
    }

    #[test]
    fn how_the_session_ended_says_what_became_of_a_media_server_that_is_not_there() {
        for (end, expected) in [
            (End::PeerRestarted, Kind::MediaLost),
            (End::PeerStopped, Kind::MediaLost),
            (End::Lost, Kind::MediaLost),
            (End::AbortedByPeer("x".into()), Kind::MediaLost),
            (End::OutageLimit, Kind::NotConnected),
            (End::Revoked, Kind::Refused),
            (End::Violation("x".into()), Kind::Defect),
        ] {
            let failed = Failed::of(&unreachable().into(), Some(&end), Phase::Transfer, "m");
            assert_eq!(failed.kind, expected, "{end}");
            assert!(failed.cause.contains(&end.to_string()), "{}", failed.cause);
            // What it has said before it went counts.
            assert_eq!(
                Failed::of(&DepotError::Fenced.into(), Some(&end), Phase::Scan, "m").kind,
                Kind::Fenced
            );
        }
    }

    #[test]
    fn each_error_of_this_host_has_its_kind_and_its_number() {
        let io = || io::Error::from_raw_os_error(28);
        let (path, nearest) = (b"/x".to_vec(), None);
        let fault = holdfast_types::Fault { path: path.clone(), reason: "gone".into() };
        let pattern = crate::source::SelectError::Pattern { pattern: "[".into(), reason: "x".into() };
        for (error, expected, errno) in [
            (Error::Chosen(RootError::Unreadable(vec![fault]).into()), Kind::NoFiles, 0),
            (Error::Chosen(RootError::None.into()), Kind::BadOrder, 0),
            (Error::Chosen(pattern.into()), Kind::BadOrder, 0),
            (Error::Backup(backup::Error::Begin(io())), Kind::ReadFailed, 28),
            (Error::Backup(backup::Error::Defect), Kind::Defect, 0),
            (Error::NoImage, Kind::BadOrder, 0),
            (Error::NoRuntime, Kind::Defect, 0),
            (Error::Restore(restore::Error::BadPath { path: path.clone() }), Kind::BadOrder, 0),
            (Error::Restore(restore::Error::NotInImage { path: path.clone(), nearest }), Kind::NoFiles, 0),
            (
                Error::Restore(restore::Error::Target { path: "/x".into(), source: io() }),
                Kind::WriteFailed,
                28,
            ),
            (
                Error::Restore(restore::Error::Full { path: path.clone(), source: io() }),
                Kind::WriteFailed,
                28,
            ),
            (Error::Restore(restore::Error::ReadOnly { path, source: io() }), Kind::WriteFailed, 28),
        ] {
            let failed = Failed::of(&error, None, Phase::Restore, "m");
            assert_eq!((failed.kind, failed.errno), (expected, errno), "{error:?}");
        }
    }

    #[test]
    fn what_an_attempt_was_told_to_end_for_is_its_end() {
        use std::time::Duration;
        let because = |why| failed().because(why, "no route").map(|failed| failed.kind);
        assert_eq!(because(None), Some(Kind::BadOrder));
        assert_eq!(because(Some(Why::Ordered)), Some(Kind::Cancelled));
        assert_eq!(because(Some(Why::Superseded)), Some(Kind::Fenced));
        assert_eq!(because(Some(Why::OutOfReach(Duration::from_secs(9)))), Some(Kind::NotConnected));
        assert_eq!(because(Some(Why::Stopping)), None);
    }

    #[test]
    fn texts_of_an_outcome_are_bounded() {
        let outcome = Failed { cause: "x".repeat(9_000), ..failed() }.message();
        assert_eq!(outcome.cause.len(), 4 << 10);
    }
}
