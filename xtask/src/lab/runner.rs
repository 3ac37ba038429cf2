//! Runs cases, some at a time, and prints a line for each as it ends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::Result;

use super::case::{Case, Report, Setting};

/// What came of something that was tried.
pub(super) struct Outcome {
    pub(super) measured: String,
    /// What does not hold, or why it could not be tried to its end.
    pub(super) broken: Vec<String>,
    pub(super) took_s: f64,
}

impl Outcome {
    pub(super) fn holds(&self) -> bool {
        self.broken.is_empty()
    }

    /// Prints its line, and a line for each thing that does not hold.
    pub(super) fn print(&self, name: &str) {
        let word = if self.holds() { "holds" } else { "FAILS" };
        println!("{word}  {name:<28} {:>6.1} s  {}", self.took_s, self.measured);
        for why in &self.broken {
            println!("       {:<28}           {why}", "");
        }
    }

    /// As a cell of a table.
    pub(super) fn cell(&self) -> String {
        let failed = self.broken.iter().map(|why| format!("**does not hold**: {why}"));
        let parts: Vec<String> = std::iter::once(self.measured.clone()).chain(failed).collect();
        parts
            .iter()
            .filter(|part| !part.is_empty())
            .map(|part| part.replace('|', "\\|"))
            .collect::<Vec<_>>()
            .join("; ")
    }
}

/// Runs cases, in their order in the outcome. Those that must be alone come last, one after another.
pub(super) fn run(cases: &[&'static Case], setting: &Setting, jobs: usize) -> Vec<(&'static Case, Outcome)> {
    let alone = |alone: bool| {
        cases.iter().enumerate().filter(move |(_, case)| case.alone == alone).map(|(at, case)| (at, *case))
    };
    let play = |(at, case): (usize, &'static Case)| {
        let mut outcome = guarded(|report| (case.run)(setting, report));
        outcome.broken.iter_mut().for_each(|why| *why = format!("must be: {}; but: {why}", case.must));
        outcome.print(case.name);
        (at, (case, outcome))
    };
    let mut done = side_by_side(alone(false).collect(), jobs, play);
    done.extend(side_by_side(alone(true).collect(), 1, play));
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

/// Does something with each of them, so many at a time; what came of them, in their order.
pub(super) fn side_by_side<T: Send, R: Send>(
    items: Vec<T>,
    at_once: usize,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let queue = Mutex::new(items.into_iter().enumerate());
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((at, item)) = next else { return };
                    let result = work(item);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Tries something. A defect of it does not end the others; its lab is removed all the same.
pub(super) fn guarded(work: impl FnOnce(&mut Report) -> Result<()>) -> Outcome {
    let began = Instant::now();
    let mut report = Report::default();
    let ended = catch_unwind(AssertUnwindSafe(|| work(&mut report)));
    let mut broken = report.broken().to_vec();
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => broken.push(format!("{error:#}")),
        Err(_) => broken.push("the case panicked".to_owned()),
    }
    Outcome { measured: report.measured(), broken, took_s: began.elapsed().as_secs_f64() }
}
