//! What was read, told before the findings, and what stays unknown, told after them.

use std::fmt::Write as _;

use super::Facts;
use super::format::Format;
use super::gather::{FileRead, Gathered};
use super::hosts::Clocks;
use super::stamp::{Stamp, span};
use super::timeline::Moment;
use crate::report::html::Table;
use holdfast_types::terminal::steers;

/// Moments of the timeline that are printed.
const MOMENTS_MAX: usize = 40;
/// Files that are named one by one.
const FILES_MAX: usize = 20;

/// What was read, for a person.
#[must_use]
pub fn text(facts: &Facts) -> String {
    let gathered = &facts.gathered;
    let mut text = String::new();
    let (lines, bytes) = totals(gathered);
    let _ = writeln!(
        text,
        "Read {} of {}: {lines} lines, {}.",
        files(gathered.files.len()),
        hosts(gathered.hosts.len()),
        size(bytes)
    );
    for (format, lines) in Format::ALL.iter().zip(by_format(gathered)).filter(|(_, lines)| *lines > 0) {
        let _ = writeln!(text, "  {lines} lines: {}", format.name());
    }
    for (index, host) in gathered.hosts.iter().enumerate() {
        let _ =
            writeln!(text, "  {host}: {}{}", span_of(gathered, index), clock(&facts.clocks, gathered, index));
    }
    let moments = &facts.timeline.moments;
    if !moments.is_empty() {
        let common = gathered.hosts.get(facts.clocks.reference).map_or("?", String::as_str);
        let _ = writeln!(text, "\nWhat happened, by the clock of {common}:");
        for moment in moments.iter().take(MOMENTS_MAX) {
            let host = gathered.hosts.get(moment.host).map_or("?", String::as_str);
            let _ = writeln!(text, "  {}  {host}: {}", moment.at, moment.what);
        }
        let more = (moments.len().saturating_sub(MOMENTS_MAX) as u64).saturating_add(facts.timeline.left_out);
        if more > 0 {
            let _ = writeln!(text, "  and {more} more; --json has them, up to a bound");
        }
    }
    // Names of hosts and times come from the outside.
    text.chars()
        .map(|character| if character != '\n' && steers(character) { '?' } else { character })
        .collect()
}

/// The beginning of that, before what happened: a sentence each.
#[must_use]
pub fn summary(facts: &Facts) -> Vec<String> {
    let text = text(facts);
    let head = text.split("\n\n").next().unwrap_or_default();
    head.lines().map(|line| line.trim().to_owned()).collect()
}

/// What happened, as a table of a page.
#[must_use]
pub fn table(facts: &Facts) -> Table {
    let name = |host: usize| facts.gathered.hosts.get(host).cloned().unwrap_or_default();
    let file = |file: usize| facts.gathered.files.get(file).map(|file| file.file.clone()).unwrap_or_default();
    let row = |moment: &Moment| {
        vec![
            moment.at.to_string(),
            name(moment.host),
            moment.what.clone(),
            format!("{}:{}", file(moment.file), moment.line),
        ]
    };
    Table {
        title: format!("What happened, by the clock of {}", name(facts.clocks.reference)),
        columns: ["when", "host", "what", "where it stands"].map(str::to_owned).to_vec(),
        rows: facts.timeline.moments.iter().map(row).collect(),
    }
}

/// What stays unknown.
#[must_use]
pub fn unknown(gathered: &Gathered, clocks: &Clocks) -> Vec<String> {
    let mut unknown = Vec::new();
    if gathered.files.is_empty() {
        unknown.push("no file was read".to_owned());
    }
    for file in gathered.files.iter().filter(|file| file.error.is_some()).take(FILES_MAX) {
        unknown.push(format!("{}: {}", file.file, file.error.as_deref().unwrap_or_default()));
    }
    for file in gathered.files.iter().filter(|file| is_foreign(file)).take(FILES_MAX) {
        let raw = file.examples.first().is_some_and(|(_, text)| text.starts_with("0,51216,"));
        let next = if raw { "; export it with vxlogview first" } else { "" };
        unknown.push(format!("{}: no line has a known format, as {}{next}", file.file, examples(file)));
    }
    let partly: Vec<&FileRead> =
        gathered.files.iter().filter(|file| file.headless > 0 && !is_foreign(file)).collect();
    if let Some(first) = partly.first() {
        let lines: u64 = partly.iter().map(|file| file.headless).sum();
        unknown.push(format!(
            "{lines} lines without a time of their own were taken as parts of those before them, as in {}: {}",
            first.file,
            examples(first)
        ));
    }
    let cut: u64 = gathered.files.iter().map(|file| file.cut).sum();
    if cut > 0 {
        unknown.push(format!("{cut} lines were longer than 64 KiB: only their beginnings were read"));
    }
    let undated: Vec<&FileRead> =
        gathered.files.iter().filter(|file| file.span.is_some_and(|(first, _)| !first.is_dated)).collect();
    if let Some(first) = undated.first() {
        unknown.push(format!(
            "the date of {} ({} such): neither name nor lines have one; name it log.MMDDYY",
            first.file,
            files(undated.len())
        ));
    }
    // Lines of other formats have dates of their own.
    let has_bare_times = |file: &&FileRead| {
        [Format::Legacy, Format::Pc, Format::UnifiedShort]
            .iter()
            .any(|format| file.formats[*format as usize] > 0)
    };
    let assumed: Vec<&FileRead> =
        gathered.files.iter().filter(|file| file.is_day_assumed).filter(has_bare_times).collect();
    if let Some(first) = assumed.first() {
        unknown.push(format!(
            "the date of {} ({} such): it was taken for that of the other files",
            first.file,
            files(assumed.len())
        ));
    }
    if gathered.hosts.len() > 1 {
        for (host, _) in gathered.hosts.iter().zip(&clocks.hosts).filter(|(_, clock)| clock.is_none()) {
            unknown.push(format!(
                "how far the clock of {host} is from the others: no connection was seen at both ends; its times stand as they are"
            ));
        }
    }
    unknown.extend(beyond(gathered));
    unknown
}

fn beyond(gathered: &Gathered) -> Option<String> {
    let all = [
        ("connections that waited", gathered.dials.beyond),
        ("sockets", gathered.offers.beyond),
        ("failures", gathered.failures.beyond),
        ("endings that failed", gathered.endings.beyond),
        ("endings with status 0", gathered.good_endings.beyond),
        ("reads that gave up", gathered.silences.beyond),
        ("closed windows", gathered.closed_windows.beyond),
        ("minutes in which a program wrote", gathered.minutes_beyond),
        ("links", gathered.links.beyond),
        ("look-ups", gathered.lookups.beyond),
        ("names of sockets", gathered.mentions.beyond),
        ("lines of jobs", gathered.jobs_beyond),
    ];
    let many: Vec<String> = all
        .iter()
        .filter(|(_, beyond)| *beyond > 0)
        .map(|(what, beyond)| format!("{beyond} {what}"))
        .collect();
    (!many.is_empty()).then(|| {
        format!(
            "more than is kept, and only counted: {}; narrow it with --since and --until",
            many.join(", ")
        )
    })
}

fn is_foreign(file: &FileRead) -> bool {
    file.lines > 0 && file.headless > 0 && file.formats.iter().all(|lines| *lines == 0)
}

fn examples(file: &FileRead) -> String {
    let all: Vec<String> = file
        .examples
        .iter()
        .map(|(line, text)| {
            let short: String = text.chars().take(80).collect();
            format!("line {line} \"{short}\"")
        })
        .collect();
    all.join(", ")
}

fn totals(gathered: &Gathered) -> (u64, u64) {
    gathered.files.iter().fold((0, 0), |(lines, bytes), file| (lines + file.lines, bytes + file.bytes))
}

fn by_format(gathered: &Gathered) -> [u64; Format::ALL.len()] {
    let mut sums = [0; Format::ALL.len()];
    for file in &gathered.files {
        for (sum, lines) in sums.iter_mut().zip(file.formats) {
            *sum += lines;
        }
    }
    sums
}

fn span_of(gathered: &Gathered, host: usize) -> String {
    let spans: Vec<(Stamp, Stamp)> =
        gathered.files.iter().filter(|file| file.host == host).filter_map(|file| file.span).collect();
    let count = gathered.files.iter().filter(|file| file.host == host).count();
    match (spans.iter().map(|span| span.0).min(), spans.iter().map(|span| span.1).max()) {
        (Some(first), Some(last)) => format!("{}, {first} to {last}", files(count)),
        _ => format!("{}, no line in the wanted time", files(count)),
    }
}

fn clock(clocks: &Clocks, gathered: &Gathered, host: usize) -> String {
    let reference = gathered.hosts.get(clocks.reference).map_or("?", String::as_str);
    match clocks.hosts.get(host).copied().flatten() {
        _ if gathered.hosts.len() < 2 || host == clocks.reference => String::new(),
        None => "; its clock cannot be compared".to_owned(),
        Some(clock) => format!(
            "; its clock is {} {} that of {reference}, by {} {}",
            span(clock.ahead_ms.abs()),
            if clock.ahead_ms < 0 { "behind" } else { "ahead of" },
            clock.connections,
            match clock.connections {
                1 => "connection that both ends wrote down".to_owned(),
                _ => format!("connections that agree within {}", span(clock.spread_ms)),
            }
        ),
    }
}

fn files(count: usize) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

fn hosts(count: usize) -> String {
    if count == 1 { "1 host".to_owned() } else { format!("{count} hosts") }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{} kB", bytes / 1000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}
