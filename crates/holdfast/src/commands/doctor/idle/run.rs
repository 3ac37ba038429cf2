//! Holds connections as the search says, until it has an answer, or the user has enough.

use std::net::SocketAddr;
use std::time::Duration;

use holdfast_doctor::idle::facts::{progress, time};
use holdfast_doctor::idle::search::{STAGGER_S, Search};
use holdfast_link::net::clock::after;
use holdfast_link::probe::door::Door;
use holdfast_link::probe::idle::{Hold, Path, Patience};
use holdfast_link::probe::watch::{Watch, Watched};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use crate::console::Console;

/// What came of it.
pub(super) struct Done {
    pub(super) holds: Vec<Hold>,
    pub(super) unfinished_s: Vec<f64>,
    pub(super) watched: Watched,
}

struct Run<'a> {
    path: Path,
    search: &'a Search,
    watch: Watch,
    tasks: JoinSet<Hold>,
    held: Vec<(AbortHandle, f64)>,
    holds: Vec<Hold>,
}

/// Holds connections to this address.
pub(super) async fn run(to: SocketAddr, door: Door, search: &Search, console: &Console) -> Done {
    let begun = Instant::now();
    let mut run = Run {
        search,
        watch: Watch::begin(to, begun, door.clone()),
        path: Path { to, door, begun, patience: Patience::default() },
        tasks: JoinSet::new(),
        held: Vec::new(),
        holds: Vec::new(),
    };
    let first = search.begin();
    if let Some(longest) = first.first() {
        let count = first.len();
        console.say(&format!(
            "holding {count} connections to {to} for {} at most; Ctrl-C ends it",
            time(*longest)
        ));
    }
    run.start(&first);
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    loop {
        tokio::select! {
            ended = run.tasks.join_next() => match ended {
                Some(Ok(hold)) => run.ended(hold, console),
                // It was stopped.
                Some(Err(_)) => {}
                None => break,
            },
            _ = &mut interrupted => break,
        }
    }
    let unfinished_s = run.times();
    Done { holds: run.holds, unfinished_s, watched: run.watch.watched() }
}

impl Run<'_> {
    /// Starts to hold connections for so long each, one after the other.
    fn start(&mut self, times: &[f64]) {
        let mut delay = Duration::ZERO;
        for wanted in times {
            let (path, wait) = (self.path.clone(), Duration::from_secs_f64(*wanted));
            let handle = self.tasks.spawn(async move {
                after(delay).await;
                path.hold(wait).await
            });
            self.held.push((handle, *wanted));
            delay += Duration::from_secs_f64(STAGGER_S);
        }
    }

    /// The times that are being held.
    fn times(&mut self) -> Vec<f64> {
        self.held.retain(|(handle, _)| !handle.is_finished());
        self.held.iter().map(|(_, wanted)| *wanted).collect()
    }

    fn ended(&mut self, hold: Hold, console: &Console) {
        let watched = self.watch.watched();
        console.say(&progress(&hold, &watched));
        self.holds.push(hold);
        let held = self.times();
        let now_s = self.path.begun.elapsed().as_secs_f64();
        let next = self.search.next(now_s, &self.holds, &watched, &held);
        if let Some(above) = next.stop_above {
            // They are not unfinished, but of no use any more.
            let (stop, stay): (Vec<_>, Vec<_>) = self.held.drain(..).partition(|(_, wanted)| *wanted > above);
            stop.into_iter().for_each(|(handle, _)| handle.abort());
            self.held = stay;
        }
        if let Some(longest) = next.start.iter().copied().reduce(f64::max) {
            let count = next.start.len();
            console.say(&format!("holding {count} more, for {} at most", time(longest)));
        }
        self.start(&next.start);
    }
}
