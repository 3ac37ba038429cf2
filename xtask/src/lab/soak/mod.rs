//! `cargo xtask lab soak`: a site for a while. Jobs one after another while faults come at random times; and many clients at
//! once, with a long history. docs/lab.md says how to run it.
//!
//! | file | question |
//! |---|---|
//! | [`play`] | how does the soak with faults go on? |
//! | [`work`] | what is backed up, and who asks for jobs? |
//! | [`fault`] | which faults come, and how are they made and ended? |
//! | [`verdict`] | what has to be so afterwards? |
//! | [`many`], [`storm`] | how do many clients fare, and how when all come at once? |
//! | [`streams`] | what does a media server with a process of its own need when many send and read at once? |
//! | [`site`] | how are the processes run and asked? |
//! | [`usage`], [`figures`] | what do processes use, and how is it told? |

mod fault;
mod figures;
mod many;
mod options;
mod play;
mod site;
mod storm;
mod streams;
mod usage;
mod verdict;
mod work;

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use holdfast_testkit::lab;

use super::case::Report;
use super::{jobs, runner};
use options::{Options, PARTS};

type Part = fn(&Options, &Path, &Path, &mut Report) -> Result<()>;

pub(crate) fn run(root: &Path, words: &[&str]) -> Result<()> {
    let options = Options::parse(words)?;
    lab::tools::check()?;
    match lab::remove_leftovers()? {
        0 => {}
        count => println!("removed {count} namespaces that an earlier run had left"),
    }
    let program: PathBuf = match &options.program {
        Some(program) => program.clone(),
        None => jobs::build(root)?,
    };
    let work = tempfile::Builder::new().prefix("holdfast-soak-").tempdir_in(&options.work)?;
    let plays: [Part; 3] = [play::play, many::play, streams::play];
    let mut bad = 0;
    for (part, play) in PARTS.into_iter().zip(plays).filter(|(part, _)| options.has(part)) {
        println!("{part}, seed {}", options.seed);
        let dir = work.path().join(part);
        let outcome = runner::guarded(|report| play(&options, &program, &dir, report));
        outcome.print(part);
        bad += usize::from(!outcome.holds());
    }
    if options.keep {
        println!("what was made is in {}", work.keep().display());
    }
    ensure!(bad == 0, "{bad} parts do not hold");
    Ok(())
}
