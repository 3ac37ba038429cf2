//! Where an operator asks from elsewhere: the primary server's places and his token, from the environment or from the file
//! `login` in the state directory, which is its owner's alone. Asking is the business of [`wire`](super::wire).

use std::io::Read;
use std::path::PathBuf;

use holdfast_link::identity::{OperatorToken, private};
use holdfast_link::net::host::Place;
use zeroize::Zeroizing;

use crate::errors::{Failure, Result};
use crate::open::show;
use crate::state::State;

/// Where the primary server is, for who asks from elsewhere: `HOST[:PORT]`, several with commas.
const PRIMARY: &str = "HOLDFAST_PRIMARY";
/// The token.
const TOKEN: &str = "HOLDFAST_TOKEN";
const FILE: &str = "login";
/// Bytes of the file, and of a token on standard input.
const BYTES_MAX: u64 = 16 << 10;
const LOG_IN: &str = "`holdfast login --primary HOST --token TOKEN` stores them";

/// A primary server and a token for it.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) places: Vec<Place>,
    pub(crate) token: OperatorToken,
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Login {
    /// As the environment says, else as it was stored; none: this host asks the role that runs here.
    pub(crate) fn find(state: &State) -> Result<Option<Self>> {
        match (variable(PRIMARY), variable(TOKEN).map(Zeroizing::new)) {
            (Some(primary), Some(token)) => {
                Ok(Some(Self { places: places(&primary)?, token: read_token(&token)? }))
            }
            (None, None) => Self::stored(state),
            (Some(_), None) => Err(Failure::usage(format!("${PRIMARY} is set, and ${TOKEN} is not"), LOG_IN)),
            (None, Some(_)) => Err(Failure::usage(format!("${TOKEN} is set, and ${PRIMARY} is not"), LOG_IN)),
        }
    }

    /// Whether there is one.
    pub(crate) fn exists(state: &State) -> bool {
        variable(PRIMARY).is_some() || variable(TOKEN).is_some() || file(state).exists()
    }

    fn stored(state: &State) -> Result<Option<Self>> {
        let path = file(state);
        let bytes = match private::read(&path, BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.is_absence() => return Ok(None),
            Err(error) => return Err(Failure::failed(error, "`holdfast login` makes the file anew")),
        };
        let damaged = |why: &str| {
            Failure::failed(
                format!("{} is not what `holdfast login` writes: {why}", show(&path)),
                "`holdfast login` makes it anew, `holdfast logout` takes it away",
            )
        };
        let text = std::str::from_utf8(&bytes).map_err(|_| damaged("it is no text"))?;
        let (primary, token) = text.split_once('\n').ok_or_else(|| damaged("it has one line"))?;
        let token = token.parse().map_err(|error| damaged(&format!("{error}")))?;
        Ok(Some(Self { places: places(primary)?, token }))
    }

    /// Stores it for later commands.
    pub(crate) fn store(&self, state: &State) -> Result<()> {
        let places: Vec<String> = self.places.iter().map(ToString::to_string).collect();
        let text = Zeroizing::new(format!("{}\n{}\n", places.join(","), self.token.to_text().as_str()));
        private::write(&file(state), text.as_bytes(), private::Place::Over).map_err(|error| {
            Failure::failed(error, "choose a directory that you may write to with $HOLDFAST_STATE_DIR")
        })
    }

    /// Takes the stored one away. Whether there was one.
    pub(crate) fn forget(state: &State) -> Result<bool> {
        let was = file(state).exists();
        private::remove(&file(state)).map_err(Failure::plain)?;
        Ok(was)
    }

    /// Who is asked, for errors.
    pub(crate) fn peer(&self) -> String {
        let places: Vec<String> = self.places.iter().map(ToString::to_string).collect();
        format!("the primary server of the site {} at {}", self.token.site(), places.join(", "))
    }
}

fn file(state: &State) -> PathBuf {
    state.dir().join(FILE)
}

fn places(text: &str) -> Result<Vec<Place>> {
    let parsed = text.split(',').map(|place| place.trim().parse::<Place>());
    parsed.collect::<std::result::Result<_, _>>().map_err(|error| Failure::usage(error, LOG_IN))
}

fn read_token(text: &str) -> Result<OperatorToken> {
    text.parse().map_err(|error| {
        Failure::usage(error, "copy the whole line that `holdfast token create --role operator` has printed")
    })
}

/// The token that is given: on the command line, on standard input for `-`, else in the environment.
pub(crate) fn given_token(argument: Option<&str>) -> Result<OperatorToken> {
    let text = match argument {
        Some("-") => {
            let mut text =
                Zeroizing::new(String::with_capacity(usize::try_from(BYTES_MAX).unwrap_or_default() + 1));
            let read = std::io::stdin().lock().take(BYTES_MAX).read_to_string(&mut text);
            read.map_err(|error| Failure::failed(error, "give the token on standard input"))?;
            text
        }
        Some(text) => Zeroizing::new(text.to_owned()),
        None => variable(TOKEN).map(Zeroizing::new).ok_or_else(|| {
            Failure::usage("no token is given", "give one with --token, or in $HOLDFAST_TOKEN")
        })?,
    };
    read_token(&text)
}
