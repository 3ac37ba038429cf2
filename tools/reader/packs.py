"""Packs and their groups (section 5 of the page), also when a pack's end or some of its groups are lost."""

import dataclasses
import functools
import struct

import zstandard

import sealing
import wire
from errors import Damage
from vault import CHUNK_MAX, MIB

GROUP_MAGIC = b"HFGP"
END_MAGIC = b"HFPE"
GROUP_HEADER = 16
LIST_MAX = 4 * MIB
DATA_MAX = 9 * MIB
PLAIN_MAX = 8 * MIB
CHUNKS_MAX = 65536
PACK_MAX = (1 << 32) - 1
FOOTER_MAX = 16 * MIB
NO_CHUNK = bytes(32)
WINDOW = MIB


@dataclasses.dataclass
class Group:
    """A group whose list has been opened."""

    offset: int
    number: int
    head: bytes
    list_length: int
    data_length: int
    encoding: int
    nodes: bool
    names: list
    lengths: list
    plain_length: int

    @property
    def length(self):
        return GROUP_HEADER + self.list_length + self.data_length

    def places(self):
        """Name, offset in the plain group and length of every chunk."""
        at = 0
        for name, length in zip(self.names, self.lengths):
            yield name, at, length
            at += length

    @functools.cached_property
    def by_offset(self):
        return {at: (name, length) for name, at, length in self.places()}


class Pack:
    def __init__(self, vault, pack_id):
        self.id = pack_id
        self.object = vault.open(f"packs/{pack_id[:2]}/{pack_id}", "pack")
        if self.object.size > PACK_MAX:
            raise Damage(f"{self.object.key}: larger than a pack may be")

    def group_offsets(self):
        """What the footer lists."""
        key, size = self.object.key, self.object.size
        tail = self.object.read(size - 8, 8, "a footer")
        length = struct.unpack("<I", tail[:4])[0]
        start = size - 8 - length
        if tail[4:] != END_MAGIC or start < sealing.HEADER_SIZE:
            raise Damage(f"{key}: its end is lost")
        if length > FOOTER_MAX:
            raise Damage(f"{key}: a footer of {length} bytes is out of bounds")
        sealed = self.object.read(start, length, "the footer")
        what = f"{key}: footer"
        plain = self.object.opener.open(sealed, 0, sealing.PACK_FOOTER, self.object.place + tail, what)
        offsets = list(wire.parse("PackFooter", plain, what).group_offsets)
        if len(set(offsets)) != len(offsets):
            raise Damage(f"{what}: lists a group twice")
        if any(not sealing.HEADER_SIZE <= offset <= start - GROUP_HEADER for offset in offsets):
            raise Damage(f"{what}: lists a group outside of the pack")
        return offsets

    def open_group(self, offset):
        """Read and open the list of the group at an offset."""
        what = f"{self.object.key}: group at {offset}"
        head = self.object.read(offset, GROUP_HEADER, f"the group at {offset}")
        magic, number, list_length, data_length = struct.unpack("<4sIII", head)
        if magic != GROUP_MAGIC:
            raise Damage(f"{what}: begins with {magic!r}")
        if list_length > LIST_MAX or data_length > DATA_MAX:
            raise Damage(f"{what}: lengths {list_length} and {data_length} are out of bounds")
        sealed = self.object.read(offset + GROUP_HEADER, list_length, f"the group at {offset}")
        plain = self.object.opener.open(sealed, number, sealing.GROUP_LIST, head, f"{what}: list")
        listed = wire.parse("GroupList", plain, what)
        names = wire.split(listed.names, 32, what)
        lengths = list(listed.lengths)
        if len(names) != len(lengths) or not 1 <= len(names) <= CHUNKS_MAX:
            raise Damage(f"{what}: {len(names)} names and {len(lengths)} lengths")
        if any(not 1 <= length <= CHUNK_MAX for length in lengths) or sum(lengths) > PLAIN_MAX:
            raise Damage(f"{what}: lengths of chunks are out of bounds")
        if NO_CHUNK in names:
            raise Damage(f"{what}: names a chunk as only holes are named")
        if listed.encoding not in (0, 1):
            raise Damage(f"{what}: unknown encoding {listed.encoding}")
        return Group(
            offset, number, head, list_length, data_length, listed.encoding, listed.nodes, names, lengths, sum(lengths)
        )

    def read_group(self, group):
        """The plain data of a group. The names of its chunks are still to be checked."""
        what = f"{self.object.key}: group at {group.offset}"
        at = group.offset + GROUP_HEADER + group.list_length
        sealed = self.object.read(at, group.data_length, f"the data of the group at {group.offset}")
        data = self.object.opener.open(sealed, group.number, sealing.GROUP_DATA, group.head, f"{what}: data")
        plain = data if group.encoding == 0 else decompress(data, group.plain_length, what)
        if len(plain) != group.plain_length:
            raise Damage(f"{what}: has {len(plain)} bytes where its list says {group.plain_length}")
        return plain

    def groups(self, note):
        """Every group whose list opens; `note` is told of what does not."""
        try:
            offsets = self.group_offsets()
        except Damage as damage:
            note(f"{damage}; reading the pack group by group")
            found = self.salvage()
        else:
            found = self._listed(offsets, note)
        numbers = set()
        for group in found:
            if group.number in numbers:
                note(f"{self.object.key}: two groups have the number {group.number}")
            numbers.add(group.number)
            yield group

    def _listed(self, offsets, note):
        for offset in offsets:
            try:
                yield self.open_group(offset)
            except Damage as damage:
                note(str(damage))

    def salvage(self):
        """Groups found without the footer: one after another, and past damage at the next magic whose list opens."""
        at = sealing.HEADER_SIZE
        while at is not None and at + GROUP_HEADER <= self.object.size:
            try:
                group = self.open_group(at)
            except Damage:
                at = self._next_magic(at + 1)
            else:
                yield group
                at += group.length

    def _next_magic(self, at):
        overlap = len(GROUP_MAGIC) - 1
        while at < self.object.size:
            window = self.object.read(at, min(WINDOW + overlap, self.object.size - at))
            found = window.find(GROUP_MAGIC)
            if found >= 0:
                return at + found
            at += WINDOW
        return None


def decompress(data, length, what):
    """One zstd frame that states the given length as its content size, and nothing after it."""
    try:
        if zstandard.get_frame_parameters(data).content_size != length:
            raise Damage(f"{what}: the size in its zstd frame is not the sum of its chunks")
        decompressor = zstandard.ZstdDecompressor()
        return decompressor.decompress(data, max_output_size=length, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Damage(f"{what}: zstd: {error}") from error
