"""Flipped bits in each kind of object, swapped objects, lost objects: named, and nothing wrong is ever given out."""

import os
import shutil

import pytest
from maker import VAULT_KEY

import check
from chunks import Chunks
from errors import Damage, ReaderError
from images import find_image, image_keys, read_image, read_mark
from index import Table
from vault import Vault


def run_check(maker, use_index=True):
    vault = Vault(maker.directory, VAULT_KEY)
    record = read_image(vault, find_image(vault, "latest"))
    return check.check_image(vault, Chunks(vault, use_index), record)


def flipped(path, at):
    raw = bytearray(path.read_bytes())
    raw[at] ^= 0x10
    path.write_bytes(raw)


def spread(path, count=60):
    """Positions all over an object, every byte of its header and its end among them."""
    size = path.stat().st_size
    return sorted({*range(48), *range(max(size - 30, 0), size), *range(48, size, max(1, size // count))})


@pytest.mark.parametrize("use_index", [True, False])
def test_good_vault(sample, use_index):
    result = run_check(sample.maker, use_index)
    assert result.faults == [] and result.notes == []
    assert (result.entries, result.files) == (13, 7)
    assert result.content_bytes == sum(map(len, sample.files.values()))


WRITER_VERSION = (6, 7)  # of a pack and of an index table only: read by nobody, and a list does not bind it


@pytest.mark.parametrize("which", ["content_pack", "node_pack"])
@pytest.mark.parametrize("use_index", [True, False])
def test_flipped_pack(sample, which, use_index):
    path = sample.pack_path(getattr(sample, which))
    good = path.read_bytes()
    for at in spread(path):
        flipped(path, at)
        faults = run_check(sample.maker, use_index).faults
        footer_only = use_index and at >= len(good) - 60  # nobody needs the footer when there is an index
        assert faults or at in WRITER_VERSION or footer_only, at
        path.write_bytes(good)


def test_flipped_index_is_named_and_does_no_harm(sample, tmp_path):
    path = sample.path(sample.table)
    good = path.read_bytes()
    for at in spread(path):
        flipped(path, at)
        result = run_check(sample.maker)
        assert result.faults and all("index/" in fault for fault in result.faults), at
        assert result.files == 7 and result.content_bytes == sum(map(len, sample.files.values()))
        path.write_bytes(good)


def test_flipped_image(sample):
    path = sample.path(sample.image)
    good = path.read_bytes()
    for at in range(len(good)):
        flipped(path, at)
        with pytest.raises(ReaderError):
            run_check(sample.maker)
        path.write_bytes(good)


def test_flipped_mark(sample):
    key = sample.maker.mark(sample.content_pack)
    vault = Vault(sample.maker.directory, VAULT_KEY)
    assert read_mark(vault, key) == 1_700_000_000
    assert run_check(sample.maker).faults == []  # a chunk of a marked pack may be used
    path = sample.path(key)
    for at in range(path.stat().st_size):
        flipped(path, at)
        assert any("marks/" in fault for fault in run_check(sample.maker).faults)
        flipped(path, at)


def test_swapped_images(sample):
    maker = sample.maker
    other = maker.image(millis=5, job_id=bytes(16))
    first, second = sample.path(sample.image).read_bytes(), sample.path(other).read_bytes()
    sample.path(sample.image).write_bytes(second)
    sample.path(other).write_bytes(first)
    vault = Vault(maker.directory, VAULT_KEY)
    for image in image_keys(vault):
        with pytest.raises(Damage, match="wrong place"):
            read_image(vault, image)


def test_image_that_tells_another_id_is_refused(maker):
    maker.image(image_id=bytes(16))
    vault = Vault(maker.directory, VAULT_KEY)
    with pytest.raises(Damage, match="is the record of image"):
        read_image(vault, image_keys(vault)[0])


def test_image_with_too_many_parts_is_refused(maker):
    maker.image(excludes=["x"] * 65536)
    vault = Vault(maker.directory, VAULT_KEY)
    with pytest.raises(Damage, match="more than 65536"):
        read_image(vault, image_keys(vault)[0])


def test_image_of_another_time_is_refused(sample):
    moved = sample.image.replace("images/0", "images/1")
    shutil.copy(sample.path(sample.image), sample.path(moved))
    with pytest.raises(Damage, match="wrong place"):
        run_check(sample.maker)


def test_swapped_index_tables(sample):
    other = sample.maker.index()
    shutil.copy(sample.path(sample.table), sample.path(other))
    vault = Vault(sample.maker.directory, VAULT_KEY)
    Table(vault, sample.table)
    with pytest.raises(Damage, match="wrong place"):
        Table(vault, other)


def test_moved_mark(sample):
    key = sample.maker.mark(sample.content_pack)
    moved = f"marks/{sample.node_pack}"
    os.rename(sample.path(key), sample.path(moved))
    with pytest.raises(Damage, match="wrong place"):
        read_mark(Vault(sample.maker.directory, VAULT_KEY), moved)


@pytest.mark.parametrize("use_index", [True, False])
def test_swapped_packs_give_no_wrong_bytes(sample, use_index):
    """The footer tells; the groups still open, and the names of chunks stand for their bytes."""
    one, two = sample.pack_path(sample.content_pack), sample.pack_path(sample.node_pack)
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    result = run_check(sample.maker, use_index)
    assert result.content_bytes == sum(map(len, sample.files.values()))
    assert result.faults


def test_group_moved_to_another_pack(sample):
    one, two = sample.pack_path(sample.content_pack), sample.pack_path(sample.node_pack)
    two.write_bytes(two.read_bytes()[:48] + one.read_bytes()[48:])
    assert run_check(sample.maker, use_index=False).faults


def test_lost_pack(sample):
    sample.pack_path(sample.content_pack).unlink()
    faults = run_check(sample.maker).faults
    assert len(faults) == 6 and all(fault.startswith("/t/") and "not to be had" in fault for fault in faults)


def test_truncated_packs_at_every_length(sample):
    path = sample.pack_path(sample.content_pack)
    good = path.read_bytes()
    for size in range(0, len(good), 37):
        path.write_bytes(good[:size])
        for use_index in (True, False):
            result = run_check(sample.maker, use_index)
            assert result.faults or (use_index and size > len(good) - 60), size


def test_truncated_pack_is_salvaged(sample):
    path = sample.pack_path(sample.content_pack)
    path.write_bytes(path.read_bytes()[:-20])
    result = run_check(sample.maker, use_index=False)
    assert result.content_bytes == sum(map(len, sample.files.values()))
    assert len(result.faults) == 1 and "group by group" in result.faults[0]


def test_lost_index(sample):
    sample.path(sample.table).unlink()
    assert run_check(sample.maker).faults == []
