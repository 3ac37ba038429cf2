//! Texts within the bound that messages have (attend.proto): cut at a character.

/// Bytes of a text that is told.
pub(super) const MAX: usize = 4 << 10;

/// The beginning.
pub(super) fn cut(mut text: String) -> String {
    text.truncate(cut_to(&text, MAX).len());
    text
}

/// The beginning, of at most so many bytes.
pub(super) fn cut_to(text: &str, most: usize) -> &str {
    let end = (0..=text.len().min(most)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}

/// The end, of at most so many bytes.
pub(super) fn end(text: &str, most: usize) -> &str {
    let first = text.len().saturating_sub(most);
    let begin = (first..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    &text[begin..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_at_characters() {
        assert_eq!(cut("é".repeat(3_000)).len(), MAX);
        assert_eq!(cut(format!("x{}", "é".repeat(3_000))).len(), MAX - 1);
        assert_eq!(cut("short".into()), "short");
        assert_eq!((end("aéb", 2), end("aéb", 3), end("aéb", 9), end("", 3)), ("b", "éb", "aéb", ""));
    }
}
