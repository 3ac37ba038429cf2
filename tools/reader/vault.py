"""A vault in a directory: its objects by key, and its config (sections 1 and 4 of the page)."""

import dataclasses
import os
import re
import struct

import sealing
import wire
from errors import Damage, ReaderError, Unsupported, WrongKey
from blake3 import blake3

MIB = 1 << 20
PLAIN_CONFIG_MAX = 4096
CONFIG_MAX = 8192
CHUNK_MAX = 8 * MIB

KEYS = {
    "pack": re.compile(r"packs/([0-9a-f]{2})/(\1[0-9a-f]{30})"),
    "index": re.compile(r"index/([0-9a-f]{32})"),
    "image": re.compile(r"images/[0-9a-f]{12}-[0-9a-f]{32}"),
    "mark": re.compile(r"marks/[0-9a-f]{32}"),
}
FOLDERS = {"pack": "packs", "index": "index", "image": "images", "mark": "marks"}


@dataclasses.dataclass
class StoredObject:
    """An object whose header has been read and accepted."""

    key: str
    path: str
    size: int
    header: sealing.Header
    opener: sealing.Opener

    @property
    def place(self):
        """`header || key`, which binds a part to where it stands."""
        return self.header.raw + self.key.encode("ascii")

    def read(self, offset, length, what=""):
        if offset < 0 or length < 0 or offset + length > self.size:
            raise Damage(f"{self.key}: ends before {what or 'what was looked for'} does")
        raw = _read(self.path, offset, length, self.key)
        if len(raw) != length:
            raise Damage(f"{self.key}: ends at {offset + len(raw)} while it is read")
        return raw


def _read(path, offset, length, key):
    try:
        with open(path, "rb", buffering=0) as file:
            file.seek(offset)
            parts = []
            while length:
                part = file.read(length)
                if not part:
                    break
                parts.append(part)
                length -= len(part)
            return b"".join(parts)
    except OSError as error:
        raise Damage(f"{key}: {error.strerror}") from error


class NotThere(ReaderError):
    """There is no such object."""


class Vault:
    """Gives objects, and names chunks."""

    def __init__(self, directory, vault_key):
        self.directory = os.fspath(directory)
        self._key = vault_key
        self._read_config()

    def _path(self, key):
        return os.path.join(self.directory, *key.split("/"))

    def _read_config(self):
        try:
            self._read_config_from("config")
        except (Damage, NotThere, WrongKey) as error:
            # Damage may look like a newer version. A config that is newer has a salt of its own.
            if isinstance(error, Unsupported) and self._config_salt("config") != self._config_salt("config-copy"):
                raise
            try:
                self._read_config_from("config-copy")
            except (Damage, NotThere):
                raise error from None
            except WrongKey as other:
                raise error if isinstance(error, WrongKey) else other from None

    def _config_salt(self, name):
        """None if there is no such config."""
        path = self._path(name)
        return _read(path, 0, sealing.HEADER_SIZE, name)[16:] if os.path.isfile(path) else None

    def _read_config_from(self, name):
        path = self._path(name)
        if not os.path.isfile(path):
            raise NotThere(f"{self.directory} is no vault: it has no object `config`")
        if os.path.getsize(path) > CONFIG_MAX:
            raise Damage("config: too large")
        raw = _read(path, 0, CONFIG_MAX, name)
        header = sealing.Header.parse(raw[: sealing.HEADER_SIZE], "config", "config")
        at = sealing.HEADER_SIZE + 4
        if len(raw) < at:
            raise Damage("config: ends in its header")
        (length,) = struct.unpack("<I", raw[at - 4 : at])
        if length > PLAIN_CONFIG_MAX or at + length > len(raw):
            raise Damage(f"config: a PlainConfig of {length} bytes is out of bounds")
        plain = wire.parse("PlainConfig", raw[at : at + length], "config")
        if len(plain.vault_id) != 16 or len(plain.key_id) != 8:
            raise Damage("config: the vault id or the key id has a wrong length")
        own = sealing.key_id(self._key)
        if plain.key_id != own:
            raise WrongKey(f"wrong key: the vault wants key {plain.key_id.hex()}, this is key {own.hex()}")
        associated = header.raw + b"config" + raw[at - 4 : at + length]
        opener = sealing.Opener(self._key, header)
        secret = opener.open(raw[at + length :], 0, sealing.WHOLE, associated, "config")
        self._take_secret(wire.parse("SecretConfig", secret, "config"))
        self.vault_id = plain.vault_id

    def _take_secret(self, secret):
        if len(secret.naming_key) != 32:
            raise Damage("config: the naming key has a wrong length")
        sizes = (secret.chunk_min, secret.chunk_normal, secret.chunk_max)
        powers = all(size & (size - 1) == 0 for size in sizes)
        if not powers or not 4096 <= sizes[0] < sizes[1] < sizes[2] <= 4 * MIB:
            raise Damage(f"config: chunk sizes {sizes} are out of bounds")
        self.naming_key = secret.naming_key
        self.chunk_sizes = sizes

    def chunk_name(self, chunk):
        return blake3(chunk, key=self.naming_key).digest()

    def open(self, key, kind):
        """The object at a key, with its header checked."""
        path = self._path(key)
        try:
            size = os.stat(path).st_size
        except OSError as error:
            raise Damage(f"{key}: {error.strerror}") from error
        raw = _read(path, 0, sealing.HEADER_SIZE, key)
        header = sealing.Header.parse(raw, kind, key)
        return StoredObject(key, path, size, header, sealing.Opener(self._key, header))

    def keys(self, kind):
        """The keys of all objects of a kind, in order. Other names are left alone."""
        found = []
        top = os.path.join(self.directory, FOLDERS[kind])
        for folder, _, names in os.walk(top, onerror=_refuse_folder):
            for name in names:
                key = os.path.relpath(os.path.join(folder, name), self.directory).replace(os.sep, "/")
                if KEYS[kind].fullmatch(key):
                    found.append(key)
        return sorted(found)


def _refuse_folder(error):
    if not isinstance(error, FileNotFoundError):
        raise ReaderError(f"{error.filename}: {error.strerror}") from error
