"""Keys, the header of an object, and sealed parts (section 3 of the page)."""

import dataclasses
import struct

from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from errors import Damage, Unsupported, WrongKey

READER_VERSION = 1
HEADER_SIZE = 48
TAG_SIZE = 16
MAGICS = {"config": b"HFVC", "pack": b"HFPK", "index": b"HFIX", "image": b"HFIM", "mark": b"HFMK"}

WHOLE, GROUP_LIST, GROUP_DATA, PACK_FOOTER, INDEX_BLOCK, INDEX_FOOTER = range(6)

CONTEXT = "holdfast v1 2026-11 "
KEY_PREFIX = "HF1-"
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
KEY_CHARACTERS = 55


def derive(purpose, material, length=32):
    """BLAKE3 in its key derivation mode."""
    return blake3(material, derive_key_context=CONTEXT + purpose).digest(length=length)


def key_id(vault_key):
    return derive("vault key id", vault_key)[:8]


def image_id(job_id):
    return derive("image id", job_id)[:16]


def parse_key_text(text):
    """The vault key in the text that `holdfast key export` prints."""
    text = "".join(text.upper().split()).translate(str.maketrans({"-": None, "O": "0", "I": "1", "L": "1"}))
    prefix = KEY_PREFIX.rstrip("-")
    if not text.startswith(prefix):
        raise WrongKey(f"a key text begins with {KEY_PREFIX}")
    body = text[len(prefix) :]
    if len(body) != KEY_CHARACTERS:
        raise WrongKey(f"a key text has {KEY_CHARACTERS} characters after {KEY_PREFIX}, this one {len(body)}")
    number = 0
    for character in body:
        digit = ALPHABET.find(character)
        if digit < 0:
            raise WrongKey(f"{character!r} does not occur in a key text")
        number = number << 5 | digit
    number, padding = number >> 3, number & 7
    raw = number.to_bytes(34, "big")
    key, checksum = raw[:32], raw[32:]
    if padding or blake3(key).digest()[:2] != checksum:
        raise WrongKey("the checksum of the key text is wrong: there is a typing error in it")
    return key


@dataclasses.dataclass(frozen=True)
class Header:
    """The 48 bytes that every object begins with."""

    raw: bytes
    reader_version: int
    writer_version: int
    salt: bytes

    @classmethod
    def parse(cls, raw, kind, what):
        if len(raw) != HEADER_SIZE:
            raise Damage(f"{what}: shorter than a header")
        magic, reader, writer, flags, zero = struct.unpack_from("<4sHHII", raw)
        if magic != MAGICS[kind]:
            raise Damage(f"{what}: begins with {magic!r}, not with {MAGICS[kind]!r}")
        if reader > READER_VERSION:
            raise Unsupported(f"{what}: needs a reader of version {reader}, this one is {READER_VERSION}")
        if flags:
            raise Unsupported(f"{what}: has flags {flags:#x}, none of which is known here")
        if zero:
            raise Damage(f"{what}: bytes 12 to 15 of the header are not zero")
        return cls(raw, reader, writer, raw[16:])


class Opener:
    """Opens the sealed parts of one object."""

    def __init__(self, vault_key, header):
        self._cipher = AESGCM(derive("object sealing", vault_key + header.salt))

    def open(self, sealed, number, kind, associated, what):
        if len(sealed) < TAG_SIZE:
            raise Damage(f"{what}: shorter than a tag")
        nonce = struct.pack("<III", number, kind, 0)
        try:
            return self._cipher.decrypt(nonce, sealed, associated)
        except InvalidTag:
            raise Damage(f"{what}: does not open: altered, or in the wrong place") from None
