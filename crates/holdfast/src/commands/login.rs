//! `holdfast login` and `holdfast logout`: a primary server is asked from this machine, with an operator's token.

use holdfast_link::net::host::Place;
use serde_json::Value;

use crate::console::Console;
use crate::errors::{Failure, Result, Status};
use crate::out::Out;
use crate::site::Site;
use crate::site::login::{Login, given_token};
use crate::state::State;
use crate::time;

const EXAMPLES: &str = "\
Examples:
  holdfast login --primary backup.example.org --token hfo1-...
  holdfast login --primary backup.example.org --token - < token
  holdfast logout

Later commands of this user ask that primary server. $HOLDFAST_PRIMARY and $HOLDFAST_TOKEN do the same for one command, and
store nothing.";

/// Ask a primary server from this machine, with an operator's token
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where the primary server is; several, if it has several addresses or ports
    #[arg(long, value_name = "HOST[:PORT]", required = true)]
    primary: Vec<Place>,
    /// The token that `holdfast token create --role operator` has printed; `-`: on standard input; else $HOLDFAST_TOKEN
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
}

impl Args {
    /// Asks who it is with this token, and stores it if there is an answer.
    pub(crate) fn run(&self, _: &Console) -> Result<Status> {
        let state = State::find()?;
        let login = Login { places: self.primary.clone(), token: given_token(self.token.as_deref())? };
        let me: Value = Site::with(login.clone())?.get("/api/v1/me")?;
        let name = me["operator"].as_str().ok_or_else(|| Failure::plain("the answer names no operator"))?;
        login.store(&state)?;
        let mut out = Out::new();
        let right = if me["read_only"] == true { ", who may only look" } else { "" };
        out.line(format!("logged in at the site {} as the operator {name}{right}", login.token.site()))?;
        if let Some(expires) = me["expires"].as_u64() {
            out.line(format!("the token is good until {}", time::local_millis(expires)))?;
        }
        out.finish()?;
        Ok(Status::Done)
    }
}

/// Forget the token that `holdfast login` has stored. It stays good: `holdfast token revoke` takes it back
#[derive(clap::Args, Debug)]
pub(crate) struct LogoutArgs {}

impl LogoutArgs {
    /// Does it.
    pub(crate) fn run(&self, console: &Console) -> Result<Status> {
        match Login::forget(&State::find()?)? {
            true => console.say("logged out"),
            false => console.say("nobody was logged in"),
        }
        Ok(Status::Done)
    }
}
