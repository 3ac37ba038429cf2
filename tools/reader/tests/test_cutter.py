"""The chunker of the tests itself, on data where the outcome is known."""

import random

from cutter import cut, gear_table
from maker import NAMING_KEY

SIZES = (4096, 8192, 16384)


def test_small_data_is_one_chunk():
    table = gear_table(NAMING_KEY)
    assert cut(b"", table, SIZES) == []
    assert cut(bytes(4096), table, SIZES) == [4096]


def test_table_of_top_bits_never_cuts_before_the_maximum():
    # h is 2^63 after every byte.
    assert cut(bytes(40000), [2**63] * 256, SIZES) == [16384, 16384, 7232]


def test_table_of_zeros_cuts_after_the_first_byte_tested():
    assert cut(bytes(10000), [0] * 256, SIZES) == [4097, 4097, 1806]


def test_loose_mask_holds_from_normal_on():
    # h stays 2^50, which is zero in its top 13 - 2 bits and not in its top 13 + 2.
    table = [2**64 - 2**50] * 256
    table[1] = 2**50
    data = bytes(4096) + bytes([1]) + bytes(8000)
    assert cut(data, table, SIZES)[0] == 8193


def test_bounds_and_coverage():
    data = random.Random(7).randbytes(300000)
    lengths = cut(data, gear_table(NAMING_KEY), SIZES)
    assert sum(lengths) == len(data)
    assert all(4096 < length <= 16384 for length in lengths[:-1])
    shifted = cut(b"x" + data, gear_table(NAMING_KEY), SIZES)
    assert shifted[-5:] == lengths[-5:]
