//! What all threads of one restore share. Nothing happens here.

use std::sync::Arc;

use super::links::Links;
use super::report::Report;
use super::selection::Manifest;
use super::target::Dir;
use super::temporary::Temporary;
use crate::depot::ReadDepot;

/// The shared part of a restore.
pub(super) struct Site<'a> {
    pub(super) depot: &'a dyn ReadDepot,
    pub(super) manifest: Manifest<'a>,
    pub(super) report: Report<'a>,
    pub(super) links: Links,
    /// The target itself.
    pub(super) top: Arc<Dir>,
    /// The bits that creation takes from a mode.
    pub(super) umask: u32,
    /// Files without a name can be given one: /proc is there.
    pub(super) links_open_files: bool,
    pub(super) temporary: Temporary,
}

/// The process's umask. Setting it is the only call that tells it, and would touch every thread: the kernel's status
/// file is asked, and if there is none, every mode is set again after creation.
pub(super) fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    line.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok()).unwrap_or(0o777)
}
