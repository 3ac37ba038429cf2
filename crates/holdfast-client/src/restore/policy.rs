//! Decides what to do with an entry when its name is taken. Does no I/O: it is given what is there.

use holdfast_types::{Entry, Kind, Timestamp};
use rustix::fs::{FileType, Stat};

use super::identity::Identity;
use super::options::Overwrite;

/// What stands at an entry's name in the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Existing {
    pub(super) kind: Option<Kind>,
    pub(super) size: u64,
    pub(super) mtime: Timestamp,
    pub(super) device: u64,
    pub(super) link_target: Vec<u8>,
    /// Which one it is of all things there.
    pub(super) identity: Identity,
}

impl Existing {
    /// From what stat says, without the link target.
    pub(super) fn of(stat: &Stat) -> Self {
        Self {
            kind: kind_of(stat),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mtime: mtime_of(stat),
            device: stat.st_rdev,
            link_target: Vec::new(),
            identity: Identity::of(stat),
        }
    }
}

/// What is to be done with an entry whose name is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Write it, in place of what is there.
    Replace,
    /// Content is as it should be; compare and mend metadata.
    Mend,
    /// Leave what is there: the policy says so.
    Keep,
    /// Leave what is there, as a fault with this reason.
    Refuse(&'static str),
}

/// Decides for anything but directories meeting directories, which are merged.
pub(super) fn decide(policy: Overwrite, existing: &Existing, entry: &Entry) -> Verdict {
    if existing.kind == Some(Kind::Directory) && policy != Overwrite::Never {
        return Verdict::Refuse("a directory is in the way");
    }
    match policy {
        Overwrite::Changed | Overwrite::Resume if same_content(existing, entry) => Verdict::Mend,
        Overwrite::Refuse | Overwrite::Resume => Verdict::Refuse(
            "the target has this name already (choose --overwrite never, older, always or changed)",
        ),
        Overwrite::Never => Verdict::Keep,
        Overwrite::Older if existing.mtime < entry.metadata.mtime => Verdict::Replace,
        Overwrite::Older => Verdict::Keep,
        Overwrite::Always => Verdict::Replace,
        Overwrite::Changed => Verdict::Replace,
    }
}

/// Whether what is there has the entry's content, as far as can be told without reading it.
fn same_content(existing: &Existing, entry: &Entry) -> bool {
    let metadata = &entry.metadata;
    existing.kind == Some(metadata.kind)
        && match metadata.kind {
            Kind::File => existing.size == entry.content.length() && existing.mtime == metadata.mtime,
            Kind::Symlink => existing.link_target == metadata.link_target,
            Kind::CharacterDevice | Kind::BlockDevice => {
                existing.device == rustix::fs::makedev(metadata.device.major, metadata.device.minor)
            }
            Kind::Directory | Kind::Fifo | Kind::Socket => true,
        }
}

/// The kind of what stat describes; `None` for what an image cannot hold.
pub(super) fn kind_of(stat: &Stat) -> Option<Kind> {
    Some(match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => Kind::Socket,
        FileType::CharacterDevice => Kind::CharacterDevice,
        FileType::BlockDevice => Kind::BlockDevice,
        FileType::Unknown => return None,
    })
}

/// The modification time that stat tells.
pub(super) fn mtime_of(stat: &Stat) -> Timestamp {
    Timestamp { seconds: stat.st_mtime, nanos: u32::try_from(stat.st_mtime_nsec).unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::restore::testing;
    use holdfast_types::{Device, Piece};

    fn entry(kind: Kind, size: u64, seconds: i64) -> Entry {
        let mut entry = testing::entry(b"x", kind);
        entry.metadata.mtime = Timestamp { seconds, nanos: 5 };
        entry.metadata.size = size;
        entry.metadata.device = Device { major: 1, minor: 3 };
        entry.metadata.link_target = b"there".to_vec();
        entry.content.pieces = if size == 0 { Vec::new() } else { vec![Piece::Hole { length: size }] };
        entry
    }

    fn there(kind: Kind, size: u64, seconds: i64) -> Existing {
        let mtime = Timestamp { seconds, nanos: 5 };
        let device = rustix::fs::makedev(1, 3);
        let (link_target, identity) = (b"there".to_vec(), Identity { dev: 1, ino: 2 });
        Existing { kind: Some(kind), size, mtime, device, link_target, identity }
    }

    #[track_caller]
    fn check(existing: &Existing, expected: [Verdict; 4]) {
        use Overwrite::{Always, Changed, Never, Older};
        let entry = entry(Kind::File, 10, 100);
        let found = [Never, Older, Always, Changed].map(|policy| decide(policy, existing, &entry));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_file_meets_what_is_there() {
        use Verdict::{Keep, Mend, Refuse, Replace};
        check(&there(Kind::File, 10, 100), [Keep, Keep, Replace, Mend]);
        check(&there(Kind::File, 11, 100), [Keep, Keep, Replace, Replace]);
        check(&there(Kind::File, 10, 99), [Keep, Replace, Replace, Replace]);
        check(&there(Kind::File, 10, 101), [Keep, Keep, Replace, Replace]);
        check(&there(Kind::Symlink, 10, 100), [Keep, Keep, Replace, Replace]);
        let in_the_way = Refuse("a directory is in the way");
        check(&there(Kind::Directory, 10, 100), [Keep, in_the_way, in_the_way, in_the_way]);
    }

    #[test]
    fn without_a_choice_nothing_is_replaced() {
        for kind in [Kind::File, Kind::Symlink, Kind::Directory] {
            let verdict = decide(Overwrite::Refuse, &there(kind, 10, 1), &entry(Kind::File, 10, 100));
            assert!(matches!(verdict, Verdict::Refuse(_)), "{kind:?}: {verdict:?}");
        }
    }

    #[test]
    fn what_an_earlier_attempt_wrote_is_mended_and_nothing_else_is_replaced() {
        let resume = |existing: &Existing| decide(Overwrite::Resume, existing, &entry(Kind::File, 10, 100));
        assert_eq!(resume(&there(Kind::File, 10, 100)), Verdict::Mend);
        assert!(matches!(resume(&there(Kind::File, 10, 99)), Verdict::Refuse(_)));
        assert!(matches!(resume(&there(Kind::Symlink, 10, 100)), Verdict::Refuse(_)));
    }

    #[test]
    fn what_has_no_content_is_told_by_its_own_marks() {
        let changed = |existing: &Existing, kind| decide(Overwrite::Changed, existing, &entry(kind, 0, 100));
        assert_eq!(changed(&there(Kind::Symlink, 5, 7), Kind::Symlink), Verdict::Mend, "time is mended");
        let elsewhere = Existing { link_target: b"elsewhere".to_vec(), ..there(Kind::Symlink, 9, 100) };
        assert_eq!(changed(&elsewhere, Kind::Symlink), Verdict::Replace);
        let other_device = Existing { device: 9, ..there(Kind::BlockDevice, 0, 100) };
        assert_eq!(changed(&other_device, Kind::BlockDevice), Verdict::Replace);
        assert_eq!(changed(&there(Kind::Fifo, 0, 7), Kind::Fifo), Verdict::Mend);
        assert_eq!(changed(&there(Kind::Fifo, 0, 7), Kind::Socket), Verdict::Replace);
    }
}
