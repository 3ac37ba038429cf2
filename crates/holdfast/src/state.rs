//! Where this host keeps keys and, if no other is chosen, its vault. Finds the place; makes nothing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::errors::{Failure, Result};

/// The state directory.
#[derive(Clone, Debug)]
pub(crate) struct State {
    dir: PathBuf,
}

impl State {
    /// As the environment says.
    pub(crate) fn find() -> Result<Self> {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let is_root = rustix::process::geteuid().is_root();
        match choose(&variable, is_root) {
            Some(dir) => Ok(Self { dir: std::path::absolute(&dir).unwrap_or(dir) }),
            None => Err(Failure::failed(
                "cannot tell where to keep keys and the vault: HOME is not set",
                "set HOLDFAST_STATE_DIR to a directory of yours",
            )),
        }
    }

    /// The directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where keys lie.
    pub(crate) fn keys(&self) -> PathBuf {
        self.dir.join("keys")
    }

    /// Where the default vault lies.
    pub(crate) fn vault(&self) -> PathBuf {
        self.dir.join("vault")
    }
}

fn choose(variable: &dyn Fn(&str) -> Option<OsString>, is_root: bool) -> Option<PathBuf> {
    if let Some(dir) = variable("HOLDFAST_STATE_DIR") {
        return Some(dir.into());
    }
    if is_root {
        return Some("/var/lib/holdfast".into());
    }
    // The XDG specification: what is not absolute counts as not set.
    let xdg = variable("XDG_STATE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let base = xdg.or_else(|| Some(Path::new(&variable("HOME")?).join(".local/state")))?;
    Some(base.join("holdfast"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(set: &[(&str, &str)], is_root: bool, expected: Option<&str>) {
        let variable = |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
        assert_eq!(choose(&variable, is_root), expected.map(PathBuf::from));
    }

    #[test]
    fn own_variable_then_root_then_xdg_then_home() {
        let all = [("HOLDFAST_STATE_DIR", "/s"), ("XDG_STATE_HOME", "/x"), ("HOME", "/h")];
        check(&all, true, Some("/s"));
        check(&all[1..], true, Some("/var/lib/holdfast"));
        check(&all[1..], false, Some("/x/holdfast"));
        check(&[("XDG_STATE_HOME", "relative"), ("HOME", "/h")], false, Some("/h/.local/state/holdfast"));
        check(&[], false, None);
    }
}
