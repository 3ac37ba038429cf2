//! Faults at random times: which, how long, and how each is made and ended. What follows from a seed is which faults come in
//! which order and how long each lasts; what they meet does not.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use holdfast_testkit::Random;
use holdfast_testkit::lab::{Lab, Way, let_pass};

use super::super::wait;
use super::site::{Member, Site};

/// What goes wrong. Times in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    /// The client's router drops everything.
    Cut(u64),
    /// Each end of each connection is told that it is no more.
    Reset,
    /// The client's router has forgotten all connections, and drops what belongs to them.
    Forget,
    /// The client has another address.
    Move,
    /// The process stands still.
    Stop(u64),
    /// The process is killed, and begins again after this.
    Kill(u64),
}

/// Between two faults of a client, and of the primary server, in milliseconds. The latter hit all.
const CLIENT_PAUSE: (u64, u64) = (500, 8_000);
const PRIMARY_PAUSE: (u64, u64) = (10_000, 40_000);

impl Fault {
    fn of_client(random: &mut Random) -> Self {
        match random.below(6) {
            0 => Self::Cut(random.between(1_000, 20_000)),
            1 => Self::Reset,
            2 => Self::Forget,
            3 => Self::Move,
            4 => Self::Stop(random.between(500, 20_000)),
            _ => Self::Kill(random.between(0, 3_000)),
        }
    }

    fn of_primary(random: &mut Random) -> Self {
        if random.chance(40) {
            Self::Stop(random.between(500, 20_000))
        } else {
            Self::Kill(random.between(0, 5_000))
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Cut(_) => "cut",
            Self::Reset => "reset",
            Self::Forget => "forgotten",
            Self::Move => "move",
            Self::Stop(_) => "stop",
            Self::Kill(_) => "kill",
        }
    }
}

/// How many of each there were.
pub(super) type Counts = BTreeMap<&'static str, usize>;

/// What threads that make faults look at.
pub(super) struct Times<'a> {
    /// No new fault.
    pub(super) is_over: &'a AtomicBool,
    /// A quarter of the jobs is done.
    pub(super) is_quarter: &'a AtomicBool,
}

impl Times<'_> {
    /// Lets time pass up to the next fault. False if there is to be none.
    fn pass(&self, member: &mut Member, time: Duration) -> Result<bool> {
        let over = wait::until(time, Duration::from_millis(100), || {
            if self.is_quarter.load(Ordering::Relaxed) {
                member.note_quarter()?;
            }
            Ok(self.is_over.load(Ordering::Relaxed).then_some(()))
        })?;
        Ok(over.is_none())
    }
}

fn pause(random: &mut Random, (least, most): (u64, u64)) -> Duration {
    Duration::from_millis(random.between(least, most))
}

/// Makes a client and its network suffer until it is over.
pub(super) fn trouble_client(
    site: &Site,
    (lab, member): (&mut Lab, &mut Member),
    times: &Times<'_>,
    mut random: Random,
) -> Result<Counts> {
    let mut counts = Counts::new();
    while times.pass(member, pause(&mut random, CLIENT_PAUSE))? {
        let fault = Fault::of_client(&mut random);
        *counts.entry(fault.word()).or_default() += 1;
        match fault {
            Fault::Cut(millis) => {
                lab.cut(Way::Both)?;
                let_pass(Duration::from_millis(millis));
                lab.mend()?;
            }
            // Both last for the connections of this moment, and for them for good. Those of the last time are gone by now.
            Fault::Reset => {
                lab.stop_resets()?;
                lab.reset(&lab.established()?)?;
            }
            Fault::Forget => {
                lab.remember_flows()?;
                lab.forget_flows(&lab.established()?)?;
            }
            Fault::Move => drop(lab.move_client()?),
            Fault::Stop(_) | Fault::Kill(_) => of_process(fault, site, lab, member)?,
        }
    }
    Ok(counts)
}

/// The same of the primary server, which has the media server in its process. It is hit more seldom: it hits all.
pub(super) fn trouble_primary(
    site: &Site,
    (lab, member): (&Lab, &mut Member),
    times: &Times<'_>,
    mut random: Random,
) -> Result<Counts> {
    let mut counts = Counts::new();
    while times.pass(member, pause(&mut random, PRIMARY_PAUSE))? {
        let fault = Fault::of_primary(&mut random);
        *counts.entry(fault.word()).or_default() += 1;
        of_process(fault, site, lab, member)?;
    }
    Ok(counts)
}

fn of_process(fault: Fault, site: &Site, lab: &Lab, member: &mut Member) -> Result<()> {
    match fault {
        Fault::Stop(millis) => {
            member.stop()?;
            let_pass(Duration::from_millis(millis));
            member.go_on()
        }
        Fault::Kill(millis) => {
            member.kill()?;
            let_pass(Duration::from_millis(millis));
            member.start(site, lab)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_faults_and_all_of_them_come() {
        let draw = |seed| {
            let mut random = Random::new(seed);
            (0..100).map(|_| Fault::of_client(&mut random)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        let words: std::collections::BTreeSet<&str> = draw(7).into_iter().map(Fault::word).collect();
        assert_eq!(words.len(), 6);
    }
}
