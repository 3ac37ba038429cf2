//! Runs cases, some at a time, and prints a line for each as it ends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::case::{Case, Report, Setting};

/// A case that has been run.
pub(super) struct Outcome {
    pub(super) case: &'static Case,
    pub(super) measured: String,
    /// What does not hold, or why it could not be run to its end.
    pub(super) broken: Vec<String>,
    pub(super) took_s: f64,
}

impl Outcome {
    pub(super) fn holds(&self) -> bool {
        self.broken.is_empty()
    }
}

/// Runs them, in their order in the outcome. Those that must be alone come last, one after another.
pub(super) fn run(cases: &[&'static Case], setting: &Setting, jobs: usize) -> Vec<Outcome> {
    let alone = |alone: bool| {
        cases.iter().enumerate().filter(move |(_, case)| case.alone == alone).map(|(at, case)| (at, *case))
    };
    let mut done = at_once(alone(false).collect(), setting, jobs);
    done.extend(at_once(alone(true).collect(), setting, 1));
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

fn at_once(cases: Vec<(usize, &'static Case)>, setting: &Setting, jobs: usize) -> Vec<(usize, Outcome)> {
    let queue = Mutex::new(cases.into_iter());
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((at, case)) = next else { return };
                    let outcome = one(case, setting);
                    print(&outcome);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((at, outcome));
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn one(case: &'static Case, setting: &Setting) -> Outcome {
    let began = Instant::now();
    let mut report = Report::default();
    // A defect of one case does not end the others; its lab is removed all the same.
    let ended = catch_unwind(AssertUnwindSafe(|| (case.run)(setting, &mut report)));
    let mut broken = report.broken().to_vec();
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => broken.push(format!("{error:#}")),
        Err(_) => broken.push("the case panicked".to_owned()),
    }
    Outcome { case, measured: report.measured(), broken, took_s: began.elapsed().as_secs_f64() }
}

fn print(outcome: &Outcome) {
    let Outcome { case, measured, broken, took_s } = outcome;
    let word = if outcome.holds() { "holds" } else { "FAILS" };
    println!("{word}  {:<28} {took_s:>6.1} s  {measured}", case.name);
    for why in broken {
        println!("       {:<28}           must be: {}; but: {why}", "", case.must);
    }
}
