//! The bytes and holes of one file, and whether it held still meanwhile. Does not cut, hash or decide what a change
//! means.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use holdfast_types::{Kind, Metadata, Timestamp};
use rustix::fs::{Advice, Mode, OFlags, SeekFrom};
use rustix::io::{Errno, retry_on_intr};

use super::dir::{Directory, open_quietly};
use super::fault::ReadFault;
use super::owners;
use super::stat::{Stat, stat_fd};
use super::xattr::complete_open;

/// From this size on the kernel is told to read ahead: for less, the call costs more than it saves.
const SEQUENTIAL_BYTES_MIN: u64 = 1 << 20;

/// How long a ctime is young, see [`is_young`].
pub const YOUNG: Duration = Duration::from_secs(2);

/// A stretch of a file, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    /// So many bytes were read, at least 1.
    Data(usize),
    /// So many bytes read as zero and take no space, at least 1.
    Hole(u64),
    /// Nothing follows.
    End,
}

/// Whether a file held still while it was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Size, mtime and ctime are those of when it was opened.
    Unchanged,
    /// They are not: what was read may be a mixture, or shorter than the size.
    Changed,
}

/// A file that is being read. It never reads beyond the size that it had when opened, so one that grows as fast as it
/// is read comes to an end.
#[derive(Debug)]
pub struct SourceFile {
    fd: OwnedFd,
    metadata: Metadata,
    device: u64,
    position: u64,
    /// Where reading stops: the size, or where the file turned out to end.
    end: u64,
    /// Up to where is known to be data; beyond, holes are asked for if there are any.
    data_end: u64,
    has_holes: bool,
}

/// Opens a file that a walk found. Fails if the name now leads to something else, without waiting for it: a FIFO put
/// there does not hang the backup.
pub fn open_file(directory: &Directory, name: &[u8], expected: &Metadata) -> Result<SourceFile, ReadFault> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let fd = match open_quietly(directory.as_fd(), name, flags) {
        Err(Errno::AGAIN) => open_leased(directory, name, expected)?,
        // A socket, or a device without a driver, in the place of a file.
        Err(Errno::NXIO) => return Err(ReadFault::Replaced),
        other => other.map_err(|errno| ReadFault::of_name(errno, ReadFault::Open))?,
    };
    let stat = check_same(stat_fd(fd.as_fd())?, expected)?;
    let (uid, gid) = stat.owner();
    let same_owner = (uid, gid) == (expected.owner.uid, expected.owner.gid);
    let owner = if same_owner { Arc::clone(&expected.owner) } else { owners::ask(uid, gid) };
    let metadata = stat.metadata(owner);
    let (device, end) = (stat.id().dev, metadata.size);
    if end > SEQUENTIAL_BYTES_MIN {
        // Advice only: a file system that takes none is read all the same.
        let _ = rustix::fs::fadvise(&fd, 0, None, Advice::Sequential);
    }
    let has_holes = stat.bytes_used() < end;
    Ok(SourceFile { fd, metadata, device, position: 0, end, data_end: 0, has_holes })
}

/// Opens a file on which another process holds a lease (Samba does): the kernel asks the holder to give it up, and
/// waits for that at most /proc/sys/fs/lease-break-time seconds, but only if opening may block. So make sure first
/// that it is a file, and then open exactly that.
fn open_leased(directory: &Directory, name: &[u8], expected: &Metadata) -> Result<OwnedFd, ReadFault> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = retry_on_intr(|| rustix::fs::openat(directory, name, flags, Mode::empty()))
        .map_err(|errno| ReadFault::of_name(errno, ReadFault::Open))?;
    check_same(stat_fd(found.as_fd())?, expected)?;
    let itself = format!("/proc/self/fd/{}", found.as_raw_fd());
    open_quietly(directory.as_fd(), itself.as_bytes(), OFlags::empty())
        .map_err(|errno| ReadFault::Open(errno.into()))
}

fn check_same(stat: Stat, expected: &Metadata) -> Result<Stat, ReadFault> {
    let same_device = expected.dev == 0 || expected.dev == stat.id().dev;
    let same = stat.kind == Kind::File && stat.id().ino == expected.ino && same_device;
    if same { Ok(stat) } else { Err(ReadFault::Replaced) }
}

impl SourceFile {
    /// The metadata of when it was opened, which is what goes with its content: it may be newer than the walk's.
    /// Without extended attributes.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The device that it is on. The metadata has it only where hard links are in question.
    pub fn device(&self) -> u64 {
        self.device
    }

    /// Passes over what was read before, if it is the same file and has not changed since it looked like `then`, on that
    /// device. To be called before anything is read.
    pub fn go_on_at(&mut self, offset: u64, then: &Metadata, device: u64) -> bool {
        let now = &self.metadata;
        let same = (self.device, now.ino) == (device, then.ino)
            && (now.size, now.mtime, now.ctime) == (then.size, then.mtime, then.ctime);
        let passes = same && offset <= self.end;
        if passes {
            self.position = offset;
        }
        passes
    }

    /// Adds its extended attributes. After an error, those that could be read are there.
    pub fn complete(&self, metadata: &mut Metadata) -> Result<(), ReadFault> {
        complete_open(self.fd.as_fd(), metadata)
    }

    /// Reads what comes next into `buffer`, which must not be empty. What was read before an error stands, and a file
    /// that became shorter ends early; [`Self::finish`] tells.
    pub fn next(&mut self, buffer: &mut [u8]) -> Result<Extent, ReadFault> {
        if self.position >= self.end {
            return Ok(Extent::End);
        }
        if self.position >= self.data_end
            && let Some(hole) = self.find_data()?
        {
            return Ok(Extent::Hole(hole));
        }
        let left = usize::try_from(self.data_end - self.position).unwrap_or(usize::MAX);
        let wanted = left.min(buffer.len());
        let read = retry_on_intr(|| rustix::io::pread(&self.fd, &mut buffer[..wanted], self.position))
            .map_err(|errno| self.fault(errno))?;
        if read == 0 {
            self.end = self.position;
            return Ok(Extent::End);
        }
        self.position += read as u64;
        Ok(Extent::Data(read))
    }

    /// Passes over a hole at the position, if there is one, and finds out how far the data behind it goes.
    fn find_data(&mut self) -> Result<Option<u64>, ReadFault> {
        let size = self.end;
        if !self.has_holes {
            self.data_end = size;
            return Ok(None);
        }
        let data = match rustix::fs::seek(&self.fd, SeekFrom::Data(self.position)) {
            Ok(data) => data.min(size),
            // Nothing but a hole up to the end.
            Err(Errno::NXIO) => size,
            // This file system cannot say: all is data.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => {
                self.has_holes = false;
                self.position
            }
            Err(errno) => return Err(self.fault(errno)),
        };
        if data > self.position {
            let hole = data - self.position;
            self.position = data;
            return Ok(Some(hole));
        }
        // A hole dug here in this moment answers with the position itself; then one read finds zeros, and goes on.
        let end = if self.has_holes {
            rustix::fs::seek(&self.fd, SeekFrom::Hole(data)).unwrap_or(size)
        } else {
            size
        };
        self.data_end = end.clamp(self.position + 1, size);
        Ok(None)
    }

    fn fault(&self, errno: Errno) -> ReadFault {
        ReadFault::Read { offset: self.position, source: errno.into() }
    }

    /// Ends reading and tells whether the file held still since it was opened.
    pub fn finish(self) -> Outcome {
        let same = |now: Stat| now.is_marked_as(&self.metadata);
        if stat_fd(self.fd.as_fd()).is_ok_and(same) { Outcome::Unchanged } else { Outcome::Changed }
    }
}

/// Whether a ctime is so near to `now` that a later change could bear the same stamp, or lies in the future. `now` must
/// be taken before the stat that gave the ctime.
///
/// An unchanged file is known by its ctime, so a change after the stat must be sure to move it. Kernels stamp with the
/// time of the last timer tick, up to 10 ms ago (ext4, XFS, Btrfs), and some file systems keep whole seconds (NFS
/// servers on old disks, HFS+) or two (FAT): a file changed twice within that time has one stamp for both. A ctime in
/// the future means that the clock was set back, and will pass through that time again. What this cannot see is a file
/// server whose clock is behind ours by more than this margin.
///
/// `margin` is [`YOUNG`] but in tests, in whole seconds.
pub fn is_young(ctime: Timestamp, now: Timestamp, margin: Duration) -> bool {
    let until =
        Timestamp { seconds: ctime.seconds.saturating_add_unsigned(margin.as_secs()), nanos: ctime.nanos };
    now <= until
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ctime_is_young_for_two_seconds_and_in_the_future() {
        let at = |seconds, nanos| Timestamp { seconds, nanos };
        for (ctime, now, expected) in [
            (at(100, 5), at(100, 5), true),
            (at(100, 5), at(102, 5), true),
            (at(100, 5), at(102, 6), false),
            (at(100, 5), at(99, 0), true),
            (at(1_000, 0), at(100, 0), true),
            (at(-5, 0), at(100, 0), false),
            (at(i64::MAX, 0), at(100, 0), true),
        ] {
            assert_eq!(is_young(ctime, now, YOUNG), expected, "{ctime:?} at {now:?}");
        }
    }

    #[test]
    fn a_leased_file_is_opened_as_itself_and_nothing_else() {
        let base = tempfile::tempdir().unwrap();
        std::fs::write(base.path().join("file"), "content").unwrap();
        std::os::unix::fs::symlink("file", base.path().join("link")).unwrap();
        let fd = std::fs::File::open(base.path()).unwrap().into();
        let directory = Directory::new(b"/any", fd);
        let expected = super::super::stat(&directory, b"file").unwrap();
        let file = open_leased(&directory, b"file", &expected).unwrap();
        assert_eq!(stat_fd(file.as_fd()).unwrap().id().ino, expected.ino);
        assert!(matches!(open_leased(&directory, b"link", &expected), Err(ReadFault::Replaced)));
    }
}
