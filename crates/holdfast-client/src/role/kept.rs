//! Small files that must outlive the process: a message each, written durably before what they stand for is done or said,
//! removed when it is no longer owed. What they mean is for [`ended`](super::ended) and [`owed`](super::owed) to say.
//!
//! A file is a line, BLAKE3 of the rest, and the message. It is whole or absent; that is checked when it is read.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::marker::PhantomData;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use holdfast_proto::services::MESSAGE_MAX;
use prost::Message;

const HASH: usize = 32;
/// What a file that is being written is called besides.
const NEW: &str = ".new";

/// What may be kept.
pub(super) trait Keep: Message + Default {
    /// What a file begins with.
    const HEAD: &'static [u8];

    /// The name of its file; `None` if it is no such thing.
    fn name(&self) -> Option<String>;
}

/// A directory of such files.
#[derive(Debug)]
pub(super) struct Kept<M>(PathBuf, PhantomData<fn() -> M>);

impl<M: Keep> Kept<M> {
    /// In this directory, which is made if it is not there.
    pub(super) fn open(directory: impl Into<PathBuf>) -> io::Result<Self> {
        let directory = directory.into();
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        Ok(Self(directory, PhantomData))
    }

    /// Keeps a message under this name, durably, in place of what was kept under it.
    pub(super) fn put(&self, name: &str, message: &M) -> io::Result<()> {
        let message = message.encode_to_vec();
        let new = self.0.join(format!("{name}{NEW}"));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&[M::HEAD, blake3::hash(&message).as_bytes(), &message].concat())?;
        file.sync_all()?;
        std::fs::rename(&new, self.path(name))?;
        self.sync()
    }

    /// Forgets what is kept under this name, durably.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        match std::fs::remove_file(self.path(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => self.sync(),
        }
    }

    /// All that is kept, at most so many, and what is to be said of files that were no such thing. Those are removed.
    pub(super) fn all(&self, most: usize) -> io::Result<(Vec<M>, Vec<String>)> {
        let (mut all, mut wrong) = (Vec::new(), Vec::new());
        for file in std::fs::read_dir(&self.0)? {
            let path = file?.path();
            match read(&path)? {
                Some(message) if all.len() < most => all.push(message),
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

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }
}

/// `None` if it is no message under its own name.
fn read<M: Keep>(path: &Path) -> io::Result<Option<M>> {
    let most = M::HEAD.len() + HASH + MESSAGE_MAX;
    let mut bytes = Vec::new();
    File::open(path)?.take(most as u64 + 1).read_to_end(&mut bytes)?;
    let whole = || {
        let (hash, message) = bytes.strip_prefix(M::HEAD)?.split_first_chunk::<HASH>()?;
        if bytes.len() > most || blake3::hash(message).as_bytes() != hash {
            return None;
        }
        let message = M::decode(message).ok()?;
        (path.file_name()? == message.name()?.as_str()).then_some(message)
    };
    Ok(whole())
}

#[cfg(test)]
mod tests {
    use holdfast_proto::services::Ended;

    use super::super::key::Key;
    use super::super::key::tests::key;
    use super::*;

    fn files() -> (tempfile::TempDir, Kept<Ended>) {
        let place = tempfile::tempdir().unwrap();
        let files = Kept::open(place.path().join("a/attempts")).unwrap();
        (place, files)
    }

    fn end(key: &Key) -> Ended {
        Ended { attempt: Some(key.attempt()), bytes_sent: 7, ..Ended::default() }
    }

    #[test]
    fn a_message_is_kept_until_it_is_removed() {
        let (_place, files) = files();
        let (one, two) = (key(1, 1, 3), key(2, 1, 1));
        let name = |key: &Key| key.to_string();
        files.put(&name(&one), &Ended::default()).unwrap();
        files.put(&name(&one), &end(&one)).unwrap();
        files.put(&name(&two), &end(&two)).unwrap();
        let (mut all, wrong) = Kept::<Ended>::open(&files.0).unwrap().all(10).unwrap();
        all.sort_by_key(Keep::name);
        assert_eq!((all, wrong), (vec![end(&one), end(&two)], vec![]));
        assert_eq!(files.all(1).unwrap().0.len(), 1);
        files.remove(&name(&one)).unwrap();
        files.remove(&name(&one)).unwrap();
        assert_eq!(files.all(10).unwrap().0, [end(&two)]);
    }

    #[test]
    fn what_is_not_whole_is_no_message() {
        let (_place, files) = files();
        let one = key(1, 1, 3);
        let path = files.path(&one.to_string());
        let check = |spoil: &dyn Fn(&mut Vec<u8>), name: &Path| {
            files.put(&one.to_string(), &end(&one)).unwrap();
            let mut bytes = std::fs::read(&path).unwrap();
            std::fs::remove_file(&path).unwrap();
            spoil(&mut bytes);
            std::fs::write(name, bytes).unwrap();
            let (all, wrong) = files.all(10).unwrap();
            assert_eq!((all, wrong.len()), (vec![], 1));
            assert_eq!(std::fs::read_dir(&files.0).unwrap().count(), 0);
        };
        check(&|bytes| bytes.truncate(bytes.len() - 1), &path);
        check(&|bytes| bytes.truncate(Ended::HEAD.len() + 3), &path);
        check(&|bytes| bytes.clear(), &path);
        check(&|bytes| *bytes.last_mut().unwrap() ^= 1, &path);
        check(&|bytes| bytes.push(0), &path);
        check(&|bytes| bytes[0] = b'H', &path);
        // Another's, and one that was being written.
        check(&|_| {}, &files.path(&key(1, 1, 4).to_string()));
        check(&|_| {}, &files.0.join(format!("{one}{NEW}")));
    }
}
