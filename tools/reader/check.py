"""Reads everything that an image needs and compares it with its names."""

import dataclasses

import manifest
from errors import Damage
from images import read_marks
from text import show


@dataclasses.dataclass
class Result:
    """What a check has seen."""

    entries: int = 0
    files: int = 0
    directories: int = 0
    content_bytes: int = 0
    chunks: int = 0
    faults: list = dataclasses.field(default_factory=list)
    notes: list = dataclasses.field(default_factory=list)


def check_image(vault, chunks, record):
    """Damage of the image, and of anything else that was met on the way, is in `faults`."""
    result = Result()
    fault = result.faults.append
    verified = {}
    for item in manifest.Manifest(chunks, record, lambda damage: fault(f"part of the manifest is lost: {damage}")):
        result.entries += 1
        result.directories += item.entry.kind == manifest.DIRECTORY
        if item.entry.kind == manifest.FILE:
            result.files += 1
            _check_file(chunks, item, verified, result)
    result.chunks = len(verified)
    for table in chunks.tables:
        try:
            table.verify()
        except Damage as damage:
            fault(str(damage))
    read_marks(vault, fault)
    result.faults += [note for note in chunks.notes if note not in result.faults]
    _compare_counts(record.counts, result)
    return result


def _check_file(chunks, item, verified, result):
    try:
        for name, length in manifest.pieces(chunks, item.entry):
            result.content_bytes += length
            if name is not None and verified.get(name) != length:
                chunks.read(name, length)
                verified[name] = length
    except Damage as damage:
        result.faults.append(f"{show(item.path)}: {damage}")


def _compare_counts(counts, result):
    others = result.entries - result.files - result.directories
    if (counts.files, counts.directories, counts.others) != (result.files, result.directories, others):
        result.notes.append(
            f"the record counts {counts.files} files, {counts.directories} directories and {counts.others} others; "
            f"the manifest has {result.files}, {result.directories} and {others}"
        )
