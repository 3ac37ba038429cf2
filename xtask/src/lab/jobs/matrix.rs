//! The matrix: which faults are tried in which phases, and which of it the short run has.

use std::time::Duration;

use super::case::{Case, Fault, Phase, Who};

const DAY: i64 = 86_400;
const CUT_1S: Fault = Fault::Cut("cut-1s", Duration::from_secs(1));
const CUT_30S: Fault = Fault::Cut("cut-30s", Duration::from_secs(30));
const CUT_5M: Fault = Fault::Cut("cut-5m", Duration::from_secs(300));
const CLOCK_ON: Fault = Fault::Clock("clock-forward", DAY);
const CLOCK_BACK: Fault = Fault::Clock("clock-back", -DAY);

/// Those that are tried in every phase.
const EVERYWHERE: [Fault; 13] = [
    Fault::PortDropped,
    CUT_1S,
    CUT_30S,
    CUT_5M,
    Fault::Reset,
    Fault::Move,
    Fault::Stop(Who::Client),
    Fault::Stop(Who::Server),
    Fault::Kill(Who::Client),
    Fault::Kill(Who::Media),
    Fault::Kill(Who::Primary),
    Fault::Kill(Who::Server),
    Fault::Kill(Who::All),
];

/// Those that say something in some phases only: what moves is not idle, a commit has one answer.
const SOMEWHERE: [(Phase, Fault); 14] = [
    (Phase::Connect, Fault::Idle),
    (Phase::Scan, Fault::Idle),
    (Phase::After, Fault::Idle),
    (Phase::Transfer, Fault::PrimaryDown),
    (Phase::Transfer, Fault::RideOut),
    (Phase::Transfer, Fault::VaultFull),
    (Phase::Transfer, Fault::SourceError),
    (Phase::Transfer, CLOCK_ON),
    (Phase::Transfer, CLOCK_BACK),
    (Phase::Commit, Fault::LostReply),
    (Phase::Commit, CLOCK_ON),
    (Phase::Commit, CLOCK_BACK),
    (Phase::Restore, CLOCK_ON),
    (Phase::Restore, CLOCK_BACK),
];

/// Those of the short run: each fault that is soon over, each phase.
const QUICK: [&str; 24] = [
    "connect-port-dropped",
    "connect-kill-client",
    "scan-reset",
    "scan-kill-media",
    "transfer-cut-1s",
    "transfer-cut-30s",
    "transfer-reset",
    "transfer-kill-server",
    "transfer-kill-primary",
    "transfer-primary-down",
    "transfer-vault-full",
    "transfer-source-error",
    "transfer-clock-forward",
    "transfer-clock-back",
    "large-move",
    "large-kill-client",
    "large-kill-media",
    "commit-cut-1s",
    "commit-kill-all",
    "commit-lost-reply",
    "after-kill-client",
    "restore-cut-1s",
    "restore-kill-client",
    "restore-kill-server",
];

/// All of them, by phase.
pub(super) fn all() -> Vec<Case> {
    let of = |phase: Phase| {
        let some = SOMEWHERE.into_iter().filter(move |(at, _)| *at == phase).map(|(_, fault)| fault);
        EVERYWHERE.into_iter().chain(some).map(move |fault| Case { phase, fault })
    };
    Phase::ALL.into_iter().flat_map(of).collect()
}

/// Whether the short run has it.
pub(super) fn is_quick(case: Case) -> bool {
    QUICK.contains(&case.name().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_those_of_the_short_run_are_there() {
        let names: Vec<String> = all().into_iter().map(Case::name).collect();
        for (at, name) in names.iter().enumerate() {
            assert!(!names[..at].contains(name), "{name} twice");
        }
        assert!(QUICK.iter().all(|quick| names.iter().any(|name| name == quick)));
        assert_eq!(all().into_iter().filter(|case| is_quick(*case)).count(), QUICK.len());
    }

    #[test]
    fn the_short_run_has_every_phase() {
        for phase in Phase::ALL {
            assert!(all().into_iter().any(|case| is_quick(case) && case.phase == phase), "{phase:?}");
        }
    }

    #[test]
    fn a_name_may_have_a_star() {
        let case = Case { phase: Phase::Transfer, fault: CUT_1S };
        for name in ["transfer-cut-1s", "transfer-*", "*-cut-1s", "*", "transfer-*-1s"] {
            assert!(case.is_named(name), "{name}");
        }
        for name in ["transfer", "*-cut-30s", "large-*"] {
            assert!(!case.is_named(name), "{name}");
        }
    }
}
