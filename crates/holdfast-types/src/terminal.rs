//! Characters that steer a terminal, or mislead who reads: in names of files, hosts and certificates, which are not to be trusted.

/// Control characters, marks and overrides of direction, separators of lines, and what is not seen (Unicode, bidirectional
/// algorithm UAX #9 and general categories Cc, Zl and Zp). All are below U+10000.
#[must_use]
pub fn steers(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
        )
}

/// The text, with `?` for each of them.
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars().map(|character| if steers(character) { '?' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_is_replaced_and_nothing_else() {
        assert_eq!(clean("a\u{1b}[2J\nb\u{9b}\u{7f}"), "a?[2J?b??");
        for character in
            ['\u{61c}', '\u{200b}', '\u{200e}', '\u{2028}', '\u{2029}', '\u{202e}', '\u{2066}', '\u{feff}']
        {
            assert!(steers(character), "{character:?}");
        }
        for plain in ["é ß 漢字 🦀", "–…“”", "a\u{a0}b", "C:\\x <&>\"'"] {
            assert_eq!(clean(plain), plain);
        }
    }
}
