//! What is to be measured, from the command line.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::rounds::Step;
use super::tools::ToolKind;

/// What is to be measured.
pub(super) struct Options {
    pub(super) corpora: Vec<PathBuf>,
    pub(super) tools: Vec<ToolKind>,
    pub(super) steps: Vec<Step>,
    pub(super) runs: usize,
    pub(super) work: PathBuf,
    pub(super) vault_dir: Option<PathBuf>,
    pub(super) holdfast: Option<PathBuf>,
}

impl Options {
    pub(super) fn parse(words: &[&str], default_work: &Path) -> Result<Self> {
        let mut options = Self {
            corpora: Vec::new(),
            tools: vec![ToolKind::Holdfast],
            steps: Step::ALL.to_vec(),
            runs: 5,
            work: default_work.to_owned(),
            vault_dir: None,
            holdfast: None,
        };
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            if *word == "--peers" {
                options.tools = ToolKind::ALL.to_vec();
                continue;
            }
            let value = *rest.next().with_context(|| format!("{word} needs a value"))?;
            match *word {
                "--corpus" | "--corpus2" => options.corpora.push(std::path::absolute(value)?),
                "--tools" => options.tools = list(value, &ToolKind::ALL, ToolKind::name)?,
                "--steps" => options.steps = list(value, &Step::ALL, Step::name)?,
                "--runs" => options.runs = value.parse().context("--runs takes a number")?,
                "--work" => options.work = std::path::absolute(value)?,
                "--vault-dir" => options.vault_dir = Some(std::path::absolute(value)?),
                "--holdfast" => options.holdfast = Some(std::path::absolute(value)?),
                other => bail!("unknown option {other}; `cargo xtask help` lists them"),
            }
        }
        ensure!(!options.corpora.is_empty(), "--corpus DIR is needed");
        ensure!(options.runs > 0, "--runs is to be at least 1");
        for corpus in &options.corpora {
            ensure!(corpus.is_dir(), "{} is no directory", corpus.display());
        }
        if !options.steps.contains(&Step::Full) {
            options.steps.insert(0, Step::Full);
        }
        Ok(options)
    }
}

/// Those of `all` whose names are in the list.
pub(super) fn list<T: Copy + PartialEq>(
    value: &str,
    all: &[T],
    name: fn(T) -> &'static str,
) -> Result<Vec<T>> {
    let names = || all.iter().map(|one| name(*one)).collect::<Vec<_>>().join(", ");
    for word in value.split(',') {
        ensure!(all.iter().any(|one| name(*one) == word), "{word} is none of {}", names());
    }
    // In the order of all, whatever the order of the words.
    Ok(all.iter().copied().filter(|one| value.split(',').any(|word| word == name(*one))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_understood() {
        let words = ["--peers", "--corpus", ".", "--steps", "restore,same", "--runs", "3"];
        let options = Options::parse(&words, Path::new("w")).unwrap();
        assert_eq!(options.tools.len(), 5);
        assert_eq!(options.steps, [Step::Full, Step::Same, Step::Restore]);
        assert_eq!((options.runs, options.work), (3, PathBuf::from("w")));
    }

    #[test]
    fn mistakes_are_said() {
        let error =
            |words: &[&str]| Options::parse(words, Path::new("w")).err().map(|error| error.to_string());
        assert_eq!(error(&[]).unwrap(), "--corpus DIR is needed");
        assert!(
            error(&["--corpus", ".", "--tools", "tar"]).unwrap().starts_with("tar is none of holdfast, ")
        );
        assert!(error(&["--corpus", ".", "--runs", "0"]).is_some());
        assert!(error(&["--corpus"]).is_some() && error(&["--corpus", ".", "--x", "y"]).is_some());
    }
}
