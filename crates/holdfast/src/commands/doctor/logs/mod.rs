//! `holdfast doctor logs`: what do the classic system's debug logs say about last night? Finds and unpacks the files; reading
//! them is the doctor's.

mod open;
mod told;
mod walk;

use std::path::PathBuf;

use holdfast_doctor::logs::stamp::{parse_begin, parse_end};
use holdfast_doctor::logs::{Facts, Gatherer, Source, coverage, draw, examine, naming};
use holdfast_doctor::report::Report;
use holdfast_doctor::report::html::{self, Page};
use holdfast_types::terminal::clean;

use self::told::Told;
use super::write_page;
use crate::console::Console;
use crate::errors::{Failure, Result, Status};
use crate::out::Out;

const EXAMPLES: &str = "\
Examples:
  holdfast doctor logs                                   the logs of this host, where the classic system keeps them
  holdfast doctor logs case-4711/                        a folder with a directory for each host
  holdfast doctor logs --host media1=bpbrm.log --host client7=vnetd.log.gz --host client7=bpcd.log.gz
  holdfast doctor logs case-4711/ --html night.html
  holdfast doctor logs case-4711/ --since '2011-06-03 17:40' --until '2011-06-03 18:00' --json

Host, program and date of a file are taken from its path, as in media1/bpbrm/log.060311. Files packed as gz or zst are read
as they are. Unified logs are to be exported before: vxlogview -o 117 -d all > nbjm.txt";

/// Where the classic system keeps its logs.
const DEFAULTS: &[&str] = &["/usr/openv/netbackup/logs", "/usr/openv/logs"];

/// Find what the network did to last night's jobs, in the classic system's debug logs
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Files and directories to read
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Read PATH as logs of the host NAME; may be given again
    #[arg(long = "host", value_name = "NAME=PATH", value_parser = parse_host)]
    hosts: Vec<(String, PathBuf)>,
    /// Only what was written from then on, by the clock of each host: 2011-06-03 or '2011-06-03 17:40'
    #[arg(long, value_name = "T", value_parser = parse_begin)]
    since: Option<i64>,
    /// Only what was written up to then; a date means all of that day
    #[arg(long, value_name = "T", value_parser = parse_end)]
    until: Option<i64>,
    /// Write a page with pictures to this file
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    html: Option<PathBuf>,
    /// Print one JSON object with findings and facts
    #[arg(long)]
    pub(super) json: bool,
}

fn parse_host(text: &str) -> std::result::Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => Ok((clean(name), path.into())),
        _ => Err("write it as NAME=PATH, for instance media1=/tmp/case/bpbrm".to_owned()),
    }
}

impl Args {
    pub(super) fn run(&self, console: &Console) -> Result<Status> {
        let mut files = self.find()?;
        let mut sources: Vec<Source> = files.iter().map(walk::Found::source).collect();
        naming::assume_day(&mut sources);
        let mut gatherer = Gatherer::new(self.since, self.until);
        let mut told = Told::new(console, files.list.len());
        for (number, (file, source)) in (1..).zip(files.list.iter().zip(&sources)) {
            match open::open(&file.path) {
                Ok(reader) => gatherer.read(source, told.count(number, reader)),
                Err(error) => gatherer.unreadable(source, format!("cannot be read: {error}")),
            }
        }
        drop(told);
        let mut report = examine(gatherer.finish());
        report.unknown.append(&mut files.trouble);
        if let Some(file) = &self.html {
            write_page(console, file, &page(&report))?;
            return Ok(Status::Done);
        }
        let mut out = Out::new();
        if self.json {
            out.json(&report)?;
        } else {
            out.line(coverage::text(&report.facts))?;
            out.line(report.text().trim_end())?;
        }
        out.finish()?;
        Ok(Status::Done)
    }

    /// The files to read. A path that the user named and that is not there is an error: a misspelt name must not look like
    /// logs in which nothing was found.
    fn find(&self) -> Result<walk::Files> {
        let mut roots: Vec<(Option<&str>, PathBuf)> =
            self.hosts.iter().map(|(name, path)| (Some(name.as_str()), path.clone())).collect();
        roots.extend(self.paths.iter().map(|path| (None, path.clone())));
        if roots.is_empty() {
            roots.extend(
                DEFAULTS.iter().map(PathBuf::from).filter(|path| path.is_dir()).map(|path| (None, path)),
            );
        }
        if roots.is_empty() {
            return Err(Failure::usage(
                format!("no PATH is given, and this host has none of {}", DEFAULTS.join(", ")),
                "name a folder of logs: `holdfast doctor logs DIR`",
            ));
        }
        let mut files = walk::Files::default();
        for (host, root) in roots {
            files.add(host, &root).map_err(|error| {
                Failure::failed(
                    format!("{}: {error}", root.display()),
                    "name a file or a directory of logs that can be read",
                )
            })?;
        }
        if files.list.is_empty() {
            return Err(Failure::failed(
                "there are no files to read in what was named",
                "name a folder of logs: `holdfast doctor logs DIR`",
            ));
        }
        Ok(files)
    }
}

/// The report as a page: what was read, the findings, a picture of each case, and what happened in order.
fn page(report: &Report<Facts>) -> String {
    let about = coverage::summary(&report.facts);
    let tables = vec![coverage::table(&report.facts)];
    let title = "What the network did to these backups".to_owned();
    html::page(
        report,
        &Page { title, about, pictures: draw::pictures(&report.facts), tables, ..Page::default() },
    )
}
