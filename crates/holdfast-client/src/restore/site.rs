//! What all threads of one restore share. Nothing happens here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::links::Links;
use super::report::Report;
use super::selection::Manifest;
use super::target::Dir;
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
    /// Makes temporary names differ.
    pub(super) serial: AtomicU64,
}

impl Site<'_> {
    /// A name for something that is not ready. Begins alike, so that a person finds what a killed restore left.
    pub(super) fn temporary_name(&self) -> Vec<u8> {
        let number = self.serial.fetch_add(1, Relaxed);
        format!(".holdfast-restore-{:x}-{number:x}", std::process::id()).into_bytes()
    }
}

/// The process's umask. Setting it is the only call that tells it, and would touch every thread: the kernel's status
/// file is asked, and if there is none, every mode is set again after creation.
pub(super) fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    line.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok()).unwrap_or(0o777)
}
