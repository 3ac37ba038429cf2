"""Restoring, and what a hostile image cannot do."""

import os
import stat

import pytest
from maker import VAULT_KEY, message
from sample import HOLE, MTIME, directory, entry, file, small_image

import manifest
from chunks import Chunks
from errors import UsageError
from extract import Extractor
from images import find_image, read_image
from vault import Vault


def restore(maker, target, use_index=True):
    vault = Vault(maker.directory, VAULT_KEY)
    chunks = Chunks(vault, use_index)
    extractor = Extractor(chunks, target)
    faults = extractor.faults
    record = read_image(vault, find_image(vault, "latest"))
    extractor.run(manifest.Manifest(chunks, record, lambda damage: faults.append(str(damage))))
    return [fault for fault in faults if "extended attribute" not in fault]


def as_bytes(target, path):
    return os.fsencode(target) + path


@pytest.mark.parametrize("use_index", [True, False])
def test_sample(sample, tmp_path, use_index):
    out = tmp_path / "out"
    assert restore(sample.maker, out, use_index) == []
    for path, content in sample.files.items():
        with open(as_bytes(out, path), "rb") as restored:
            assert restored.read() == content, path
    found = {os.path.join(folder, name) for folder, dirs, names in os.walk(os.fsencode(out)) for name in dirs + names}
    more = {b"/t", b"/t/sym", b"/t/deep", b"/t/deep/er", b"/t/deep/er/fifo"}
    assert found == {as_bytes(out, path) for path in sample.files.keys() | more}
    assert os.readlink(as_bytes(out, b"/t/sym")) == b"../else\xfe"
    assert stat.S_ISFIFO(os.lstat(as_bytes(out, b"/t/deep/er/fifo")).st_mode)
    assert os.path.samefile(as_bytes(out, b"/t/a"), as_bytes(out, b"/t/deep/hard"))
    modes = {b"": 0o755, b"/t": 0o750, b"/t/deep/er": 0o500, b"/t/multi": 0o400, b"/t/a": 0o640}
    for path, mode in modes.items():
        info = os.lstat(as_bytes(out, path))
        assert stat.S_IMODE(info.st_mode) == mode, path
        assert info.st_mtime_ns == MTIME * 10**9 + 5, path
    assert os.lstat(as_bytes(out, b"/t/sym")).st_mtime_ns == MTIME * 10**9 + 5
    assert os.lstat(as_bytes(out, b"/t/sparse")).st_blocks * 512 < 1 << 20


def test_extended_attributes(maker, tmp_path):
    probe = tmp_path / "probe"
    probe.write_bytes(b"")
    try:
        os.setxattr(probe, "user.k", b"v")
        permitted = True
    except OSError:
        permitted = False
    one = entry(b"f", xattrs=[message("Xattr", name=b"user.k", value=b"v\0w")], mode=0o444)
    small_image(maker, [(b"/", [one])])
    assert restore(maker, tmp_path / "out") == []
    if permitted:
        assert os.getxattr(tmp_path / "out/f", "user.k") == b"v\0w"


def test_negative_and_absurd_times(maker, tmp_path):
    old = message("Entry", name=b"old", kind=1, mode=0o600, mtime_seconds=-5, mtime_nanos=1, nlink=1)
    never = message("Entry", name=b"never", kind=1, mode=0o600, mtime_seconds=2**62, nlink=1)
    small_image(maker, [(b"/", [never, old])])
    faults = restore(maker, tmp_path / "out")
    assert len(faults) == 1 and faults[0].startswith("/never")
    assert os.lstat(tmp_path / "out/old").st_mtime_ns == -5 * 10**9 + 1


def test_missing_parents_are_made(maker, tmp_path):
    small_image(maker, [(b"/a/b", [file(b"f", [(HOLE, 3)])])])
    assert restore(maker, tmp_path / "out") == []
    assert (tmp_path / "out/a/b/f").read_bytes() == bytes(3)


def test_never_through_a_symlink(maker, tmp_path):
    """An image whose directory is also a symbolic link that leads out."""
    outside = tmp_path / "outside"
    outside.mkdir()
    link = entry(b"way", kind=3, mode=0o777, link_target=os.fsencode(outside))
    runs = [(b"/", [link]), (b"/way", [file(b"f", [(HOLE, 3)]), directory(b"sub")]), (b"/way/sub", [directory(b"x")])]
    small_image(maker, runs)
    faults = restore(maker, tmp_path / "out")
    assert len(faults) == 3
    assert list(outside.iterdir()) == []


def test_hard_link_to_a_symlink_stays_a_link(maker, tmp_path):
    outside = tmp_path / "outside"
    outside.write_bytes(b"secret")
    same = {"nlink": 2, "ino": 5, "dev": 1}
    link = entry(b"a", kind=3, mode=0o777, link_target=os.fsencode(outside), **same)
    again = entry(b"b", kind=3, mode=0o777, link_target=os.fsencode(outside), **same)
    not_one = entry(b"c", kind=1, **same)
    small_image(maker, [(b"/", [link, again, not_one])])
    assert restore(maker, tmp_path / "out") == []
    assert os.readlink(tmp_path / "out/b") == str(outside)
    assert (tmp_path / "out/c").read_bytes() == b""
    assert outside.stat().st_nlink == 1


def test_target_must_be_empty_or_absent(sample, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/x").write_bytes(b"")
    with pytest.raises(UsageError, match="not empty"):
        restore(sample.maker, tmp_path / "out")
    with pytest.raises(UsageError):
        restore(sample.maker, tmp_path / "out/x")


def test_file_that_cannot_be_read_whole_is_left_out(maker, tmp_path):
    lost = file(b"lost", [(b"x" * 32, 5)])
    small_image(maker, [(b"/", [file(b"kept", [(HOLE, 3)]), lost])])
    faults = restore(maker, tmp_path / "out")
    assert len(faults) == 1 and faults[0].startswith("/lost: chunk 7878")
    assert os.listdir(tmp_path / "out") == ["kept"]


def test_absurd_size_is_a_fault(maker, tmp_path):
    small_image(maker, [(b"/", [file(b"huge", [(HOLE, 2**63), (HOLE, 2**62)])])])
    assert len(restore(maker, tmp_path / "out")) == 1
    assert os.listdir(tmp_path / "out") == []
