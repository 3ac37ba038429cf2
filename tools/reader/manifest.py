"""Manifests (section 7 of the page): walking the tree of nodes, and the pieces of a file's content."""

import dataclasses

import wire
from errors import Damage
from text import KIND_BITS, show
from vault import CHUNK_MAX

FILE, DIRECTORY, SYMLINK, FIFO, SOCKET, CHARACTER, BLOCK = range(1, 8)
CHANGED, YOUNG, PARTIAL = 1, 2, 4
HOLE = bytes(32)
DEPTH_MAX = 4
NANOS = 1_000_000_000


@dataclasses.dataclass(frozen=True)
class Item:
    """An entry at its place."""

    directory: bytes
    entry: object
    owner: object

    @property
    def name(self):
        return self.entry.name

    @property
    def components(self):
        """The path as components; none for the entry of `/` itself."""
        return components(self.directory) + ((self.name,) if self.name else ())

    @property
    def path(self):
        return b"/" + b"/".join(self.components)

    @property
    def hard_link(self):
        """What entries that are hard links of each other have in common, or None."""
        if self.entry.kind == DIRECTORY or self.entry.nlink <= 1:
            return None
        return self.entry.dev, self.entry.ino, self.entry.kind


def components(directory):
    return tuple(directory[1:].split(b"/")) if len(directory) > 1 else ()


def _good_component(name):
    return 1 <= len(name) <= 255 and b"/" not in name and b"\0" not in name and name not in (b".", b"..")


def place(directory, name):
    """The place of an entry as a key that sorts as the page demands."""
    if directory == b"":
        good = name == b""
    else:
        good = directory[:1] == b"/" and all(map(_good_component, components(directory) + (name,)))
    if not good:
        raise Damage(f"{show(directory)} and {show(name)} are no place of an entry")
    return (directory != b"", components(directory), name)


def check_entry(entry, owners):
    """Refuse an entry with a value out of its bounds."""
    what = show(entry.name)
    if entry.kind not in KIND_BITS:
        raise Damage(f"{what}: unknown kind {entry.kind}")
    if entry.mode > 0o7777 or entry.owner >= owners:
        raise Damage(f"{what}: mode or owner out of bounds")
    if entry.mtime_nanos >= NANOS or entry.ctime_nanos >= NANOS:
        raise Damage(f"{what}: a time out of bounds")
    target = entry.link_target
    if entry.kind == SYMLINK and not (1 <= len(target) <= 4095 and b"\0" not in target):
        raise Damage(f"{what}: a link target out of bounds")
    names = [xattr.name for xattr in entry.xattrs]
    sizes = [len(xattr.value) for xattr in entry.xattrs]
    if any(not 1 <= len(name) <= 255 or b"\0" in name for name in names) or any(size > 65536 for size in sizes):
        raise Damage(f"{what}: an extended attribute out of bounds")
    if len(names) > 4096 or sum(map(len, names)) + sum(sizes) > 1 << 20 or any(a >= b for a, b in zip(names, names[1:])):
        raise Damage(f"{what}: extended attributes too many, too large or out of order")
    if entry.depth > DEPTH_MAX or (entry.depth and not entry.content.lengths):
        raise Damage(f"{what}: content of depth {entry.depth}")
    if entry.kind != SYMLINK and target:
        raise Damage(f"{what}: a link target on what is no link")
    if entry.kind != FILE and entry.content.lengths:
        raise Damage(f"{what}: content on what is no file")


class Manifest:
    """The entries of one image. `lost` is called with the damage of every node that cannot be read."""

    def __init__(self, chunks, record, lost):
        self._chunks = chunks
        self._record = record
        self._lost = lost
        self._last = None

    def __iter__(self):
        self._last = None
        record = self._record
        if record.root_node:
            yield from self._walk(record.root_node, record.root_length, record.root_height, None, None)

    def nodes(self):
        """All nodes as (height, message), parents first. For whoever wants to see the shape."""
        record = self._record
        waiting = [(record.root_node, record.root_length, record.root_height)] if record.root_node else []
        while waiting:
            name, length, height = waiting.pop()
            node = wire.parse("Node", self._chunks.read(name, length), f"node {name.hex()}")
            yield height, node
            waiting += [(child.name, child.length, height - 1) for child in reversed(node.branch.children)]

    def _walk(self, name, length, height, count, first):
        what = f"node {name.hex()}"
        try:
            node = wire.parse("Node", self._chunks.read(name, length), what)
            if node.HasField("leaf") == node.HasField("branch") or node.HasField("leaf") != (height == 0):
                raise Damage(f"{what}: is not what its height of {height} demands")
            steps = self._leaf(node.leaf, what) if height == 0 else self._branch(node.branch, what)
            if not steps:
                raise Damage(f"{what}: is empty")
            if first is not None and steps[0][0] != first:
                raise Damage(f"{what}: does not begin where its parent says")
            if count is not None and sum(step[1] for step in steps) != count:
                raise Damage(f"{what}: has another number of entries than its parent says")
            if self._last is not None and steps[0][0] <= self._last:
                raise Damage(f"{what}: does not follow what stands before it")
        except Damage as damage:
            self._lost(damage)
            return
        for step_first, entries, step in steps:
            if height == 0:
                self._last = step_first
                yield step
            else:
                yield from self._walk(step.name, step.length, height - 1, entries, step_first)

    def _leaf(self, leaf, what):
        steps = []
        for run in leaf.runs:
            if not run.entries:
                raise Damage(f"{what}: a run without entries")
            for entry in run.entries:
                check_entry(entry, len(leaf.owners))
                item = Item(run.directory, entry, leaf.owners[entry.owner])
                steps.append((place(run.directory, entry.name), 1, item))
        return _ascending(steps, what)

    def _branch(self, branch, what):
        steps = []
        for child in branch.children:
            if len(child.name) != 32:
                raise Damage(f"{what}: the name of a child has a wrong length")
            steps.append((place(child.first_directory, child.first_name), child.entries, child))
        return _ascending(steps, what)


def _ascending(steps, what):
    if any(a[0] >= b[0] for a, b in zip(steps, steps[1:])):
        raise Damage(f"{what}: out of order")
    return steps


def pieces(chunks, entry):
    """Name and length of every piece of a file, in order; the name is None for a hole."""
    total = 0
    for name, length in _pieces(chunks, entry.content, entry.depth, "content"):
        total += length
        yield name, length
    if total != entry.size and not entry.flags & (CHANGED | PARTIAL):
        raise Damage(f"content of {total} bytes in a file of {entry.size}")


def _pieces(chunks, listed, depth, what):
    names = wire.split(listed.names, 32, what)
    if len(names) != len(listed.lengths) or len(listed.sizes) != (len(names) if depth else 0):
        raise Damage(f"{what}: names, lengths and sizes differ in number")
    for at, (name, length) in enumerate(zip(names, listed.lengths)):
        if length < 1 or (depth == 0 and name != HOLE and length > CHUNK_MAX):
            raise Damage(f"{what}: a piece of {length} bytes is out of bounds")
        if depth and name == HOLE:
            raise Damage(f"{what}: a hole among lists")
        if depth == 0:
            yield (None if name == HOLE else name), length
            continue
        below = f"piece list {name.hex()}"
        inner = wire.parse("PieceList", chunks.read(name, listed.sizes[at]), below)
        if sum(inner.lengths) != length:
            raise Damage(f"{below}: holds {sum(inner.lengths)} bytes where {length} are referred to")
        yield from _pieces(chunks, inner, depth - 1, below)
