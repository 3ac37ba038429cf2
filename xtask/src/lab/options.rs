//! What is to be run, from the command line.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

/// What is to be run.
pub(super) struct Options {
    pub(super) full: bool,
    pub(super) list: bool,
    pub(super) markdown: bool,
    pub(super) jobs: usize,
    pub(super) scale: Option<u32>,
    /// How often each case of the doctor is played.
    pub(super) runs: u32,
    pub(super) cases: Vec<String>,
    /// The program that hosts run, if it is built already.
    pub(super) peer: Option<PathBuf>,
    /// The program whose doctor is asked, if it is built already.
    pub(super) holdfast: Option<PathBuf>,
}

impl Options {
    pub(super) fn parse(words: &[&str]) -> Result<Self> {
        let mut options = Self {
            full: false,
            list: false,
            markdown: false,
            jobs: 4,
            scale: None,
            runs: 1,
            cases: Vec::new(),
            peer: None,
            holdfast: None,
        };
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            let mut value = || rest.next().copied().with_context(|| format!("{word} needs a value"));
            match *word {
                "--full" => options.full = true,
                "--list" => options.list = true,
                "--markdown" => options.markdown = true,
                "--jobs" => options.jobs = value()?.parse().context("--jobs takes a number")?,
                "--scale" => options.scale = Some(value()?.parse().context("--scale takes a number")?),
                "--runs" => options.runs = value()?.parse().context("--runs takes a number")?,
                "--case" => options.cases.extend(value()?.split(',').map(str::to_owned)),
                "--peer" => options.peer = Some(std::path::absolute(value()?)?),
                "--holdfast" => options.holdfast = Some(std::path::absolute(value()?)?),
                other => bail!("unknown option {other}; `cargo xtask help` lists them"),
            }
        }
        ensure!((1..=64).contains(&options.jobs), "--jobs is to be 1 to 64");
        ensure!((1..=100).contains(&options.runs), "--runs is to be 1 to 100");
        ensure!(options.scale.is_none_or(|scale| (1..=10).contains(&scale)), "--scale is to be 1 to 10");
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_understood() {
        let options =
            Options::parse(&["--full", "--case", "a,b", "--jobs", "2", "--case", "c", "--markdown"]).unwrap();
        assert_eq!(options.cases, ["a", "b", "c"]);
        assert!(options.full && options.markdown && !options.list && options.jobs == 2);
    }

    #[test]
    fn mistakes_are_said() {
        for words in [
            &["--jobs"][..],
            &["--jobs", "0"],
            &["--scale", "x"],
            &["--scale", "100"],
            &["--runs", "0"],
            &["--x"],
        ] {
            assert!(Options::parse(words).is_err(), "{words:?}");
        }
    }
}
