//! Directories of the target, reached by descriptors from its top, one component at a time, never through a symlink,
//! but for those that lead to what is restored in place (`follow`). What an image holds, or what someone plants in the
//! target meanwhile, cannot lead out of it, and a path may be of any length. Writes nothing but the directories on the
//! way.

use std::collections::HashSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use holdfast_types::{Kind, check_component, join};
use rustix::fs::{self as sys, AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use super::error::Error;
use super::follow::{Above, follow};
use super::handle::{Handle, ids_of, proc_path};
use super::metadata::{clear_acls, passes_acl_on};
use super::options::Target;
use super::owners::Ids;
use super::policy::Existing;
use super::report::Failure;
use super::selection::below;

/// Directories that stay open on the way down; those above are opened again when the way leads back to them.
const OPEN_MAX: usize = 32;
/// Directories that are remembered as new in an old one. One that is forgotten is taken for old, which is only slower.
const MADE_MAX: usize = 65_536;
pub(super) const POINT: OFlags =
    OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A directory of the target.
pub(super) struct Dir {
    fd: OwnedFd,
    /// Its path on the source, for messages and to come back to it.
    pub(super) source: Arc<[u8]>,
    pub(super) traits: Traits,
    /// Directories that may be symlinks.
    above: Arc<Above>,
}

/// What a directory means for what is made in it.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Traits {
    /// This run made it: nobody else has put anything there.
    pub(super) made: bool,
    /// The owner that new things get there, if known.
    pub(super) gives: Option<Ids>,
    /// New things there may inherit an ACL.
    pub(super) acl: bool,
}

impl Dir {
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// What stands at a name in it; `None`: nothing.
    pub(super) fn existing(&self, name: &[u8]) -> Result<Option<Existing>, Failure> {
        let stat = match sys::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(Failure::System { doing: "look at what is there", errno }),
        };
        let mut existing = Existing::of(&stat);
        if existing.kind == Some(Kind::Symlink) {
            let target = sys::readlinkat(&self.fd, name, Vec::new());
            existing.link_target = target.map(|target| target.into_bytes()).unwrap_or_default();
        }
        Ok(Some(existing))
    }

    fn child(&self, fd: OwnedFd, name: &[u8], traits: Traits) -> Self {
        Self { fd, source: self.path_of(name).into(), traits, above: Arc::clone(&self.above) }
    }

    /// The source path of a name in it.
    pub(super) fn path_of(&self, name: &[u8]) -> Vec<u8> {
        join(&self.source, name)
    }
}

/// What to do about a directory that is not there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Missing {
    /// Make it, with default permissions: it is above what was chosen, or its entry is lost.
    Make,
    /// Say so.
    Tell,
}

/// Opens the target itself, for an image of these roots; makes it if it may. `None`: it is missing.
pub(super) fn open_target(
    target: &Target,
    base: &[u8],
    roots: &[Vec<u8>],
    missing: Missing,
) -> Result<Option<Dir>, Error> {
    let (path, above) = match target {
        Target::Directory(path) => (path.as_path(), Above::default()),
        Target::InPlace => (Path::new("/"), Above::of(roots)),
    };
    let failed = |source| Error::Target { path: path.to_owned(), source };
    // The user's own choice may be a symlink.
    let open = || sys::openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let (fd, made) = match open() {
        Ok(fd) => (fd, false),
        Err(Errno::NOENT) if missing == Missing::Tell => return Ok(None),
        Err(Errno::NOENT) => {
            std::fs::create_dir_all(path).map_err(failed)?;
            (open().map_err(|errno| failed(errno.into()))?, true)
        }
        Err(errno) => return Err(failed(errno.into())),
    };
    let traits = look(&fd, made, true);
    Ok(Some(Dir { fd, source: Arc::from(base), traits, above: Arc::new(above) }))
}

/// What a directory that was just opened means for what is made in it.
fn look(fd: &OwnedFd, made: bool, above_has_acl: bool) -> Traits {
    // A new directory has what creation gives: its group comes from a setgid directory, or a mount option.
    let gives = if made { sys::fstat(fd).ok().map(|stat| ids_of(&stat)) } else { None };
    let acl = (!made || above_has_acl) && passes_acl_on(&proc_path(fd.as_fd()));
    Traits { made, gives, acl }
}

/// A walk through the directories of the target, in the order of a manifest.
pub(super) struct Walk {
    top: Arc<Dir>,
    missing: Missing,
    levels: Vec<Level>,
    /// New directories in old ones, not entered yet, by their source paths.
    made: HashSet<Vec<u8>>,
}

struct Level {
    name: Vec<u8>,
    traits: Traits,
    dir: Option<Arc<Dir>>,
}

impl Walk {
    pub(super) fn new(top: Arc<Dir>, missing: Missing) -> Self {
        Self { top, missing, levels: Vec::new(), made: HashSet::new() }
    }

    /// Remembers that this run made a directory.
    pub(super) fn remember_made(&mut self, parent: &Dir, name: &[u8]) {
        // In a new directory everything is new.
        if !parent.traits.made && self.made.len() < MADE_MAX {
            self.made.insert(parent.path_of(name));
        }
    }

    /// The directory of the target that stands for this one of the source.
    pub(super) fn enter(&mut self, source: &[u8]) -> Result<Arc<Dir>, Failure> {
        if let Some(Level { dir: Some(dir), .. }) = self.levels.last()
            && *dir.source == *source
        {
            return Ok(Arc::clone(dir));
        }
        let below = below(source, &self.top.source);
        let parts = || below.split(|byte| *byte == b'/').filter(|part| !part.is_empty());
        let shared = parts().zip(&self.levels).take_while(|(part, level)| *part == level.name).count();
        self.levels.truncate(shared);
        let mut dir = self.reopen()?;
        for part in parts().skip(shared) {
            dir = self.descend(&dir, part)?;
        }
        Ok(dir)
    }

    /// The directory at the end of the levels, opened again if it was let go.
    fn reopen(&mut self) -> Result<Arc<Dir>, Failure> {
        let open = self.levels.iter().rposition(|level| level.dir.is_some());
        let mut dir =
            open.and_then(|at| self.levels[at].dir.clone()).unwrap_or_else(|| Arc::clone(&self.top));
        for level in &self.levels[open.map_or(0, |at| at + 1)..] {
            let fd = open_child(&dir, &level.name)?;
            dir = Arc::new(dir.child(fd, &level.name, level.traits));
        }
        if let Some(last) = self.levels.last_mut() {
            last.dir = Some(Arc::clone(&dir));
        }
        Ok(dir)
    }

    fn descend(&mut self, parent: &Dir, name: &[u8]) -> Result<Arc<Dir>, Failure> {
        let mut made = self.made.remove(&parent.path_of(name)) || parent.traits.made;
        let fd = match open_child(parent, name) {
            Err(Failure::System { errno: Errno::NOENT, .. }) if self.missing == Missing::Make => {
                sys::mkdirat(parent.fd(), name, Mode::from_raw_mode(0o777))
                    .map_err(Failure::doing("make the directory"))?;
                made = true;
                open_child(parent, name)?
            }
            result => result?,
        };
        if made && parent.traits.acl && self.missing == Missing::Make {
            clear_acls(Handle::Pointing(fd.as_fd()));
        }
        let traits = look(&fd, made, false);
        let dir = Arc::new(parent.child(fd, name, traits));
        self.levels.push(Level { name: name.to_vec(), traits, dir: Some(Arc::clone(&dir)) });
        if let Some(far) = self.levels.len().checked_sub(OPEN_MAX + 1) {
            self.levels[far].dir = None;
        }
        Ok(dir)
    }
}

fn open_child(parent: &Dir, name: &[u8]) -> Result<OwnedFd, Failure> {
    // The reader has checked it; this is the last place that can keep a name from leading elsewhere.
    check_component(name).map_err(|_| way_blocked(Errno::INVAL))?;
    match sys::openat(parent.fd(), name, POINT, Mode::empty()) {
        Err(Errno::NOTDIR | Errno::LOOP) if parent.above.has(&parent.path_of(name)) => {
            follow(parent.fd(), name)
        }
        result => result.map_err(way_blocked),
    }
}

/// Opens the directory that stands for this one of the source, from the top: for what is far from the walk.
pub(super) fn open_from_top(top: &Dir, source: &Arc<[u8]>) -> Result<Dir, Failure> {
    let fd = sys::openat(top.fd(), c".", POINT, Mode::empty()).map_err(way_blocked)?;
    let mut dir =
        Dir { fd, source: Arc::clone(&top.source), traits: top.traits, above: Arc::clone(&top.above) };
    for part in below(source, &top.source).split(|byte| *byte == b'/').filter(|part| !part.is_empty()) {
        let fd = open_child(&dir, part)?;
        dir = dir.child(fd, part, Traits::default());
    }
    dir.traits = look(&dir.fd, false, true);
    Ok(dir)
}

pub(super) fn way_blocked(errno: Errno) -> Failure {
    match errno {
        Errno::NOTDIR | Errno::LOOP => Failure::Reason(
            "a symlink or file stands in the target where a directory should be; symlinks there are not followed"
                .to_owned(),
        ),
        errno => Failure::System { doing: "enter the directory", errno },
    }
}
