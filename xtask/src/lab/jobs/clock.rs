//! A time of day that jumps under running processes: a small library that is loaded into them adds what a file says. The
//! kernel's own times (of files, for one) stay as they are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

const SOURCE: &str = include_str!("clock.c");

/// The clock of a site.
#[derive(Debug)]
pub(super) struct Clock {
    library: PathBuf,
    file: PathBuf,
}

impl Clock {
    /// Makes it in this directory. It does not jump yet.
    pub(super) fn new(dir: &Path) -> Result<Self> {
        let (source, library, file) = (dir.join("clock.c"), dir.join("clock.so"), dir.join("clock"));
        fs::write(&source, SOURCE)?;
        let mut command = Command::new("cc");
        command.args(["-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
        let output = command.output().context("starting cc, for the clock that jumps")?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "cc does not make the clock: {said}");
        let clock = Self { library, file };
        clock.jump(0)?;
        Ok(clock)
    }

    /// What processes need in their environment.
    pub(super) fn environment(&self) -> [(&'static str, &Path); 2] {
        [("LD_PRELOAD", &self.library), ("HOLDFAST_LAB_CLOCK", &self.file)]
    }

    /// From now on the time of day is by so many seconds another.
    pub(super) fn jump(&self, seconds: i64) -> Result<()> {
        // In place: the file is mapped.
        use std::io::Write;
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(false).open(&self.file)?;
        Ok(file.write_all(&seconds.to_ne_bytes())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_the_time_of_day_that_the_clock_says() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::new(dir.path()).unwrap();
        let now = || {
            let mut command = Command::new("date");
            command.arg("+%s").envs(clock.environment());
            let output = command.output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().parse::<i64>().unwrap()
        };
        let before = now();
        clock.jump(86_400).unwrap();
        assert!((86_400..86_500).contains(&(now() - before)));
    }
}
