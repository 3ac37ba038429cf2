//! The settings of roles: one TOML file for each in the state directory, `primary.toml`, `media.toml` and `client.toml`. All keys are
//! optional, as the files are; one that is not known is refused, with the nearest that is. docs/configuration.md has them all.

use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::path::Path;

use holdfast_jobs::policy::units::{Size, Span};
use holdfast_primary::Limits;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::errors::{Failure, Result};
use crate::open::show;

/// A file is read up to this many bytes.
const FILE_MAX: u64 = 1 << 20;

/// `primary.toml`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Primary {
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) session_memory: Option<Size>,
    pub(crate) backups_per_client: Option<usize>,
    pub(crate) jobs_per_media: Option<usize>,
    pub(crate) keep_jobs: Option<Span>,
}

/// `client.toml`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Client {
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) session_memory: Option<Size>,
}

/// `media.toml`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Media {
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) session_memory: Option<Size>,
}

/// Names of the files.
pub(crate) const MEDIA: &str = "media.toml";
pub(crate) const PRIMARY: &str = "primary.toml";
pub(crate) const CLIENT: &str = "client.toml";

impl Primary {
    /// As the state directory says.
    pub(crate) fn read(state: &Path) -> Result<Self> {
        let path = state.join(PRIMARY);
        let config: Self = read(&path)?;
        check_memory(&path, config.session_memory)?;
        for (key, value) in
            [("backups_per_client", config.backups_per_client), ("jobs_per_media", config.jobs_per_media)]
        {
            if value.is_some_and(|value| !(1..=10_000).contains(&value)) {
                return Err(wrong(&path, &format!("`{key}` is from 1 to 10,000")));
            }
        }
        if config.keep_jobs.is_some_and(|keep| keep.0 < 24 * 3_600_000) {
            return Err(wrong(&path, "`keep_jobs` is at least 1d"));
        }
        Ok(config)
    }

    /// What of it limits jobs.
    pub(crate) fn limits(&self) -> Limits {
        let default = Limits::default();
        Limits {
            backups_per_client: self.backups_per_client.unwrap_or(default.backups_per_client),
            jobs_per_media: self.jobs_per_media.unwrap_or(default.jobs_per_media),
            keep_jobs_millis: self.keep_jobs.map_or(default.keep_jobs_millis, |keep| keep.0),
        }
    }
}

impl Media {
    /// As the state directory says.
    pub(crate) fn read(state: &Path) -> Result<Self> {
        let path = state.join(MEDIA);
        let config: Self = read(&path)?;
        check_memory(&path, config.session_memory)?;
        Ok(config)
    }
}

impl Client {
    /// As the state directory says.
    pub(crate) fn read(state: &Path) -> Result<Self> {
        let path = state.join(CLIENT);
        let config: Self = read(&path)?;
        check_memory(&path, config.session_memory)?;
        Ok(config)
    }
}

fn check_memory(path: &Path, memory: Option<Size>) -> Result<()> {
    match memory {
        Some(Size(bytes)) if !(1 << 20..=1 << 40).contains(&bytes) => {
            Err(wrong(path, "`session_memory` is from 1MiB to 1TiB"))
        }
        _ => Ok(()),
    }
}

fn wrong(path: &Path, what: &str) -> Failure {
    Failure::usage(
        format!("{}: {what}", show(path)),
        "mend it, then `holdfast config check` looks at it again",
    )
}

/// A file that is not there says nothing.
fn read<T: DeserializeOwned + Default>(path: &Path) -> Result<T> {
    let mut text = String::new();
    match std::fs::File::open(path).and_then(|file| file.take(FILE_MAX + 1).read_to_string(&mut text)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(T::default()),
        Err(error) => return Err(wrong(path, &error.to_string())),
        Ok(_) if text.len() as u64 > FILE_MAX => return Err(wrong(path, "it is longer than 1 MiB")),
        Ok(_) => {}
    }
    holdfast_jobs::policy::read(&text).map_err(|error| wrong(path, &error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(failure: Failure) -> String {
        match failure {
            Failure::Told { cause, .. } => cause,
            Failure::Closed(_) => String::new(),
        }
    }

    #[test]
    fn everything_is_optional_and_what_is_set_is_taken() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(Primary::read(state.path()).unwrap(), Primary::default());
        let text = "listen = [\"127.0.0.1:7556\", \"[::1]:443\"]\nsession_memory = \"128MiB\"\nbackups_per_client = 2\n\
                    jobs_per_media = 8\nkeep_jobs = \"90d\"\n";
        std::fs::write(state.path().join(PRIMARY), text).unwrap();
        let config = Primary::read(state.path()).unwrap();
        let limits =
            Limits { backups_per_client: 2, jobs_per_media: 8, keep_jobs_millis: 90 * 24 * 3_600_000 };
        assert_eq!((config.limits(), config.listen.len()), (limits, 2));
        assert_eq!(config.session_memory, Some(Size(128 << 20)));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let state = tempfile::tempdir().unwrap();
        for (text, expected) in [
            ("listn = []", "did you mean `listen`?"),
            ("listen = [\"nowhere\"]", "line 1"),
            ("jobs_per_media = 0", "`jobs_per_media` is from 1"),
            ("session_memory = \"1kB\"", "from 1MiB"),
            ("keep_jobs = \"1h\"", "at least 1d"),
        ] {
            std::fs::write(state.path().join(PRIMARY), text).unwrap();
            let cause = told(Primary::read(state.path()).unwrap_err());
            assert!(cause.contains(expected), "{text}: {cause}");
        }
    }
}
