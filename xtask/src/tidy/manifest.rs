//! Just enough understanding of a `Cargo.toml`: which names stand in which table of dependencies.

/// A dependency as it is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dependency<'a> {
    pub(super) line: usize,
    pub(super) name: &'a str,
    /// What stands right of the `=`, or the whole line if there is none.
    pub(super) value: &'a str,
    /// Under `dev-dependencies`.
    pub(super) is_dev: bool,
}

impl Dependency<'_> {
    pub(super) fn is_local(&self) -> bool {
        self.value.contains("path")
    }

    /// Whether the version comes from the workspace's table.
    pub(super) fn is_inherited(&self) -> bool {
        self.value.contains("workspace")
    }
}

/// The dependencies of a manifest: of every table that ends in `dependencies`, one name a line.
pub(super) fn dependencies(text: &str) -> Vec<Dependency<'_>> {
    let mut table = "";
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            table = header.trim_end_matches(']');
            continue;
        }
        let Some((key, value)) = line.split_once('=').filter(|_| table.ends_with("dependencies")) else {
            continue;
        };
        if line.starts_with('#') {
            continue;
        }
        let key = key.trim();
        // `name.workspace = true` is the short form of `name = { workspace = true }`.
        let (name, value) = match key.split_once('.') {
            Some((name, "workspace")) => (name, "{ workspace = true }"),
            _ => (key, value.trim()),
        };
        found.push(Dependency { line: index + 1, name, value, is_dev: table.contains("dev-dependencies") });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_forms_are_understood() {
        let text = "[package]\nname = \"a\"\n[dependencies]\nb.workspace = true\n# c = 1\n\
                    [target.'cfg(unix)'.dev-dependencies]\nd = { path = \".\" }\n[lints]\nworkspace = true\n";
        let found = dependencies(text);
        assert_eq!(
            found.iter().map(|one| (one.name, one.line, one.is_dev)).collect::<Vec<_>>(),
            [("b", 4, false), ("d", 7, true)]
        );
        assert!(found[0].is_inherited() && found[1].is_local());
    }
}
