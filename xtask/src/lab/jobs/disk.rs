//! Disks with a fault: one that is too small for a vault, one of a source that has a place that cannot be read.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::tree::{LARGE, Tree};

/// Something that is mounted. Unmounted when dropped.
#[derive(Debug)]
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: a process that is just ending may still be there. Whether it worked shows in `mount`.
        let _ = run("umount", &["--lazy", &shown(&self.0)]);
    }
}

/// A small disk: a file system in memory.
#[derive(Debug)]
pub(super) struct SmallDisk(Mounted);

impl SmallDisk {
    pub(super) fn mount(at: &Path, bytes: u64) -> Result<Self> {
        fs::create_dir_all(at)?;
        run("mount", &["-t", "tmpfs", "-o", &format!("size={bytes}"), "holdfast-lab", &shown(at)])?;
        Ok(Self(Mounted(at.to_owned())))
    }

    /// Makes room.
    pub(super) fn grow(&self, bytes: u64) -> Result<()> {
        run("mount", &["-o", &format!("remount,size={bytes}"), &shown(&self.0.0)]).map(drop)
    }
}

/// A disk with a copy of a tree, whose large file cannot be read from some point on: the file that holds the disk is shorter
/// than the disk.
#[derive(Debug)]
pub(super) struct BadDisk {
    mounted: Mounted,
    // Dropped after what is mounted from it.
    _device: Device,
}

/// A file as a block device. `mount -o loop` would make one for each mount, and take away the first when it likes: a second
/// mount of the same file may then find it neither free nor usable.
#[derive(Debug)]
struct Device(String);

impl Device {
    fn of(file: &Path) -> Result<Self> {
        Ok(Self(run("losetup", &["--find", "--show", &shown(file)])?.trim().to_owned()))
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // One that is in use yet goes when it is not. Whether it worked shows in `losetup`.
        let _ = run("losetup", &["--detach", &self.0]);
    }
}

impl BadDisk {
    /// Makes it in this directory.
    pub(super) fn with(dir: &Path, tree: &Tree) -> Result<Self> {
        let (disk, at) = (dir.join("disk"), dir.join("bad"));
        fs::File::create(&disk)?.set_len(tree.bytes / 4 * 5 + (64 << 20))?;
        run("mkfs.ext4", &["-q", "-m", "0", "-b", &BLOCK.to_string(), &shown(&disk)])?;
        fs::create_dir(&at)?;
        let device = Device::of(&disk)?;
        let words = [&device.0, &shown(&at), &shown(&tree.path), LARGE];
        let extents = run("unshare", &[&["--mount", "sh", "-e", "-c", FILL, "fill"], &words[..]].concat())?;
        // Nothing of it is in memory any more.
        run("mount", &["-o", "ro", &device.0, &shown(&at)])?;
        let mounted = Mounted(at);
        let block = last_extent(&extents)?;
        OpenOptions::new().write(true).open(&disk)?.set_len(block * BLOCK)?;
        Ok(Self { mounted, _device: device })
    }

    /// Where it is mounted.
    pub(super) fn path(&self) -> &Path {
        &self.mounted.0
    }
}

/// Copies a tree onto a disk and tells where a file of it lies: device, place, tree, file. To be run where nobody else sees the
/// mount: a process of the site that starts meanwhile would keep it, and the device could not be mounted again.
const FILL: &str = r#"
    mount "$1" "$2"
    rmdir "$2/lost+found"
    cp --archive "$3/." "$2"
    sync --file-system "$2"
    filefrag -v "$2/$4"
    umount "$2"
"#;

/// Bytes of a block of the disk.
const BLOCK: u64 = 4096;

/// The middle of the file's last extent, in blocks of the disk. A line of `filefrag -v` about an extent is
/// `0:  0..  24575:  34816..  59391:  24576:  last,eof`.
fn last_extent(text: &str) -> Result<u64> {
    let extent = |line: &str| -> Option<u64> {
        let mut parts = line.split(':');
        let _number: u64 = parts.next()?.trim().parse().ok()?;
        let (begin, end) = parts.nth(1)?.split_once("..")?;
        let (begin, end): (u64, u64) = (begin.trim().parse().ok()?, end.trim().parse().ok()?);
        Some(begin + end.saturating_sub(begin) / 2)
    };
    text.lines().filter_map(extent).max().with_context(|| format!("where {LARGE} lies is not told: {text}"))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn run(program: &str, words: &[&str]) -> Result<String> {
    let output = Command::new(program).args(words).output().with_context(|| format!("starting {program}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{program} {} failed: {}", words.join(" "), said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
