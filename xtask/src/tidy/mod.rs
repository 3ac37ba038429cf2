//! The project's rules as checks. Each looks at the files of the repository in memory and returns what breaks it, so
//! that each has a test with a bad example. What the compiler and clippy check is not repeated here.

mod changes;
mod dependencies;
mod documents;
mod files;
mod layers;
mod manifest;
mod names;
mod repository;
mod source;

use std::fmt;
use std::path::Path;

use anyhow::Result;
use repository::Repository;

/// One place that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
struct Problem {
    path: String,
    /// From 1; 0 when it is the whole file.
    line: usize,
    message: String,
}

impl Problem {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(out, "{}: {}", self.path, self.message),
            line => write!(out, "{}:{line}: {}", self.path, self.message),
        }
    }
}

type Check = fn(&Repository) -> Vec<Problem>;

const CHECKS: &[Check] = &[
    layers::check,
    dependencies::check,
    names::check,
    files::check_heads,
    files::check_lengths,
    files::check_unsafe,
    files::check_machine_paths,
    documents::check,
    changes::check,
];

/// Prints what breaks a rule, and fails if anything does.
pub(crate) fn run(root: &Path) -> Result<()> {
    let repository = Repository::read(root)?;
    for (path, lines) in files::long(&repository) {
        println!("note: {path} has {lines} lines; about 200 are usual");
    }
    let problems = problems(&repository);
    for problem in &problems {
        println!("{problem}");
    }
    anyhow::ensure!(problems.is_empty(), "{} places break the project's rules", problems.len());
    println!("tidy: {} files keep the rules", repository.files().count());
    Ok(())
}

fn problems(repository: &Repository) -> Vec<Problem> {
    CHECKS.iter().flat_map(|check| check(repository)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rules hold for this repository whenever its tests are run.
    #[test]
    fn this_repository_keeps_the_rules() {
        let started = std::time::Instant::now();
        let repository = Repository::read(&crate::root()).unwrap();
        let problems: Vec<_> = problems(&repository).iter().map(ToString::to_string).collect();
        assert!(problems.is_empty(), "{problems:#?}");
        assert!(repository.files().count() > 20, "the repository was not found");
        assert!(started.elapsed().as_secs() < 5, "tidy is to be quick enough to be run always");
    }
}
