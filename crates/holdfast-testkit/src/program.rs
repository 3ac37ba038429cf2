//! Runs the `holdfast` program as a process of its own, in a state directory of its own.
//!
//! Every wait has a bound: a program that hangs is killed and the test fails with what it had printed.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long a program may run before it counts as hung.
pub const LIMIT: Duration = Duration::from_secs(300);

/// The program with a fresh state directory, which goes away with this.
pub struct Program {
    binary: PathBuf,
    state: TempDir,
    environment: Vec<(String, String)>,
}

impl Program {
    /// `binary` is usually `env!("CARGO_BIN_EXE_holdfast")`.
    pub fn new(binary: impl Into<PathBuf>) -> io::Result<Self> {
        let state = tempfile::Builder::new().prefix("holdfast-state-").tempdir()?;
        Ok(Self { binary: binary.into(), state, environment: Vec::new() })
    }

    /// Sets a variable for every run.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The state directory; the default vault is `vault` in it.
    pub fn state(&self) -> &Path {
        self.state.path()
    }

    /// Starts it with these arguments and no standard input.
    pub fn start<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> io::Result<Running> {
        let mut command = Command::new(&self.binary);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"HOLDFAST_"))
        {
            command.env_remove(name);
        }
        command.env("HOLDFAST_STATE_DIR", self.state.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Running::new(command.spawn()?)
    }

    /// Runs it to its end.
    pub fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> io::Result<Outcome> {
        self.start(arguments)?.wait()
    }
}

/// A program that has been started. Dropped, it is killed.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: String,
    deadline: Instant,
}

impl Running {
    fn new(mut child: Child) -> io::Result<Self> {
        let missing = || io::Error::other("the program's output is not piped");
        let mut stdout = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;
        let collect = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            // What could not be read is missing from the outcome, and the test sees that.
            let _ = stdout.read_to_end(&mut bytes);
            bytes
        });
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stderr);
            let mut line = Vec::new();
            while matches!(reader.read_until(b'\n', &mut line), Ok(length) if length > 0) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
                line.clear();
            }
        });
        let deadline = Instant::now() + LIMIT;
        Ok(Self { child, lines, stdout: Some(collect), stderr: String::new(), deadline })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line on standard error; false if the program ended, or closed it, without printing such a line.
    pub fn wait_for(&mut self, wanted: impl Fn(&str) -> bool) -> io::Result<bool> {
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.stderr.push_str(&line);
                    if wanted(line.trim_end()) {
                        return Ok(true);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(false),
                Err(RecvTimeoutError::Timeout) => return Err(self.hung()),
            }
        }
    }

    /// Waits for a line on standard error and kills the program at once (SIGKILL).
    ///
    /// A program that ends before such a line is an error: the test would have tested nothing.
    pub fn kill_at(mut self, wanted: impl Fn(&str) -> bool) -> io::Result<Outcome> {
        if !self.wait_for(wanted)? {
            return Err(io::Error::other(format!(
                "ended before the line was seen; it printed:\n{}",
                self.stderr
            )));
        }
        self.child.kill()?;
        self.wait()
    }

    /// Waits for its end.
    pub fn wait(mut self) -> io::Result<Outcome> {
        self.wait_for(|_| false)?;
        let status = self.child.wait()?;
        let stdout = self.stdout.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        Ok(Outcome { status, stdout, stderr: std::mem::take(&mut self.stderr) })
    }

    fn hung(&mut self) -> io::Error {
        let killed = self.child.kill();
        io::Error::other(format!("did not end in {LIMIT:?} ({killed:?}); it printed:\n{}", self.stderr))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail when it has ended and been waited for, which is the usual case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a program ended, and what it printed.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// The exit status, or minus the signal that ended it.
    pub fn code(&self) -> i32 {
        self.status.code().or_else(|| self.status.signal().map(|signal| -signal)).unwrap_or(i32::MIN)
    }

    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The last line of standard output as JSON.
    pub fn json(&self) -> io::Result<Value> {
        let text = self.text();
        let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        serde_json::from_str(line).map_err(|error| io::Error::other(format!("{error} in {line:?}; {self}")))
    }

    /// Fails the test, showing the output, unless the exit status is this.
    #[track_caller]
    pub fn assert_code(self, expected: i32) -> Self {
        assert_eq!(self.code(), expected, "{self}");
        self
    }

    /// Fails the test, showing the output, unless the exit status is 0.
    #[track_caller]
    pub fn assert_ok(self) -> Self {
        self.assert_code(0)
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "exit {}\nstandard output:\n{}\nstandard error:\n{}",
            self.code(),
            self.text(),
            self.stderr
        )
    }
}
