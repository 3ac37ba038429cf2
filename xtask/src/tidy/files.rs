//! Rules on single files: a head, a length, a reason for each `unsafe`, no path of somebody's machine.

use super::Problem;
use super::repository::Repository;
use super::source::{has_word, lines};

const MAX_LINES: usize = 700;
const LONG_LINES: usize = 400;
/// How far above an `unsafe` its reason may stand.
const REASON_LINES: usize = 6;

/// Every Rust file opens with what it is for.
pub(super) fn check_heads(repository: &Repository) -> Vec<Problem> {
    let bad = repository.ending(".rs").filter(|(_, text)| !text.starts_with("//! "));
    bad.map(|(path, _)| {
        Problem::new(path, 1, "open the file with `//!`: what it is for, what it does not do")
    })
    .collect()
}

/// A file that is too long to be held in the head.
pub(super) fn check_lengths(repository: &Repository) -> Vec<Problem> {
    let counted = repository.ending(".rs").map(|(path, text)| (path, text.lines().count()));
    let message =
        |count| format!("{count} lines: split it by concern (at most {MAX_LINES}, about 200 are usual)");
    counted
        .filter(|(_, count)| *count > MAX_LINES)
        .map(|(path, count)| Problem::new(path, 0, message(count)))
        .collect()
}

/// Files that are worth a look, and their numbers of lines.
pub(super) fn long(repository: &Repository) -> Vec<(&str, usize)> {
    let counted = repository.ending(".rs").map(|(path, text)| (path, text.lines().count()));
    counted.filter(|(_, count)| *count > LONG_LINES).collect()
}

/// Whoever writes `unsafe` says why it is sound.
pub(super) fn check_unsafe(repository: &Repository) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, text) in repository.ending(".rs").filter(|(path, _)| !path.starts_with("xtask/src/tidy/")) {
        let all: Vec<&str> = text.lines().collect();
        for line in lines(path, text).iter().filter(|line| has_word(line.code, "unsafe")) {
            let above = &all[line.number.saturating_sub(REASON_LINES + 1)..line.number];
            if !above.iter().any(|text| text.contains("SAFETY:")) {
                problems.push(Problem::new(path, line.number, "`unsafe` needs a `// SAFETY:` just above it"));
            }
        }
    }
    problems
}

/// What only exists on some machine. In documents a home directory may be an example.
const CODE_PATHS: &[&str] = &["/home/", "/root/", "/work/"];
const DOCUMENT_PATHS: &[&str] = &["/root/", "/work/"];
const CODE_ENDINGS: &[&str] = &[".rs", ".toml", ".py", ".sh", ".proto", ".yml", ".yaml", ".ci/run"];

/// No path of somebody's machine.
pub(super) fn check_machine_paths(repository: &Repository) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, text) in repository.files().filter(|(path, _)| !path.starts_with("xtask/src/tidy/")) {
        let patterns = match path {
            _ if CODE_ENDINGS.iter().any(|ending| path.ends_with(ending)) => CODE_PATHS,
            _ if path.ends_with(".md") => DOCUMENT_PATHS,
            _ => continue,
        };
        for (index, line) in text.lines().enumerate() {
            for pattern in patterns.iter().filter(|pattern| starts_a_path(line, pattern)) {
                problems.push(Problem::new(path, index + 1, format!("`{pattern}` is a path of one machine")));
            }
        }
    }
    problems
}

/// Whether the pattern stands where an absolute path begins, not in the middle of a relative one.
fn starts_a_path(line: &str, pattern: &str) -> bool {
    let inner = |character: char| character.is_alphanumeric() || "._-/}>*~".contains(character);
    line.match_indices(pattern).any(|(at, _)| !line[..at].chars().next_back().is_some_and(inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(path: &str, text: &str) -> Repository {
        Repository::of(&[(path, text)])
    }

    #[test]
    fn a_file_without_a_head_is_found() {
        assert_eq!(check_heads(&one("crates/a/src/b.rs", "use x;\n//! late")).len(), 1);
        assert!(check_heads(&one("crates/a/src/b.rs", "//! What it is for.\n")).is_empty());
    }

    #[test]
    fn a_file_that_is_too_long_is_found() {
        assert_eq!(check_lengths(&one("a.rs", &"x\n".repeat(701))).len(), 1);
        assert!(check_lengths(&one("a.rs", &"x\n".repeat(700))).is_empty());
        assert_eq!(long(&one("a.rs", &"x\n".repeat(401))), [("a.rs", 401)]);
    }

    #[test]
    fn an_unsafe_without_a_reason_is_found() {
        assert_eq!(check_unsafe(&one("a.rs", "let x = unsafe { y };")).len(), 1);
        assert_eq!(
            check_unsafe(&one("a.rs", &format!("// SAFETY: far\n{}unsafe fn x()", "\n".repeat(9)))).len(),
            1
        );
        assert!(check_unsafe(&one("a.rs", "// SAFETY: it is.\nlet x = unsafe { y };")).is_empty());
        assert!(check_unsafe(&one("a.rs", "// unsafe\n#![deny(unsafe_code)]")).is_empty());
    }

    #[test]
    fn a_path_of_a_machine_is_found() {
        assert_eq!(check_machine_paths(&one("a.rs", "open(\"/work/main\")")).len(), 1);
        assert_eq!(check_machine_paths(&one(".ci/run", "cd /root/x")).len(), 1);
        assert_eq!(check_machine_paths(&one("docs/a.md", "see /work/x")).len(), 1);
        assert!(check_machine_paths(&one("docs/a.md", "holdfast backup /home/ann")).is_empty());
        assert!(check_machine_paths(&one("a.rs", "\"target/bench/work/x\"")).is_empty());
    }
}
