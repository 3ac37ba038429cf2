//! Reads files line by line and keeps what matters, in bounded memory. What a line says is for `format` and `decode`; what
//! follows from several lines of one thread is for `threads`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

use serde::Serialize;

use super::decode::decode;
use super::fact::{Bounded, Dial, Ending, Fact, Failure, Job, JobSeen, Link, Mention, Offer, Quiet, Seen};
use super::format::{self, Format, Head};
use super::lines::{Line, Lines};
use super::needles::Needles;
use super::stamp::{DAY_MS, Stamp};
use super::threads::Threads;
use crate::finding::QUOTE_MAX;

/// Connections that are kept to link the hosts.
const LINKS_MAX: usize = 100_000;
/// Of each other kind.
const EACH_MAX: usize = 10_000;
/// Jobs.
const JOBS_MAX: usize = 20_000;
/// Endings of a job.
const ENDINGS_MAX: usize = 8;
/// Minutes in which a program of a host wrote something, of all together.
const MINUTES_MAX: usize = 200_000;
/// How far from midnight lines are looked at for whether they are out of order, in milliseconds.
const NEAR_MS: i64 = 600_000;
/// Lines that were not understood, as examples for each file.
const EXAMPLES_MAX: usize = 3;

/// A file to be read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Source {
    /// As the user knows it.
    pub file: String,
    /// The host that wrote it.
    pub host: String,
    /// The program, if the path tells.
    pub program: Option<&'static str>,
    /// The day of its first line, counted from 1970, if the path tells.
    pub day: Option<i64>,
    /// Whether that is only the day of the other files.
    pub is_day_assumed: bool,
}

/// What became of a file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct FileRead {
    /// As the user knows it.
    pub file: String,
    /// The host, as an index.
    pub host: usize,
    /// The program, if known.
    pub program: Option<&'static str>,
    /// Bytes, unpacked.
    pub bytes: u64,
    /// Lines.
    pub lines: u64,
    /// Lines of each format, in the order of [`Format::ALL`].
    pub formats: [u64; Format::ALL.len()],
    /// Lines without a head: they go on with what the line before says, or are not understood.
    pub headless: u64,
    /// A few of these, with their numbers.
    pub examples: Vec<(u64, String)>,
    /// Lines that were too long and were cut.
    pub cut: u64,
    /// Lines outside of the wanted time.
    pub outside: u64,
    /// The first and the last time.
    pub span: Option<(Stamp, Stamp)>,
    /// Whether its day is only that of the other files.
    pub is_day_assumed: bool,
    /// Why it was not read to its end.
    pub error: Option<String>,
}

/// All that was gathered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Gathered {
    /// Files, in the order in which they were read.
    pub files: Vec<FileRead>,
    /// Names of hosts.
    pub hosts: Vec<String>,
    /// Connections that stood, by one of their ends.
    #[serde(skip)]
    pub links: Bounded<Link>,
    /// Makings of connections that waited or failed.
    pub dials: Bounded<Dial>,
    /// How many went without a long wait.
    pub quick_dials: u64,
    /// Sockets that waited for a peer.
    pub offers: Bounded<Offer>,
    /// Lines that name such a socket.
    #[serde(skip)]
    pub mentions: Bounded<Mention>,
    /// Connections that failed.
    pub failures: Bounded<Failure>,
    /// Reads that gave up.
    pub silences: Bounded<Quiet>,
    /// Look-ups that took long.
    pub lookups: Bounded<Quiet>,
    /// Peers that took no more data.
    pub closed_windows: Bounded<Quiet>,
    /// Endings with another status than 0.
    pub endings: Bounded<Ending>,
    /// Endings with status 0.
    pub good_endings: Bounded<Ending>,
    /// How often each request was made.
    pub requests: BTreeMap<String, u64>,
    /// Jobs by their ids.
    pub jobs: BTreeMap<u64, JobSeen>,
    /// How many were beyond what is kept.
    pub jobs_beyond: u64,
    /// Minutes, counted from 1970, in which a program of a host wrote.
    #[serde(skip)]
    pub minutes: BTreeSet<(usize, &'static str, i64)>,
    /// How many were beyond what is kept.
    pub minutes_beyond: u64,
}

/// Reads and keeps.
pub struct Gatherer {
    needles: Needles,
    since: Option<i64>,
    until: Option<i64>,
    pub(super) gathered: Gathered,
}

/// What is known while a file is read.
struct Reading {
    file: FileRead,
    at: usize,
    day: i64,
    is_dated: bool,
    /// Midnight was passed in this file, and no line since is from later than a few minutes after it.
    is_after_midnight: bool,
    /// Of the line with a head before.
    last: Option<(Head, Stamp)>,
    minute: i64,
    threads: Threads,
}

impl Gatherer {
    /// Reads only what was written between these moments, as milliseconds by the clock of each host.
    #[must_use]
    pub fn new(since: Option<i64>, until: Option<i64>) -> Self {
        let gathered = Gathered {
            files: Vec::new(),
            hosts: Vec::new(),
            links: Bounded::new(LINKS_MAX),
            dials: Bounded::new(EACH_MAX),
            quick_dials: 0,
            offers: Bounded::new(EACH_MAX),
            mentions: Bounded::new(EACH_MAX),
            failures: Bounded::new(EACH_MAX),
            silences: Bounded::new(EACH_MAX),
            lookups: Bounded::new(EACH_MAX),
            closed_windows: Bounded::new(EACH_MAX),
            endings: Bounded::new(EACH_MAX),
            good_endings: Bounded::new(EACH_MAX),
            requests: BTreeMap::new(),
            jobs: BTreeMap::new(),
            jobs_beyond: 0,
            minutes: BTreeSet::new(),
            minutes_beyond: 0,
        };
        Self { needles: Needles::new(), since, until, gathered }
    }

    /// What was gathered.
    #[must_use]
    pub fn finish(self) -> Gathered {
        self.gathered
    }

    /// Notes a file that could not be opened.
    pub fn unreadable(&mut self, source: &Source, error: String) {
        let mut file = self.file(source);
        file.error = Some(error);
        self.gathered.files.push(file);
    }

    /// Reads a file to its end, or to where it breaks off.
    pub fn read(&mut self, source: &Source, reader: impl BufRead) {
        let file = self.file(source);
        let mut reading = Reading {
            file,
            at: self.gathered.files.len(),
            day: source.day.unwrap_or(0),
            is_dated: source.day.is_some(),
            is_after_midnight: false,
            last: None,
            minute: i64::MIN,
            threads: Threads::new(),
        };
        let mut lines = Lines::new(reader, self.needles.clone());
        loop {
            match lines.advance() {
                Ok(Some(line)) => self.line(&mut reading, &line),
                Ok(None) => break,
                Err(error) => {
                    reading.file.error =
                        Some(format!("not read beyond line {}: {error}", reading.file.lines));
                    break;
                }
            }
        }
        reading.threads.finish(&mut self.gathered);
        let mut file = reading.file;
        file.bytes = lines.bytes();
        file.cut = lines.cut();
        self.gathered.files.push(file);
    }

    fn file(&mut self, source: &Source) -> FileRead {
        let hosts = &mut self.gathered.hosts;
        let host = hosts.iter().position(|host| *host == source.host).unwrap_or_else(|| {
            hosts.push(source.host.clone());
            hosts.len() - 1
        });
        FileRead {
            file: source.file.clone(),
            host,
            program: source.program,
            bytes: 0,
            lines: 0,
            formats: [0; Format::ALL.len()],
            headless: 0,
            examples: Vec::new(),
            cut: 0,
            outside: 0,
            span: None,
            is_day_assumed: source.is_day_assumed,
            error: None,
        }
    }

    fn line(&mut self, reading: &mut Reading, line: &Line<'_>) {
        reading.file.lines += 1;
        let Some(head) = format::head(line.bytes) else {
            self.headless(reading, line);
            return;
        };
        reading.file.formats[head.format as usize] += 1;
        let at = reading.stamp(&head);
        reading.last = Some((head, at));
        if self.since.is_some_and(|since| at.ms < since) || self.until.is_some_and(|until| at.ms > until) {
            reading.file.outside += 1;
            return;
        }
        reading.spanned(at);
        self.note_minute(reading, at);
        let quiet = reading.threads.touch(head.thread, at, line.number);
        // The details of a job are few lines, and end with any status in any words.
        let is_marked = line.is_marked || head.format == Format::JobDetails;
        if !(is_marked || reading.threads.is_due(head.thread, at, quiet)) {
            return;
        }
        let text = text_of(&line.bytes[head.text..]);
        let seen = reading.seen(head.thread, at, line);
        reading.threads.settle(&seen, quiet, &mut self.gathered);
        if is_marked {
            self.take(reading, head.format, &text, &seen, quiet);
        }
    }

    /// A line without a head: it goes on with what the line before said, such as the list of what was tried.
    fn headless(&mut self, reading: &mut Reading, line: &Line<'_>) {
        if line.bytes.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        reading.file.headless += 1;
        if reading.file.examples.len() < EXAMPLES_MAX {
            reading.file.examples.push((line.number, quote(line.bytes)));
        }
        let Some((head, at)) = reading.last else { return };
        let is_outside =
            self.since.is_some_and(|since| at.ms < since) || self.until.is_some_and(|until| at.ms > until);
        if line.is_marked && !is_outside {
            let text = text_of(line.bytes);
            let seen = reading.seen(head.thread, at, line);
            self.take(reading, head.format, &text, &seen, None);
        }
    }

    fn take(
        &mut self,
        reading: &mut Reading,
        format: Format,
        text: &str,
        seen: &Seen,
        quiet: Option<(i64, u64)>,
    ) {
        let said = decode(format, text);
        let job = if said.is_of_no_job { None } else { reading.threads.job(seen.thread, said.job) };
        // That the data are written says more than that a process ended well.
        let is_written = said.facts.contains(&Fact::Finished);
        let is_finished = is_written || said.facts.contains(&Fact::Ended { status: 0 });
        let before = job.and_then(|job| self.gathered.jobs.get(&job.id)).map(|known| known.last);
        let quiet_ms = before.map(|before| seen.at.since(before));
        if let Some(job) = job {
            self.note_job(job, seen);
        }
        if let Some(known) = job.and_then(|job| self.gathered.jobs.get_mut(&job.id))
            && (is_written || (is_finished && known.finished.is_empty()))
        {
            // The last is kept, and as many before it as there is room for.
            if known.finished.len() >= ENDINGS_MAX {
                known.finished.pop();
            }
            known.finished.push(seen.clone());
        }
        for fact in said.facts {
            match fact {
                Fact::Ended { status } => {
                    let ending = Ending { status, job, quiet_ms, seen: seen.clone() };
                    if let Some(known) = job.and_then(|job| self.gathered.jobs.get_mut(&job.id))
                        && known.endings.len() < ENDINGS_MAX
                    {
                        known.endings.push(ending.clone());
                    }
                    // Nearly all end well: those must not take the room of what failed.
                    if status == 0 {
                        self.gathered.good_endings.push(ending);
                    } else {
                        self.gathered.endings.push(ending);
                    }
                }
                Fact::Request { name } => self.note_request(name),
                fact => reading.threads.take(fact, seen, quiet, &mut self.gathered),
            }
        }
    }

    fn note_request(&mut self, name: String) {
        let requests = &mut self.gathered.requests;
        if requests.len() < 100 || requests.contains_key(&name) {
            *requests.entry(name).or_default() += 1;
        }
    }

    fn note_job(&mut self, job: Job, seen: &Seen) {
        let jobs = &mut self.gathered.jobs;
        if jobs.len() >= JOBS_MAX && !jobs.contains_key(&job.id) {
            self.gathered.jobs_beyond += 1;
            return;
        }
        let known = jobs.entry(job.id).or_insert_with(|| JobSeen {
            parent: None,
            first: seen.at,
            last: seen.at,
            finished: Vec::new(),
            endings: Vec::new(),
        });
        known.parent = job.parent.or(known.parent);
        known.first = known.first.min(seen.at);
        known.last = known.last.max(seen.at);
    }

    fn note_minute(&mut self, reading: &mut Reading, at: Stamp) {
        let minute = at.ms.div_euclid(60_000);
        if minute == reading.minute {
            return;
        }
        reading.minute = minute;
        let Some(program) = reading.file.program else { return };
        if self.gathered.minutes.len() < MINUTES_MAX {
            self.gathered.minutes.insert((reading.file.host, program, minute));
        } else {
            self.gathered.minutes_beyond = self.gathered.minutes_beyond.saturating_add(1);
        }
    }
}

impl Reading {
    /// When a line was written: a time that goes back by more than half a day has passed midnight.
    fn stamp(&mut self, head: &Head) -> Stamp {
        let ms = i64::from(head.ms);
        if let Some(day) = head.day {
            self.day = day;
            self.is_dated = true;
            return Stamp { ms: day.saturating_mul(DAY_MS).saturating_add(ms), is_dated: true };
        }
        let before = self.last.map_or(ms, |(last, _)| i64::from(last.ms));
        let mut day = self.day;
        if ms < before - DAY_MS / 2 {
            self.day = self.day.saturating_add(1);
            day = self.day;
            self.is_after_midnight = true;
        } else if self.is_after_midnight && before < NEAR_MS && ms > DAY_MS - NEAR_MS {
            // Threads write a little out of order: this one is from before midnight. Without a midnight before it, it is the evening
            // of a day on which little was written.
            day = day.saturating_sub(1);
            self.day = day;
        } else if ms >= NEAR_MS {
            self.is_after_midnight = false;
        }
        Stamp { ms: day.saturating_mul(DAY_MS).saturating_add(ms), is_dated: self.is_dated }
    }

    fn spanned(&mut self, at: Stamp) {
        let (first, last) = self.file.span.unwrap_or((at, at));
        self.file.span = Some((first.min(at), last.max(at)));
    }

    fn seen(&self, thread: u64, at: Stamp, line: &Line<'_>) -> Seen {
        Seen {
            host: self.file.host,
            program: self.file.program,
            thread,
            at,
            file: self.at,
            line: line.number,
            text: quote(line.bytes).into_boxed_str(),
        }
    }
}

/// As text. Nearly all of it is, and checking that is much faster than mending.
fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// A line as it is quoted: cut, and as text.
fn quote(line: &[u8]) -> String {
    let mut text = text_of(&line[..line.len().min(QUOTE_MAX)]).into_owned();
    if text.len() > QUOTE_MAX {
        let end = (0..=QUOTE_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
    }
    text
}
