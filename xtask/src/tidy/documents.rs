//! Links in documents lead to what is there: files, and headings in them.

use super::Problem;
use super::repository::Repository;

pub(super) fn check(repository: &Repository) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, text) in repository.ending(".md") {
        for (line, target) in links(text) {
            if let Some(message) = broken(repository, path, target) {
                problems.push(Problem::new(path, line, message));
            }
        }
    }
    problems
}

fn broken(repository: &Repository, from: &str, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, heading) =
        target.split_once('#').map_or((target, None), |(file, heading)| (file, Some(heading)));
    let path = if file.is_empty() { Some(from.to_owned()) } else { resolve(from, file) };
    let Some(path) = path.filter(|path| repository.has(path)) else {
        return Some(format!("the link to {target} leads nowhere"));
    };
    let text = repository.text(&path).filter(|_| path.ends_with(".md"))?;
    let heading = heading.filter(|heading| !anchors(text).any(|anchor| anchor == *heading))?;
    Some(format!("{path} has no heading for #{heading}"))
}

/// A relative link as a path from the root; none if it leads out of the repository.
fn resolve(from: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The targets of `[text](target)` outside of code, with their lines.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut in_code = false;
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code || line.starts_with("    ") {
            continue;
        }
        // Every second part lies between backquotes.
        for part in line.split('`').step_by(2).flat_map(|part| part.split("](").skip(1)) {
            found.extend(part.split([')', ' ']).next().map(|target| (index + 1, target)));
        }
    }
    found
}

/// The anchors of the headings, as the usual viewers make them.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter(|line| line.starts_with('#')).map(|line| {
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        line.trim_start_matches('#')
            .trim()
            .to_lowercase()
            .chars()
            .filter(kept)
            .collect::<String>()
            .replace(' ', "-")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> usize {
        let other = "# One Heading: `it`\n";
        check(&Repository::of(&[("docs/a.md", text), ("docs/b.md", other), ("src/x.rs", "")])).len()
    }

    #[test]
    fn good_links_pass() {
        assert_eq!(
            found(
                "[b](b.md) [x](../src/x.rs) [`d`](../src) [h](b.md#one-heading-it) [w](https://example.org/)"
            ),
            0
        );
        assert_eq!(found("# Here\n[here](#here)"), 0);
    }

    #[test]
    fn broken_links_are_found() {
        assert_eq!(found("[b](c.md)"), 1);
        assert_eq!(found("[`code`](c.md) and [b](../../out.md)"), 2);
        assert_eq!(found("[h](b.md#other)"), 1);
        assert_eq!(found("[h](#nothing)"), 1);
    }

    #[test]
    fn code_is_no_link() {
        assert_eq!(found("```\n[b](c.md)\n```\n    [b](c.md)\n`[b](c.md)`\n"), 0);
    }
}
