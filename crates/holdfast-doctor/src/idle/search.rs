//! For how long are connections to be held? All at once at first, up to the longest time that is asked about, so that 60 minutes
//! are searched in 60 minutes; then, once it is known between which two times the path forgets, some more between these. A
//! state machine without a clock: it is told the time, and what has ended.

use holdfast_link::probe::idle::Hold;
use holdfast_link::probe::watch::Watched;

use super::verdict::{Meaning, Verdict, meaning};

/// Connections that are held at a time: the first ones, or those between two times.
pub const AT_ONCE: usize = 24;
/// Between the starts of two connections, in seconds; see [`Verdict::closed_together`].
pub const STAGGER_S: f64 = 0.25;

/// On either side of the limits that are usual, so that they need no second round: 60 s, 2, 4, 5 minutes, 350 s, 10, 15, 20, 30,
/// 60 minutes.
const AROUND_LIMITS: &[f64] = &[
    5.0, 20.0, 45.0, 75.0, 150.0, 270.0, 330.0, 400.0, 700.0, 1000.0, 1300.0, 1760.0, 1840.0, 2500.0, 3000.0,
    3540.0, 3660.0,
];
/// The longest unless something else is asked for: a little beyond 60 minutes, the most usual limit.
pub const LONGEST_S: f64 = 3660.0;
/// Connections of the first round.
const FIRST: usize = 22;
/// Connections of a later round.
const LATER: usize = 16;
/// Two times are close enough: within this share of the greater one, or so many seconds.
const CLOSE: f64 = 0.03;
const CLOSE_S: f64 = 1.0;
/// Seconds that the end of a hold takes after its time, at most.
const PROBING_S: f64 = 30.0;
/// Times are not closer than this.
const STEP_S: f64 = 0.1;

/// What is to be held.
#[derive(Clone, PartialEq, Debug)]
pub enum Search {
    /// These times, and no others; in seconds.
    Given(Vec<f64>),
    /// Whatever finds when the path forgets, up to this time in seconds.
    UpTo(f64),
}

/// What is to be done.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Next {
    /// To hold for so long, in seconds.
    pub start: Vec<f64>,
    /// What is held for longer than this says nothing any more.
    pub stop_above: Option<f64>,
}

impl Search {
    /// What to hold at first, the longest first: it is what the whole takes.
    #[must_use]
    pub fn begin(&self) -> Vec<f64> {
        let mut times = match self {
            Self::Given(times) => times.clone(),
            Self::UpTo(longest) => grid(*longest),
        };
        times.sort_by(|one, other| other.total_cmp(one));
        times.dedup();
        times
    }

    /// What to do now that something has ended, so many seconds after the beginning. When nothing is to be started and nothing
    /// is held any more, it is over.
    #[must_use]
    pub fn next(&self, now_s: f64, holds: &[Hold], watched: &Watched, held: &[f64]) -> Next {
        let Self::UpTo(longest) = self else { return Next::default() };
        let verdict = Verdict::of(holds, watched);
        let Some(lost) = verdict.lost_s else {
            return Next { start: self.again(now_s, holds, watched, held), stop_above: None };
        };
        let kept = verdict.kept_s.unwrap_or(0.0);
        let mut next = Next { start: Vec::new(), stop_above: Some(lost) };
        let is_between = |time: &f64| *time > kept && *time < lost;
        let is_close = lost - kept <= (lost * CLOSE).max(CLOSE_S);
        if verdict.contradicts() || is_close || held.iter().any(is_between) {
            return next;
        }
        let times = between(kept, lost, LATER);
        let is_new = |time: &f64| !holds.iter().any(|hold| (hold.wanted_s - time).abs() < STEP_S);
        // It may take as long as the search without it would, and no longer.
        let in_time = |time: &f64| now_s + time <= longest + PROBING_S;
        next.start = times.into_iter().filter(|time| is_new(time) && in_time(time)).collect();
        next
    }

    /// What was lost while the path was away is held once more, if that is not much longer than the search.
    fn again(&self, now_s: f64, holds: &[Hold], watched: &Watched, held: &[f64]) -> Vec<f64> {
        let Self::UpTo(longest) = self else { return Vec::new() };
        let Some(last) = holds.last() else { return Vec::new() };
        let times = holds.iter().filter(|hold| hold.wanted_s == last.wanted_s).count();
        let is_wanted = meaning(last, watched) == Meaning::Unclear
            && times == 1
            && !held.contains(&last.wanted_s)
            && now_s + last.wanted_s <= longest * 2.0 + PROBING_S;
        if is_wanted { vec![last.wanted_s] } else { Vec::new() }
    }
}

/// Times up to the longest: around the usual limits, and more where these leave wide gaps. Beyond half of the longest there is no
/// time for a second round: gaps there count for more.
fn grid(longest: f64) -> Vec<f64> {
    let mut times: Vec<f64> = AROUND_LIMITS.iter().copied().filter(|time| *time < longest).collect();
    times.push(longest);
    if times.len() == 1 {
        times.insert(0, (longest / 2.0).max(2.0));
    }
    while times.len() < FIRST {
        let width = |at: &usize| {
            let ratio = times[at + 1] / times[*at];
            if times[at + 1] > longest / 2.0 { ratio.powi(3) } else { ratio }
        };
        let widest = (0..times.len() - 1).max_by(|one, other| width(one).total_cmp(&width(other)));
        let Some(widest) = widest.filter(|at| times[at + 1] - times[*at] > CLOSE_S) else { break };
        let middle = round((times[widest] * times[widest + 1]).sqrt());
        times.insert(widest + 1, middle);
    }
    times
}

/// So many times between two, evenly.
fn between(from: f64, to: f64, count: usize) -> Vec<f64> {
    #[allow(clippy::cast_precision_loss, reason = "a handful")]
    let at = |index: usize| round(from + (to - from) * index as f64 / (count + 1) as f64);
    let mut times: Vec<f64> = (1..=count).map(at).filter(|time| *time > from && *time < to).collect();
    times.dedup();
    times
}

fn round(time: f64) -> f64 {
    (time / STEP_S).round() * STEP_S
}
