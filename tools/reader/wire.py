"""The protobuf messages of docs/format.proto, built when the program starts.

The file is compiled to a descriptor in a temporary directory; the classes are made from the descriptor in memory. No
generated code is kept.
"""

import functools
import pathlib
import tempfile

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from errors import Damage, ReaderError

PROTO = pathlib.Path(__file__).resolve().parents[2] / "docs" / "format.proto"
PACKAGE = "holdfast.format.v1"


@functools.lru_cache(maxsize=None)
def _pool():
    from grpc_tools import protoc

    if not PROTO.is_file():
        raise ReaderError(f"{PROTO} is absent: the reader needs it")
    with tempfile.TemporaryDirectory() as directory:
        output = pathlib.Path(directory) / "format.pb"
        arguments = ["protoc", f"-I{PROTO.parent}", f"--descriptor_set_out={output}", PROTO.name]
        if protoc.main(arguments) != 0:
            raise ReaderError(f"{PROTO} does not compile")
        files = descriptor_pb2.FileDescriptorSet.FromString(output.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


@functools.lru_cache(maxsize=None)
def message_class(name):
    """The class of one message of format.proto."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{PACKAGE}.{name}"))


def parse(name, raw, what):
    """Decode a message; `what` names the bytes if they are not one."""
    try:
        return message_class(name).FromString(raw)
    except message.DecodeError as error:
        raise Damage(f"{what}: not a {name} message") from error


def split(raw, width, what):
    """The strings of `width` bytes that stand together in one field."""
    if len(raw) % width:
        raise Damage(f"{what}: {len(raw)} bytes of names are no multiple of {width}")
    return [raw[at : at + width] for at in range(0, len(raw), width)]
