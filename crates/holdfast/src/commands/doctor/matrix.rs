//! `holdfast doctor matrix`: who reaches whom in the site?

use std::path::PathBuf;

use holdfast_doctor::matrix::facts::Facts;
use holdfast_doctor::matrix::{draw, rules};
use holdfast_doctor::report::Report;
use holdfast_doctor::report::html::{Page, page};
use serde_json::json;

use super::write_page;
use crate::console::Console;
use crate::errors::{Result, Status};
use crate::out::Out;
use crate::site::Site;
use crate::text;

const EXAMPLES: &str = "\
Examples:
  holdfast doctor matrix
  holdfast doctor matrix --host web1 --host store1
  holdfast doctor matrix --html matrix.html

Each host that attends tries the addresses that are known of the others; that takes up to 20 s. At most 64 hosts are
asked at a time: this one, the media servers, and clients by name.";

/// Show which hosts of the site can dial which, in both directions
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Ask only these hosts, and the primary server
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// Write a page to this file
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    html: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

impl Args {
    pub(super) fn run(&self, console: &Console) -> Result<Status> {
        let site = Site::find()?;
        console.say("asking the hosts, which takes up to 25 s");
        let facts: Facts = site.post("/api/v1/survey", &json!({ "hosts": self.host }))?;
        let facts = facts.sane();
        let (findings, unknown) = rules::findings(&facts);
        let report = Report::new("matrix", facts, findings, unknown);
        if self.json {
            let mut out = Out::new();
            out.json(&report)?;
            out.finish()?;
            return Ok(Status::Done);
        }
        let asked = text::counted(report.facts.hosts.len() as u64, "host", "hosts");
        let about = format!("Of {asked}: who dials stands at the left, whom at the top.");
        if let Some(file) = &self.html {
            let tables = vec![draw::table(&report.facts)];
            let title = "Who reaches whom".to_owned();
            let grids = draw::picture(&report.facts).into_iter().collect();
            let page = page(&report, &Page { title, about: vec![about], grids, tables, ..Page::default() });
            write_page(console, file, &page)?;
            return Ok(Status::Done);
        }
        let mut out = Out::new();
        out.line(about)?;
        out.line("")?;
        out.line(draw::text(&report.facts))?;
        out.line(draw::LEGEND)?;
        out.line("")?;
        out.line(report.text().trim_end())?;
        out.finish()?;
        Ok(Status::Done)
    }
}
