//! What an error of a call means for the attempt (docs/jobs.md, section 5).

use tonic::{Code, Status};

use crate::depot::Error;

/// Most bytes of what a media server says that are kept.
const REASON_MAX: usize = 4 << 10;

/// The meaning of an error of a call that was to do `what`.
pub(super) fn meaning(what: &'static str, status: &Status) -> Error {
    let reason = reason(status.message());
    match status.code() {
        Code::FailedPrecondition if reason.contains("fenced") => Error::Fenced,
        Code::FailedPrecondition if reason.contains("unknown-attempt") => Error::UnknownAttempt,
        Code::ResourceExhausted | Code::Unavailable if is_busy(&reason) => Error::Busy { what, reason },
        Code::ResourceExhausted => Error::Full { reason },
        Code::PermissionDenied | Code::Unauthenticated | Code::InvalidArgument | Code::FailedPrecondition => {
            Error::Refused { what, reason }
        }
        Code::DataLoss | Code::NotFound => {
            Error::Damaged { what: format!("what is needed to {what}"), reason }
        }
        Code::Internal if !is_of_transport(status) => Error::Failed { what, reason },
        Code::Unimplemented | Code::OutOfRange => Error::Protocol { what: "a call is not known there" },
        // Also `unknown` and `cancelled`: what tonic and hyper say when a connection goes.
        _ => Error::Unreachable { what, reason },
    }
}

/// Whether its first word says that the media server has too much to do: neither is its vault full, nor is it gone.
fn is_busy(reason: &str) -> bool {
    reason.strip_prefix("busy").is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
}

/// An error that this side made of a broken stream.
fn is_of_transport(status: &Status) -> bool {
    std::error::Error::source(status).is_some() || status.message().starts_with("h2 protocol error")
}

/// What it says, for a person, in bounds.
pub(super) fn reason(text: &str) -> String {
    let mut end = text.len().min(REASON_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    holdfast_types::sanitise(&text.as_bytes()[..end]).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_a_meaning_that_a_role_can_decide_on() {
        let check = |status: Status, expected: fn(&Error) -> bool| {
            let error = meaning("do it", &status);
            assert!(expected(&error), "{status:?}: {error:?}");
        };
        check(Status::failed_precondition("fenced"), |error| matches!(error, Error::Fenced));
        check(Status::failed_precondition("unknown-attempt"), |error| matches!(error, Error::UnknownAttempt));
        check(Status::failed_precondition("chunks are missing"), |error| {
            matches!(error, Error::Refused { .. })
        });
        check(Status::resource_exhausted("no space"), Error::is_full);
        for status in [Status::resource_exhausted, Status::unavailable] {
            for text in ["busy", "busy: 256 attempts run here"] {
                check(status(text.to_owned()), |error| {
                    matches!(error, Error::Busy { .. }) && error.may_pass() && error.is_final()
                });
            }
        }
        check(Status::resource_exhausted("busybox has no space"), Error::is_full);
        check(Status::unavailable("not busy"), |error| matches!(error, Error::Unreachable { .. }));
        check(Status::permission_denied("ticket"), |error| !error.may_pass() && error.is_final());
        check(Status::data_loss("a pack"), |error| matches!(error, Error::Damaged { .. }));
        check(Status::unavailable("stopping"), |error| error.may_pass() && error.is_final());
        check(Status::internal("a defect"), |error| matches!(error, Error::Failed { .. }));
    }

    #[test]
    fn reasons_are_bounded_at_a_character() {
        assert_eq!(reason(&"é".repeat(5000)).chars().count(), REASON_MAX / 2);
    }
}
