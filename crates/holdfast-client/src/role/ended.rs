//! Attempts that are over and not settled yet: one small file each, written before the primary server is told, removed when
//! it has stored what it was told. So an end is told again after a crash, until it has been heard. Who tells it is
//! [`attempts`](super::attempts)' business.
//!
//! A file is a line, BLAKE3 of the rest, and the message. It is whole or absent; that is checked when it is read.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use holdfast_proto::services::{Ended, MESSAGE_MAX};
use prost::Message;

use super::key::Key;

/// What a file begins with.
const HEAD: &[u8] = b"holdfast ended 1\n";
const HASH: usize = 32;
/// What a file that is being written is called besides.
const NEW: &str = ".new";

/// What has ended, and how.
pub(super) type Ends = Vec<(Key, Ended)>;

/// The directory of what is not settled.
#[derive(Debug)]
pub(super) struct EndedFiles(PathBuf);

impl EndedFiles {
    /// In this directory, which is made if it is not there.
    pub(super) fn open(directory: impl Into<PathBuf>) -> io::Result<Self> {
        let directory = directory.into();
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        Ok(Self(directory))
    }

    /// Keeps an end, durably.
    pub(super) fn put(&self, key: &Key, ended: &Ended) -> io::Result<()> {
        let message = ended.encode_to_vec();
        let new = self.0.join(format!("{key}{NEW}"));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&[HEAD, blake3::hash(&message).as_bytes(), &message].concat())?;
        file.sync_all()?;
        std::fs::rename(&new, self.path(key))?;
        self.sync()
    }

    /// Forgets an end that is settled.
    pub(super) fn remove(&self, key: &Key) -> io::Result<()> {
        match std::fs::remove_file(self.path(key)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => self.sync(),
        }
    }

    /// All that is not settled, at most so many, and what is to be said of files that were no such thing. Those are removed:
    /// the primary server finds the attempt lost, and goes on from its checkpoint.
    pub(super) fn all(&self, most: usize) -> io::Result<(Ends, Vec<String>)> {
        let (mut all, mut wrong) = (Vec::new(), Vec::new());
        for file in std::fs::read_dir(&self.0)? {
            let path = file?.path();
            match read(&path)? {
                Some((key, ended)) if all.len() < most => all.push((key, ended)),
                // It is for the next start.
                Some(_) => {}
                None => {
                    wrong.push(format!("{} is not whole and was removed", path.display()));
                    std::fs::remove_file(&path)?;
                }
            }
        }
        Ok((all, wrong))
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.0.join(key.to_string())
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }
}

/// `None` if it is not an end under its own name.
fn read(path: &Path) -> io::Result<Option<(Key, Ended)>> {
    let most = HEAD.len() + HASH + MESSAGE_MAX;
    let mut bytes = Vec::new();
    File::open(path)?.take(most as u64 + 1).read_to_end(&mut bytes)?;
    let whole = || {
        let (hash, message) = bytes.strip_prefix(HEAD)?.split_first_chunk::<HASH>()?;
        if bytes.len() > most || blake3::hash(message).as_bytes() != hash {
            return None;
        }
        let ended = Ended::decode(message).ok()?;
        let key = Key::of(ended.attempt.as_ref())?;
        (path.file_name()? == key.to_string().as_str()).then_some((key, ended))
    };
    Ok(whole())
}

#[cfg(test)]
mod tests {
    use super::super::key::tests::key;
    use super::*;

    fn files() -> (tempfile::TempDir, EndedFiles) {
        let place = tempfile::tempdir().unwrap();
        let files = EndedFiles::open(place.path().join("a/attempts")).unwrap();
        (place, files)
    }

    fn end(key: &Key) -> Ended {
        Ended { attempt: Some(key.attempt()), bytes_sent: 7, ..Ended::default() }
    }

    #[test]
    fn an_end_is_kept_until_it_is_removed() {
        let (_place, files) = files();
        let (one, two) = (key(1, 1, 3), key(2, 1, 1));
        files.put(&one, &Ended::default()).unwrap();
        files.put(&one, &end(&one)).unwrap();
        files.put(&two, &end(&two)).unwrap();
        let (mut all, wrong) = EndedFiles::open(&files.0).unwrap().all(10).unwrap();
        all.sort_by_key(|(key, _)| *key);
        assert_eq!((all, wrong), (vec![(one, end(&one)), (two, end(&two))], vec![]));
        assert_eq!(files.all(1).unwrap().0.len(), 1);
        files.remove(&one).unwrap();
        files.remove(&one).unwrap();
        assert_eq!(files.all(10).unwrap().0, [(two, end(&two))]);
    }

    #[test]
    fn what_is_not_whole_is_no_end() {
        let (_place, files) = files();
        let one = key(1, 1, 3);
        let path = files.path(&one);
        let check = |spoil: &dyn Fn(&mut Vec<u8>), name: &Path| {
            files.put(&one, &end(&one)).unwrap();
            let mut bytes = std::fs::read(&path).unwrap();
            std::fs::remove_file(&path).unwrap();
            spoil(&mut bytes);
            std::fs::write(name, bytes).unwrap();
            let (all, wrong) = files.all(10).unwrap();
            assert_eq!((all, wrong.len()), (vec![], 1));
            assert_eq!(std::fs::read_dir(&files.0).unwrap().count(), 0);
        };
        check(&|bytes| bytes.truncate(bytes.len() - 1), &path);
        check(&|bytes| bytes.truncate(HEAD.len() + 3), &path);
        check(&|bytes| bytes.clear(), &path);
        check(&|bytes| *bytes.last_mut().unwrap() ^= 1, &path);
        check(&|bytes| bytes.push(0), &path);
        check(&|bytes| bytes[0] = b'H', &path);
        // Another's, and one that was being written.
        check(&|_| {}, &files.path(&key(1, 1, 4)));
        check(&|_| {}, &files.0.join(format!("{one}{NEW}")));
    }
}
