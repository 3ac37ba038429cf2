//! What is to be measured over the network, from the command line.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::super::options::list;

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Holdfast,
    Embedded,
    Restic,
    Bacula,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Holdfast, Self::Embedded, Self::Restic, Self::Bacula];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Holdfast => "holdfast",
            Self::Embedded => "embedded",
            Self::Restic => "restic",
            Self::Bacula => "bacula",
        }
    }
}

/// What is to be measured.
pub(super) struct Options {
    pub(super) corpora: Vec<PathBuf>,
    pub(super) kinds: Vec<Kind>,
    pub(super) runs: usize,
    pub(super) work: PathBuf,
    pub(super) restore_dir: Option<PathBuf>,
    pub(super) holdfast: Option<PathBuf>,
}

impl Options {
    pub(super) fn parse(words: &[&str], default_work: &Path) -> Result<Self> {
        let (corpora, kinds, work) = (Vec::new(), Kind::ALL.to_vec(), default_work.to_owned());
        let mut options = Self { corpora, kinds, runs: 5, work, restore_dir: None, holdfast: None };
        let mut rest = words.iter().filter(|word| **word != "--network");
        while let Some(word) = rest.next() {
            let value = *rest.next().with_context(|| format!("{word} needs a value"))?;
            match *word {
                "--corpus" | "--corpus2" => options.corpora.push(std::path::absolute(value)?),
                "--tools" => options.kinds = list(value, &Kind::ALL, Kind::name)?,
                "--runs" => options.runs = value.parse().context("--runs takes a number")?,
                "--work" => options.work = std::path::absolute(value)?,
                "--restore-dir" => options.restore_dir = Some(std::path::absolute(value)?),
                "--holdfast" => options.holdfast = Some(std::path::absolute(value)?),
                other => bail!("unknown option {other} with --network; `cargo xtask help` lists them"),
            }
        }
        ensure!(!options.corpora.is_empty(), "--corpus DIR is needed");
        ensure!(options.runs > 0, "--runs is to be at least 1");
        for corpus in &options.corpora {
            ensure!(corpus.is_dir(), "{} is no directory", corpus.display());
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_understood() {
        let words = ["--corpus", ".", "--network", "--tools", "bacula,embedded", "--runs", "2"];
        let options = Options::parse(&words, Path::new("w")).unwrap();
        assert_eq!(options.kinds, [Kind::Embedded, Kind::Bacula]);
        assert_eq!((options.runs, options.work), (2, PathBuf::from("w")));
    }

    #[test]
    fn mistakes_are_said() {
        let error = |words: &[&str]| Options::parse(words, Path::new("w")).err().map(|e| e.to_string());
        assert_eq!(error(&["--network"]).unwrap(), "--corpus DIR is needed");
        assert!(
            error(&["--corpus", ".", "--tools", "borg"]).unwrap().starts_with("borg is none of holdfast, ")
        );
        assert!(error(&["--corpus", ".", "--peers", "x"]).unwrap().contains("--peers with --network"));
        assert!(error(&["--corpus", ".", "--runs", "0"]).is_some());
    }
}
