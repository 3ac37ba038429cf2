#!/usr/bin/env python3
"""Lists, extracts and checks the images of a Holdfast vault. See README.md for usage and exit codes."""

import argparse
import os
import sys

import check
import errors
import images
import manifest
import sealing
from chunks import Chunks
from errors import ReaderError
from extract import Extractor
from text import show, show_mode, show_time
from vault import Vault


def complain(text):
    print(f"holdfast_reader: {text}", file=sys.stderr)


def read_key(path):
    try:
        with open(path, encoding="ascii") as file:
            return sealing.parse_key_text(file.read(4096))
    except OSError as error:
        raise errors.UsageError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise errors.WrongKey(f"{path}: not a key text") from error


def list_images(vault, _):
    faults = 0
    for image in images.image_keys(vault):
        start = f"{image.id}  {show_time(image.millis // 1000)}"
        try:
            record = images.read_image(vault, image)
        except errors.Damage as damage:
            print(f"{start}  cannot be read")
            complain(damage)
            faults += 1
            continue
        roots = " ".join(show(root) for root in record.roots)
        print(f"{start}  {show(record.name)}  {show(record.host)}  {roots}")
    return errors.WITH_FAULTS if faults else errors.DONE


def _open_image(vault, arguments):
    record = images.read_image(vault, images.find_image(vault, arguments.image))
    return Chunks(vault, arguments.index), record


def _tell(faults, notes=()):
    for note in notes:
        complain(f"note: {note}")
    for fault in faults:
        complain(fault)
    return errors.WITH_FAULTS if faults else errors.DONE


def ls(vault, arguments):
    chunks, record = _open_image(vault, arguments)
    faults = []
    for item in manifest.Manifest(chunks, record, lambda damage: faults.append(f"entries are lost: {damage}")):
        entry = item.entry
        target = f" -> {show(entry.link_target)}" if entry.kind == manifest.SYMLINK else ""
        mode = show_mode(entry.kind, entry.mode)
        print(f"{mode} {entry.size:>12} {show_time(entry.mtime_seconds)} {show(item.path)}{target}")
    return _tell(faults, chunks.notes)


def extract(vault, arguments):
    chunks, record = _open_image(vault, arguments)
    extractor = Extractor(chunks, arguments.to)
    lost = lambda damage: extractor.faults.append(f"entries are lost: {damage}")  # noqa: E731
    extractor.run(manifest.Manifest(chunks, record, lost))
    print(f"{extractor.restored} entries restored")
    return _tell(extractor.faults, chunks.notes)


def check_one(vault, arguments):
    chunks, record = _open_image(vault, arguments)
    result = check.check_image(vault, chunks, record)
    print(
        f"{result.entries} entries, {result.files} files, {result.content_bytes} bytes, "
        f"{result.chunks} chunks of content read; faults: {len(result.faults)}"
    )
    return _tell(result.faults, result.notes)


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(prog="holdfast_reader", description=__doc__)
    parser.add_argument("--vault", required=True, metavar="DIR")
    parser.add_argument("--key-file", required=True, metavar="FILE")
    parser.add_argument("--no-index", dest="index", action="store_false", help="read the lists of the packs instead")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the images of the vault").set_defaults(run=list_images)
    for name, run, text in (
        ("ls", ls, "the entries of an image"),
        ("extract", extract, "restore an image into an empty directory"),
        ("check", check_one, "read all of an image and verify it"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("image", metavar="IMAGE", help="an id, the beginning of one, or `latest`")
        command.set_defaults(run=run)
        if name == "extract":
            command.add_argument("--to", required=True, metavar="DIR")
    return parser.parse_args(arguments)


def main(arguments=None):
    arguments = parse_arguments(arguments)
    try:
        vault = Vault(arguments.vault, read_key(arguments.key_file))
        return arguments.run(vault, arguments)
    except ReaderError as error:
        complain(error)
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return errors.WITH_FAULTS


if __name__ == "__main__":
    sys.exit(main())
