"""The examples in the appendix of the page, made again without any code of the program."""

import itertools
import re

import pytest
from blake3 import blake3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cutter import cut, gear_table, leaf_may_begin
from maker import bloom, key_text

import sealing
from wire import PROTO, message_class

KEY, NAMING, SALT = bytes(range(32)), bytes([5]) * 32, bytes([2]) * 32
JOB = bytes.fromhex("01941f297c007abc8def0123456789ab")


@pytest.fixture(scope="module")
def shown():
    page = PROTO.with_name("format.md").read_text(encoding="utf-8")
    block = re.search(r"## Appendix.*?```text\n(.*?)```", page, re.S).group(1)
    return dict(line.split(maxsplit=1) for line in block.splitlines())


def object_key():
    return sealing.derive("object sealing", KEY + SALT)


def test_keys(shown):
    assert shown["key-text"] == key_text(KEY)
    assert sealing.parse_key_text(shown["key-text"]) == KEY
    assert sealing.parse_key_text(shown["key-text"].lower().replace("0", "o")) == KEY
    assert shown["key-id"] == sealing.key_id(KEY).hex()
    assert shown["object-key"] == object_key().hex()


def test_sealing(shown):
    nonce = bytes([7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
    sealed = AESGCM(object_key()).encrypt(nonce, b"plain", b"associated")
    assert shown["sealed-part"] == sealed.hex()
    mark = bytes.fromhex(shown["mark-object"])
    header = sealing.Header.parse(mark[:48], "mark", "the example")
    assert header.salt == SALT
    plain = sealing.Opener(KEY, header).open(mark[48:], 0, sealing.WHOLE, mark[:48] + b"marks/aa", "the example")
    assert message_class("Mark").FromString(plain).since_seconds == 1_700_000_000


def test_chunks(shown):
    assert shown["chunk-name"] == blake3(b"holdfast", key=NAMING).hexdigest()
    table = gear_table(NAMING)
    assert shown["gear-table"].split() == [f"{value:016x}" for value in table[:4]]
    data = blake3((1).to_bytes(8, "little")).digest(length=200_000)
    assert list(map(int, shown["cuts"].split())) == cut(data, table, (4096, 16384, 65536))


def test_the_rest(shown):
    image = sealing.image_id(JOB).hex()
    assert shown["image-id"] == image
    assert shown["image-key"] == f"images/{JOB[:6].hex()}-{image}"
    assert shown["filter"] == bloom([bytes(range(32))], blocks=3).hex()
    names = (f"f{number}" for number in itertools.count())
    assert shown["leaf-begins"] == next(name for name in names if leaf_may_begin(b"/d", name.encode()))
