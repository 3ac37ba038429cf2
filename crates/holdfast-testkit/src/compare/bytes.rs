//! Compares what two files hold, and where they have holes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::BorrowedFd;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::report::Line;

const BUFFER_BYTES: usize = 128 << 10;

/// Adds to the line what differs. Bytes that are in a hole of both files are not read.
pub(super) fn compare(
    line: &mut Line,
    parents: [BorrowedFd<'_>; 2],
    names: [&[u8]; 2],
    holes: bool,
) -> io::Result<()> {
    let [mut first, mut second] = [open(parents[0], names[0])?, open(parents[1], names[1])?];
    let ranges = [data_ranges(&first)?, data_ranges(&second)?];
    let common = first.metadata()?.len().min(second.metadata()?.len());
    line.pair('z', "data at", holes, format!("{:?}", ranges[0]), format!("{:?}", ranges[1]));
    let both = if ranges[0] == ranges[1] { ranges[0].clone() } else { vec![(0, common)] };
    for (start, end) in both {
        if let Some(at) = first_difference(&mut first, &mut second, start, end.min(common))? {
            line.differs('c', format!("content from byte {at}"));
            break;
        }
    }
    Ok(())
}

fn open(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::openat(parent, name, flags, Mode::empty())?))
}

/// Start and end of each stretch that is not a hole.
fn data_ranges(file: &File) -> io::Result<Vec<(u64, u64)>> {
    let mut ranges = Vec::new();
    let mut at = 0;
    loop {
        let start = match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)) {
            Err(Errno::NXIO) => return Ok(ranges),
            result => result?,
        };
        at = rustix::fs::seek(file, rustix::fs::SeekFrom::Hole(start))?;
        ranges.push((start, at));
    }
}

fn first_difference(first: &mut File, second: &mut File, start: u64, end: u64) -> io::Result<Option<u64>> {
    first.seek(SeekFrom::Start(start))?;
    second.seek(SeekFrom::Start(start))?;
    let mut buffers = [vec![0; BUFFER_BYTES], vec![0; BUFFER_BYTES]];
    let mut at = start;
    while at < end {
        let length = usize::try_from(end - at).unwrap_or(usize::MAX).min(BUFFER_BYTES);
        let [a, b] = &mut buffers;
        first.read_exact(&mut a[..length])?;
        second.read_exact(&mut b[..length])?;
        if a[..length] != b[..length] {
            let place = a.iter().zip(b.iter()).position(|(a, b)| a != b).unwrap_or(0);
            return Ok(Some(at + place as u64));
        }
        at += length as u64;
    }
    Ok(None)
}
