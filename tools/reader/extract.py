"""Restores an image below a directory.

Every path is walked from that directory's descriptor without following symbolic links, and nothing that exists is
replaced, so that no image can cause a write elsewhere.
"""

import os
import stat

import manifest
from errors import Damage, UsageError
from text import KIND_BITS, show

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
SET_ID_BITS = stat.S_ISUID | stat.S_ISGID


class Extractor:
    """Writes entries; `faults` collects what could not be restored."""

    def __init__(self, chunks, target):
        self._chunks = chunks
        self.faults = []
        self.restored = 0
        self._links = {}
        self._directories = []
        self._open_path, self._open_fd = None, None
        try:
            os.makedirs(target, mode=0o700, exist_ok=True)
            self._root = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise UsageError(f"{target}: {error.strerror}") from error
        if os.listdir(self._root):
            os.close(self._root)
            raise UsageError(f"{target} is not empty")

    def run(self, items):
        try:
            for item in items:
                self._guard(item, self._restore)
            for item in reversed(self._directories):
                self._guard(item, self._finish_directory)
        finally:
            self._close_folder()
            os.close(self._root)

    def fault(self, path, reason):
        self.faults.append(f"{show(path)}: {reason}")

    def _guard(self, item, action):
        try:
            action(item)
        except Damage as damage:
            self.fault(item.path, damage)
        except (OSError, OverflowError, ValueError) as error:
            self.fault(item.path, getattr(error, "strerror", None) or error)

    # Folders

    def _close_folder(self):
        if self._open_fd is not None:
            os.close(self._open_fd)
        self._open_path, self._open_fd = None, None

    def _folder(self, components):
        """A descriptor of a directory below the target; it is made where the image did not have it."""
        if self._open_path != components:
            self._close_folder()
            self._open_fd = self._descend(components)
            self._open_path = components
        return self._open_fd

    def _descend(self, components):
        fd = os.dup(self._root)
        try:
            for name in components:
                try:
                    os.mkdir(name, 0o700, dir_fd=fd)
                except FileExistsError:
                    pass
                below = os.open(name, FOLDER, dir_fd=fd)
                os.close(fd)
                fd = below
        except BaseException:
            os.close(fd)
            raise
        return fd

    # Entries

    def _restore(self, item):
        entry = item.entry
        if entry.kind == manifest.DIRECTORY:
            os.close(self._descend(item.components))
            self._directories.append(item)
        elif not item.name:
            raise Damage("the root is no directory")
        elif not self._linked(item):
            folder = self._folder(manifest.components(item.directory))
            if entry.kind == manifest.FILE:
                self._file(item, folder)
            else:
                self._special(item, folder)
            if item.hard_link:
                self._links[item.hard_link] = item
        self.restored += 1

    def _linked(self, item):
        """Make a hard link to an entry that was restored before, if this is one."""
        earlier = self._links.get(item.hard_link)
        if earlier is None:
            return False
        source = self._descend(manifest.components(earlier.directory))
        try:
            folder = self._folder(manifest.components(item.directory))
            os.link(earlier.name, item.name, src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)
        finally:
            os.close(source)
        return True

    def _file(self, item, folder):
        fd = os.open(item.name, NEW_FILE, 0o600, dir_fd=folder)
        try:
            at = 0
            for name, length in manifest.pieces(self._chunks, item.entry):
                if name is not None:
                    _write_all(fd, self._chunks.read(name, length), at)
                at += length
            os.ftruncate(fd, at)
        except BaseException:
            os.unlink(item.name, dir_fd=folder)
            os.close(fd)
            raise
        try:
            self._metadata(item, fd, f"/proc/self/fd/{fd}")
        finally:
            os.close(fd)

    def _special(self, item, folder):
        entry = item.entry
        if entry.kind == manifest.SYMLINK:
            os.symlink(entry.link_target, item.name, dir_fd=folder)
        else:
            device = 0
            if entry.kind in (manifest.CHARACTER, manifest.BLOCK):
                device = os.makedev(entry.device_major, entry.device_minor)
            os.mknod(item.name, KIND_BITS[entry.kind] | 0o600, device, dir_fd=folder)
        self._metadata(item, None, os.fsencode(f"/proc/self/fd/{folder}/") + item.name)

    def _finish_directory(self, item):
        fd = self._descend(item.components)
        try:
            self._metadata(item, fd, f"/proc/self/fd/{fd}")
        finally:
            os.close(fd)

    def _metadata(self, item, fd, path):
        """Owner, extended attributes, mode, time, in this order: each may undo a later one otherwise."""
        entry, follow = item.entry, fd is not None
        mode = entry.mode
        if os.geteuid() == 0:
            os.chown(path, item.owner.uid, item.owner.gid, follow_symlinks=follow)
        elif mode & SET_ID_BITS and (item.owner.uid, item.owner.gid) != (os.geteuid(), os.getegid()):
            self.fault(item.path, "set-id bits are left out: its owner is another")
            mode &= ~SET_ID_BITS
        for xattr in entry.xattrs:
            try:
                os.setxattr(path, xattr.name, xattr.value, follow_symlinks=follow)
            except OSError as error:
                self.fault(item.path, f"extended attribute {show(xattr.name)}: {error.strerror}")
        if entry.kind != manifest.SYMLINK:
            os.chmod(path, mode)  # nothing but a symbolic link would lead elsewhere, and this is none
        nanos = entry.mtime_seconds * manifest.NANOS + entry.mtime_nanos
        os.utime(path, ns=(nanos, nanos), follow_symlinks=follow)
        if abs(os.stat(path, follow_symlinks=follow).st_mtime_ns - nanos) > 2 * manifest.NANOS:
            self.fault(item.path, "its time is out of the range of this file system")


def _write_all(fd, chunk, at):
    view = memoryview(chunk)
    while view:
        written = os.pwrite(fd, view, at)
        view, at = view[written:], at + written
