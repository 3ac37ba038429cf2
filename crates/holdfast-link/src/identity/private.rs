//! Files that are their owner's alone: read with a bound and a look at the mode; written whole, durably, in one step.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

/// What is wrong with a file of this host's identity.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused.
    #[error("cannot {doing} {}: {cause}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Others may read it.
    #[error("{path} may be read by others (mode {mode:04o}): `chmod 600 {path}` makes it its owner's alone; if others may have read it, count its secret as known and have it replaced", path = path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is longer than such a file can be.
    #[error("{} is longer than {max} bytes: that is none of Holdfast's files", path.display())]
    Long {
        /// The file.
        path: PathBuf,
        /// The bound.
        max: u64,
    },
    /// Its content is not what it should be.
    #[error("{}: {what}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        what: String,
    },
}

impl Error {
    pub(super) fn content(path: &Path, what: impl Into<String>) -> Self {
        Self::Content { path: path.to_owned(), what: what.into() }
    }

    /// Whether the file is just not there.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Io { cause, .. } if cause.kind() == ErrorKind::NotFound)
    }
}

/// The result of what is done with such files.
pub type Result<T> = std::result::Result<T, Error>;

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |cause| Error::Io { doing, path, cause }
}

/// Reads a file of at most `max` bytes that nobody else may read.
pub fn read(path: &Path, max: u64) -> Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path).map_err(failed("open", path))?;
    let about = file.metadata().map_err(failed("look at", path))?;
    let mode = about.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(Error::Open { path: path.to_owned(), mode });
    }
    let long = || Error::Long { path: path.to_owned(), max };
    if about.len() > max {
        return Err(long());
    }
    // At full size from the start: a buffer that grows leaves copies of keys behind.
    let capacity = usize::try_from(about.len().saturating_add(1)).map_err(|_| long())?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    file.take(max + 1).read_to_end(&mut bytes).map_err(failed("read", path))?;
    if bytes.len() as u64 > max { Err(long()) } else { Ok(bytes) }
}

/// How a file comes by its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Only if no file has it.
    New,
    /// Whatever has it is replaced.
    Over,
}

/// Writes a file with mode 0600. It has its name only when it is whole and durable, so that a crash leaves what was there.
pub fn write(path: &Path, bytes: &[u8], place: Place) -> Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make(dir).map_err(failed("make", dir))?;
    let temporary = temporary(dir).map_err(failed("name a file in", dir))?;
    let written = fill(&temporary, bytes).and_then(|()| match place {
        Place::Over => std::fs::rename(&temporary, path),
        // A link, other than a rename, replaces nothing.
        Place::New => std::fs::hard_link(&temporary, path),
    });
    if place == Place::New || written.is_err() {
        // What is left of it has no name that anybody reads.
        let _ = std::fs::remove_file(&temporary);
    }
    written.map_err(failed("write", path))?;
    sync(dir).map_err(failed("sync", dir))
}

fn fill(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Takes a file away, durably. One that is not there is away.
pub fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("remove", path)(error)),
        Ok(()) => path.parent().map_or(Ok(()), |dir| sync(dir).map_err(failed("sync", dir))),
    }
}

fn temporary(dir: &Path) -> io::Result<PathBuf> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(dir.join(format!(".new-{}", HEXLOWER.encode(&random))))
}

/// Makes a directory for its owner alone, and those above it, and syncs what each is listed in.
fn make(dir: &Path) -> io::Result<()> {
    let lacking: Vec<&Path> = dir.ancestors().take_while(|above| !above.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    lacking.into_iter().filter_map(Path::parent).try_for_each(sync)
}

fn sync(dir: &Path) -> io::Result<()> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_its_owners_alone_and_comes_back() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a/b/key");
        write(&path, b"secret", Place::New).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(read(&path, 6).unwrap().as_slice(), b"secret");
        assert!(matches!(read(&path, 5), Err(Error::Long { max: 5, .. })));
        let taken = write(&path, b"other", Place::New).unwrap_err();
        assert!(
            matches!(&taken, Error::Io { cause, .. } if cause.kind() == ErrorKind::AlreadyExists),
            "{taken}"
        );
        assert_eq!(read(&path, 6).unwrap().as_slice(), b"secret");
        write(&path, b"newer", Place::Over).unwrap();
        assert_eq!(read(&path, 6).unwrap().as_slice(), b"newer");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left over");
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(read(&path, 6).unwrap_err().is_absence());
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_and_the_error_says_what_to_do() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("key");
        write(&path, b"secret", Place::New).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o700 | 0o010] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = read(&path, 100).unwrap_err().to_string();
            assert!(error.contains(&format!("mode {mode:04o}")) && error.contains("chmod 600"), "{error}");
        }
    }
}
