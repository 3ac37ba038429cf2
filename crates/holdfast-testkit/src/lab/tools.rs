//! The system's tools, run with a bound; and what is missing if they cannot be run.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

/// No command of the lab takes a tenth of this.
const LIMIT_SECONDS: &str = "20";
/// Output of a command that is shown with an error.
const SHOWN_MAX: usize = 500;

/// Why the lab could not do something.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The test runs without the rights.
    #[error("the lab needs root, for network namespaces: run it as root or with sudo")]
    NotRoot,
    /// A tool is not installed.
    #[error("the lab needs `{tool}`: apt-get install {package}")]
    Missing {
        /// The command.
        tool: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// A tool said no. If it is `nft`, the kernel may lack a part of nftables that the text names.
    #[error("`{command}` failed: {said}")]
    Tool {
        /// The command line.
        command: String,
        /// What it printed.
        said: String,
    },
    /// The system said no.
    #[error("{doing}: {cause}")]
    Io {
        /// At what.
        doing: String,
        /// What it said.
        cause: std::io::Error,
    },
    /// A program that was started did not do as it should.
    #[error("{who}: {what}")]
    Process {
        /// The program and its host.
        who: String,
        /// What happened.
        what: String,
    },
}

/// A result of the lab.
pub type Result<T> = std::result::Result<T, Error>;

pub(super) fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
    let doing = doing.into();
    move |cause| Error::Io { doing, cause }
}

/// Whether everything is there that a lab needs.
pub fn check() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Err(Error::NotRoot);
    }
    for (tool, package) in
        [("ip", "iproute2"), ("tc", "iproute2"), ("nft", "nftables"), ("timeout", "coreutils")]
    {
        let found = Command::new(tool).arg("--version").stdin(Stdio::null()).output();
        // `ip` and `tc` know `-V` only, and say so: they are there.
        found.map_err(|_| Error::Missing { tool, package })?;
    }
    Ok(())
}

/// Runs a command to its end, at most 20 s, and returns what it printed.
pub(super) fn run(program: &str, arguments: &[&str]) -> Result<String> {
    feed(program, arguments, "")
}

/// The same with this on its standard input.
pub(super) fn feed(program: &str, arguments: &[&str], input: &str) -> Result<String> {
    let shown = format!("{program} {}", arguments.join(" "));
    let mut command = Command::new("timeout");
    command.args(["--kill-after=1", LIMIT_SECONDS, program]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(io(format!("starting `{shown}`")))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that does not read its input says in its own words why.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(io(format!("waiting for `{shown}`")))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let said: String = text(&output.stderr).trim().chars().take(SHOWN_MAX).collect();
    let said = if said.is_empty() { output.status.to_string() } else { said };
    Err(Error::Tool { command: shown, said })
}

/// Tries again until it succeeds or this time is over: for what the kernel does a moment later.
pub(super) fn until<T>(within: Duration, mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
    let end = std::time::Instant::now() + within;
    loop {
        if let Some(found) = attempt() {
            return Some(found);
        }
        if std::time::Instant::now() >= end {
            return None;
        }
        super::let_pass(Duration::from_millis(20));
    }
}
