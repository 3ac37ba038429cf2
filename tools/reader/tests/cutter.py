"""Where the page says that a writer cuts: file content, leaves, lists of pieces. Only tests need it."""

from blake3 import blake3
from maker import derived

MASK = (1 << 64) - 1


def gear_table(naming_key):
    raw = derived("gear table", naming_key, 2048)
    return [int.from_bytes(raw[at : at + 8], "little") for at in range(0, 2048, 8)]


def cut(data, table, sizes):
    """The lengths of the chunks of a piece of data that has no holes."""
    minimum, normal, maximum = sizes
    lengths, start = [], 0
    while start < len(data):
        length = _first(memoryview(data)[start : start + maximum], len(data) - start, table, minimum, normal, maximum)
        lengths.append(length)
        start += length
    return lengths


def _first(data, rest, table, minimum, normal, maximum):
    if rest <= minimum:
        return rest
    bits = normal.bit_length() - 1
    strict, loose = (MASK >> (64 - bits - 2)) << (64 - bits - 2), (MASK >> (64 - bits + 2)) << (64 - bits + 2)
    h = 0
    for at in range(minimum, len(data)):
        h = (h << 1) + table[data[at]] & MASK
        if not h & (strict if at < normal else loose):
            return at + 1
    return len(data)


def leaf_may_begin(directory, name):
    """Whether a leaf of 32 entries or more ends before this entry."""
    return blake3(directory + b"\0" + name).digest()[0] % 32 == 0


def branch_may_end(children):
    """Whether a branch ends after the last of these children."""
    return len(children) == 512 or (len(children) >= 8 and children[-1].name[0] % 64 == 0)
