//! Just enough understanding of Rust's text: which part of a line is code, and which lines are tests.

/// A line of code without its comment.
pub(super) struct Line<'a> {
    /// From 1.
    pub(super) number: usize,
    pub(super) code: &'a str,
    /// In a file of tests, or after the first `#[cfg(test)]` of a file, which by custom stands at its end.
    pub(super) is_test: bool,
}

/// The lines of a file. A `//` in a string is taken for a comment: that hides a part of a line, never invents one.
pub(super) fn lines<'a>(path: &str, text: &'a str) -> Vec<Line<'a>> {
    let mut is_test = path.contains("/tests/") || path.contains("/benches/");
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        is_test |= line.trim_start().starts_with("#[cfg(test)]");
        lines.push(Line { number: index + 1, code: line.split("//").next().unwrap_or(""), is_test });
    }
    lines
}

/// Whether a word stands in a line of code and is not a part of a longer word.
pub(super) fn has_word(code: &str, word: &str) -> bool {
    let is_name = |character: Option<char>| character.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let starts_open = !is_name(word.chars().next());
    let ends_open = !is_name(word.chars().next_back());
    code.match_indices(word).any(|(at, _)| {
        (starts_open || !is_name(code[..at].chars().next_back()))
            && (ends_open || !is_name(code[at + word.len()..].chars().next()))
    })
}

/// The crate that a path belongs to: `holdfast-vault` of `crates/holdfast-vault/src/lib.rs`, `xtask` of its own files.
pub(super) fn crate_of(path: &str) -> &str {
    let path = path.strip_prefix("crates/").unwrap_or(path);
    path.split('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_whole() {
        assert!(has_word("use rustls::X;", "rustls"));
        assert!(!has_word("use my_rustls::X;", "rustls") && !has_word("rustls2", "rustls"));
        assert!(has_word("thread::sleep(x)", "sleep(") && !has_word("asleep(x)", "sleep("));
    }

    #[test]
    fn comments_are_no_code_and_tests_are_known() {
        let lines = lines("crates/a/src/lib.rs", "let a; // rustls\n#[cfg(test)]\nmod tests {\n");
        assert_eq!(lines[0].code, "let a; ");
        assert_eq!(lines.iter().map(|line| line.is_test).collect::<Vec<_>>(), [false, true, true]);
    }

    #[test]
    fn crates_are_known_by_their_folder() {
        assert_eq!(crate_of("crates/holdfast-vault/src/lib.rs"), "holdfast-vault");
        assert_eq!(crate_of("xtask/src/main.rs"), "xtask");
    }
}
