//! The places that the user named, as absolute paths. Leaves what is below them to `walk`.
//!
//! A path stays as the user wrote it, made absolute: symlinks on the way are followed but keep their names, and a
//! symlink at the end is itself what is backed up. The kernel's answer replaces it where the written path would not be
//! true: a `..` behind a symlink, a slash behind one (`link/` is the directory), and a way through a symlink that lies
//! in another root, for there the image holds the link, and nothing can be below a link.

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use holdfast_types::{Fault, Kind, compare_directories, is_inside, join, place_of, sanitise};
use rustix::fs::AtFlags;

use super::dir::{open_to_pass, open_top};
use super::fault::ReadFault;
use super::stat::stat_at;

/// A place that the user named.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Root {
    /// Its absolute path.
    pub path: Vec<u8>,
    /// Whether another root lies above it. It then adds nothing to the image's list of paths, but the walk enters it
    /// even where it would have stopped (another file system, an exclude pattern).
    pub nested: bool,
}

/// Why there is nothing to begin with.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RootError {
    /// No path was given.
    #[error("no path to back up was given")]
    None,
    /// Some paths lead to nothing, or not for this user: all of them.
    #[error("cannot back up {}", in_words(.0))]
    Unreadable(Vec<Fault>),
}

fn in_words(faults: &[Fault]) -> String {
    let words = faults.iter().map(|fault| format!("{}: {}", sanitise(&fault.path), fault.reason));
    words.collect::<Vec<_>>().join("; ")
}

/// Makes the named places absolute, checks that each is there, drops repetitions, and sorts them.
pub fn normalise_roots(paths: &[PathBuf], cwd: &Path) -> Result<Vec<Root>, RootError> {
    if paths.is_empty() {
        return Err(RootError::None);
    }
    let mut faults = Vec::new();
    let mut found = Vec::new();
    for path in paths {
        match resolve(path.as_os_str().as_bytes(), cwd) {
            Ok(resolved) => found.push(resolved),
            Err(fault) => faults.push(fault_of(path.as_os_str().as_bytes(), &fault)),
        }
    }
    if let Err(fault) = settle_links(&mut found) {
        faults.push(fault);
    }
    if !faults.is_empty() {
        return Err(RootError::Unreadable(faults));
    }
    let mut paths: Vec<Vec<u8>> = found.into_iter().map(|resolved| resolved.path).collect();
    // In this order all that is inside a root follows it at once.
    paths.sort_by(|a, b| compare_directories(a, b));
    paths.dedup();
    let mut outer: Option<Vec<u8>> = None;
    let mut root = |path: Vec<u8>| {
        let nested = outer.as_ref().is_some_and(|outer| is_inside(&path, outer));
        if !nested {
            outer = Some(path.clone());
        }
        Root { path, nested }
    };
    Ok(paths.into_iter().map(&mut root).collect())
}

/// A path, and the lengths of those of its beginnings that are symlinks.
struct Resolved {
    path: Vec<u8>,
    links: Vec<usize>,
}

fn resolve(given: &[u8], cwd: &Path) -> Result<Resolved, ReadFault> {
    if given.is_empty() {
        return Err(ReadFault::Vanished);
    }
    let absolute = if given[0] == b'/' { given.to_vec() } else { join(cwd.as_os_str().as_bytes(), given) };
    let mut components: Vec<&[u8]> =
        absolute.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b".")).collect();
    let path = match components.iter().rposition(|component| *component == b"..") {
        None => path_of(&components),
        Some(last) => {
            let name = if last + 1 < components.len() { components.pop() } else { None };
            let parent = canonical(&path_of(&components))?;
            name.map_or(parent.clone(), |name| join(&parent, name))
        }
    };
    let (kind, links) = inspect(&path)?;
    let as_directory = given.ends_with(b"/") || given.ends_with(b"/.") || given == b".";
    match kind {
        Kind::Symlink if as_directory => Ok(Resolved { path: canonical(&path)?, links: Vec::new() }),
        _ => Ok(Resolved { path, links }),
    }
}

fn path_of(components: &[&[u8]]) -> Vec<u8> {
    components.iter().fold(b"/".to_vec(), |path, component| join(&path, component))
}

/// The kernel's name of what a path leads to. At most 4,096 bytes, unlike all others here.
fn canonical(path: &[u8]) -> Result<Vec<u8>, ReadFault> {
    let canonical = std::fs::canonicalize(OsStr::from_bytes(path)).map_err(ReadFault::Stat)?;
    Ok(canonical.into_os_string().into_vec())
}

/// Goes down a path: what is at its end, and where on the way are symlinks?
fn inspect(path: &[u8]) -> Result<(Kind, Vec<usize>), ReadFault> {
    let mut directory = open_top().map_err(ReadFault::Open)?;
    let mut links = Vec::new();
    let mut start = 1;
    while let Some(length) = path[start..].iter().position(|byte| *byte == b'/') {
        let name = &path[start..start + length];
        if stat_at(directory.as_fd(), name, AtFlags::empty())?.kind == Kind::Symlink {
            links.push(start + length);
        }
        directory = open_to_pass(directory.as_fd(), name, true)?;
        start += length + 1;
    }
    let last = stat_at(directory.as_fd(), &path[start..], AtFlags::empty())?;
    Ok((last.kind, links))
}

/// Gives roots their true path whose way leads through a symlink inside another root. A true path may bring others
/// inside it, hence until nothing changes; each changes at most once, for a true path has no links.
fn settle_links(roots: &mut [Resolved]) -> Result<(), Fault> {
    loop {
        let caught = |root: &Resolved| {
            let link_is_inside =
                |&length: &usize| roots.iter().any(|other| is_inside(&root.path[..length], &other.path));
            root.links.iter().any(link_is_inside)
        };
        let Some(index) = roots.iter().position(caught) else {
            return Ok(());
        };
        let place = place_of(&roots[index].path);
        let parent = canonical(&place.directory).map_err(|fault| fault_of(&roots[index].path, &fault))?;
        roots[index] = Resolved { path: join(&parent, &place.name), links: Vec::new() };
    }
}

/// Here the words of the system say more than those of a walk: nothing vanished, it was not there.
fn fault_of(path: &[u8], fault: &ReadFault) -> Fault {
    let reason = match fault {
        ReadFault::Vanished => io::Error::from(rustix::io::Errno::NOENT).to_string(),
        ReadFault::Replaced => "something on the way is no directory, or a loop of symlinks".to_owned(),
        ReadFault::Stat(error) | ReadFault::Open(error) => error.to_string(),
        other => other.to_string(),
    };
    Fault { path: path.to_vec(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A directory with `real/inner/`, `real/file`, `real/up -> inner`, `link -> real`, `other/`.
    fn place() -> (tempfile::TempDir, PathBuf) {
        let keep = tempfile::tempdir().unwrap();
        let base = keep.path().canonicalize().unwrap();
        std::fs::create_dir_all(base.join("real/inner")).unwrap();
        std::fs::create_dir_all(base.join("other")).unwrap();
        std::fs::write(base.join("real/file"), "x").unwrap();
        symlink("inner", base.join("real/up")).unwrap();
        symlink("real", base.join("link")).unwrap();
        (keep, base)
    }

    fn check(given: &[&str], expected: &[(&str, bool)]) {
        let (_keep, base) = place();
        let paths: Vec<PathBuf> = given.iter().map(PathBuf::from).collect();
        let roots = normalise_roots(&paths, &base).unwrap();
        let absolute = |path: &str| base.join(path).as_os_str().as_bytes().to_vec();
        let expected: Vec<Root> =
            expected.iter().map(|(path, nested)| Root { path: absolute(path), nested: *nested }).collect();
        assert_eq!(roots, expected, "{given:?}");
    }

    #[test]
    fn paths_become_absolute_and_stay_as_written() {
        check(&["real"], &[("real", false)]);
        check(&["./real//inner/."], &[("real/inner", false)]);
        check(&["link"], &[("link", false)]);
        check(&["link/inner"], &[("link/inner", false)]);
        check(&["link/"], &[("real", false)]);
        check(&["link/."], &[("real", false)]);
    }

    #[test]
    fn two_dots_are_what_the_kernel_says() {
        check(&["real/up/../file"], &[("real/file", false)]);
        check(&["link/inner/../up"], &[("real/up", false)]);
        check(&["link/inner/.."], &[("real", false)]);
    }

    #[test]
    fn repetitions_go_and_nested_roots_are_marked() {
        check(
            &["real", "./real", "real/inner", "other"],
            &[("other", false), ("real", false), ("real/inner", true)],
        );
        check(&["link/file", "other"], &[("link/file", false), ("other", false)]);
    }

    #[test]
    fn a_way_through_a_link_inside_another_root_is_replaced_by_the_true_one() {
        check(&["link", "link/inner"], &[("link", false), ("real/inner", false)]);
        let (_keep, base) = place();
        let roots = normalise_roots(&[base.clone(), base.join("link/inner")], Path::new("/")).unwrap();
        assert_eq!(roots[1].path, base.join("real/inner").as_os_str().as_bytes());
        assert!(roots[1].nested);
    }

    #[test]
    fn the_root_holds_everything() {
        let roots = normalise_roots(&["//".into(), "/usr".into()], Path::new("/")).unwrap();
        assert_eq!(roots[0], Root { path: b"/".to_vec(), nested: false });
        assert_eq!(roots[1], Root { path: b"/usr".to_vec(), nested: true });
    }

    #[test]
    fn all_that_is_missing_is_named() {
        let (_keep, base) = place();
        let error = normalise_roots(&["no".into(), "real".into(), "real/file/x".into()], &base).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot back up no: No such file or directory (os error 2); real/file/x: something on the way is no \
             directory, or a loop of symlinks"
        );
        assert_eq!(normalise_roots(&[], &base), Err(RootError::None));
    }
}
