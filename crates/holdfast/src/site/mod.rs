//! Asking the site: requests of the REST API (docs/api.md) through the local socket of the role that runs with this state
//! directory, or over TLS with an operator's token.
//!
//! Requests are repeated over a new connection when one is lost: whoever waits for a job does not care which process answers.

pub(crate) mod asked;
pub(crate) mod browse;
pub(crate) mod follow;
pub(crate) mod forget;
pub(crate) mod login;
pub(crate) mod media;
pub(crate) mod upkeep;
mod wire;

use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::console::Console;
use crate::errors::{Failure, Result};
use crate::state::State;
use login::Login;
use wire::{Answer, Trouble, Way, Wire};

/// How long a role may be out of reach before a command that only asks gives up.
const ASK_MAX: Duration = Duration::from_secs(10);
/// The pauses between tries.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// The way to the site.
pub(crate) struct Site {
    wire: Wire,
}

impl Site {
    /// Of the operator who is logged in here, else of the role that has this host's state directory.
    pub(crate) fn find() -> Result<Self> {
        let state = State::find()?;
        match Login::find(&state)? {
            Some(login) => Self::with(login),
            None => Self::of_this_host(&state),
        }
    }

    /// Of the role that has this host's state directory.
    pub(crate) fn of_this_host(state: &State) -> Result<Self> {
        Ok(Self { wire: Wire::new(Way::Local(state.dir().to_owned()))? })
    }

    /// Of this operator.
    pub(crate) fn with(login: Login) -> Result<Self> {
        Ok(Self { wire: Wire::new(Way::Remote(login))? })
    }

    /// The operator by whose token it is asked; none: the role that runs here is.
    fn login(&self) -> Option<&Login> {
        match &self.wire.way {
            Way::Remote(login) => Some(login),
            Way::Local(_) => None,
        }
    }

    /// Asks.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.ask("GET", path, None, None, ASK_MAX, &mut |_| {})
    }

    /// Asks for a change; asked again after a lost answer it is made once.
    pub(crate) fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.change("POST", path, Some(json(body)?))
    }

    /// The same with a body of text.
    pub(crate) fn post_text<T: DeserializeOwned>(&self, path: &str, body: String) -> Result<T> {
        self.change("POST", path, Some(body.into_bytes()))
    }

    /// The same with another method.
    pub(crate) fn change<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<T> {
        let key = idempotency_key()?;
        self.ask(method, path, body, Some(&key), ASK_MAX, &mut |_| {})
    }

    /// Asks for as long as it takes, or until the time is over, and says once that nobody answers.
    pub(crate) fn get_patiently<T: DeserializeOwned>(
        &self,
        path: &str,
        console: &Console,
        limit: Option<Duration>,
    ) -> Result<T> {
        let mut told = false;
        let mut on_trouble = |why: &str| {
            if !std::mem::replace(&mut told, true) {
                console.say(&format!("no answer ({why}); the job does not need this: still waiting"));
            }
        };
        self.ask(
            "GET",
            path,
            None,
            None,
            limit.unwrap_or(Duration::MAX).max(ASK_MAX + PAUSE_MAX),
            &mut on_trouble,
        )
    }

    /// A line about what is under way: the live one on a terminal, else one of its own.
    pub(crate) fn show(&self, console: &Console, line: &str) {
        match &console.live {
            Some(live) => live.set_message(line.to_owned()),
            None => console.say(line),
        }
    }

    fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: Option<Vec<u8>>,
        key: Option<&str>,
        limit: Duration,
        on_trouble: &mut dyn FnMut(&str),
    ) -> Result<T> {
        let begun = Instant::now();
        let mut pause = PAUSE_MIN;
        loop {
            let trouble = match self.wire.ask(method, path, body.as_deref(), key) {
                Ok(answer) if answer.status < 300 => return read(path, &answer),
                // Somebody on the way did not reach the next.
                Ok(answer) if matches!(answer.status, 502..=504) => Trouble::Lost(cause_of(&answer)),
                Ok(answer) => return Err(self.refused(&answer)),
                Err(trouble) => trouble,
            };
            let is_final = match trouble {
                Trouble::SomebodyElse(_) => true,
                Trouble::NoRole(_) => limit <= ASK_MAX,
                Trouble::Lost(_) => false,
            };
            if is_final {
                return Err(self.wire.nobody(&trouble));
            }
            on_trouble(&trouble.to_string());
            if begun.elapsed() >= limit {
                return Err(match self.login() {
                    Some(_) => self.wire.nobody(&trouble),
                    None => Failure::failed(
                        trouble,
                        "`holdfast doctor connect` tells what is in the way; is the primary server running?",
                    ),
                });
            }
            self.wire.pause(pause);
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// The server's no, in its words. Who has several sites sees which of them does not know him.
    fn refused(&self, answer: &Answer) -> Failure {
        let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let cause = match self.login() {
            Some(login) if answer.status == 401 => format!("{}: {}", login.peer(), cause_of(answer)),
            _ => cause_of(answer),
        };
        match value["next"].as_str() {
            Some(next) if answer.status == 400 => Failure::usage(cause, next),
            Some(next) => Failure::failed(cause, next),
            None => Failure::plain(cause),
        }
    }
}

fn json(body: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(body).map_err(Failure::plain)
}

fn read<T: DeserializeOwned>(path: &str, answer: &Answer) -> Result<T> {
    let body = if answer.body.is_empty() { b"null" } else { answer.body.as_slice() };
    serde_json::from_slice(body).map_err(|error| {
        Failure::failed(
            format!("the answer to {path} cannot be read: {error}"),
            "are this program and the primary server of the same version?",
        )
    })
}

fn cause_of(answer: &Answer) -> String {
    let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    value["error"].as_str().map_or_else(|| format!("status {}", answer.status), str::to_owned)
}

/// Marks one wish, so that it is fulfilled once however often it is said.
pub(crate) fn idempotency_key() -> Result<String> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(Failure::plain)?;
    Ok(holdfast_types::to_hex(&bytes))
}

/// A name as a part of a path.
pub(crate) fn escape(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    name.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
