//! What is remembered of routes, kept in one file of the state directory, so that a process that starts again does not pay
//! for dead routes once more. What it says is `route::hosts`'s.
//!
//! Nothing rests on it. So writing is not made durable: after a loss of power the file is the old one, the new one, or
//! spoilt, and a spoilt one costs some seconds of trying. It is replaced as a whole by renaming, so that a process that is
//! killed leaves no half of it. Reading and writing block, for a file of a few kilobytes usually, 4 MiB at most.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::route::Hosts;
use crate::route::hosts::{Damaged, TEXT_MAX};

/// The name of the file in the state directory.
pub const FILE_NAME: &str = "routes";
/// It is written no more often than this, but for once at the end.
pub const SAVE_EVERY: Duration = Duration::from_secs(30);

/// What is wrong with the file. The caller reports it and goes on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error(
        "cannot read {}, where routes are remembered: {cause}. All routes count as unknown. Give this user access to it",
        .path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// It says something else than was written.
    #[error(
        "{}, where routes are remembered, is damaged: {why}. All routes count as unknown, nothing else is lost. {}",
        .path.display(),
        .aside.as_ref().map_or_else(|| "It will be replaced".to_owned(), |aside| format!("It was put aside as {}", aside.display()))
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// In what way.
        why: Damaged,
        /// Where it is now.
        aside: Option<PathBuf>,
    },
    /// It cannot be written.
    #[error(
        "cannot write {}, where routes are remembered: {cause}. If this process ends now, the next one tries dead routes \
         again. Is the disk full, or the directory not this user's?",
        .path.display()
    )]
    NotKept {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

/// What is remembered of the routes to all hosts, with its file. One in a process; a second process of the same state
/// directory would replace what this one has written.
#[derive(Debug)]
pub struct Remembered {
    path: PathBuf,
    hosts: Hosts,
    /// When it was written last, or should have been.
    tried: Option<Instant>,
}

impl Remembered {
    /// What this file says; nothing if there is none. If something is wrong with it, that too: then it begins empty.
    pub fn load(path: PathBuf, now: SystemTime) -> (Self, Option<Error>) {
        let (hosts, trouble) = match read(&path, now) {
            Ok(hosts) => (hosts, None),
            Err(error) => (Hosts::default(), Some(error)),
        };
        (Self { path, hosts, tried: None }, trouble)
    }

    /// What is remembered.
    pub fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// The same, to be changed.
    pub fn hosts_mut(&mut self) -> &mut Hosts {
        &mut self.hosts
    }

    /// Writes it if it has changed and was not written for a while: whether it did. Blocks.
    pub fn save_if_due(&mut self, now: Instant) -> Result<bool, Error> {
        let rests = |tried| now.saturating_duration_since(tried) < SAVE_EVERY;
        if !self.hosts.has_changed() || self.tried.is_some_and(rests) {
            return Ok(false);
        }
        // Also if it fails: a full disk is not asked again and again.
        self.tried = Some(now);
        self.save().map(|()| true)
    }

    /// Writes it if it has changed. Blocks.
    pub fn save(&mut self) -> Result<(), Error> {
        if self.hosts.has_changed() {
            replace(&self.path, self.hosts.text().as_bytes())
                .map_err(|cause| Error::NotKept { path: self.path.clone(), cause })?;
            self.hosts.set_changed(false);
        }
        Ok(())
    }
}

impl Drop for Remembered {
    /// Writes what has changed. Whoever wants to know of errors calls [`Remembered::save`] before.
    fn drop(&mut self) {
        let _ = self.save();
    }
}

/// What a file says, for who only looks and leaves it as it is: nothing if it cannot be read or is damaged.
pub fn look(path: &Path, now: SystemTime) -> Hosts {
    let text = text(path).ok().flatten();
    text.and_then(|text| Hosts::from_text(&text, now).ok()).unwrap_or_default()
}

/// The text of the file, if there is one.
fn text(path: &Path) -> io::Result<Option<String>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    // One more than is taken, so that what is too long shows.
    file.take(TEXT_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn read(path: &Path, now: SystemTime) -> Result<Hosts, Error> {
    let text = text(path).map_err(|cause| Error::Unreadable { path: path.to_owned(), cause })?;
    let Some(text) = text else { return Ok(Hosts::default()) };
    Hosts::from_text(&text, now).map_err(|why| {
        let aside = with_ending(path, "damaged");
        // One that was put aside before is replaced: there is never more than one.
        let aside = fs::rename(path, &aside).is_ok().then_some(aside);
        Error::Damaged { path: path.to_owned(), why, aside }
    })
}

/// Puts these bytes in the place of the file, which only its owner may read.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // With the number of the process: two that share a directory do not write to one file.
    let new = with_ending(path, &format!("{}.new", std::process::id()));
    let written =
        create(&new).and_then(|mut file| file.write_all(bytes)).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        // Left by a process of the same number that was killed.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            options.open(path)
        }
        file => file,
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{Outcome, Route};
    use tempfile::TempDir;

    fn note(remembered: &mut Remembered, outcome: Outcome) {
        remembered.hosts_mut().memory_mut("web1").note(Route::Parked, outcome, SystemTime::now());
    }

    fn load(directory: &TempDir) -> (Remembered, Option<Error>) {
        Remembered::load(directory.path().join(FILE_NAME), SystemTime::now())
    }

    fn last(directory: &TempDir) -> Option<Outcome> {
        let (remembered, trouble) = load(directory);
        assert!(trouble.is_none(), "{trouble:?}");
        remembered.hosts().memory("web1")?.traces().next().map(|(_, trace)| trace.last)
    }

    fn names(directory: &TempDir) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<String> = fs::read_dir(directory.path()).unwrap().map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn it_is_written_seldom_and_at_the_end() {
        let directory = TempDir::new().unwrap();
        let (mut remembered, trouble) = load(&directory);
        assert!(trouble.is_none(), "{trouble:?}");
        let start = Instant::now();
        assert!(!remembered.save_if_due(start).unwrap());
        note(&mut remembered, Outcome::Refused);
        assert!(remembered.save_if_due(start).unwrap());
        assert_eq!(look(&directory.path().join(FILE_NAME), SystemTime::now()).all().count(), 1);
        note(&mut remembered, Outcome::Silent);
        assert!(!remembered.save_if_due(start + SAVE_EVERY / 2).unwrap());
        assert_eq!(last(&directory), Some(Outcome::Refused));
        assert!(remembered.save_if_due(start + SAVE_EVERY).unwrap());
        assert_eq!(last(&directory), Some(Outcome::Silent));
        assert!(!remembered.save_if_due(start + SAVE_EVERY * 3).unwrap());
        note(&mut remembered, Outcome::Mute);
        drop(remembered);
        assert_eq!(last(&directory), Some(Outcome::Mute));
        assert_eq!(names(&directory), ["routes"]);
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let directory = TempDir::new().unwrap();
        note(&mut load(&directory).0, Outcome::Refused);
        // One that others could read is replaced too.
        let path = directory.path().join(FILE_NAME);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(with_ending(&path, &format!("{}.new", std::process::id())), "left by another").unwrap();
        note(&mut load(&directory).0, Outcome::Silent);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!((last(&directory), names(&directory)), (Some(Outcome::Silent), vec!["routes".to_owned()]));
    }

    #[test]
    fn a_damaged_one_is_reported_once_and_put_aside() {
        let directory = TempDir::new().unwrap();
        for damage in [&b"\0\0\0\0"[..], b"", &vec![b'{'; TEXT_MAX + 10]] {
            fs::write(directory.path().join(FILE_NAME), damage).unwrap();
            // Who only looks leaves it there.
            assert_eq!(look(&directory.path().join(FILE_NAME), SystemTime::now()).all().count(), 0);
            let (mut remembered, trouble) = load(&directory);
            let told = trouble.unwrap().to_string();
            assert!(told.contains("is damaged: it ") && told.contains("put aside as"), "{told}");
            assert_eq!(names(&directory), ["routes.damaged"]);
            assert!(load(&directory).1.is_none());
            note(&mut remembered, Outcome::Refused);
            drop(remembered);
            assert_eq!(last(&directory), Some(Outcome::Refused));
        }
        assert_eq!(names(&directory), ["routes", "routes.damaged"]);
    }

    #[test]
    fn what_cannot_be_read_or_written_is_told_and_not_tried_at_once() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("not there").join(FILE_NAME);
        let (mut remembered, trouble) = Remembered::load(path, SystemTime::now());
        assert!(trouble.is_none(), "{trouble:?}");
        note(&mut remembered, Outcome::Refused);
        let start = Instant::now();
        let error = remembered.save_if_due(start).unwrap_err();
        assert!(error.to_string().starts_with("cannot write ") && matches!(error, Error::NotKept { .. }));
        assert!(!remembered.save_if_due(start + SAVE_EVERY / 2).unwrap());
        // It is still to be written.
        fs::create_dir(directory.path().join("not there")).unwrap();
        assert!(remembered.save_if_due(start + SAVE_EVERY).unwrap());
        // A directory is no file.
        let (_, trouble) = Remembered::load(directory.path().to_owned(), SystemTime::now());
        assert!(matches!(trouble, Some(Error::Unreadable { .. })), "{trouble:?}");
    }
}
