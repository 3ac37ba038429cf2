"""The image that most tests read: made by hand, with every kind of structure that the page has."""

import dataclasses

from maker import message

MTIME = 1_600_000_000
HOLE = bytes(32)


@dataclasses.dataclass
class Sample:
    maker: object
    image: str  # key of the record
    content_pack: str
    node_pack: str
    table: str
    files: dict  # path: content

    def path(self, key):
        return self.maker.directory / key

    def pack_path(self, pack):
        return self.path(f"packs/{pack[:2]}/{pack}")


def entry(name, kind=1, mode=0o640, **fields):
    fields.setdefault("nlink", 1)
    return message("Entry", name=name, kind=kind, mode=mode, mtime_seconds=MTIME, mtime_nanos=5, **fields)


def directory(name, mode=0o750):
    return entry(name, kind=2, mode=mode, nlink=2)


def piece_list(pieces, sizes=()):
    return message(
        "PieceList",
        names=b"".join(name for name, _ in pieces),
        lengths=[length for _, length in pieces],
        sizes=list(sizes),
    )


def file(name, pieces, **fields):
    return entry(name, content=piece_list(pieces), size=sum(length for _, length in pieces), **fields)


def leaf(runs, uid=0, gid=0):
    owners = [message("Owner", uid=uid, gid=gid, user=b"root", group=b"root")]
    return message(
        "Node",
        leaf=message("Leaf", owners=owners, runs=[message("Run", directory=d, entries=e) for d, e in runs]),
    )


def child(maker, raw, entries, first):
    return message(
        "Child",
        name=maker.name(raw),
        length=len(raw),
        entries=entries,
        first_directory=first[0],
        first_name=first[1],
    )


def branch(children):
    return message("Node", branch=message("Branch", children=children))


def content_chunks():
    """Chunks of file content: a small one, three of one file, and some for a list."""
    multi = [bytes([65 + i]) * (3000 + i) for i in range(3)]
    listed = [b"piece %d " % i * 50 for i in range(6)]
    return [b"hello\n", *multi, *listed]


def make_sample(maker):
    """/t with nested directories, an empty, a multi-chunk, a sparse and a listed file, links, a bad name."""
    chunks = content_chunks()
    hello, multi, listed = chunks[0], chunks[1:4], chunks[4:]
    ref = lambda chunk: (maker.name(chunk), len(chunk))  # noqa: E731
    lists = [piece_list([ref(c) for c in listed[:3]]), piece_list([ref(c) for c in listed[3:]])]
    raw_lists = [each.SerializeToString() for each in lists]
    big_length = sum(map(len, listed))
    big = entry(
        b"listed",
        content=piece_list(
            [(maker.name(raw), sum(each.lengths)) for raw, each in zip(raw_lists, lists)], map(len, raw_lists)
        ),
        depth=1,
        size=big_length,
    )
    link = {"nlink": 2, "ino": 77, "dev": 9}
    sparse = [ref(hello), (HOLE, 1 << 20), ref(multi[0]), (HOLE, 70000)]
    first = leaf(
        [
            (b"", [directory(b"", 0o755)]),
            (b"/", [directory(b"t")]),
            (b"/t", [file(b"a", [ref(hello)], **link), directory(b"deep"), file(b"empty", []), big]),
        ]
    )
    second = leaf(
        [
            (
                b"/t",
                [
                    file(b"multi", [ref(c) for c in multi], mode=0o400),
                    file(b"sparse", sparse),
                    entry(b"sym", kind=3, mode=0o777, link_target=b"../else\xfe"),
                    file(b"\xff\xfename", [ref(hello)], xattrs=[message("Xattr", name=b"user.k", value=b"v\0")]),
                ],
            ),
            (b"/t/deep", [directory(b"er", 0o500), file(b"hard", [ref(hello)], **link)]),
            (b"/t/deep/er", [entry(b"fifo", kind=4)]),
        ]
    )
    raws = [first.SerializeToString(), second.SerializeToString()]
    root = branch([child(maker, raws[0], 6, (b"", b"")), child(maker, raws[1], 7, (b"/t", b"multi"))])
    root = root.SerializeToString()
    content_pack = maker.pack([chunks[:3], chunks[3:6], chunks[6:]])
    node_pack = maker.pack([raw_lists, raws + [root]], nodes=True)
    table = maker.index()
    image = maker.image(
        root_node=maker.name(root),
        root_length=len(root),
        root_height=1,
        counts=message("Counts", files=7, directories=4, others=2),
    )
    files = {
        b"/t/a": hello,
        b"/t/empty": b"",
        b"/t/listed": b"".join(listed),
        b"/t/multi": b"".join(multi),
        b"/t/sparse": hello + bytes(1 << 20) + multi[0] + bytes(70000),
        b"/t/\xff\xfename": hello,
        b"/t/deep/hard": hello,
    }
    return Sample(maker, image, content_pack, node_pack, table, files)


def small_image(maker, runs, index=True):
    """An image whose manifest is one leaf."""
    raw = leaf(runs).SerializeToString()
    maker.pack([[raw]], nodes=True)
    if index:
        maker.index()
    return maker.image(root_node=maker.name(raw), root_length=len(raw), root_height=0)
