"""A tiny writer of vaults, for tests: it follows the page, and shares with the reader only the message classes.

It lets a test make every byte, also wrong ones.
"""

import os
import struct

import zstandard
from blake3 import blake3
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from wire import message_class

VAULT_KEY = bytes(range(100, 132))
NAMING_KEY = bytes(range(200, 232))
JOB_ID = bytes.fromhex("01941f297c007abc8def0123456789ab")
MILLIS = 0x01941F297C00
CONTEXT = "holdfast v1 2026-11 "


def derived(purpose, material, length=32):
    return blake3(material, derive_key_context=CONTEXT + purpose).digest(length)


def message(message_name, /, **fields):
    return message_class(message_name)(**fields)


def key_text(key):
    """The text of a vault key."""
    bits = "".join(f"{byte:08b}" for byte in key + blake3(key).digest()[:2]) + "000"
    alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    text = "".join(alphabet[int(bits[at : at + 5], 2)] for at in range(0, 275, 5))
    return "HF1-" + "-".join(text[at : at + 5] for at in range(0, 55, 5))


class Sealed:
    """An object that is being written."""

    def __init__(self, magic, key, reader=1, writer=1, flags=0, zero=0):
        self.key = key.encode()
        self.header = struct.pack("<4sHHII", magic, reader, writer, flags, zero) + os.urandom(32)
        self.aes = derived("object sealing", VAULT_KEY + self.header[16:])

    def part(self, number, kind, plain, associated):
        nonce = number.to_bytes(4, "little") + kind.to_bytes(4, "little") + bytes(4)
        sealer = Cipher(algorithms.AES(self.aes), modes.GCM(nonce)).encryptor()
        sealer.authenticate_additional_data(associated)
        return sealer.update(plain) + sealer.finalize() + sealer.tag


class Maker:
    def __init__(self, directory):
        self.directory = directory
        self.places = {}  # name: (pack, group offset, group length, chunk offset, chunk length)
        self.sizes = {}
        self.config()

    def put(self, key, raw):
        path = self.directory / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
        return key

    def config(self, key_id=None, sizes=(32768, 131072, 524288), **header):
        plain = message("PlainConfig", vault_id=bytes(16), key_id=key_id or derived("vault key id", VAULT_KEY)[:8])
        plain = plain.SerializeToString()
        secret = message(
            "SecretConfig", naming_key=NAMING_KEY, chunk_min=sizes[0], chunk_normal=sizes[1], chunk_max=sizes[2]
        )
        sealed = Sealed(b"HFVC", "config", **header)
        front = struct.pack("<I", len(plain)) + plain
        body = sealed.part(0, 0, secret.SerializeToString(), sealed.header + sealed.key + front)
        return self.put("config", sealed.header + front + body)

    @staticmethod
    def name(chunk):
        return blake3(chunk, key=NAMING_KEY).digest()

    def group(self, sealed, number, chunks, encoding=1, nodes=False, **changed):
        """One group. `changed` overrides fields of its list; `data` overrides what is sealed as data."""
        plain = b"".join(chunks)
        data = changed.pop("data", None)
        if data is None:
            data = zstandard.ZstdCompressor().compress(plain) if encoding == 1 else plain
        fields = {"encoding": encoding, "nodes": nodes, "lengths": [len(chunk) for chunk in chunks]}
        fields["names"] = b"".join(map(self.name, chunks))
        fields.update(changed)
        listed = message("GroupList", **fields).SerializeToString()
        head = struct.pack("<4sIII", b"HFGP", number, len(listed) + 16, len(data) + 16)
        return head + sealed.part(number, 1, listed, head) + sealed.part(number, 2, data, head)

    def pack(self, groups, pack_id=None, footer=True, **options):
        """A pack of groups (lists of chunks). Returns its id in hex."""
        pack_id = pack_id or os.urandom(16).hex()
        key = f"packs/{pack_id[:2]}/{pack_id}"
        sealed = Sealed(b"HFPK", key)
        raw, offsets = sealed.header, []
        for number, chunks in enumerate(groups):
            offsets.append(len(raw))
            group = self.group(sealed, number, chunks, **options)
            at = 0
            for chunk in chunks:
                self.places.setdefault(self.name(chunk), (pack_id, len(raw), len(group), at, len(chunk)))
                at += len(chunk)
            raw += group
        if footer:
            plain = message("PackFooter", group_offsets=offsets).SerializeToString()
            tail = struct.pack("<I", len(plain) + 16) + b"HFPE"
            raw += sealed.part(0, 3, plain, sealed.header + sealed.key + tail) + tail
        self.sizes[pack_id] = len(raw)
        self.put(key, raw)
        return pack_id

    def index(self, places=None, block_size=4, replaces=(), table_id=None, with_filter=True, entries=None):
        """An index table of the places given as (name, place), by default of all packs."""
        places = sorted(places if places is not None else self.places.items())
        packs = sorted({place[0] for _, place in places})
        table_id = table_id or os.urandom(16).hex()
        sealed = Sealed(b"HFIX", f"index/{table_id}")
        raw, blocks = sealed.header, []
        for number, at in enumerate(range(0, len(places), block_size)):
            rows = places[at : at + block_size]
            block = message(
                "IndexBlock",
                names=b"".join(name for name, _ in rows),
                packs=[packs.index(place[0]) for _, place in rows],
                group_offsets=[place[1] for _, place in rows],
                group_lengths=[place[2] for _, place in rows],
                chunk_offsets=[place[3] for _, place in rows],
                chunk_lengths=[place[4] for _, place in rows],
            )
            part = sealed.part(number, 4, block.SerializeToString(), b"")
            blocks.append(message("IndexBlockPlace", first_name=rows[0][0], offset=len(raw), length=len(part)))
            raw += part
        footer = message(
            "IndexFooter",
            packs=[message("IndexPack", id=bytes.fromhex(pack), size=self.sizes[pack]) for pack in packs],
            blocks=blocks,
            entries=len(places) if entries is None else entries,
            filter=bloom([name for name, _ in places]) if with_filter else b"",
            replaces=[bytes.fromhex(table) for table in replaces],
        ).SerializeToString()
        tail = struct.pack("<I", len(footer) + 16) + b"HFIE"
        raw += sealed.part(0, 5, footer, sealed.header + sealed.key + tail) + tail
        return self.put(f"index/{table_id}", raw)

    def whole(self, magic, key, body, **header):
        sealed = Sealed(magic, key, **header)
        return self.put(key, sealed.header + sealed.part(0, 0, body.SerializeToString(), sealed.header + sealed.key))

    def image(self, millis=MILLIS, job_id=JOB_ID, **fields):
        job_id = millis.to_bytes(6, "big") + job_id[6:]
        image_id = derived("image id", job_id)[:16]
        record = {"image_id": image_id, "job_id": job_id, "name": "work", "host": "here", "roots": [b"/t"]}
        record["started_millis"] = millis
        record.update(fields)
        return self.whole(b"HFIM", f"images/{millis:012x}-{image_id.hex()}", message("ImageRecord", **record))

    def mark(self, pack_id, since=1_700_000_000):
        return self.whole(b"HFMK", f"marks/{pack_id}", message("Mark", since_seconds=since))


def bloom(names, blocks=4):
    """The blocked filter of section 6."""
    bits = bytearray(32 * blocks)
    for name in names:
        block = struct.unpack("<Q", name[:8])[0] % blocks
        for at in range(8):
            value = name[8 + at]
            bits[32 * block + value // 8] |= 1 << (value % 8)
    return bytes(bits)
