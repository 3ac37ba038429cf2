//! Writes debug logs as the classic system does: several hosts, each with a clock of its own, in the formats of its programs.
//! The wording is ours; what matters in it is what the reference names. Two scenarios are ready: a socket that is wanted too
//! late, and a control connection that is lost.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// The secret of the rendezvous socket.
pub const HASH: &str = "00112233445566778899aabbccddeeff";

/// How a program writes its lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// `HH:MM:SS.mmm [pid.tid] <2> text`
    Server,
    /// `H:MM:SS.mmm AM: [pid.tid] <2> text`
    Pc,
    /// `M/D/YYYY HH:MM:SS.mmm [Debug] NB 51216 nbjm 117 PID:1 TID:2 File ID:117 text`
    Unified,
}

/// Logs of several hosts, in memory.
#[derive(Clone, Debug)]
pub struct Scenario {
    date: (u32, u32, u32),
    hosts: Vec<(String, i64)>,
    /// By path; each line with the time at which it was written by the common clock, to sort by.
    files: BTreeMap<String, Vec<(i64, String)>>,
}

/// A host of a scenario.
#[derive(Clone, Copy, Debug)]
pub struct Host(usize);

/// A program of a host.
#[derive(Clone, Copy, Debug)]
pub struct Process<'a> {
    /// The host.
    pub host: Host,
    /// Its name.
    pub program: &'a str,
    /// How it writes.
    pub style: Style,
    /// Its process and thread.
    pub ids: (u32, u32),
}

/// Milliseconds of the day of a time.
#[must_use]
pub fn at(hours: i64, minutes: i64, seconds: i64, ms: i64) -> i64 {
    ((hours * 60 + minutes) * 60 + seconds) * 1000 + ms
}

impl Scenario {
    /// Of one day: year, month, day.
    #[must_use]
    pub fn new(year: u32, month: u32, day: u32) -> Self {
        Self { date: (year, month, day), hosts: Vec::new(), files: BTreeMap::new() }
    }

    /// A host whose clock is so many milliseconds ahead of the common one.
    pub fn host(&mut self, name: &str, ahead_ms: i64) -> Host {
        self.hosts.push((name.to_owned(), ahead_ms));
        Host(self.hosts.len() - 1)
    }

    /// A line, written at a moment of the common clock.
    pub fn line(&mut self, process: Process<'_>, ms: i64, text: &str) {
        let (name, ahead) = &self.hosts[process.host.0];
        let local = (ms + ahead).rem_euclid(86_400_000);
        let (year, month, day) = self.date;
        let (pid, tid) = process.ids;
        let (path, line) = match process.style {
            Style::Server => (
                format!("{name}/netbackup/logs/{}/log.{month:02}{day:02}{:02}", process.program, year % 100),
                format!("{} [{pid}.{tid}] <2> {text}", clock(local)),
            ),
            Style::Pc => (
                format!("{name}/NetBackup/logs/{}/{month:02}{day:02}{:02}.LOG", process.program, year % 100),
                format!("{} [{pid}.{tid}] <2> {text}", half_clock(local)),
            ),
            Style::Unified => (
                format!("{name}/51216-117-2201360136-{:02}{month:02}{day:02}-0000000000.log", year % 100),
                format!(
                    "{month}/{day}/{year} {} [Debug] NB 51216 {} 117 PID:{pid} TID:{tid} File ID:117 {text}",
                    clock(local),
                    process.program
                ),
            ),
        };
        self.files.entry(path).or_default().push((ms, line));
    }

    /// The files: paths and contents.
    #[must_use]
    pub fn files(&self) -> Vec<(String, String)> {
        let mut files = Vec::new();
        for (path, lines) in &self.files {
            let mut lines = lines.clone();
            lines.sort_by_key(|(ms, _)| *ms);
            let mut text = String::new();
            for (_, line) in lines {
                let _ = writeln!(text, "{line}");
            }
            files.push((path.clone(), text));
        }
        files
    }

    /// Writes the files below a directory.
    pub fn write(&self, dir: &Path) -> std::io::Result<()> {
        for (path, text) in self.files() {
            let path = dir.join(path);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(path, text)?;
        }
        Ok(())
    }

    /// A connection of bpbrm to a client: `wait_ms` for port 1556, then port 13724, which answers.
    fn session(&mut self, (from, to): (Process<'_>, Process<'_>), ms: i64, port: u32, wait_ms: i64) {
        self.line(from, ms, "vnet_async_connect: ... 0: connect in progress: 1 0x00000001");
        self.line(from, ms + wait_ms, "vnet_async_connect: ... 0: connect in progress: 2 0x00000002");
        let ends = format!("FROM 10.20.0.1.{port} TO 10.20.7.7.13724");
        self.line(from, ms + wait_ms + 2, &format!("logconnections: BPCD CONNECT {ends} fd = 8"));
        self.line(to, ms + wait_ms + 4, &format!("vnetd accept: VNETD ACCEPT {ends} fd = 9"));
        self.line(to, ms + wait_ms + 5, "vnetd request: VN_REQUEST_SERVICE_SOCKET(6)");
    }

    /// The first failure: port 1556 is dropped, each connection waits 10 s for it, and a socket that was offered at 17:46:36
    /// and given up at 17:48:36 is wanted at 17:50:15, by the clock of the client, which is 0.8 s behind.
    #[must_use]
    pub fn late_socket() -> Self {
        let mut all = Self::new(2011, 6, 3);
        let (media, client) = (all.host("media1", 0), all.host("client7", -800));
        let bpbrm = Process { host: media, program: "bpbrm", style: Style::Server, ids: (5592, 5372) };
        let vnetd = Process { host: client, program: "vnetd", style: Style::Pc, ids: (1208, 3300) };
        let holder = Process { ids: (1208, 4404), ..vnetd };
        let bpcd = Process { host: client, program: "bpcd", style: Style::Pc, ids: (2904, 2908) };
        let offered = at(17, 46, 37, 300);
        all.line(holder, offered - 5, "vnetd request: VN_REQUEST_CONNECT_FORWARD_SOCKET(10)");
        all.line(holder, offered - 2, &format!("vnetd forward: ipc_string: 57276 hash_str1: {HASH}"));
        all.line(holder, offered, "vnet_sock_ready: vnet.c.77: max_time: 120");
        all.line(holder, offered + 120_010, "vnetd forward: the peer did not come, closing");
        all.line(bpbrm, offered + 62, &format!("bpbrm multiplexed_backup: mpx_ipc: 57276;{HASH};10;600"));
        for number in 0..21 {
            let begin = at(17, 46, 37, 500) + number * 10_350;
            let port = 57_300 + u32::try_from(number).unwrap_or(0);
            all.session((bpbrm, vnetd), begin, port, 10_000);
            all.line(bpbrm, begin + 10_100, "bpbrm start_bpcd: asked the client");
        }
        let wanted = at(17, 50, 16, 600);
        all.line(bpcd, wanted, &format!("bpcd main: mpx_ipc: 57276;{HASH};10;600"));
        for after in [1_010, 3_020, 6_030, 11_040, 20_060] {
            all.line(bpcd, wanted + after, "bpcd forward: connect to 127.0.0.1.57276 failed, errno = 10061");
        }
        all.line(bpcd, wanted + 20_100, "bpcd exit: EXIT STATUS = 25: cannot connect on socket");
        all.line(
            bpbrm,
            wanted + 20_400,
            "bpbrm Exit: client backup EXIT STATUS = 25: cannot connect on socket",
        );
        all
    }

    /// The second failure: job 3, a child of job 1, is done at 12:44:07.771; job 1 fails with status 40 two hours later, when
    /// the keepalive notices that its connection is gone. With `work_goes_on` the keepalive notices it first, and the child is
    /// done an hour after that.
    #[must_use]
    pub fn lost_control(work_goes_on: bool) -> Self {
        let mut all = Self::new(2010, 1, 19);
        let (primary, media) = (all.host("primary1", 0), all.host("media1", 350));
        let nbjm = Process { host: primary, program: "nbjm", style: Style::Unified, ids: (880, 3876) };
        let child = Process { ids: (880, 4004), ..nbjm };
        let bptm = Process { host: media, program: "bptm", style: Style::Server, ids: (7249, 7249) };
        all.line(
            nbjm,
            at(11, 58, 0, 0),
            "[jobid=1 parentid=1] 6 [Job::start] started the script(Job.cpp:11)",
        );
        let link = "FROM 10.20.0.9.41000 TO 10.20.0.1.1556";
        all.line(
            nbjm,
            at(11, 58, 1, 0),
            &format!("[jobid=1 parentid=1] 6 [Job::dial] BPBRM CONNECT {link} fd = 4"),
        );
        all.line(bptm, at(11, 58, 1, 2), &format!("bptm main: BPBRM ACCEPT {link} fd = 4"));
        all.line(child, at(12, 0, 0, 0), "[jobid=3 parentid=1] 6 [Job::start] began(Job.cpp:11)");
        let done = if work_goes_on { at(14, 58, 0, 0) } else { at(12, 44, 7, 771) };
        let broken = if work_goes_on { at(13, 58, 1, 178) } else { at(14, 44, 7, 949) };
        all.line(bptm, done - 40, "bptm write_backup: wrote the last block");
        all.line(child, done, "[jobid=3 parentid=1] 6 [Backup::handle] WRITE DONE(Backup.cpp:90)");
        all.line(child, done + 20, "[jobid=3 parentid=1] 6 [Job::end] EXIT STATUS 0(Job.cpp:77)");
        all.line(nbjm, broken, "[jobid=1 parentid=1] 6 [Bpbrm::terminateAllJobs] status 40(Bpbrm.cpp:405)");
        all
    }
}

fn clock(ms: i64) -> String {
    format!("{:02}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
}

fn half_clock(ms: i64) -> String {
    let hours = ms / 3_600_000;
    let half = if hours < 12 { "AM" } else { "PM" };
    let hours = if hours % 12 == 0 { 12 } else { hours % 12 };
    format!("{hours}:{:02}:{:02}.{:03} {half}:", ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
}
