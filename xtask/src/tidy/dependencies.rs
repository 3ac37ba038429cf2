//! A dependency is a decision: it stands in the workspace's table, and docs/dependencies.md says what it is for.

use std::collections::BTreeSet;

use super::Problem;
use super::manifest::dependencies;
use super::repository::Repository;

const DOCUMENT: &str = "docs/dependencies.md";

pub(super) fn check(repository: &Repository) -> Vec<Problem> {
    let mut problems = Vec::new();
    let Some(manifest) = repository.text("Cargo.toml") else {
        return vec![Problem::new("Cargo.toml", 0, "is missing")];
    };
    let explained = rows(repository.text(DOCUMENT).unwrap_or_default());
    let used: Vec<_> = dependencies(manifest).into_iter().filter(|one| !one.is_local()).collect();
    for one in used.iter().filter(|one| !explained.contains(one.name)) {
        problems.push(Problem::new(
            "Cargo.toml",
            one.line,
            format!("{DOCUMENT} has no row for `{}`", one.name),
        ));
    }
    for name in explained.iter().filter(|name| !used.iter().any(|one| one.name == **name)) {
        problems.push(Problem::new(
            DOCUMENT,
            0,
            format!("`{name}` is no dependency of the workspace any more"),
        ));
    }
    for (path, text) in repository
        .ending("/Cargo.toml")
        .filter(|(path, _)| !path.starts_with("fuzz/") && !path.contains("/fuzz/"))
    {
        for one in dependencies(text).iter().filter(|one| !one.is_inherited() && !one.is_local()) {
            let message = format!(
                "`{}` is to come from [workspace.dependencies], so that there is one version",
                one.name
            );
            problems.push(Problem::new(path, one.line, message));
        }
    }
    problems
}

/// The names in the first column of the tables: ``| `name` | ...``.
fn rows(text: &str) -> BTreeSet<&str> {
    text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "[workspace.dependencies]\na = \"1\"\nholdfast-types = { path = \"x\" }\n";

    fn found(document: &str, member: &str) -> Vec<String> {
        let files = [("Cargo.toml", MANIFEST), (DOCUMENT, document), ("crates/x/Cargo.toml", member)];
        check(&Repository::of(&files)).into_iter().map(|problem| problem.message).collect()
    }

    #[test]
    fn explained_and_inherited_is_right() {
        assert!(found("| `a` | why |", "[dependencies]\na.workspace = true").is_empty());
    }

    #[test]
    fn a_dependency_without_a_row_is_found() {
        assert_eq!(found("| `b-other` |", "").len(), 2, "a is missing, b-other is stale");
        assert_eq!(found("", ""), ["docs/dependencies.md has no row for `a`"]);
    }

    #[test]
    fn a_version_of_its_own_is_found() {
        assert_eq!(found("| `a` |", "[dependencies]\na = \"2\"").len(), 1);
        assert_eq!(found("| `a` |", "[dev-dependencies]\na = { version = \"2\" }").len(), 1);
    }
}
