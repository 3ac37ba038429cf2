//! Which part of an image is wanted, and where each of its paths stands below the target. Pure but for looking entries
//! up in the manifest; writes nothing.

use std::iter;

use holdfast_format::manifest::{Placed, ReadError, Reader};
use holdfast_types::{Place, check_component, compare_directories, is_inside, place_of};

use super::error::Error;
use crate::depot::{self, ReadDepot};

/// The entries of the image that is restored.
pub(super) type Manifest<'a> = Reader<'a, &'a dyn ReadDepot>;

/// Subtrees of an image, none inside another, and what of their paths is left away in the target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Selection {
    /// Absolute paths, in the order of directories.
    chosen: Vec<Vec<u8>>,
    /// The directory that becomes the target.
    base: Vec<u8>,
}

impl Selection {
    /// The subtrees that a user means: these paths, or all roots of the image when there are none.
    pub(super) fn find(reader: &Manifest<'_>, roots: &[Vec<u8>], paths: &[Vec<u8>]) -> Result<Self, Error> {
        let mut chosen = Vec::new();
        for path in paths {
            let path = normalise(path)?;
            // A directory above the roots has no entry of its own, but what is below it is in the image.
            let known =
                roots.iter().any(|root| is_inside(root, &path)) || reader.find(&place_of(&path))?.is_some();
            if !known {
                let nearest = nearest(reader, &path)?;
                return Err(Error::NotInImage { path, nearest });
            }
            chosen.push(path);
        }
        Ok(Self::of(if paths.is_empty() { roots.to_vec() } else { chosen }))
    }

    /// These subtrees, below their deepest common parent.
    pub(super) fn of(mut chosen: Vec<Vec<u8>>) -> Self {
        chosen.sort_by(|a, b| compare_directories(a, b));
        // What is inside of something comes right after it or after other things inside of it.
        chosen.dedup_by(|later, kept| is_inside(later, kept));
        let base = chosen.iter().map(|path| place_of(path).directory).reduce(|a, b| common(&a, &b));
        let base = base.filter(|base| !base.is_empty()).unwrap_or_else(|| b"/".to_vec());
        Self { chosen, base }
    }

    /// The same subtrees with whole paths: what restoring in place needs.
    pub(super) fn in_place(self) -> Self {
        Self { base: b"/".to_vec(), ..self }
    }

    /// The directory of the image that becomes the target.
    pub(super) fn base(&self) -> &[u8] {
        &self.base
    }

    /// A path of the image as it is below the target: without a slash at its beginning, empty for the target itself.
    pub(super) fn below<'p>(&self, path: &'p [u8]) -> &'p [u8] {
        below(path, &self.base)
    }

    /// The entries, a directory before what it holds. An error stands for the entries that it hides.
    pub(super) fn entries<'r>(
        &'r self,
        reader: &'r Manifest<'_>,
    ) -> impl Iterator<Item = Result<Placed, ReadError<depot::Error>>> + 'r {
        let mut damaged = None;
        let all = self.chosen.iter().flat_map(move |path| {
            // An entry stands with its directory's others; what it holds comes later, as one range.
            let own = iter::once_with(move || reader.find(&place_of(path)).transpose()).flatten();
            let first = Place { directory: path.clone(), name: Vec::new() };
            let inside = iter::once_with(move || reader.entries_from(&first)).flatten();
            own.chain(inside.take_while(move |item| match item {
                Ok(placed) => is_inside(&placed.directory, path),
                Err(_) => true,
            }))
        });
        // A node is asked for again by each part of the way that leads through it; its damage is one.
        all.filter(move |item| match item {
            Ok(_) => true,
            Err(ReadError::Source { node, .. } | ReadError::Format { node, .. }) => {
                damaged.replace(*node) != Some(*node)
            }
        })
    }
}

/// `path` without `base` and the slashes around it.
pub(super) fn below<'p>(path: &'p [u8], base: &[u8]) -> &'p [u8] {
    let rest = path.strip_prefix(base).unwrap_or(path);
    rest.strip_prefix(b"/").unwrap_or(rest)
}

/// Drops doubled slashes and those at the end; refuses what is not absolute or leads up.
fn normalise(path: &[u8]) -> Result<Vec<u8>, Error> {
    let bad = || Error::BadPath { path: path.to_vec() };
    if path.first() != Some(&b'/') {
        return Err(bad());
    }
    let mut clean = Vec::with_capacity(path.len());
    for part in path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()) {
        check_component(part).map_err(|_| bad())?;
        clean.push(b'/');
        clean.extend_from_slice(part);
    }
    Ok(if clean.is_empty() { b"/".to_vec() } else { clean })
}

/// The deepest directory above `path` that has an entry.
fn nearest(reader: &Manifest<'_>, path: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let mut place = place_of(path);
    while !place.directory.is_empty() {
        let above = place.directory;
        place = place_of(&above);
        if reader.find(&place)?.is_some() {
            return Ok(Some(above));
        }
    }
    Ok(None)
}

/// The deepest directory that both are in or are. Empty, the parent of `/`, is in nothing but itself.
fn common(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut above = a.to_vec();
    while !above.is_empty() && !is_inside(b, &above) {
        above = place_of(&above).directory;
    }
    above
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chosen paths, and for each path of the image where it goes below DIR.
    #[track_caller]
    fn check(chosen: &[&str], expected: &[(&str, &str)]) {
        let selection = Selection::of(chosen.iter().map(|path| path.as_bytes().to_vec()).collect());
        for (path, target) in expected {
            let found = String::from_utf8_lossy(selection.below(path.as_bytes())).into_owned();
            assert_eq!(found, *target, "{path} of {chosen:?}");
        }
    }

    #[test]
    fn one_root_keeps_its_last_part() {
        check(&["/srv/data/src"], &[("/srv/data/src", "src"), ("/srv/data/src/a/b", "src/a/b")]);
        check(&["/src"], &[("/src", "src"), ("/src/a", "src/a")]);
    }

    #[test]
    fn the_root_gives_its_contents() {
        check(&["/"], &[("/", ""), ("/etc", "etc"), ("/etc/passwd", "etc/passwd")]);
        check(&["/", "/etc"], &[("/", ""), ("/etc", "etc")]);
    }

    #[test]
    fn several_go_below_their_deepest_common_parent() {
        check(&["/a/b/x", "/a/c/y"], &[("/a/b/x", "b/x"), ("/a/c/y/z", "c/y/z")]);
        check(&["/a/b/x", "/a/b/y"], &[("/a/b/x", "x"), ("/a/b/y", "y")]);
        check(&["/a/b", "/a/bc"], &[("/a/b", "b"), ("/a/bc", "bc")]);
        check(&["/a/x", "/b"], &[("/a/x", "a/x"), ("/b", "b")]);
    }

    #[test]
    fn what_is_nested_or_doubled_counts_once() {
        let of =
            |chosen: &[&str]| Selection::of(chosen.iter().map(|path| path.as_bytes().to_vec()).collect());
        assert_eq!(of(&["/a/b/c", "/a/b", "/a/b/d/e", "/a/b"]), of(&["/a/b"]));
        assert_eq!(of(&["/a/b", "/a/b-c", "/a/b/c"]).chosen, [b"/a/b".to_vec(), b"/a/b-c".to_vec()]);
        assert_eq!(of(&["/a/b"]).in_place().below(b"/a/b/c"), b"a/b/c");
    }

    #[test]
    fn paths_as_people_type_them() {
        assert_eq!(normalise(b"//a///b/").ok().as_deref(), Some(b"/a/b".as_slice()));
        assert_eq!(normalise(b"/").ok().as_deref(), Some(b"/".as_slice()));
        for bad in [b"".as_slice(), b"a", b"/a/../b", b"/.", b"/a\0"] {
            assert!(matches!(normalise(bad), Err(Error::BadPath { .. })), "{bad:?}");
        }
    }
}
