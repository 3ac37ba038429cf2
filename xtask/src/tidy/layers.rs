//! A crate imports only from levels below its own. The table is that of ARCHITECTURE.md.

use super::Problem;
use super::manifest::dependencies;
use super::repository::Repository;

/// Crates of one level do not know each other.
const LEVELS: &[(u8, &[&str])] = &[
    (5, &["holdfast"]),
    (4, &["holdfast-primary", "holdfast-media", "holdfast-client"]),
    (3, &["holdfast-jobs", "holdfast-doctor", "holdfast-console"]),
    (2, &["holdfast-link", "holdfast-vault", "holdfast-catalog"]),
    (1, &["holdfast-proto", "holdfast-format", "holdfast-store"]),
    (0, &["holdfast-types"]),
];

/// May be used in tests by all, and by the automation; it may use the words.
const TESTKIT: &str = "holdfast-testkit";
const AUTOMATION: &str = "xtask";

fn level(name: &str) -> Option<u8> {
    LEVELS.iter().find(|(_, names)| names.contains(&name)).map(|(level, _)| *level)
}

pub(super) fn check(repository: &Repository) -> Vec<Problem> {
    let manifests = repository
        .ending("/Cargo.toml")
        .filter(|(path, _)| path.starts_with("crates/") || *path == "xtask/Cargo.toml");
    manifests.flat_map(|(path, text)| check_manifest(path, text)).collect()
}

fn check_manifest(path: &str, text: &str) -> Vec<Problem> {
    let owner = super::source::crate_of(path);
    let mut problems = Vec::new();
    if !text.contains(&format!("name = \"{owner}\"")) {
        problems.push(Problem::new(path, 0, format!("the crate is to be named as its folder, {owner}")));
    }
    if level(owner).is_none() && ![TESTKIT, AUTOMATION].contains(&owner) {
        problems.push(Problem::new(
            path,
            0,
            format!("{owner} has no level: give it one in xtask/src/tidy/layers.rs"),
        ));
    }
    for dependency in dependencies(text).iter().filter(|one| one.name.starts_with("holdfast")) {
        if let Some(why) = forbidden(owner, dependency.name, dependency.is_dev) {
            problems.push(Problem::new(path, dependency.line, why));
        }
    }
    problems
}

fn forbidden(owner: &str, used: &str, is_dev: bool) -> Option<String> {
    match (owner, used) {
        (AUTOMATION, TESTKIT) => None,
        (AUTOMATION, _) => {
            Some(format!("{AUTOMATION} is to build without the program: it cannot use {used}"))
        }
        (TESTKIT, "holdfast-types") => None,
        (TESTKIT, _) => Some(format!("{TESTKIT} shares no code with what it tests: it cannot use {used}")),
        (_, TESTKIT) if is_dev => None,
        (_, TESTKIT) => Some(format!("{TESTKIT} is for dev-dependencies only")),
        // A crate's own tests may switch on its own features.
        _ if owner == used && is_dev => None,
        _ => match (level(owner), level(used)) {
            (Some(above), Some(below)) if below < above => None,
            (Some(above), Some(below)) => Some(format!(
                "{owner} (level {above}) cannot use {used} (level {below}): only levels below its own"
            )),
            _ => Some(format!("{used} has no level: give it one in xtask/src/tidy/layers.rs")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(owner: &str, dependencies: &str) -> Vec<String> {
        let path = if owner == "xtask" {
            "xtask/Cargo.toml".to_owned()
        } else {
            format!("crates/{owner}/Cargo.toml")
        };
        let text = format!("[package]\nname = \"{owner}\"\n{dependencies}\n");
        check(&Repository::of(&[(&path, &text)])).into_iter().map(|problem| problem.message).collect()
    }

    #[test]
    fn downwards_is_allowed() {
        assert!(found("holdfast-client", "[dependencies]\nholdfast-vault.workspace = true").is_empty());
        assert!(found("holdfast-client", "[dev-dependencies]\nholdfast-testkit.workspace = true").is_empty());
        assert!(found("holdfast-store", "[dev-dependencies]\nholdfast-store = { path = \".\" }").is_empty());
        assert!(found("xtask", "[dependencies]\nholdfast-testkit.workspace = true").is_empty());
    }

    #[test]
    fn upwards_sideways_and_strangers_are_not() {
        let up = found("holdfast-store", "[dependencies]\nholdfast-vault.workspace = true");
        assert!(up[0].contains("only levels below"), "{up:?}");
        assert_eq!(
            found("holdfast-store", "[dependencies]\nholdfast-format = { workspace = true }").len(),
            1
        );
        assert_eq!(found("holdfast-store", "[dev-dependencies]\nholdfast-vault.workspace = true").len(), 1);
        assert_eq!(found("holdfast-store", "[build-dependencies]\nholdfast-new.workspace = true").len(), 1);
        assert_eq!(found("holdfast-new", "").len(), 1);
    }

    #[test]
    fn the_testkit_stays_in_tests() {
        assert_eq!(found("holdfast-vault", "[dependencies]\nholdfast-testkit.workspace = true").len(), 1);
        assert_eq!(found("holdfast-testkit", "[dependencies]\nholdfast-format.workspace = true").len(), 1);
        assert_eq!(found("xtask", "[dependencies]\nholdfast-client.workspace = true").len(), 1);
    }

    #[test]
    fn a_folder_names_its_crate() {
        let text = "[package]\nname = \"vault\"\n";
        assert_eq!(check(&Repository::of(&[("crates/holdfast-vault/Cargo.toml", text)])).len(), 1);
    }
}
