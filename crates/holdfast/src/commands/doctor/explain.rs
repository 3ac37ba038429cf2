//! `holdfast doctor explain`: what does a code of a finding mean?

use holdfast_doctor::code;

use crate::errors::{Failure, Result, Status};
use crate::out::Out;

/// Say what the code of a finding means, and what to do about it
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  holdfast doctor explain port-dropped\n  holdfast doctor explain         lists all codes"
)]
pub(crate) struct Args {
    /// The code, as it stands in brackets after a finding; without one, all are listed
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

impl Args {
    pub(super) fn run(&self) -> Result<Status> {
        let mut out = Out::new();
        let Some(name) = &self.code else {
            let width = code::all().map(|code| code.name.len()).max().unwrap_or(0);
            for code in code::all() {
                out.line(format!("{:width$}  {}", code.name, code.title))?;
            }
            out.finish()?;
            return Ok(Status::Done);
        };
        let Some(code) = code::find(name) else {
            return Err(Failure::usage(
                format!("no finding has the code {name}"),
                "`holdfast doctor explain` lists all codes",
            ));
        };
        for text in
            [&format!("{}: {}", code.name, code.title), "", code.meaning, "", &format!("Do: {}", code.action)]
        {
            out.line(text)?;
        }
        out.finish()?;
        Ok(Status::Done)
    }
}
