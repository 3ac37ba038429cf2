//! The programs that are measured, and how each is told to make a repository, back up and restore.
//!
//! Defaults everywhere, with encryption; caches and keys lie in the program's own directory.

use std::path::{Path, PathBuf};

use super::files::text;
use super::measure::Task;

const PASSWORD: &str = "not a secret, for measuring only";

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ToolKind {
    Holdfast,
    Restic,
    Rustic,
    Borg,
    Bupstash,
}

impl ToolKind {
    pub(super) const ALL: [Self; 5] =
        [Self::Holdfast, Self::Restic, Self::Rustic, Self::Borg, Self::Bupstash];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Holdfast => "holdfast",
            Self::Restic => "restic",
            Self::Rustic => "rustic",
            Self::Borg => "borg",
            Self::Bupstash => "bupstash",
        }
    }
}

/// An installed program.
#[derive(Clone, Debug)]
pub(super) struct Tool {
    pub(super) kind: ToolKind,
    program: String,
    pub(super) version: String,
}

/// Where one program keeps its things in one run.
pub(super) struct Place {
    /// Repository or vault.
    pub(super) repository: PathBuf,
    /// Keys, caches, logs of what was sent.
    pub(super) state: PathBuf,
}

impl Tool {
    /// Looks for the program; `holdfast` is where ours is.
    pub(super) fn find(kind: ToolKind, holdfast: &Path) -> Option<Self> {
        let program = if kind == ToolKind::Holdfast { text(holdfast) } else { kind.name().to_owned() };
        let argument = if kind == ToolKind::Restic { "version" } else { "--version" };
        let output = std::process::Command::new(&program).arg(argument).output().ok()?;
        let version = String::from_utf8_lossy(&output.stdout);
        let version =
            version.split([' ', '-', '\n']).find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        Some(Self { kind, program, version: version.unwrap_or("?").to_owned() })
    }

    fn task(&self, place: &Place, arguments: &[&str]) -> Task {
        let mut task = Task::new(&self.program, arguments);
        let state = text(&place.state);
        let repository = text(&place.repository);
        task.environment = match self.kind {
            ToolKind::Holdfast => vec![("HOLDFAST_STATE_DIR", state.clone())],
            ToolKind::Restic => vec![
                ("RESTIC_REPOSITORY", repository),
                ("RESTIC_PASSWORD", PASSWORD.to_owned()),
                ("RESTIC_CACHE_DIR", format!("{state}/cache")),
            ],
            ToolKind::Rustic => vec![
                ("RUSTIC_REPOSITORY", repository),
                ("RUSTIC_PASSWORD", PASSWORD.to_owned()),
                ("RUSTIC_CACHE_DIR", format!("{state}/cache")),
            ],
            ToolKind::Borg => vec![
                ("BORG_REPO", repository),
                ("BORG_PASSPHRASE", PASSWORD.to_owned()),
                ("BORG_BASE_DIR", state.clone()),
            ],
            ToolKind::Bupstash => {
                vec![("BUPSTASH_REPOSITORY", repository), ("BUPSTASH_KEY", format!("{state}/key"))]
            }
        };
        task.environment.push(("XDG_CACHE_HOME", format!("{state}/xdg-cache")));
        task.environment.push(("XDG_CONFIG_HOME", format!("{state}/xdg-config")));
        task
    }

    /// What is to be done before the first backup; it is not timed. Holdfast makes its vault in the first backup.
    pub(super) fn prepare(&self, place: &Place) -> Vec<Task> {
        match self.kind {
            ToolKind::Holdfast => vec![],
            ToolKind::Restic | ToolKind::Rustic => vec![self.task(place, &["init"])],
            ToolKind::Borg => vec![self.task(place, &["init", "--encryption", "repokey-blake2"])],
            ToolKind::Bupstash => {
                let key = format!("{}/key", text(&place.state));
                vec![self.task(place, &["new-key", "-o", &key]), self.task(place, &["init"])]
            }
        }
    }

    /// A backup; `label` tells the first from the changed one where the program wants a name.
    pub(super) fn backup(&self, place: &Place, source: &Path, label: &str) -> Task {
        let (source, vault) = (text(source), text(&place.repository));
        match self.kind {
            ToolKind::Holdfast => self.task(place, &["backup", &source, "--vault", &vault, "--json"]),
            ToolKind::Restic | ToolKind::Rustic => self.task(place, &["backup", &source]),
            ToolKind::Borg => {
                self.task(place, &["create", "--compression", "zstd,3", &format!("::{label}"), &source])
            }
            ToolKind::Bupstash => self.task(place, &["put", &format!("label={label}"), &source]),
        }
    }

    /// A restore of the backup of this label, which is the latest, into an empty directory.
    pub(super) fn restore(&self, place: &Place, target: &Path, label: &str) -> Task {
        let (into, vault) = (text(target), text(&place.repository));
        match self.kind {
            ToolKind::Holdfast => {
                self.task(place, &["restore", "latest", "--to", &into, "--vault", &vault, "--json"])
            }
            ToolKind::Restic => self.task(place, &["restore", "latest", "--target", &into]),
            ToolKind::Rustic => self.task(place, &["restore", "latest", &into]),
            ToolKind::Borg => {
                let mut task = self.task(place, &["extract", &format!("::{label}")]);
                task.directory = Some(into);
                task
            }
            ToolKind::Bupstash => self.task(place, &["restore", "--into", &into, &format!("label={label}")]),
        }
    }

    /// Where in the target the source's tree comes out.
    pub(super) fn restored(&self, target: &Path, source: &Path) -> PathBuf {
        match self.kind {
            ToolKind::Holdfast => target.join(source.file_name().unwrap_or_default()),
            ToolKind::Restic | ToolKind::Rustic | ToolKind::Borg => {
                target.join(source.strip_prefix("/").unwrap_or(source))
            }
            ToolKind::Bupstash => target.to_owned(),
        }
    }
}
