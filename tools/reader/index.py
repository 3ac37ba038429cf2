"""Index tables (section 6 of the page): from the name of a chunk to its place in a pack."""

import bisect
import dataclasses
import functools
import struct

import sealing
import wire
from errors import Damage
from packs import DATA_MAX, GROUP_HEADER, LIST_MAX, PLAIN_MAX
from vault import CHUNK_MAX

END_MAGIC = b"HFIE"
ENTRIES_MAX = 4096
BLOCK_MAX = 1 << 20
FOOTER_MAX = 1 << 30
FILTER_BLOCK = 32
ENTRY_LEAST = 32 + 5


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a chunk lies."""

    pack: str
    group_offset: int
    chunk_offset: int
    chunk_length: int
    group_length: int = 0  # 0: not known


def filter_has(filter_bytes, name):
    """False if the filter says that a name is not in its table."""
    if not filter_bytes:
        return True
    block = int.from_bytes(name[:8], "little") % (len(filter_bytes) // FILTER_BLOCK) * FILTER_BLOCK
    return all(filter_bytes[block + bit // 8] >> bit % 8 & 1 for bit in name[8:16])


class Table:
    def __init__(self, vault, key):
        self.object = vault.open(key, "index")
        self.id = key.rsplit("/", 1)[1]
        size = self.object.size
        tail = self.object.read(size - 8, 8, "a footer")
        length = struct.unpack("<I", tail[:4])[0]
        self._end = size - 8 - length
        if tail[4:] != END_MAGIC or self._end < sealing.HEADER_SIZE:
            raise Damage(f"{key}: its end is lost")
        if length > FOOTER_MAX:
            raise Damage(f"{key}: a footer of {length} bytes is out of bounds")
        what = f"{key}: footer"
        sealed = self.object.read(self._end, length, "the footer")
        associated = self.object.place + tail
        plain = self.object.opener.open(sealed, 0, sealing.INDEX_FOOTER, associated, what)
        self._take(wire.parse("IndexFooter", plain, what), what)
        self.block = functools.lru_cache(maxsize=64)(self._read_block)

    def _take(self, footer, what):
        if any(len(pack.id) != 16 for pack in footer.packs) or any(len(table) != 16 for table in footer.replaces):
            raise Damage(f"{what}: an id has a wrong length")
        if len(footer.filter) % FILTER_BLOCK:
            raise Damage(f"{what}: the filter has a wrong length")
        self.packs = [pack.id.hex() for pack in footer.packs]
        self.pack_sizes = [pack.size for pack in footer.packs]
        self.replaces = {table.hex() for table in footer.replaces}
        self.entries = footer.entries
        self.filter = footer.filter
        self._blocks = [(block.first_name, block.offset, block.length) for block in footer.blocks]
        self._first_names = [block.first_name for block in footer.blocks]
        if any(len(name) != 32 for name in self._first_names) or self._first_names != sorted(self._first_names):
            raise Damage(f"{what}: the first names of its blocks are not in order")
        for _, offset, length in self._blocks:
            if length > BLOCK_MAX:
                raise Damage(f"{what}: a block of {length} bytes is out of bounds")
            if offset < sealing.HEADER_SIZE or offset + length > self._end:
                raise Damage(f"{what}: a block lies outside of the table")
        most = sum(min((length - sealing.TAG_SIZE) // ENTRY_LEAST, ENTRIES_MAX) for _, _, length in self._blocks)
        if not len(self._blocks) <= self.entries <= most:
            raise Damage(f"{what}: its blocks cannot have {self.entries} entries")

    def _read_block(self, number):
        """The names and places of one block."""
        first_name, offset, length = self._blocks[number]
        what = f"{self.object.key}: block {number}"
        sealed = self.object.read(offset, length, f"block {number}")
        block = wire.parse("IndexBlock", self.object.opener.open(sealed, number, sealing.INDEX_BLOCK, b"", what), what)
        names = wire.split(block.names, 32, what)
        columns = (block.packs, block.group_offsets, block.group_lengths, block.chunk_offsets, block.chunk_lengths)
        if any(len(column) != len(names) for column in columns) or len(names) > ENTRIES_MAX:
            raise Damage(f"{what}: its columns differ in length, or are too long")
        if names != sorted(names) or not names or names[0] != first_name:
            raise Damage(f"{what}: its names are not those that the footer says, in order")
        return names, [self._place(row, what) for row in zip(*columns)]

    def _place(self, row, what):
        pack, group_offset, group_length, chunk_offset, chunk_length = row
        if pack >= len(self.packs):
            raise Damage(f"{what}: names a pack that the footer does not")
        if not GROUP_HEADER <= group_length <= GROUP_HEADER + LIST_MAX + DATA_MAX:
            raise Damage(f"{what}: the length of a group is out of bounds")
        if group_offset < sealing.HEADER_SIZE or group_offset + group_length > self.pack_sizes[pack]:
            raise Damage(f"{what}: a group lies outside of its pack")
        if not 1 <= chunk_length <= CHUNK_MAX or chunk_offset + chunk_length > PLAIN_MAX:
            raise Damage(f"{what}: a chunk lies outside of its group")
        return Place(self.packs[pack], group_offset, chunk_offset, chunk_length, group_length)

    def find(self, name):
        """All places of a name in this table. A name may stand on both sides of a block's edge."""
        if not filter_has(self.filter, name):
            return
        for number in range(max(bisect.bisect_left(self._first_names, name) - 1, 0), len(self._blocks)):
            if self._first_names[number] > name:
                return
            names, places = self.block(number)
            yield from places[bisect.bisect_left(names, name) : bisect.bisect_right(names, name)]

    def verify(self):
        """Read every block: order over the whole table, number of entries, filter."""
        count, last = 0, b""
        for number in range(len(self._blocks)):
            names, _ = self._read_block(number)
            if names[0] < last:
                raise Damage(f"{self.object.key}: block {number} does not follow the block before it")
            if not all(filter_has(self.filter, name) for name in names):
                raise Damage(f"{self.object.key}: its filter denies a name of block {number}")
            count, last = count + len(names), names[-1]
        if count != self.entries:
            raise Damage(f"{self.object.key}: has {count} entries where its footer says {self.entries}")


def open_tables(vault, note):
    """The tables that are in force; `note` is told of those that do not open."""
    tables = []
    for key in vault.keys("index"):
        try:
            tables.append(Table(vault, key))
        except Damage as damage:
            note(str(damage))
    replaced = set().union(*(table.replaces for table in tables))
    return [table for table in tables if table.id not in replaced]
