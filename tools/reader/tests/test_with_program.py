"""The real program writes, this reader reads. HOLDFAST_BIN names the program."""

import os
import pathlib
import random
import stat
import subprocess
import sys

import pytest
from cutter import branch_may_end, cut, gear_table, leaf_may_begin

import check
import manifest
import sealing
from chunks import Chunks
from images import find_image, read_image
from vault import Vault

PROGRAM = pathlib.Path(__file__).resolve().parents[1] / "holdfast_reader.py"
MANY = 700


def make_tree(tree):
    """Every kind of entry that an ordinary user can make."""
    source = random.Random(1)
    deep = tree / "deep" / "er" / "est"
    deep.mkdir(parents=True)
    (tree / "empty").write_bytes(b"")
    (tree / "empty directory").mkdir()
    (tree / "small").write_bytes(b"hello\n")
    (tree / "big").write_bytes(source.randbytes(3 << 20))
    (tree / "zeros").write_bytes(bytes(1_500_000))
    (deep / "same").write_bytes((tree / "big").read_bytes())
    with open(tree / "holes", "wb") as file:
        for number in range(300):
            file.seek(number * (128 << 10))
            file.write(source.randbytes(4096))
        file.truncate(40 << 20)
    os.link(tree / "small", deep / "hard link")
    os.symlink("../nowhere", tree / "symlink")
    os.symlink("/", deep / "up")
    os.mkfifo(deep / "fifo")
    with open(os.fsencode(tree) + b"/\xff\xfe not UTF-8 \n", "wb") as file:
        file.write(b"named oddly")
    (tree / "many").mkdir()
    for number in range(MANY):
        (tree / "many" / f"file {number:04}").write_bytes(b"%d" % (number % 10))
    os.chmod(tree / "small", 0o604)
    os.chmod(tree / "deep" / "er", 0o710)
    os.utime(tree / "big", ns=(1, 1_234_567_890_123_456_789))
    os.utime(tree / "zeros", ns=(0, -1))
    os.utime(tree / "deep", ns=(0, 987_654_321_000_000_001))
    try:
        os.setxattr(tree / "small", "user.note", b"an attribute\0")
    except OSError:
        pass  # not on this file system


def describe(tree):
    """All that must be equal: path to kind, mode, time, owner, content or target, attributes, and links."""
    found, links = {}, {}
    root = os.fsencode(tree)
    paths = [root] + [os.path.join(at, name) for at, dirs, files in os.walk(root) for name in dirs + files]
    for path in sorted(paths):
        info = os.lstat(path)
        content = None
        if stat.S_ISREG(info.st_mode):
            with open(path, "rb") as file:
                content = file.read()
        elif stat.S_ISLNK(info.st_mode):
            content = os.readlink(path)
        first = links.setdefault(info.st_ino, path[len(root) :])
        attributes = {name: os.getxattr(path, name, follow_symlinks=False) for name in _attributes(path)}
        found[path[len(root) :]] = (info.st_mode, info.st_mtime_ns, info.st_uid, info.st_gid, content, first, attributes)
    return found


def _attributes(path):
    return [name for name in os.listxattr(path, follow_symlinks=False) if name.startswith("user.")]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A tree, and a vault that holds it."""
    top = tmp_path_factory.mktemp("with_program")
    tree, state = top / "tree", top / "state"
    make_tree(tree)
    program = os.path.abspath(os.environ["HOLDFAST_BIN"])
    environment = dict(os.environ, HOLDFAST_STATE_DIR=str(state))
    done = subprocess.run([program, "backup", tree], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (key,) = (state / "keys").glob("*.key")
    return tree, state / "vault", key


def run(made, *arguments):
    command = [sys.executable, PROGRAM, "--vault", made[1], "--key-file", made[2], *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def opened(made):
    vault = Vault(made[1], sealing.parse_key_text(made[2].read_text()))
    return vault, Chunks(vault), read_image(vault, find_image(vault, "latest"))


def test_key_file_is_named_by_its_key_id(made):
    key = sealing.parse_key_text(made[2].read_text())
    assert made[2].stem == sealing.key_id(key).hex()
    assert made[2].read_text().endswith("\n")


def test_list_names_the_tree(made):
    (line,) = run(made, "list").splitlines()
    assert str(made[0]) in line


@pytest.mark.parametrize("index", [(), ("--no-index",)])
def test_check_finds_nothing_wrong(made, index):
    assert run(made, *index, "check", "latest").endswith("faults: 0\n")


@pytest.mark.parametrize("index", [(), ("--no-index",)])
def test_trees_are_equal(made, tmp_path, index):
    run(made, *index, "extract", "latest", "--to", tmp_path / "out")
    restored = tmp_path / "out" / made[0].relative_to("/")
    before, after = describe(made[0]), describe(restored)
    assert before.keys() == after.keys()
    for path, described in before.items():
        assert after[path] == described, path
    holes = restored / "holes"
    assert holes.stat().st_blocks * 512 < 20 << 20


def test_counts_of_the_record(opened):
    vault, chunks, record = opened
    result = check.check_image(vault, chunks, record)
    assert result.faults == [] and result.notes == []


def test_every_pack_is_listed_alike_by_footer_and_by_salvage(opened):
    from packs import Pack

    vault = opened[0]
    assert vault.keys("pack") and vault.keys("index")
    for key in vault.keys("pack"):
        pack = Pack(vault, key.rsplit("/", 1)[1])
        assert sorted(pack.group_offsets()) == [group.offset for group in pack.salvage()]


def test_content_is_cut_as_the_page_says(opened):
    vault, chunks, record = opened
    table = gear_table(vault.naming_key)
    for item in manifest.Manifest(chunks, record, None):
        if item.entry.kind != manifest.FILE:
            continue
        run_data, run_lengths = b"", []
        for name, length in [*manifest.pieces(chunks, item.entry), (None, 0)]:
            if name is None:
                assert cut(run_data, table, vault.chunk_sizes) == run_lengths, item.path
                run_data, run_lengths = b"", []
            else:
                run_data += chunks.read(name, length)
                run_lengths.append(length)


def test_leaves_are_cut_as_the_page_says(opened):
    _, chunks, record = opened
    message = manifest.Manifest(chunks, record, None)
    leaves = [node.leaf for height, node in message.nodes() if height == 0]
    flat = [[(r.directory, e.name, e.ByteSize()) for r in leaf.runs for e in r.entries] for leaf in leaves]
    assert len(flat) > 1
    for this, following in zip(flat, flat[1:]):
        full = len(this) == 512 or sum(size for *_, size in this) + following[0][2] > 250_000
        assert full or (len(this) >= 32 and leaf_may_begin(*following[0][:2]))
    for this in flat:
        assert not any(leaf_may_begin(*each[:2]) for each in this[32:])


def test_branches_are_cut_as_the_page_says(opened):
    _, chunks, record = opened
    branches = [(height, node.branch) for height, node in manifest.Manifest(chunks, record, None).nodes() if height]
    assert branches
    last = {height: number for number, (height, _) in enumerate(branches)}
    for number, (height, branch) in enumerate(branches):
        assert number == last[height] or branch_may_end(branch.children)
        assert not any(branch_may_end(branch.children[:count]) for count in range(1, len(branch.children)))


def test_lists_of_pieces_are_cut_as_the_page_says(opened):
    _, chunks, record = opened
    seen = 0
    for item in manifest.Manifest(chunks, record, None):
        content, depth = item.entry.content, item.entry.depth
        if depth == 0:
            assert len(content.lengths) <= 128
            continue
        seen += 1
        assert depth == 1 and sum(1 for _ in manifest.pieces(chunks, item.entry)) > 128
        names = [content.names[at : at + 32] for at in range(0, len(content.names), 32)]
        from wire import parse

        lists = [parse("PieceList", chunks.read(name, size), "") for name, size in zip(names, content.sizes)]
        for each in lists[:-1]:
            assert len(each.lengths) == 2048 or (len(each.lengths) >= 64 and each.names[-32] == 0)
    assert seen
