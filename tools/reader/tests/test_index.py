"""Index tables."""

import pytest
from maker import VAULT_KEY

from chunks import Chunks
from errors import Damage
from index import Table, filter_has, open_tables
from vault import Vault

CHUNKS = [b"chunk %d" % number for number in range(40)]


def vault_of(maker):
    return Vault(maker.directory, VAULT_KEY)


def test_finds_every_chunk_and_nothing_else(maker):
    maker.pack([CHUNKS[:13], CHUNKS[13:]])
    table = Table(vault_of(maker), maker.index(block_size=7))
    for chunk in CHUNKS:
        (found,) = table.find(maker.name(chunk))
        place = (found.pack, found.group_offset, found.group_length, found.chunk_offset, found.chunk_length)
        assert place == maker.places[maker.name(chunk)]
    assert not list(table.find(maker.name(b"other")))
    assert not list(table.find(bytes(32))) and not list(table.find(b"\xff" * 32))
    table.verify()


def test_name_on_both_sides_of_the_edges_of_blocks(maker):
    maker.pack([CHUNKS])
    rows = list(maker.places.items())
    table = Table(vault_of(maker), maker.index(rows + rows[:1] * 9, block_size=3))
    assert len(list(table.find(rows[0][0]))) == 10
    table.verify()


def test_without_filter_and_with_one_that_denies(maker):
    maker.pack([CHUNKS])
    assert list(Table(vault_of(maker), maker.index(with_filter=False)).find(maker.name(CHUNKS[0])))
    assert filter_has(b"", bytes(32))
    assert not filter_has(bytes(64), bytes(32))
    one = bytearray(64)
    one[32 + 31] = 0x80
    name = (1).to_bytes(8, "little") + b"\xff" * 24
    assert filter_has(bytes(one), name) and not filter_has(bytes(one), bytes(8) + b"\xff" * 24)


def test_chunks_read_through_the_index_touch_no_list_of_another_pack(maker):
    maker.pack([CHUNKS])
    maker.index()
    chunks = Chunks(vault_of(maker))
    chunks._list_packs = None  # would be called for what the index lacks
    with pytest.raises(TypeError):
        chunks.read(maker.name(b"other"), 5)
    assert chunks._listed is None


def test_pack_without_a_table_is_found(maker):
    maker.pack([CHUNKS[:5]])
    maker.index()
    maker.pack([CHUNKS[5:]])
    chunks = Chunks(vault_of(maker))
    assert chunks.read(maker.name(CHUNKS[9]), 7) == CHUNKS[9]
    assert not chunks.notes


def test_entry_of_an_absent_pack_counts_as_absent(maker):
    pack = maker.pack([CHUNKS])
    maker.index()
    (maker.directory / "packs" / pack[:2] / pack).unlink()
    chunks = Chunks(vault_of(maker))
    with pytest.raises(Damage, match="not to be had"):
        chunks.read(maker.name(CHUNKS[0]), 7)
    assert not chunks.notes


def test_replaced_tables_are_ignored(maker):
    maker.pack([CHUNKS])
    old = maker.index()
    new = maker.index(replaces=[old.split("/")[1]])
    notes = []
    assert [table.object.key for table in open_tables(vault_of(maker), notes.append)] == [new]


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda p: (p[0], p[1], p[2], 8 << 20, p[4]), "outside of its group"),
        (lambda p: (p[0], p[1], p[2], p[3], 0), "outside of its group"),
        (lambda p: (p[0], 1, p[2], p[3], p[4]), "outside of its pack"),
        (lambda p: (p[0], 4000000000, p[2], p[3], p[4]), "outside of its pack"),
        (lambda p: (p[0], p[1], 1 << 25, p[3], p[4]), "length of a group"),
    ],
)
def test_entries_out_of_bounds(maker, change, words):
    maker.pack([CHUNKS])
    rows = [(name, change(place)) for name, place in maker.places.items()]
    table = Table(vault_of(maker), maker.index(rows))
    with pytest.raises(Damage, match=words):
        list(table.find(rows[0][0]))


def test_wrong_entry_does_not_mislead(maker):
    """The index names a place where another chunk lies: the packs are asked."""
    maker.pack([CHUNKS])
    names = list(maker.places)
    swapped = dict(maker.places)
    swapped[names[0]] = maker.places[names[1]]
    maker.index(swapped.items())
    chunks = Chunks(vault_of(maker))
    assert chunks.read(names[0], 7) == CHUNKS[0]
    assert chunks.notes


def test_count_is_verified(maker):
    maker.pack([CHUNKS])
    count = len(maker.places)
    with pytest.raises(Damage, match="has .* entries where its footer says"):
        Table(vault_of(maker), maker.index(entries=count - 1)).verify()


@pytest.mark.parametrize("entries", [0, 4097, (1 << 64) - 1])
def test_a_count_that_the_blocks_cannot_have_is_refused(maker, entries):
    maker.pack([CHUNKS])
    with pytest.raises(Damage, match="cannot have"):
        Table(vault_of(maker), maker.index(entries=entries))
