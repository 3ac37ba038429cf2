//! What the end of a connection that was held means, beside what was seen of the path meanwhile; and what all of them mean
//! together. A loss is a verdict only if the path was there.

use holdfast_link::probe::idle::{End, Hold};
use holdfast_link::probe::watch::{Watched, What};
use serde::Serialize;

/// How a path forgets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Later packets are dropped.
    Silent,
    /// Later packets are answered by RST.
    ResetLater,
    /// RST is sent when the time has come.
    ResetAtOnce,
}

/// What the end of one means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Meaning {
    /// The path knew it.
    Kept,
    /// The path had forgotten it.
    Lost(Loss),
    /// The other end ended it; the path knew it until then.
    Closed,
    /// It was lost, but the path was away, or one end of it began anew.
    Unclear,
    /// It was not held idle, or not at all.
    Nothing,
}

/// What one means.
#[must_use]
pub fn meaning(hold: &Hold, watched: &Watched) -> Meaning {
    let loss = match &hold.end {
        End::Kept => return Meaning::Kept,
        End::Closed => return Meaning::Closed,
        End::NotIdle | End::NotConnected { .. } | End::Failed { .. } => return Meaning::Nothing,
        End::Silent => Loss::Silent,
        End::ResetByProbe => Loss::ResetLater,
        End::Reset => Loss::ResetAtOnce,
    };
    let asked_s = hold.quiet_s + hold.idle_s;
    let spoils = watched.events.iter().any(|event| match event.what {
        // What lasts as long as this cannot have been answered.
        What::Silence => event.to_s > asked_s && event.from_s < hold.ended_s,
        // Whatever remembered this connection may have begun anew since it was made.
        What::Reset | What::Refused => event.from_s >= hold.quiet_s && event.from_s <= hold.ended_s,
        What::Closed => false,
    });
    if spoils { Meaning::Unclear } else { Meaning::Lost(loss) }
}

/// What all of them mean together.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Verdict {
    /// Seconds without a packet after which the path still knew a connection: the most that was seen.
    pub kept_s: Option<f64>,
    /// Seconds after which it had forgotten one: the least that was seen.
    pub lost_s: Option<f64>,
    /// How it forgets.
    pub how: Option<Loss>,
    /// Seconds after which the other end itself ended one: the least that was seen.
    pub closed_s: Option<f64>,
    /// Whether the other end ended all that it ended at one moment, whatever they had been idle for.
    pub closed_together: bool,
}

impl Verdict {
    /// Of these.
    #[must_use]
    pub fn of(holds: &[Hold], watched: &Watched) -> Self {
        let mut verdict = Self::default();
        let mut closed = Vec::new();
        for hold in holds {
            let idle = hold.idle_s;
            match meaning(hold, watched) {
                Meaning::Kept => verdict.kept_s = Some(verdict.kept_s.map_or(idle, |most| most.max(idle))),
                Meaning::Closed => {
                    verdict.kept_s = Some(verdict.kept_s.map_or(idle, |most| most.max(idle)));
                    closed.push(hold);
                }
                Meaning::Lost(how) if verdict.lost_s.is_none_or(|least| idle < least) => {
                    (verdict.lost_s, verdict.how) = (Some(idle), Some(how));
                }
                Meaning::Lost(_) | Meaning::Unclear | Meaning::Nothing => {}
            }
        }
        verdict.closed_s = closed.iter().map(|hold| hold.idle_s).reduce(f64::min);
        verdict.closed_together = together(&closed);
        verdict
    }

    /// Whether a connection was known after longer than another one was forgotten after.
    #[must_use]
    pub fn contradicts(&self) -> bool {
        self.kept_s.zip(self.lost_s).is_some_and(|(kept, lost)| kept >= lost)
    }
}

/// Connections begin one after the other: who ends each after the same time ends them one after the other too.
fn together(closed: &[&Hold]) -> bool {
    let spread = |of: fn(&Hold) -> f64| {
        let all = || closed.iter().map(|hold| of(hold));
        all().reduce(f64::max).unwrap_or(0.0) - all().reduce(f64::min).unwrap_or(0.0)
    };
    closed.len() > 1 && spread(|hold| hold.ended_s) < spread(|hold| hold.idle_s) / 2.0
}
