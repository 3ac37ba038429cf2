//! Small files of this role's own state: whole or absent, on the disk when the call returns. Each has a checksum, and one that
//! does not agree is as good as none: nothing here is the only copy of anything that matters.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Most bytes of a file.
const LENGTH_MAX: u64 = 4 << 10;
const SUM: usize = 32;
/// Files on their way are named so.
const TEMPORARY: &str = ".tmp";

/// A directory of small files of one kind.
#[derive(Debug)]
pub(crate) struct Shelf {
    dir: PathBuf,
    /// What every file begins with: kind and version.
    magic: &'static [u8; 8],
}

impl Shelf {
    /// Opens the directory, and makes it if need be.
    pub(crate) fn open(dir: PathBuf, magic: &'static [u8; 8]) -> Result<Self> {
        fs::create_dir_all(&dir).map_err(cannot("make", &dir))?;
        let shelf = Self { dir, magic };
        for name in shelf.names_of_all()?.iter().filter(|name| name.ends_with(TEMPORARY)) {
            let path = shelf.dir.join(name);
            fs::remove_file(&path).map_err(cannot("remove", &path))?;
        }
        Ok(shelf)
    }

    /// Puts a file there, in the place of one with that name.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let (path, temporary) = (self.dir.join(name), self.dir.join(format!("{name}{TEMPORARY}")));
        let mut text = [self.magic.as_slice(), bytes].concat();
        text.extend_from_slice(blake3::hash(&text).as_bytes());
        let written = File::create(&temporary).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()
        });
        written.map_err(cannot("write", &temporary))?;
        fs::rename(&temporary, &path).map_err(cannot("place", &path))?;
        self.sync()
    }

    /// What a file says; none if it is not there, or damaged.
    pub(crate) fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.dir.join(name);
        let file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file.map_err(cannot("open", &path))?,
        };
        let mut text = Vec::new();
        file.take(LENGTH_MAX).read_to_end(&mut text).map_err(cannot("read", &path))?;
        let Some(end) = text.len().checked_sub(SUM) else { return Ok(None) };
        let (body, sum) = text.split_at(end);
        let body = body.strip_prefix(self.magic).filter(|_| blake3::hash(body).as_bytes() == sum);
        Ok(body.map(<[u8]>::to_vec))
    }

    /// Takes a file away; it may be gone already.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        let path = self.dir.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => {
                removed.map_err(cannot("remove", &path))?;
                self.sync()
            }
        }
    }

    /// The names of all files.
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        let mut names = self.names_of_all()?;
        names.retain(|name| !name.ends_with(TEMPORARY));
        Ok(names)
    }

    fn names_of_all(&self) -> Result<Vec<String>> {
        let entries = fs::read_dir(&self.dir).map_err(cannot("list", &self.dir))?;
        let name = |entry: std::io::Result<fs::DirEntry>| match entry {
            Ok(entry) => Ok(entry.file_name().into_string().unwrap_or_default()),
            Err(error) => Err(cannot("list", &self.dir)(error)),
        };
        entries.map(name).filter(|name| !matches!(name, Ok(name) if name.is_empty())).collect()
    }

    fn sync(&self) -> Result<()> {
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(cannot("sync", &self.dir))
    }
}

fn cannot<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> Error + 'a {
    move |cause| Error::State { action, path: path.display().to_string(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_or_absent() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Shelf::open(dir.path().join("x"), b"TEST0001").unwrap();
        let shelf = open();
        assert_eq!(shelf.get("a").unwrap(), None);
        shelf.put("a", b"one").unwrap();
        shelf.put("a", b"two").unwrap();
        fs::write(dir.path().join("x/b.tmp"), b"half").unwrap();
        assert_eq!(open().get("a").unwrap().unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path().join("x")).unwrap().count(), 1);
        let path = dir.path().join("x/a");
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 4;
            fs::write(&path, &bad).unwrap();
            assert_eq!(shelf.get("a").unwrap(), None, "byte {at}");
        }
        fs::write(&path, &good[..good.len() - 1]).unwrap();
        assert_eq!(shelf.get("a").unwrap(), None);
        shelf.remove("a").unwrap();
        shelf.remove("a").unwrap();
        assert!(shelf.names().unwrap().is_empty());
    }
}
