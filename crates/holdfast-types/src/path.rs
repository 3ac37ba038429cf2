//! Paths as bytes, and the one order of entries: by directory, component by component, then by name.
//!
//! Does not touch a file system; what a path leads to is the client's business.

use crate::terminal::steers;
use std::cmp::Ordering;

use crate::entry::Place;

/// Why bytes cannot be one component of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name is empty, or longer than 255 bytes.
    #[error("a name has 1 to 255 bytes, this one {0}")]
    Length(usize),
    /// The name is `.` or `..`.
    #[error("a name cannot be . or ..")]
    Dots,
    /// The name holds a slash or a zero byte.
    #[error("a name cannot hold a slash or a zero byte")]
    Byte,
}

/// Checks that bytes may be one component of a path: what a stored image says must not lead out of a directory.
pub fn check_component(name: &[u8]) -> Result<(), NameError> {
    match name {
        b"." | b".." => Err(NameError::Dots),
        _ if name.is_empty() || name.len() > 255 => Err(NameError::Length(name.len())),
        _ if name.iter().any(|byte| matches!(byte, b'/' | 0)) => Err(NameError::Byte),
        _ => Ok(()),
    }
}

/// Compares two directories in the order of entries: empty, then `/`, then component by component, a prefix first.
///
/// It is the order of the bytes with `/` taken as the least of them, since no component holds a zero byte.
pub fn compare_directories(a: &[u8], b: &[u8]) -> Ordering {
    let common = a.iter().zip(b).position(|(x, y)| x != y);
    let Some(at) = common else {
        return a.len().cmp(&b.len());
    };
    let rank = |byte: u8| if byte == b'/' { 0 } else { byte };
    // "/" against "/a": the root's single slash is also the separator of its children, so lengths decide above.
    rank(a[at]).cmp(&rank(b[at]))
}

/// The path of a name in a directory. The empty directory holds the root only.
pub fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(directory.len() + 1 + name.len());
    path.extend_from_slice(directory);
    if path.last() != Some(&b'/') {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

/// The place of an absolute path that has no empty, `.` or `..` component and no slash at its end.
pub fn place_of(path: &[u8]) -> Place {
    if path == b"/" || path.is_empty() {
        return Place { directory: Vec::new(), name: Vec::new() };
    }
    let slash = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    let directory = if slash == 0 { b"/".to_vec() } else { path[..slash].to_vec() };
    Place { directory, name: path[slash + 1..].to_vec() }
}

/// Whether `path` is `directory` itself or lies below it.
pub fn is_inside(path: &[u8], directory: &[u8]) -> bool {
    if directory == b"/" {
        return path.first() == Some(&b'/');
    }
    match path.strip_prefix(directory) {
        Some(rest) => rest.is_empty() || rest[0] == b'/',
        None => false,
    }
}

/// A path as text that is safe on a terminal: control characters and what is not UTF-8 become `\xNN` escapes.
pub fn sanitise(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for part in path.utf8_chunks() {
        for character in part.valid().chars() {
            if steers(character) {
                text.extend(character.escape_default());
            } else {
                text.push(character);
            }
        }
        for byte in part.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, slowly: the sequence of components, the empty directory before all.
    fn components(directory: &[u8]) -> Option<Vec<&[u8]>> {
        match directory {
            b"" => None,
            b"/" => Some(Vec::new()),
            _ => Some(directory[1..].split(|byte| *byte == b'/').collect()),
        }
    }

    #[test]
    fn a_directory_comes_before_its_longer_sibling() {
        assert_eq!(compare_directories(b"", b"/"), Ordering::Less);
        assert_eq!(compare_directories(b"/", b"/a"), Ordering::Less);
        assert_eq!(compare_directories(b"/a/b", b"/a-b"), Ordering::Less, "/ sorts below -");
        assert_eq!(compare_directories(b"/a", b"/a"), Ordering::Equal);
    }

    #[test]
    fn components_that_lead_astray_are_refused() {
        for bad in [b"".as_slice(), b".", b"..", b"a/b", b"a\0b", &[b'x'; 256]] {
            assert!(check_component(bad).is_err(), "{bad:?}");
        }
        assert!(check_component(b"...").is_ok());
        assert!(check_component(b"\n\xff").is_ok());
    }

    #[test]
    fn places_and_paths() {
        assert_eq!(place_of(b"/a"), Place { directory: b"/".to_vec(), name: b"a".to_vec() });
        assert_eq!(place_of(b"/a/b"), Place { directory: b"/a".to_vec(), name: b"b".to_vec() });
        assert_eq!(join(b"/", b"a"), b"/a");
        assert_eq!(join(b"", b""), b"/");
        assert!(is_inside(b"/a/b", b"/a") && is_inside(b"/a", b"/a") && is_inside(b"/a", b"/"));
        assert!(!is_inside(b"/ab", b"/a"));
    }

    #[test]
    fn terminals_are_not_at_the_mercy_of_names() {
        assert_eq!(sanitise(b"a\x1b[2J\xff\n\xc3\xa9"), "a\\u{1b}[2J\\xff\\né");
    }

    proptest! {
        #[test]
        fn byte_order_is_component_order(
            a in "(/[!-.0a]{1,3}){0,4}", b in "(/[!-.0a]{1,3}){0,4}", root_a in any::<bool>(), root_b in any::<bool>(),
        ) {
            let fix = |text: String, root: bool| if text.is_empty() && root { "/".to_owned() } else { text };
            let (a, b) = (fix(a, root_a), fix(b, root_b));
            let expected = components(a.as_bytes()).cmp(&components(b.as_bytes()));
            prop_assert_eq!(compare_directories(a.as_bytes(), b.as_bytes()), expected);
        }
    }
}
