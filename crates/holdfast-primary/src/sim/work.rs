//! How an attempt of a client goes on: reaching the media server, beginning there, some work with checkpoints, the commit and
//! its answer. A session outlives a cut; it does not outlive the media server's process.

use holdfast_proto::services::{self as wire, outcome::Kind, report::Report};

use super::host::{Key, Run, Stage};
use super::vault::Refused;
use super::world::{Cable, Happens, World};
use crate::orders::attempt;

/// How an attempt may fail by itself.
const TROUBLES: [Kind; 4] = [Kind::VaultFull, Kind::ReadFailed, Kind::CommandFailed, Kind::NoFiles];

impl World {
    pub(super) fn work(&mut self, client: usize, process: u64, key: Key) {
        let is_there = self.hosts[client].is_alive && self.hosts[client].process == process;
        let Some(run) = self.clients[client].running.get(&key).copied().filter(|_| is_there) else { return };
        if self.clients[client].waits(key) {
            return self.after(500, Happens::Work(client, process, key));
        }
        let pause = match self.advance(client, key, run) {
            Ok(pause) => pause,
            Err((kind, errors)) => {
                let ended = self.clients[client].end(key, kind, errors);
                return self.say(client, ended);
            }
        };
        self.after(pause, Happens::Work(client, process, key));
    }

    /// One step. When the next is due, or how it has ended.
    fn advance(&mut self, client: usize, key: Key, run: Run) -> Result<u64, (Kind, Option<u64>)> {
        let fails = |kind| Err((kind, None));
        if let Some(kind) = run.stop {
            return fails(kind);
        }
        if let Some(until) = self.cut(Cable::Data(client)) {
            // It is told to end all the same.
            return Ok((until - self.time + 5).min(1_000));
        }
        let process = self.vault.lock().process;
        let is_lost = run.vault.is_some_and(|begun| begun != process);
        let is_up = if self.plan.is_remote {
            self.hosts[self.clients.len()].is_alive
        } else {
            self.primary.is_alive()
        };
        if !is_up {
            return Ok(1_000);
        }
        if is_lost {
            return fails(Kind::MediaLost);
        }
        let next = match run.stage {
            Stage::Connect => {
                let begun = self.vault.lock().begin(key);
                match begun {
                    Ok(true) => Stage::Commit,
                    Ok(false) => Stage::Work(self.random.between(self.plan.steps.0, self.plan.steps.1)),
                    Err(refused) => return fails(why(refused)),
                }
            }
            Stage::Work(0) => Stage::Commit,
            Stage::Work(_) if self.random.chance(self.plan.trouble) => {
                return fails(*self.random.pick(&TROUBLES).unwrap_or(&Kind::Defect));
            }
            Stage::Work(left) => Stage::Work(left - 1),
            Stage::Commit => {
                let errors = u64::from(self.random.chance(self.plan.partly));
                let answer = self.vault.lock().commit(key, errors);
                if answer.is_ok() {
                    self.after(self.plan.tell, Happens::Tell);
                }
                Stage::Answer(answer)
            }
            Stage::Answer(Ok(errors)) => {
                let kind = if errors > 0 { Kind::Partly } else { Kind::Done };
                return Err((kind, Some(errors)));
            }
            Stage::Answer(Err(refused)) => return fails(why(refused)),
        };
        let checkpoints = run.checkpoints + u64::from(self.random.chance(20));
        let run = Run { stage: next, checkpoints, vault: Some(process), ..run };
        self.clients[client].running.insert(key, run);
        self.say(client, progress(key, checkpoints));
        Ok(if matches!(next, Stage::Work(_)) {
            self.random.between(500, 60_000)
        } else {
            self.random.between(5, 500)
        })
    }
}

fn why(refused: Refused) -> Kind {
    match refused {
        Refused::Fenced => Kind::Fenced,
        Refused::Unknown => Kind::MediaLost,
    }
}

fn progress((job, epoch): Key, checkpoints: u64) -> Report {
    let phase = wire::Phase::Transfer.into();
    Report::Progress(wire::Progress {
        attempt: Some(attempt(job, epoch)),
        phase,
        checkpoints,
        ..wire::Progress::default()
    })
}
