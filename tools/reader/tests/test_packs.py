"""Packs, groups, and salvage."""

import struct

import pytest
from maker import VAULT_KEY, Sealed, message

from chunks import Chunks
from errors import Damage
from packs import Pack
from vault import Vault

CHUNKS = [[b"a" * 1000, b"b"], [b"c" * 500], [b"d" * 70]]


def open_pack(maker, pack_id):
    return Pack(Vault(maker.directory, VAULT_KEY), pack_id)


def path_of(maker, pack_id):
    return maker.directory / "packs" / pack_id[:2] / pack_id


def plains(pack, notes):
    return [pack.read_group(group) for group in pack.groups(notes.append)]


@pytest.mark.parametrize("encoding", [0, 1])
def test_groups_by_footer(maker, encoding):
    pack = open_pack(maker, maker.pack(CHUNKS, encoding=encoding))
    notes = []
    assert plains(pack, notes) == [b"".join(group) for group in CHUNKS]
    assert not notes
    group = pack.open_group(pack.group_offsets()[0])
    assert list(group.places()) == [(maker.name(CHUNKS[0][0]), 0, 1000), (maker.name(b"b"), 1000, 1)]


def test_pack_without_an_end_is_read_group_by_group(maker):
    notes = []
    assert len(plains(open_pack(maker, maker.pack(CHUNKS, footer=False)), notes)) == 3
    assert len(notes) == 1 and "its end is lost" in notes[0]


def test_truncated_pack_gives_its_whole_groups(maker):
    pack_id = maker.pack(CHUNKS)
    pack = open_pack(maker, pack_id)
    second = pack.open_group(pack.group_offsets()[1])
    path = path_of(maker, pack_id)
    path.write_bytes(path.read_bytes()[: second.offset + second.length - 1])
    chunks = Chunks(Vault(maker.directory, VAULT_KEY), use_index=False)
    assert chunks.read(maker.name(b"b"), 1) == b"b"
    for lost in (CHUNKS[1][0], CHUNKS[2][0]):
        with pytest.raises(Damage):
            chunks.read(maker.name(lost), len(lost))


@pytest.mark.parametrize("footer", [True, False])
def test_damaged_group_head_costs_only_that_group(maker, footer):
    pack_id = maker.pack(CHUNKS)
    offset = open_pack(maker, pack_id).group_offsets()[1]
    path = path_of(maker, pack_id)
    raw = bytearray(path.read_bytes())
    raw[offset + 9] ^= 0x40
    path.write_bytes(raw if footer else raw[:-3])
    notes = []
    assert plains(open_pack(maker, pack_id), notes) == [b"".join(CHUNKS[0]), CHUNKS[2][0]]
    assert notes


def test_salvage_passes_a_magic_that_is_no_group(maker):
    """The magic inside of a damaged group, also across the edge of the window that is searched."""
    pack_id = maker.pack([[b"HFGP" * 400000], [b"kept"]], encoding=0)
    path = path_of(maker, pack_id)
    raw = bytearray(path.read_bytes())
    raw[48] ^= 1
    for at in range(200, 1300000, 99991):
        raw[at : at + 4] = b"HFGP"
    path.write_bytes(raw[:-8])
    assert plains(open_pack(maker, pack_id), []) == [b"kept"]


@pytest.mark.parametrize(
    "changed, words",
    [
        ({"names": b"x" * 31}, "multiple"),
        ({"lengths": [1, 2, 3]}, "names and 3 lengths"),
        ({"lengths": [0, 1001]}, "out of bounds"),
        ({"lengths": [1, 8 << 20]}, "out of bounds"),
        ({"encoding": 2}, "unknown encoding"),
        ({"names": b"", "lengths": []}, "0 names"),
        ({"names": bytes(64)}, "only holes"),
    ],
)
def test_lists_out_of_bounds(maker, changed, words):
    pack = open_pack(maker, maker.pack(CHUNKS[:1], **changed))
    with pytest.raises(Damage, match=words):
        pack.open_group(48)


def test_group_lengths_are_bounded_before_reading(maker):
    sealed = Sealed(b"HFPK", "packs/aa/" + "a" * 32)
    for lengths in ((4 * 2**20 + 1, 16), (16, 9 * 2**20 + 1)):
        head = struct.pack("<4sIII", b"HFGP", 0, *lengths)
        maker.put("packs/aa/" + "a" * 32, sealed.header + head)
        with pytest.raises(Damage, match="out of bounds"):
            open_pack(maker, "a" * 32).open_group(48)


def test_zstd_must_state_the_sum_and_end_there(maker):
    import zstandard

    plain = b"".join(CHUNKS[0])
    frames = {
        "other size": zstandard.ZstdCompressor().compress(plain + b"!"),
        "no size": zstandard.ZstdCompressor(write_content_size=False).compress(plain),
        "two frames": zstandard.ZstdCompressor().compress(plain) * 2,
        "garbage": b"\x28\xb5\x2f\xfd garbage",
    }
    for data in frames.values():
        pack = open_pack(maker, maker.pack(CHUNKS[:1], data=data))
        with pytest.raises(Damage):
            pack.read_group(pack.open_group(48))


def test_plain_data_of_another_length(maker):
    pack = open_pack(maker, maker.pack(CHUNKS[:1], encoding=0, data=b"short"))
    with pytest.raises(Damage, match="has 5 bytes"):
        pack.read_group(pack.open_group(48))


def test_footer_offsets_must_lie_in_the_pack(maker):
    for offsets in ([0], [48, 48], [10**9]):
        sealed = Sealed(b"HFPK", "packs/bb/" + "b" * 32)
        plain = message("PackFooter", group_offsets=offsets).SerializeToString()
        tail = struct.pack("<I", len(plain) + 16) + b"HFPE"
        raw = sealed.header + sealed.part(0, 3, plain, sealed.header + sealed.key + tail) + tail
        maker.put("packs/bb/" + "b" * 32, raw)
        with pytest.raises(Damage, match="footer"):
            open_pack(maker, "b" * 32).group_offsets()


def test_footer_is_bound_to_its_place(maker):
    pack_id = maker.pack(CHUNKS)
    other = "c" * 32
    maker.put(f"packs/cc/{other}", path_of(maker, pack_id).read_bytes())
    with pytest.raises(Damage, match="footer"):
        open_pack(maker, other).group_offsets()


def test_chunk_that_is_not_what_its_name_says(maker):
    name = maker.name(b"wanted")
    maker.pack([[b"forged"]], names=name)
    with pytest.raises(Damage, match="not what its name says"):
        Chunks(Vault(maker.directory, VAULT_KEY), use_index=False).read(name, 6)


def test_second_copy_helps(maker):
    first, second = maker.pack([[b"twice"]]), maker.pack([[b"twice"]])
    for pack_id in (first, second):
        path = path_of(maker, pack_id)
        good = path.read_bytes()
        at = 48 + 16 + open_pack(maker, pack_id).open_group(48).list_length + 3
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        chunks = Chunks(Vault(maker.directory, VAULT_KEY), use_index=False)
        assert chunks.read(maker.name(b"twice"), 5) == b"twice"
        path.write_bytes(good)
