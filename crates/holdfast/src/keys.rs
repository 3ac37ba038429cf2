//! Key files: `keys/<key id>.key`, one key each, for their owner alone. What a key is, and its text, are the format's.
//!
//! A file holds the text that `holdfast key export` prints, and nothing else.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use holdfast_format::VaultKey;
use holdfast_types::KeyId;
use zeroize::Zeroizing;

use crate::errors::{Failure, Result};

/// Far more than a key's text and its comments take.
const LENGTH_MAX: u64 = 64 << 10;

/// The keys of this host.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    dir: PathBuf,
}

/// A key file.
#[derive(Debug)]
pub(crate) struct KeyFile {
    /// The key that its name says.
    pub(crate) id: KeyId,
    /// Where it lies.
    pub(crate) path: PathBuf,
}

impl Keys {
    /// Those in a directory, which need not exist.
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where a key lies, or would lie.
    pub(crate) fn path(&self, id: KeyId) -> PathBuf {
        self.dir.join(format!("{id}.key"))
    }

    /// The key that a vault needs.
    pub(crate) fn get_for(&self, id: KeyId, vault: &str) -> Result<VaultKey> {
        if self.has(id) { self.get(id) } else { Err(self.missing(id, vault)) }
    }

    /// Whether a key is here. If that cannot be told, reading it will tell why.
    pub(crate) fn has(&self, id: KeyId) -> bool {
        self.path(id).try_exists().unwrap_or(true)
    }

    /// What is said where a vault needs a key that is not here.
    pub(crate) fn missing(&self, id: KeyId, vault: &str) -> Failure {
        Failure::failed(
            format!("{vault} needs key {id}, which is not in {}", self.dir.display()),
            "`holdfast key export` prints it where it is, `holdfast key import` takes it here",
        )
    }

    /// A key.
    pub(crate) fn get(&self, id: KeyId) -> Result<VaultKey> {
        let path = self.path(id);
        let key = match read(&path) {
            Ok(key) => key,
            Err(error) => return Err(error.into_failure(&path)),
        };
        if key.id() == id {
            return Ok(key);
        }
        Err(Failure::failed(
            format!("{} holds key {}, not the key of its name", path.display(), key.id()),
            format!("move it away, then `holdfast key import` takes key {id}"),
        ))
    }

    /// All keys that are here, by their names.
    pub(crate) fn list(&self) -> Result<Vec<KeyFile>> {
        let cannot =
            |error: io::Error| Failure::plain(format!("cannot list {}: {error}", self.dir.display()));
        let mut files = Vec::new();
        let entries = match std::fs::read_dir(&self.dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(files),
            entries => entries.map_err(cannot)?,
        };
        for entry in entries {
            let path = entry.map_err(cannot)?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            if let Some(id) = stem.parse().ok().filter(|_| path.extension().is_some_and(|end| end == "key")) {
                files.push(KeyFile { id, path });
            }
        }
        files.sort_unstable_by_key(|file| file.id);
        Ok(files)
    }

    /// Stores a key, durably. One that is here already stays as it is; whether it was new.
    pub(crate) fn put(&self, key: &VaultKey) -> Result<bool> {
        let path = self.path(key.id());
        if path.exists() {
            return self.get(key.id()).map(|_| false);
        }
        self.write(key, &path).map(|()| true).map_err(|error| {
            Failure::failed(
                format!("cannot write the key file {}: {error}", path.display()),
                "choose a state directory that you may write to with HOLDFAST_STATE_DIR",
            )
        })
    }

    /// Under a name of its own first, so that a key file is whole whenever it is seen.
    fn write(&self, key: &VaultKey, path: &Path) -> io::Result<()> {
        make_durably(&self.dir)?;
        let text = key.to_text();
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
        let temporary = self.dir.join(format!(".new-{}", holdfast_types::to_hex(&random)));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        let written = file
            .write_all(text.as_bytes())
            .and_then(|()| file.write_all(b"\n"))
            .and_then(|()| file.sync_all())
            .and_then(|()| std::fs::rename(&temporary, path));
        if written.is_err() {
            // What is left of it is no key file; failing to take it away changes nothing.
            let _ = std::fs::remove_file(&temporary);
        }
        written.and_then(|()| File::open(&self.dir)?.sync_all())
    }
}

/// Reads a key from the text of a key file, or what a person typed.
pub(crate) fn parse(text: &str) -> std::result::Result<VaultKey, holdfast_format::Error> {
    // Lines that begin with `#` are a person's.
    let mut joined = Zeroizing::new(String::with_capacity(text.len()));
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        joined.push_str(line.trim());
    }
    VaultKey::from_text(&joined)
}

/// A new random key.
pub(crate) fn generate() -> Result<VaultKey> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut_slice())
        .map_err(|error| Failure::plain(format!("the system gives no random numbers for a key: {error}")))?;
    Ok(VaultKey::from_bytes(*bytes))
}

/// Reads at most what a key file may hold.
pub(crate) fn read_bounded(from: impl Read) -> io::Result<Zeroizing<String>> {
    // At full size from the start: a buffer that grows leaves copies of the key behind.
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(LENGTH_MAX).unwrap_or(0) + 1));
    from.take(LENGTH_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LENGTH_MAX {
        return Err(io::Error::new(ErrorKind::InvalidData, "it is too long to be a key"));
    }
    Ok(text)
}

enum ReadError {
    Io(io::Error),
    /// Others than its owner may read it; the mode.
    Open(u32),
    Text(holdfast_format::Error),
}

impl ReadError {
    fn into_failure(self, path: &Path) -> Failure {
        let path = path.display();
        match self {
            Self::Io(error) => Failure::failed(
                format!("cannot read the key file {path}: {error}"),
                "run this as the user who owns it",
            ),
            Self::Open(mode) => Failure::failed(
                format!("the key file {path} may be read by others (mode {mode:04o})"),
                format!(
                    "`chmod 600 {path}` makes it yours alone; if others may have read it, count the key as known"
                ),
            ),
            Self::Text(error) => Failure::failed(
                format!("the key file {path}: {error}"),
                "move it away, then `holdfast key import` takes the key from a copy of it",
            ),
        }
    }
}

fn read(path: &Path) -> std::result::Result<VaultKey, ReadError> {
    parse(&read_text(path)?).map_err(ReadError::Text)
}

fn read_text(path: &Path) -> std::result::Result<Zeroizing<String>, ReadError> {
    let file = File::open(path).map_err(ReadError::Io)?;
    let mode = file.metadata().map_err(ReadError::Io)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(ReadError::Open(mode));
    }
    read_bounded(file).map_err(ReadError::Io)
}

/// Makes a directory for its owner alone, and those above it, and syncs what each is listed in.
fn make_durably(dir: &Path) -> io::Result<()> {
    let lacking: Vec<&Path> = dir.ancestors().take_while(|above| !above.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    lacking.into_iter().filter_map(Path::parent).try_for_each(|parent| File::open(parent)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    fn told(failure: Failure) -> String {
        match failure {
            Failure::Told { cause, next, .. } => format!("{cause}; {}", next.unwrap_or_default()),
            Failure::Closed(_) => String::new(),
        }
    }

    #[test]
    fn a_key_is_kept_for_its_owner_alone_and_read_again() {
        let place = tempfile::tempdir().unwrap();
        let keys = Keys::new(place.path().join("state/keys"));
        let key = generate().unwrap();
        assert!(told(keys.get_for(key.id(), "a vault").unwrap_err()).contains("holdfast key import"));
        assert!(keys.put(&key).unwrap());
        assert!(!keys.put(&key).unwrap());
        let modes =
            [keys.dir().to_owned(), keys.path(key.id())].map(|path| path.metadata().unwrap().mode() & 0o777);
        assert_eq!(modes, [0o700, 0o600]);
        assert_eq!(keys.get(key.id()).unwrap().to_text(), key.to_text());
        let listed = keys.list().unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].path, keys.path(key.id()));
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let keys = Keys::new(place.path().to_owned());
        let key = generate().unwrap();
        keys.put(&key).unwrap();
        std::fs::set_permissions(keys.path(key.id()), Permissions::from_mode(0o640)).unwrap();
        let text = told(keys.get(key.id()).unwrap_err());
        assert!(text.contains("mode 0640") && text.contains("chmod 600"), "{text}");
    }

    #[test]
    fn a_file_with_another_key_or_none_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let keys = Keys::new(place.path().to_owned());
        let (key, other) = (generate().unwrap(), generate().unwrap());
        keys.put(&key).unwrap();
        std::fs::rename(keys.path(key.id()), keys.path(other.id())).unwrap();
        assert!(told(keys.get(other.id()).unwrap_err()).contains(&format!("holds key {}", key.id())));
        std::fs::write(keys.path(other.id()), "HF1-short").unwrap();
        assert!(told(keys.get(other.id()).unwrap_err()).contains("too short"));
        assert!(read_bounded(io::repeat(b'x')).is_err());
    }

    #[test]
    fn texts_may_be_wrapped_and_commented() {
        let key = generate().unwrap();
        let text = key.to_text();
        let wrapped = format!("# a note\n  {}\n{}\n\n# more", &text[..30], &text[30..]);
        assert_eq!(parse(&wrapped).unwrap().id(), key.id());
    }
}
