//! Every file of changes/ follows the template in changes/README.md, so that release notes can be put together.

use super::Problem;
use super::repository::Repository;

const SECTIONS: [&str; 3] = ["## Problem", "## New behaviour", "## Migration"];

pub(super) fn check(repository: &Repository) -> Vec<Problem> {
    let files =
        repository.files().filter(|(path, _)| path.starts_with("changes/") && *path != "changes/README.md");
    files.filter_map(|(path, text)| Some(Problem::new(path, 0, wrong(path, text)?))).collect()
}

fn wrong(path: &str, text: &str) -> Option<String> {
    let name = path.strip_prefix("changes/").unwrap_or(path);
    let number = name.split('-').next().unwrap_or_default();
    if number.len() != 4 || !number.bytes().all(|byte| byte.is_ascii_digit()) || !name.ends_with(".md") {
        return Some("name it NNNN-a-few-words.md".to_owned());
    }
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    if !lines.next().is_some_and(|line| line.starts_with("# ") && line.len() > 2) {
        return Some("begin with `# ` and one line that says what changed".to_owned());
    }
    let headings: Vec<&str> = text.lines().filter(|line| line.starts_with("## ")).collect();
    if headings != SECTIONS {
        return Some(format!("its sections are to be {}", SECTIONS.join(", ")));
    }
    let empty = |section: &&&str| {
        let rest = text.split_once(**section).map_or("", |(_, rest)| rest);
        rest.split("\n## ").next().is_none_or(|body| body.trim().is_empty())
    };
    SECTIONS
        .iter()
        .find(empty)
        .map(|section| format!("`{section}` is empty; write `None.` if there is nothing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# It resumes\n\n## Problem\n\nIt did not.\n\n## New behaviour\n\nIt does.\n\n## Migration\n\nNone.\n";

    fn found(path: &str, text: &str) -> usize {
        check(&Repository::of(&[(path, text)])).len()
    }

    #[test]
    fn the_template_passes() {
        assert_eq!(found("changes/0001-resume.md", GOOD), 0);
        assert_eq!(found("changes/README.md", "anything"), 0);
    }

    #[test]
    fn what_differs_from_it_is_found() {
        assert_eq!(found("changes/resume.md", GOOD), 1);
        assert_eq!(found("changes/0001-resume.txt", GOOD), 1);
        assert_eq!(found("changes/0001-a.md", &GOOD.replace("# It resumes\n", "")), 1);
        assert_eq!(found("changes/0001-a.md", &GOOD.replace("## Migration", "## Other")), 1);
        assert_eq!(found("changes/0001-a.md", &GOOD.replace("It does.", "")), 1);
        assert_eq!(found("changes/0001-a.md", &GOOD.replace("None.", "")), 1);
    }
}
