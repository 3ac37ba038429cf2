//! `holdfast token`: lets hosts in, and operators ask from elsewhere.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::console::Console;
use crate::errors::{Failure, Result, Status};
use crate::out::Out;
use crate::site::{Site, escape};
use crate::{text, time};

const EXAMPLES: &str = "\
Examples:
  holdfast token create --uses 20 --expires 2h                 for `holdfast client enroll` on 20 hosts
  holdfast token create --role operator --name alice           for `holdfast login` on any machine
  holdfast token revoke alice";

/// How long a host's and an operator's token are good if nobody says.
const LIFE_HOST: Duration = Duration::from_secs(24 * 3_600);
const LIFE_OPERATOR: Duration = Duration::from_secs(90 * 24 * 3_600);

/// Let hosts in, and let operators ask from elsewhere
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Print a new token: one line, for `holdfast client enroll` on the host, or of an operator for `holdfast login`
    Create(CreateArgs),
    /// List tokens
    List {
        /// Also those that are good no more
        #[arg(long)]
        all: bool,
        /// Print a JSON list of objects
        #[arg(long)]
        json: bool,
    },
    /// Take a token back. An operator's is good for nothing at once; hosts that a token has let in stay
    Revoke {
        /// The operator's name, or the token's id
        #[arg(value_name = "NAME|ID")]
        wanted: String,
    },
}

#[derive(clap::Args, Debug)]
struct CreateArgs {
    /// What the host is to be; or `operator`, for a person or a program
    #[arg(long, value_enum, default_value = "client")]
    role: Role,
    /// How many hosts may use it
    #[arg(long, default_value_t = 1)]
    uses: u32,
    /// For how long it is good: of a host at most 30 days, else 24 hours; of an operator at most 10 years, else 90 days
    #[arg(long, value_name = "AGE", value_parser = time::parse_duration)]
    expires: Option<Duration>,
    /// Only for a host of this name; also for one that is to be enrolled anew
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Whose it is, of an operator: what he does is noted under this name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Of an operator: he may only look at hosts, policies, jobs and lists of images
    #[arg(long)]
    read_only: bool,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Role {
    Client,
    Media,
    Operator,
}

#[derive(Deserialize)]
struct Made {
    token: String,
}

impl Args {
    pub(crate) fn json(&self) -> bool {
        match &self.action {
            Action::Create(CreateArgs { json, .. }) | Action::List { json, .. } => *json,
            Action::Revoke { .. } => false,
        }
    }

    /// Does it.
    pub(crate) fn run(&self, console: &Console) -> Result<Status> {
        match &self.action {
            Action::Create(create) => create.run(),
            Action::List { all, json } => list(console, *all, *json),
            Action::Revoke { wanted } => {
                let path = format!("/api/v1/tokens/{}/revoke", escape(wanted));
                let _: Value = Site::find()?.post(&path, &Value::Null)?;
                console.say(&format!("the token {wanted} is good for nothing any more"));
                Ok(Status::Done)
            }
        }
    }
}

impl CreateArgs {
    fn run(&self) -> Result<Status> {
        let is_operator = self.role == Role::Operator;
        if !is_operator && (self.name.is_some() || self.read_only) {
            return Err(Failure::usage("--name and --read-only are of an operator", "add --role operator"));
        }
        let (role, life) = match self.role {
            Role::Client => ("client", LIFE_HOST),
            Role::Media => ("media", LIFE_HOST),
            Role::Operator => ("operator", LIFE_OPERATOR),
        };
        let mut wish = json!({
            "role": role,
            "uses": self.uses,
            "life_seconds": self.expires.unwrap_or(life).as_secs(),
            "host": self.host,
        });
        if is_operator {
            wish["name"] = self.name.clone().into();
            wish["read_only"] = self.read_only.into();
        }
        let made: Made = Site::find()?.post("/api/v1/tokens", &wish)?;
        let token = Zeroizing::new(made.token);
        let mut out = Out::new();
        match self.json {
            true => out.json(&json!({ "token": token.as_str() }))?,
            false => out.line(token.as_str())?,
        }
        out.finish()?;
        Ok(Status::Done)
    }
}

fn list(console: &Console, all: bool, as_json: bool) -> Result<Status> {
    let mut tokens: Vec<Value> = Site::find()?.get("/api/v1/tokens")?;
    tokens.retain(|token| all || token["good"] == true);
    let mut out = Out::new();
    if as_json {
        out.json(&tokens)?;
    } else if tokens.is_empty() {
        console.say("no token is good; `holdfast token create` makes one");
    } else {
        out.line(format!("{:<16}  {:<8}  {:<24}  {:<19}  IS", "ID", "ROLE", "NAME", "EXPIRES"))?;
    }
    for token in tokens.iter().filter(|_| !as_json) {
        let word = |key: &str| token[key].as_str().unwrap_or_default();
        let name = if word("role") == "operator" { word("name") } else { word("host") };
        let expires = time::local_millis(token["expires"].as_u64().unwrap_or_default());
        out.line(format!(
            "{:<16}  {:<8}  {name:<24}  {expires}  {}",
            word("id"),
            word("role"),
            standing(token)
        ))?;
    }
    out.finish()?;
    Ok(Status::Done)
}

/// What a token is good for, and when it was used.
fn standing(token: &Value) -> String {
    if token["good"] != true {
        let is_revoked = token["revoked"].as_u64().is_some();
        return if is_revoked { "revoked".to_owned() } else { "good no more".to_owned() };
    }
    if token["role"] != "operator" {
        let left = token["uses_left"].as_u64().unwrap_or_default();
        return format!("good for {}", text::counted(left, "host", "hosts"));
    }
    let right = if token["read_only"] == true { "may look" } else { "may do all" };
    match token["used"].as_u64() {
        Some(used) => format!("{right}, used {}", time::local_millis(used)),
        None => format!("{right}, never used"),
    }
}
