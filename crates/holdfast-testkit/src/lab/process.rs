//! A program in a namespace, told what to do by lines of JSON and answering in lines of JSON.
//!
//! A command carries a number, `{"id":7,"do":"..."}`; its answer carries the same, `{"id":7,"ms":...}`, with `"error"` if
//! it failed. A line with `"event"` instead of `"id"` comes by itself. `ms` is [`super::now_ms`] at the moment when it
//! happened, so that moments in two processes can be compared. The program ends when its standard input does, so a lab
//! that is killed leaves none behind.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::tools::{self, Error, Result, io};

/// Lines that wait to be read; beyond it the program waits.
const LINES_MAX: usize = 10_000;
/// A line of the program.
const LINE_MAX: u64 = 1 << 20;
/// Lines of standard error that are kept to be shown.
const SAID_MAX: usize = 30;
/// After its input has ended a program may say goodbye this long.
const GOODBYE_MAX: Duration = Duration::from_secs(10);

/// A running program. Dropped, it is killed.
#[derive(Debug)]
pub struct Process {
    who: String,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Value>,
    /// Lines that came while another was waited for.
    early: VecDeque<Value>,
    said: Arc<Mutex<VecDeque<String>>>,
    next: u64,
}

/// What a program has answered.
#[derive(Clone, PartialEq, Debug)]
pub struct Reply(pub Value);

impl Reply {
    /// A number in it; not a number (NaN) if there is none, so that no comparison with it holds.
    pub fn number(&self, key: &str) -> f64 {
        self.0[key].as_f64().unwrap_or(f64::NAN)
    }

    /// A whole number in it.
    pub fn count(&self, key: &str) -> Option<u64> {
        self.0[key].as_u64()
    }

    /// A text in it, empty if there is none.
    pub fn text(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap_or_default()
    }

    /// When it happened, in milliseconds of [`super::now_ms`].
    pub fn ms(&self) -> f64 {
        self.number("ms")
    }

    /// Why it failed, if it did.
    pub fn error(&self) -> Option<&str> {
        self.0["error"].as_str()
    }
}

impl Process {
    pub(super) fn start(
        namespace: &str,
        host: &str,
        program: &Path,
        arguments: &[&str],
        environment: &[(&str, &OsStr)],
    ) -> Result<Self> {
        let name = program.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let who = format!("{name} on the {host}");
        // `ip netns exec` becomes the program: the id of the child is the program's.
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace]).arg(program).args(arguments);
        command.envs(environment.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own: when the shell goes that began the lab in the background, the kernel lets go on (SIGCONT) what
        // is held still in a group that nobody is left to look after.
        command.process_group(0);
        let mut child = command.spawn().map_err(io(format!("starting {who}")))?;
        let (sender, lines) = sync_channel(LINES_MAX);
        let said = Arc::new(Mutex::new(VecDeque::new()));
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || read_lines(stdout, &sender));
        }
        if let Some(stderr) = child.stderr.take() {
            let said = Arc::clone(&said);
            std::thread::spawn(move || keep_last(stderr, &said));
        }
        let stdin = child.stdin.take();
        Ok(Self { who, child, stdin, lines, early: VecDeque::new(), said, next: 1 })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Gives it a command and does not wait. Returns the number by which [`Process::answer`] finds the answer.
    pub fn order(&mut self, mut command: Value) -> Result<u64> {
        let id = self.next;
        self.next += 1;
        command["id"] = id.into();
        let line = format!("{command}\n");
        let written = self.stdin.as_mut().map(|stdin| stdin.write_all(line.as_bytes()));
        match written {
            Some(Ok(())) => Ok(id),
            _ => Err(self.failed("takes no commands any more")),
        }
    }

    /// Waits for the answer to a command. That it says "error" is an answer.
    pub fn answer(&mut self, id: u64, within: Duration) -> Result<Reply> {
        self.take(within, &format!("no answer to command {id}"), |line| line["id"].as_u64() == Some(id))
    }

    /// Waits for an event of this name.
    pub fn event(&mut self, name: &str, within: Duration) -> Result<Reply> {
        self.take(within, &format!("no event \"{name}\""), |line| line["event"].as_str() == Some(name))
    }

    /// Gives it a command and waits for the answer; one that says "error" is an error.
    pub fn ask(&mut self, command: Value, within: Duration) -> Result<Reply> {
        let shown = command["do"].to_string();
        let id = self.order(command)?;
        let reply = self.answer(id, within)?;
        match reply.error() {
            Some(error) => Err(Error::Process { who: self.who.clone(), what: format!("{shown}: {error}") }),
            None => Ok(reply),
        }
    }

    fn take(&mut self, within: Duration, missing: &str, wanted: impl Fn(&Value) -> bool) -> Result<Reply> {
        if let Some(at) = self.early.iter().position(&wanted) {
            return self.early.remove(at).map(Reply).ok_or_else(|| self.failed(missing));
        }
        let end = Instant::now() + within;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) if wanted(&line) => return Ok(Reply(line)),
                Ok(line) => {
                    self.early.push_back(line);
                    if self.early.len() > LINES_MAX {
                        self.early.pop_front();
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(self.failed(&format!("{missing} in {:.1} s", within.as_secs_f64())));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.failed(&format!("{missing}, and it has ended")));
                }
            }
        }
    }

    fn failed(&self, what: &str) -> Error {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let said: Vec<&str> = said.iter().map(String::as_str).collect();
        let said =
            if said.is_empty() { String::new() } else { format!("; it printed: {}", said.join(" | ")) };
        Error::Process { who: self.who.clone(), what: format!("{what}{said}") }
    }

    /// Holds it still (SIGSTOP).
    pub fn stop(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on (SIGCONT).
    pub fn go_on(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Tells it to end (SIGTERM) and waits so long. Its exit status, or minus the signal that ended it; `None` if it runs on.
    pub fn end(&mut self, within: Duration) -> Result<Option<i32>> {
        self.signal(Signal::TERM)?;
        let ended = tools::until(within, || self.child.try_wait().transpose()).transpose();
        let status = ended.map_err(io(format!("waiting for {}", self.who)))?;
        Ok(status.and_then(|status| status.code().or_else(|| status.signal().map(|signal| -signal))))
    }

    /// The last lines that it printed on standard error.
    pub fn said(&self) -> Vec<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().map_err(io(format!("killing {}", self.who)))?;
        self.child.wait().map(drop).map_err(io(format!("waiting for {}", self.who)))
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let sent = pid.map_or(Err(rustix::io::Errno::SRCH), |pid| kill_process(pid, signal));
        sent.map_err(|errno| io(format!("signal to {}", self.who))(errno.into()))
    }

    /// Its resident memory in bytes.
    pub fn memory(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(&path).map_err(io(path))?;
        let kib = text
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok());
        kib.map(|kib: u64| kib << 10).ok_or_else(|| self.failed("has no memory, so it has ended"))
    }

    /// Ends its input and waits for it to end; after 10 s it is killed.
    pub fn finish(mut self) -> Result<()> {
        self.stdin = None;
        // The lines end when the program does.
        let end = Instant::now() + GOODBYE_MAX;
        while self.lines.recv_timeout(end.saturating_duration_since(Instant::now())).is_ok() {}
        match self.child.try_wait() {
            Ok(Some(_)) => Ok(()),
            _ => self.kill(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail when it has ended and been waited for. A stopped process dies of SIGKILL too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_lines(stdout: impl Read, sender: &SyncSender<Value>) {
    let mut reader = BufReader::new(stdout);
    loop {
        let mut line = Vec::new();
        match reader.by_ref().take(LINE_MAX).read_until(b'\n', &mut line) {
            Ok(length) if length > 0 => {}
            _ => return,
        }
        // What is no JSON is for people.
        let Ok(value) = serde_json::from_slice(&line) else { continue };
        if sender.send(value).is_err() {
            return;
        }
    }
}

fn keep_last(stderr: impl Read, said: &Mutex<VecDeque<String>>) {
    let mut reader = BufReader::new(stderr);
    loop {
        let mut line = Vec::new();
        match reader.by_ref().take(LINE_MAX).read_until(b'\n', &mut line) {
            Ok(length) if length > 0 => {}
            _ => return,
        }
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        said.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
        if said.len() > SAID_MAX {
            said.pop_front();
        }
    }
}
