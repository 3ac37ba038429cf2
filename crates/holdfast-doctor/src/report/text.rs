//! Findings as text for a person: wrapped, and safe to print on a terminal.

use holdfast_types::terminal::clean;

use crate::finding::{Evidence, Finding, Severity};

/// Columns of a line.
const WIDTH: usize = 100;

/// The findings, then what is unknown.
pub(super) fn of(findings: &[Finding], unknown: &[String]) -> String {
    let mut text = String::new();
    if findings.is_empty() {
        text.push_str("Nothing was found that disturbs backups.\n");
    }
    for finding in findings {
        self::finding(&mut text, finding);
        text.push('\n');
    }
    if !unknown.is_empty() {
        text.push_str("Not known:\n");
        for sentence in unknown {
            paragraph(&mut text, "  - ", "    ", sentence);
        }
    }
    text
}

fn finding(text: &mut String, finding: &Finding) {
    let severity = match finding.severity {
        Severity::Problem => "PROBLEM",
        Severity::Warning => "WARNING",
        Severity::Note => "note",
    };
    paragraph(text, &format!("{severity}  "), "    ", &format!("{} [{}]", finding.title, finding.code));
    for evidence in &finding.evidence {
        match evidence {
            Evidence::Fact(fact) => paragraph(text, "    - ", "      ", fact),
            Evidence::Line(line) => {
                // A quoted line is not wrapped: who looks for it in the file wants it as it is.
                text.push_str(&clean(&format!("    {}:{}: {}", line.file, line.line, line.text)));
                text.push('\n');
            }
        }
    }
    paragraph(text, "    Cause: ", "    ", &finding.cause);
    // An action may be several lines: commands to type.
    let mut lines = finding.action.lines();
    paragraph(text, "    Do: ", "    ", lines.next().unwrap_or_default());
    for line in lines {
        paragraph(text, "    ", "    ", line);
    }
}

/// Adds words, wrapped. Spaces at the beginning stay.
fn paragraph(text: &mut String, first: &str, rest: &str, words: &str) {
    let words = clean(words);
    let indent = words.len() - words.trim_start().len();
    let mut line = format!("{first}{}", &words[..indent]);
    let mut is_begun = false;
    for word in words.split_whitespace() {
        if is_begun && line.chars().count() + 1 + word.chars().count() > WIDTH {
            text.push_str(line.trim_end());
            text.push('\n');
            line = format!("{rest}{}", &words[..indent]);
            is_begun = false;
        }
        if is_begun {
            line.push(' ');
        }
        line.push_str(word);
        is_begun = true;
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Quoted;

    fn example() -> Finding {
        Finding {
            code: "port-dropped",
            severity: Severity::Problem,
            title: "db1: port 1556 is silently dropped".into(),
            evidence: vec![
                Evidence::Fact("no answer to 3 SYNs in 10.0 s".into()),
                Evidence::Line(Quoted {
                    file: "a\u{1b}.log".into(),
                    line: 7,
                    text: "17:46:26.1 connecting".into(),
                }),
            ],
            cause: "word ".repeat(60),
            action: "allow tcp/1556\n  nft add rule".into(),
        }
    }

    #[test]
    fn a_finding_is_wrapped_and_cannot_steer_a_terminal() {
        let text = of(&[example()], &["whether it answers".into()]);
        assert!(
            text.starts_with("PROBLEM  db1: port 1556 is silently dropped [port-dropped]\n    - no answer"),
            "{text}"
        );
        assert!(text.contains("    a?.log:7: 17:46:26.1 connecting\n"), "{text}");
        assert!(text.contains("\n      nft add rule\n"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.ends_with("Not known:\n  - whether it answers\n"), "{text}");
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn nothing_found_is_said() {
        assert_eq!(of(&[], &[]), "Nothing was found that disturbs backups.\n");
    }
}
