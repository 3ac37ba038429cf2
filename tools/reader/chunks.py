"""Finds chunks by name, with the index or without it, and checks each against its name before it is used."""

import collections
import functools

from errors import Damage
from index import Place, open_tables
from packs import Pack
from vault import CHUNK_MAX

CACHED_GROUPS = 8


class Chunks:
    """The chunks of a vault. `notes` collects damage that was seen on the way, also where another copy helped."""

    def __init__(self, vault, use_index=True):
        self.vault = vault
        self.notes = []
        self._tables = open_tables(vault, self.note) if use_index else []
        self._present = {key.rsplit("/", 1)[1] for key in vault.keys("pack")}
        self._listed = None
        self._group = functools.lru_cache(maxsize=CACHED_GROUPS)(self._read_group)
        self._pack = functools.lru_cache(maxsize=None)(functools.partial(Pack, vault))

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)

    @property
    def tables(self):
        return self._tables

    def _read_group(self, pack_id, offset):
        pack = self._pack(pack_id)
        group = pack.open_group(offset)
        return group, pack.read_group(group)

    def _list_packs(self):
        """Places of all chunks, as the packs themselves list them."""
        if self._listed is None:
            self._listed = collections.defaultdict(list)
            for pack_id in sorted(self._present):
                self._list_pack(pack_id)
        return self._listed

    def _list_pack(self, pack_id):
        try:
            for group in self._pack(pack_id).groups(self.note):
                for name, at, length in group.places():
                    self._listed[name].append(Place(pack_id, group.offset, at, length))
        except Damage as damage:
            self.note(str(damage))

    def _candidates(self, name):
        """Places where the chunk should be: those from the index first, then those that the packs list.

        An index entry whose pack is absent counts as absent itself: the pack was deleted.
        """
        seen = set()
        for table in self._tables:
            try:
                for place in table.find(name):
                    if place.pack in self._present:
                        seen.add((place.pack, place.group_offset, place.chunk_offset))
                        yield place
            except Damage as damage:
                self.note(str(damage))
        for place in self._list_packs().get(name, ()):
            if (place.pack, place.group_offset, place.chunk_offset) not in seen:
                yield place

    def _take(self, place, name, length):
        group, plain = self._group(place.pack, place.group_offset)
        where = f"packs/{place.pack[:2]}/{place.pack}: group at {place.group_offset}"
        if place.group_length and place.group_length != group.length:
            raise Damage(f"{where}: the index says another length")
        if group.by_offset.get(place.chunk_offset) != (name, place.chunk_length):
            raise Damage(f"{where}: has no chunk {name.hex()} at {place.chunk_offset}")
        chunk = plain[place.chunk_offset : place.chunk_offset + place.chunk_length]
        if self.vault.chunk_name(chunk) != name:
            raise Damage(f"{where}: chunk {name.hex()} is not what its name says")
        if len(chunk) != length:
            raise Damage(f"{where}: chunk {name.hex()} has {len(chunk)} bytes where {length} are referred to")
        return chunk

    def read(self, name, length):
        """The bytes of a chunk, from the first place where they are right."""
        if not 1 <= length <= CHUNK_MAX:
            raise Damage(f"chunk {name.hex()}: a length of {length} is out of bounds")
        reasons = []
        for place in self._candidates(name):
            try:
                return self._take(place, name, length)
            except Damage as damage:
                reasons.append(str(damage))
                self.note(str(damage))
        raise Damage(f"chunk {name.hex()} is not to be had" + (f" ({'; '.join(reasons)})" if reasons else ""))
