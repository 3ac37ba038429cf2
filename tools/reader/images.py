"""Image records and marks (sections 8 and 9 of the page)."""

import dataclasses

import sealing
import wire
from errors import Damage, ReaderError, UsageError
from vault import MIB

RECORD_MAX = 16 * MIB
MARK_MAX = 4096
FAULTS_MAX = 1000
PARTS_MAX = 65536
HEIGHT_MAX = 8


@dataclasses.dataclass(frozen=True)
class ImageKey:
    """What the key of an image record says, whether or not the record opens."""

    key: str

    @property
    def millis(self):
        return int(self.key[7:19], 16)

    @property
    def id(self):
        return self.key[20:]


def _open_whole(vault, key, kind, bound):
    stored = vault.open(key, kind)
    if stored.size > bound:
        raise Damage(f"{key}: larger than it may be")
    sealed = stored.read(sealing.HEADER_SIZE, stored.size - sealing.HEADER_SIZE)
    return stored.opener.open(sealed, 0, sealing.WHOLE, stored.place, key)


def image_keys(vault):
    """All images, the oldest first."""
    return [ImageKey(key) for key in vault.keys("image")]


def find_image(vault, wanted):
    """The image that an id, the beginning of one, or `latest` means."""
    keys = image_keys(vault)
    if wanted == "latest":
        if not keys:
            raise UsageError("the vault has no image")
        return keys[-1]
    found = [key for key in keys if key.id.startswith(wanted.lower())]
    if not wanted or not found:
        raise UsageError(f"no image {wanted!r}")
    if len(found) > 1:
        raise UsageError(f"{wanted!r} is the beginning of {len(found)} images")
    return found[0]


def read_image(vault, image):
    """Open an image record and check what can be checked without the manifest."""
    key = image.key
    record = wire.parse("ImageRecord", _open_whole(vault, key, "image", RECORD_MAX), key)
    if record.image_id.hex() != image.id:
        raise Damage(f"{key}: is the record of image {record.image_id.hex()}")
    if len(record.job_id) != 16 or sealing.image_id(record.job_id) != record.image_id:
        raise Damage(f"{key}: its image id does not come from its job id")
    if record.started_millis != image.millis or int.from_bytes(record.job_id[:6], "big") != image.millis:
        raise Damage(f"{key}: its time is not that of its job")
    if len(record.root_node) not in (0, 32) or len(record.parent) not in (0, 16):
        raise Damage(f"{key}: a name or an id has a wrong length")
    if record.root_height > HEIGHT_MAX:
        raise Damage(f"{key}: a manifest of height {record.root_height} is out of bounds")
    if len(record.faults) > FAULTS_MAX:
        raise Damage(f"{key}: lists {len(record.faults)} faults")
    if len(record.roots) + len(record.excludes) + len(record.faults) > PARTS_MAX:
        raise Damage(f"{key}: lists more than {PARTS_MAX} roots, excludes and faults")
    return record


def read_mark(vault, key):
    """Since when (in seconds since 1970) the pack of a mark is not needed."""
    return wire.parse("Mark", _open_whole(vault, key, "mark", MARK_MAX), key).since_seconds


def read_marks(vault, note):
    """Marked packs and since when; `note` is told of marks that do not open."""
    marks = {}
    for key in vault.keys("mark"):
        try:
            marks[key.rsplit("/", 1)[1]] = read_mark(vault, key)
        except ReaderError as error:
            note(str(error))
    return marks
