//! What is to be run of the soak, from the command line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// What is to be run.
#[derive(Debug)]
pub(super) struct Options {
    /// Which parts; all if none is named.
    parts: Vec<String>,
    /// Jobs with faults.
    pub(super) jobs: usize,
    /// Clients with faults, each behind a router of its own.
    pub(super) hosts: u8,
    /// Clients at once.
    pub(super) clients: usize,
    /// Jobs that the history is to have.
    pub(super) history: usize,
    /// Streams into the media server at once.
    pub(super) streams: u8,
    /// From which all trees and faults follow.
    pub(super) seed: u64,
    /// After which a part begins nothing new.
    pub(super) within: Duration,
    /// State directories, vault and trees stay.
    pub(super) keep: bool,
    /// The program, if it is built already.
    pub(super) program: Option<PathBuf>,
    /// Where trees and state directories lie.
    pub(super) work: PathBuf,
}

/// The names of the parts.
pub(super) const PARTS: [&str; 3] = ["faults", "many", "streams"];

impl Options {
    pub(super) fn parse(words: &[&str]) -> Result<Self> {
        let mut options = Self {
            parts: Vec::new(),
            jobs: 300,
            hosts: 4,
            clients: 200,
            history: 10_000,
            streams: 8,
            seed: 1,
            within: Duration::from_secs(30 * 60),
            keep: false,
            program: None,
            work: std::env::temp_dir(),
        };
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            let mut value = || rest.next().copied().with_context(|| format!("{word} needs a value"));
            match *word {
                "--jobs" => options.jobs = value()?.parse().context("--jobs takes a number")?,
                "--hosts" => options.hosts = value()?.parse().context("--hosts takes a number")?,
                "--clients" => options.clients = value()?.parse().context("--clients takes a number")?,
                "--history" => options.history = value()?.parse().context("--history takes a number")?,
                "--streams" => options.streams = value()?.parse().context("--streams takes a number")?,
                "--seed" => options.seed = value()?.parse().context("--seed takes a number")?,
                "--minutes" => options.within = minutes(value()?)?,
                "--keep" => options.keep = true,
                "--peer" => options.program = Some(std::path::absolute(value()?)?),
                "--work" => options.work = std::path::absolute(value()?)?,
                name if PARTS.contains(&name) => options.parts.push(name.to_owned()),
                other => bail!("{other} is no option and no part; `cargo xtask help` lists them"),
            }
        }
        ensure!((1..=100_000).contains(&options.jobs), "--jobs is to be 1 to 100000");
        ensure!((1..=50).contains(&options.hosts), "--hosts is to be 1 to 50");
        ensure!((1..=50).contains(&options.streams), "--streams is to be 1 to 50");
        ensure!((1..=1_000).contains(&options.clients), "--clients is to be 1 to 1000");
        ensure!(options.history <= 1_000_000, "--history is to be at most 1000000");
        Ok(options)
    }

    pub(super) fn has(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|one| one == part)
    }
}

fn minutes(word: &str) -> Result<Duration> {
    let minutes: u64 = word.parse().context("--minutes takes a number")?;
    ensure!((1..=10_080).contains(&minutes), "--minutes is to be 1 to 10080");
    Ok(Duration::from_secs(60 * minutes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_understood() {
        let options = Options::parse(&["many", "--clients", "3", "--minutes", "2", "--keep"]).unwrap();
        assert_eq!((options.clients, options.within, options.keep), (3, Duration::from_secs(120), true));
        assert_eq!((options.has("many"), options.has("faults")), (true, false));
        let all = Options::parse(&[]).unwrap();
        assert!(PARTS.iter().all(|part| all.has(part)));
    }

    #[test]
    fn mistakes_are_said() {
        for words in [&["--jobs", "0"][..], &["--hosts", "51"], &["more"], &["--seed"], &["--minutes", "0"]] {
            assert!(Options::parse(words).is_err(), "{words:?}");
        }
    }
}
