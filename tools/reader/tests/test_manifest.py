"""Order and bounds of manifests, and content."""

import pytest
from maker import VAULT_KEY, message
from sample import HOLE, branch, child, directory, entry, file, leaf, piece_list

import manifest
from chunks import Chunks
from errors import Damage
from vault import Vault


def walk(maker, root, height, others=()):
    raw = root.SerializeToString()
    maker.pack([[raw, *others]], nodes=True)
    record = message("ImageRecord", root_node=maker.name(raw), root_length=len(raw), root_height=height)
    lost = []
    chunks = Chunks(Vault(maker.directory, VAULT_KEY), use_index=False)
    return [item.path for item in manifest.Manifest(chunks, record, lost.append)], [str(each) for each in lost]


def test_order_is_by_component():
    places = [(b"", b""), (b"/", b"a"), (b"/", b"a-"), (b"/a", b"z"), (b"/a/b", b"c"), (b"/a-", b"b"), (b"/\xff", b"a")]
    keys = [manifest.place(*each) for each in places]
    assert keys == sorted(keys)


@pytest.mark.parametrize(
    "bad",
    [(b"", b"a"), (b"/", b""), (b"a", b"b"), (b"/a/", b"b"), (b"//a", b"b"), (b"/..", b"b"), (b"/", b"."), (b"/", b"..")]
    + [(b"/", b"a/b"), (b"/", b"a\0"), (b"/", b"n" * 256), (b"/a/../b", b"c")],
)
def test_no_places(bad):
    with pytest.raises(Damage):
        manifest.place(*bad)


def test_sample_is_walked_in_order(sample):
    from images import image_keys, read_image

    vault = Vault(sample.maker.directory, VAULT_KEY)
    (image,) = image_keys(vault)
    chunks = Chunks(vault)
    found = [item.path for item in manifest.Manifest(chunks, read_image(vault, image), None)]
    assert found == [b"/", b"/t", b"/t/a", b"/t/deep", b"/t/empty", b"/t/listed", b"/t/multi", b"/t/sparse", b"/t/sym"] + [
        b"/t/\xff\xfename",
        b"/t/deep/er",
        b"/t/deep/hard",
        b"/t/deep/er/fifo",
    ]


def test_empty_image_has_no_entries(maker):
    record = message("ImageRecord")
    assert list(manifest.Manifest(None, record, None)) == []


@pytest.mark.parametrize(
    "runs",
    [
        [(b"/", [directory(b"b"), directory(b"a")])],
        [(b"/", [directory(b"a"), directory(b"a")])],
        [(b"/b", [directory(b"a")]), (b"/a", [directory(b"a")])],
        [(b"/", [entry(b"a", kind=0)])],
        [(b"/", [entry(b"a", kind=8)])],
        [(b"/", [entry(b"a", mode=0o10000)])],
        [(b"/", [entry(b"a", owner=1)])],
        [(b"/", [entry(b"a", ctime_nanos=1_000_000_000)])],
        [(b"/", [entry(b"a", kind=3)])],
        [(b"/", [entry(b"a", kind=3, link_target=b"x" * 4096)])],
        [(b"/", [entry(b"a", kind=3, link_target=b"x\0")])],
        [(b"/", [entry(b"a", depth=5)])],
        [(b"/", [entry(b"a", xattrs=[message("Xattr", name=b"")])])],
        [(b"/", [entry(b"a", xattrs=[message("Xattr", name=b"u", value=bytes(65537))])])],
        [(b"/", [entry(b"a", xattrs=[message("Xattr", name=b"b"), message("Xattr", name=b"a")])])],
        [(b"/..", [entry(b"a")])],
        [],
    ],
)
def test_leaves_that_are_refused(maker, runs):
    found, lost = walk(maker, leaf(runs), 0)
    assert found == [] and len(lost) == 1


def test_node_must_fit_its_height(maker):
    one = leaf([(b"/", [directory(b"a")])])
    assert walk(maker, one, 1)[1]
    both = leaf([(b"/", [directory(b"a")])])
    both.branch.CopyFrom(message("Branch"))
    assert walk(maker, both, 0)[1]
    assert walk(maker, message("Node"), 0)[1]


def two_leaves(maker, first_names=(b"a", b"b"), count=1, place=(b"/", b"b")):
    raws = [leaf([(b"/", [directory(name)])]).SerializeToString() for name in first_names]
    children = [child(maker, raws[0], 1, (b"/", first_names[0])), child(maker, raws[1], count, place)]
    return walk(maker, branch(children), 1, raws)


def test_lost_leaf_costs_only_its_entries(maker):
    assert two_leaves(maker) == ([b"/a", b"/b"], [])
    found, lost = two_leaves(maker, count=2)
    assert found == [b"/a"] and "another number of entries" in lost[0]
    found, lost = two_leaves(maker, place=(b"/", b"c"))
    assert found == [b"/a"] and "does not begin where" in lost[0]


def test_leaves_must_follow_each_other(maker):
    wide = leaf([(b"/", [directory(b"a"), directory(b"c")])]).SerializeToString()
    late = leaf([(b"/", [directory(b"b")])]).SerializeToString()
    children = [child(maker, wide, 2, (b"/", b"a")), child(maker, late, 1, (b"/", b"b"))]
    found, lost = walk(maker, branch(children), 1, [wide, late])
    assert found == [b"/a", b"/c"] and "does not follow" in lost[0]


def read(maker, one):
    chunks = Chunks(Vault(maker.directory, VAULT_KEY), use_index=False)
    return [(name and chunks.read(name, length), length) for name, length in manifest.pieces(chunks, one)]


def test_pieces_and_holes(maker):
    maker.pack([[b"one", b"three"]])
    pieces = [(maker.name(b"one"), 3), (HOLE, 100), (maker.name(b"three"), 5)]
    assert read(maker, file(b"f", pieces)) == [(b"one", 3), (None, 100), (b"three", 5)]


def test_lists_of_lists(maker):
    maker.pack([[b"one", b"three"]])
    inner = piece_list([(maker.name(b"one"), 3), (HOLE, 7), (maker.name(b"three"), 5)]).SerializeToString()
    middle = piece_list([(maker.name(inner), 15)] * 2, [len(inner)] * 2).SerializeToString()
    maker.pack([[inner, middle]], nodes=True)
    content = piece_list([(maker.name(middle), 30)], [len(middle)])
    found = read(maker, entry(b"f", content=content, depth=2, size=30))
    assert found == [(b"one", 3), (None, 7), (b"three", 5)] * 2
    wrong = piece_list([(maker.name(middle), 31)], [len(middle)])
    with pytest.raises(Damage, match="31 are referred to"):
        read(maker, entry(b"f", content=wrong, depth=2, size=31))


@pytest.mark.parametrize(
    "content, fields",
    [
        (message("PieceList", names=bytes(33), lengths=[1]), {"size": 1}),
        (message("PieceList", names=bytes(32), lengths=[1, 1]), {"size": 2}),
        (piece_list([(HOLE, 0)]), {"size": 0}),
        (piece_list([(b"x" * 32, (8 << 20) + 1)]), {"size": (8 << 20) + 1}),
        (piece_list([(HOLE, 5)], [1]), {"size": 5}),
        (piece_list([(HOLE, 5)]), {"size": 5, "depth": 1}),
        (piece_list([(HOLE, 5)], [9]), {"size": 5, "depth": 1}),
        (piece_list([(HOLE, 5)]), {"size": 6}),
    ],
)
def test_content_that_is_refused(maker, content, fields):
    with pytest.raises(Damage):
        read(maker, entry(b"f", content=content, **fields))


@pytest.mark.parametrize("flags", [1, 4])
def test_length_may_differ_when_a_flag_says_so(maker, flags):
    assert read(maker, entry(b"f", content=piece_list([(HOLE, 5)]), size=6, flags=flags)) == [(None, 5)]
