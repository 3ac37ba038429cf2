//! Makes the metadata of one thing in the target what the image says: which of them to set, in which order, and what
//! to make of a refusal. The calls themselves are in `handle`.
//!
//! The order is the point. chown clears setuid, setgid and capabilities, so it goes first; a user's attributes need
//! the owner's write permission, which the final mode or ACL may not give; an ACL changes the mode's bits: so attributes
//! go next, ACLs after the others, and then the mode; anything may touch the times, so they go last.

use std::sync::atomic::Ordering::Relaxed;

use holdfast_types::{Kind, Metadata, Xattr};
use rustix::fs::Stat;
use rustix::io::Errno;

use super::handle::{Handle, ids_of};
use super::owners::Ids;
use super::policy::mtime_of;
use super::report::{Failure, Shortfalls};

const ACCESS_ACL: &[u8] = b"system.posix_acl_access";
const DEFAULT_ACL: &[u8] = b"system.posix_acl_default";
const SETUID: u32 = 0o4000;
const SETGID: u32 = 0o2000;

/// What is known of a thing before its metadata are set, so that nothing is set twice.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Before {
    /// Its owner, if known.
    pub(super) ids: Option<Ids>,
    /// Its mode, if known.
    pub(super) mode: Option<u32>,
    /// It may have an ACL from its directory.
    pub(super) acl: bool,
}

/// Sets what differs from `before`. Goes on after a failure, and tells the first.
pub(super) fn apply(
    handle: Handle<'_>,
    metadata: &Metadata,
    ids: Ids,
    before: Before,
    shortfalls: &Shortfalls,
) -> Result<(), Failure> {
    let mut mode = metadata.mode & 0o7777;
    let mut result = Ok(());
    if before.ids != Some(ids) {
        let (allowed, owned) = own(handle, ids, shortfalls);
        mode &= allowed;
        result = owned;
    }
    if before.acl && metadata.kind != Kind::Symlink {
        remove_inherited(handle, metadata);
    }
    let acls_last =
        |acl: bool| metadata.xattrs.iter().filter(move |xattr| xattr.name.starts_with(b"system.") == acl);
    for xattr in acls_last(false).chain(acls_last(true)) {
        let set = set_xattr(handle, xattr, shortfalls);
        result = result.and(set);
    }
    if metadata.kind != Kind::Symlink && before.mode != Some(mode) {
        let set = set_mode(handle, mode, shortfalls);
        result = result.and(set);
    }
    let times = handle.set_mtime(metadata.mtime).map_err(Failure::doing("set the modification time"));
    result.and(times)
}

/// Compares what is there with the image, attributes too, and sets all if anything differs. Whether it did.
pub(super) fn mend(
    handle: Handle<'_>,
    metadata: &Metadata,
    ids: Ids,
    shortfalls: &Shortfalls,
) -> Result<bool, Failure> {
    let stat = handle.stat().map_err(Failure::doing("look at it"))?;
    let present = handle.xattrs().unwrap_or_default();
    if same(&stat, &present, metadata, ids) {
        return Ok(false);
    }
    if stat.st_mode & 0o200 == 0 && (!present.is_empty() || !metadata.xattrs.is_empty()) {
        // Without write permission not even the owner may change attributes. The final mode is set after them.
        let _ = handle.chmod(stat.st_mode & 0o7777 | 0o200);
    }
    for extra in ours(&present).filter(|extra| metadata.xattrs.iter().all(|xattr| xattr.name != extra.name)) {
        // What cannot be removed was not put there by whoever may restore here; the rest is still worth setting.
        let _ = handle.remove_xattr(&extra.name);
    }
    let before = Before { ids: Some(ids_of(&stat)), ..Before::default() };
    apply(handle, metadata, ids, before, shortfalls).map(|()| true)
}

/// Whether what is there has the metadata that the image says. Touches nothing.
pub(super) fn is_same(handle: Handle<'_>, metadata: &Metadata, ids: Ids) -> bool {
    handle.stat().is_ok_and(|stat| same(&stat, &handle.xattrs().unwrap_or_default(), metadata, ids))
}

fn same(stat: &Stat, present: &[Xattr], metadata: &Metadata, ids: Ids) -> bool {
    let same_mode = metadata.kind == Kind::Symlink || stat.st_mode & 0o7777 == metadata.mode & 0o7777;
    let same_xattrs = ours(present).eq(ours(&metadata.xattrs));
    same_mode && same_xattrs && ids_of(stat) == ids && mtime_of(stat) == metadata.mtime
}

/// Gives it to its owner, as far as this process may. Returns also the mode bits that it may have after that.
fn own(handle: Handle<'_>, ids: Ids, shortfalls: &Shortfalls) -> (u32, Result<(), Failure>) {
    let refused = match handle.chown(Some(ids.uid), ids.gid) {
        Ok(()) => return (0o7777, Ok(())),
        Err(errno) => errno,
    };
    let result = if matches!(refused, Errno::PERM | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) {
        // A user may give his files to his other groups, though not to other users.
        let _ = handle.chown(None, ids.gid);
        Ok(())
    } else {
        Err(Failure::System { doing: "set the owner", errno: refused })
    };
    let now = handle.stat().map(|stat| ids_of(&stat));
    if result.is_ok() && now != Ok(ids) {
        shortfalls.owners.fetch_add(1, Relaxed);
    }
    (allowed_of(now, ids), result)
}

/// The mode bits that a thing may have whose owner could not be set: a program that was setuid or setgid for some must
/// not become so for others. Only who is seen to be its owner already, where a file system refuses all chown, counts.
fn allowed_of(now: rustix::io::Result<Ids>, wished: Ids) -> u32 {
    if now == Ok(wished) { 0o7777 } else { !(SETUID | SETGID) & 0o7777 }
}

fn set_mode(handle: Handle<'_>, mode: u32, shortfalls: &Shortfalls) -> Result<(), Failure> {
    match handle.chmod(mode) {
        // A file system without permissions (vfat): said once.
        Err(Errno::PERM | Errno::OPNOTSUPP) => {
            shortfalls.modes.fetch_add(1, Relaxed);
            Ok(())
        }
        result => result.map_err(Failure::doing("set the permissions")),
    }
}

fn set_xattr(handle: Handle<'_>, xattr: &Xattr, shortfalls: &Shortfalls) -> Result<(), Failure> {
    let errno = match handle.set_xattr(xattr) {
        Ok(()) => return Ok(()),
        Err(errno) => errno,
    };
    let privileged = !xattr.name.starts_with(b"user.");
    match errno {
        Errno::PERM | Errno::ACCESS if privileged => {}
        Errno::OPNOTSUPP => {}
        // Never fatal, whatever the number: ext4 says "no space" of a value that is too large for it.
        _ => {
            let name = holdfast_types::sanitise(&xattr.name);
            let error = std::io::Error::from(errno);
            return Err(Failure::Reason(format!("cannot set the extended attribute {name}: {error}")));
        }
    }
    shortfalls.xattrs.fetch_add(1, Relaxed);
    Ok(())
}

/// Takes away the ACLs that a new thing got from its directory's default. Where there are none, that is no error.
fn remove_inherited(handle: Handle<'_>, metadata: &Metadata) {
    let _ = handle.remove_xattr(ACCESS_ACL);
    if metadata.kind == Kind::Directory {
        let _ = handle.remove_xattr(DEFAULT_ACL);
    }
}

/// Takes both ACLs from a directory that was just made, so that what is made in it inherits none; and lets us in, which
/// the inherited ACL may not have done.
pub(super) fn clear_acls(handle: Handle<'_>) {
    let _ = handle.remove_xattr(DEFAULT_ACL);
    let _ = handle.remove_xattr(ACCESS_ACL);
    // If it fails, so does what is made inside, and says why.
    let _ = handle.stat().and_then(|stat| handle.chmod(stat.st_mode & 0o7777 | 0o700));
}

/// Whether what is made in this directory will inherit an ACL.
pub(super) fn passes_acl_on(proc_path: &str) -> bool {
    rustix::fs::getxattr_query(proc_path, DEFAULT_ACL).is_ok()
}

/// The attributes that belong to an entry. Labels (SELinux, IMA) belong to the host that sets them.
fn ours(xattrs: &[Xattr]) -> impl Iterator<Item = &Xattr> {
    xattrs.iter().filter(|xattr| {
        !xattr.name.starts_with(b"security.") || xattr.name.as_slice() == b"security.capability"
    })
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use rustix::fs::{Mode, OFlags};

    #[test]
    fn what_cannot_be_given_to_its_owner_is_no_program_for_another() {
        let wished = Ids { uid: 5, gid: 6 };
        for now in [Ok(Ids { uid: 0, ..wished }), Ok(Ids { gid: 0, ..wished }), Err(Errno::IO)] {
            assert_eq!(allowed_of(now, wished), 0o1777, "{now:?}");
        }
        assert_eq!(allowed_of(Ok(wished), wished), 0o7777);
    }

    #[test]
    fn an_owner_that_cannot_be_set_for_any_reason_takes_the_bits_along() {
        // A descriptor that only points refuses `fchown` with an error that is a fault.
        let fd = rustix::fs::open(".", OFlags::PATH, Mode::empty()).unwrap();
        let ids = Ids { uid: 54_321, gid: 54_322 };
        let (allowed, result) = own(Handle::Open(fd.as_fd()), ids, &Shortfalls::default());
        assert!(matches!(result, Err(Failure::System { errno: Errno::BADF, .. })), "{result:?}");
        assert_eq!(allowed, 0o1777);
    }
}
