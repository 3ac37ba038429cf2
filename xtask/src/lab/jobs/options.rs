//! What is to be run of the matrix, from the command line.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

/// What is to be run.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) full: bool,
    pub(super) list: bool,
    pub(super) markdown: bool,
    /// The page and the log of each job are to be printed.
    pub(super) shows_pages: bool,
    pub(super) jobs: usize,
    pub(super) cases: Vec<String>,
    /// The program, if it is built already.
    pub(super) program: Option<PathBuf>,
    /// Where trees, state directories and restored trees lie.
    pub(super) work: PathBuf,
}

impl Options {
    pub(super) fn parse(words: &[&str]) -> Result<Self> {
        let mut options = Self {
            full: false,
            list: false,
            markdown: false,
            shows_pages: false,
            jobs: 2,
            cases: Vec::new(),
            program: None,
            work: std::env::temp_dir(),
        };
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            let mut value = || rest.next().copied().with_context(|| format!("{word} needs a value"));
            match *word {
                "--full" => options.full = true,
                "--list" => options.list = true,
                "--pages" => options.shows_pages = true,
                "--markdown" => options.markdown = true,
                "--jobs" => options.jobs = value()?.parse().context("--jobs takes a number")?,
                "--case" => options.cases.extend(value()?.split(',').map(str::to_owned)),
                "--peer" => options.program = Some(std::path::absolute(value()?)?),
                "--work" => options.work = std::path::absolute(value()?)?,
                name if !name.starts_with('-') => options.cases.push(name.to_owned()),
                other => bail!("unknown option {other}; `cargo xtask help` lists them"),
            }
        }
        ensure!((1..=64).contains(&options.jobs), "--jobs is to be 1 to 64");
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_understood() {
        let options =
            Options::parse(&["--full", "--case", "a,b", "c", "--jobs", "3", "--peer", "/x"]).unwrap();
        assert_eq!((options.cases.len(), options.jobs, options.full), (3, 3, true));
        assert_eq!(options.program, Some(PathBuf::from("/x")));
    }

    #[test]
    fn mistakes_are_said() {
        for words in [&["--jobs"][..], &["--jobs", "0"], &["--peer"], &["--scale", "2"]] {
            assert!(Options::parse(words).is_err(), "{words:?}");
        }
    }
}
