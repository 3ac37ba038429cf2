//! `holdfast token`: lets hosts in.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use serde::Deserialize;
use serde_json::json;

use crate::console::Console;
use crate::errors::{Result, Status};
use crate::out::Out;
use crate::site::Site;
use crate::time;

/// Let hosts in, by tokens that are good once
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  holdfast token create --uses 20 --expires 2h")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Print a new token: one line, to be given to `holdfast client enroll` on the host
    Create {
        /// What the host is to be
        #[arg(long, value_enum, default_value = "client")]
        role: Role,
        /// How many hosts may use it
        #[arg(long, default_value_t = 1)]
        uses: u32,
        /// For how long it is good, at most 30 days
        #[arg(long, value_name = "AGE", default_value = "24h", value_parser = time::parse_duration)]
        expires: Duration,
        /// Only for a host of this name; also for one that is to be enrolled anew
        #[arg(long, value_name = "NAME")]
        host: Option<String>,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Role {
    Client,
    Media,
}

#[derive(Deserialize)]
struct Made {
    token: String,
}

impl Args {
    pub(crate) fn json(&self) -> bool {
        let Action::Create { json, .. } = &self.action;
        *json
    }

    /// Does it.
    pub(crate) fn run(&self, _: &Console) -> Result<Status> {
        let Action::Create { role, uses, expires, host, json } = &self.action;
        let role = match role {
            Role::Client => "client",
            Role::Media => "media",
        };
        let wish = json!({ "role": role, "uses": uses, "life_seconds": expires.as_secs(), "host": host });
        let made: Made = Site::find()?.post("/api/v1/tokens", &wish)?;
        let mut out = Out::new();
        if *json {
            out.json(&json!({ "token": made.token }))?;
        } else {
            out.line(made.token)?;
        }
        out.finish()?;
        Ok(Status::Done)
    }
}
