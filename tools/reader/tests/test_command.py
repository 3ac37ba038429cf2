"""The command as a user runs it: output and exit codes."""

import os
import pathlib
import subprocess
import sys

import pytest
from maker import VAULT_KEY, key_text

PROGRAM = pathlib.Path(__file__).resolve().parents[1] / "holdfast_reader.py"


@pytest.fixture
def run(sample, tmp_path):
    key = tmp_path / "key"
    key.write_text(key_text(VAULT_KEY) + "\n")

    def run(*arguments, vault=sample.maker.directory, key=key):
        command = [sys.executable, PROGRAM, "--vault", vault, "--key-file", key, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    return run


def test_list(run, sample):
    code, out, err = run("list")
    assert (code, err) == (0, "")
    assert out == f"{sample.image[20:]}  2025-01-01T00:00:00Z  work  here  /t\n"


def test_list_names_a_record_that_cannot_be_read(run, sample):
    sample.maker.image(millis=1, job_id=bytes(16))
    sample.path(sample.image).write_bytes(b"HFIM")
    code, out, err = run("list")
    assert code == 1 and "cannot be read" in out.splitlines()[1] and "shorter than a header" in err
    assert run("ls", "latest")[0] == 3  # the older one is not taken in its place


def test_ls(run, sample):
    code, out, err = run("ls", "latest")
    assert (code, err, len(out.splitlines())) == (0, "", 13)
    assert "lrwxrwxrwx            0 2020-09-13T12:26:40Z /t/sym -> ../else\\xfe" in out.splitlines()
    assert out.splitlines()[9].endswith("/t/\\xff\\xfename")
    assert run("--no-index", "ls", sample.image[20:28])[1] == out


def test_check_and_extract(run, tmp_path, sample):
    code, out, err = run("check", "latest")
    assert (code, err) == (0, "") and out.startswith("13 entries, 7 files, ")
    code, out, err = run("--no-index", "extract", "latest", "--to", tmp_path / "out")
    assert code == 0 or "extended attribute" in err
    assert out == "13 entries restored\n"
    assert (tmp_path / "out/t/deep/hard").read_bytes() == b"hello\n"
    code, _, err = run("extract", "latest", "--to", tmp_path / "out")
    assert code == 2 and "not empty" in err


def test_exit_codes(run, sample, tmp_path):
    assert run("ls", "ffff")[0] == 2
    assert run("nonsense")[0] == 2
    assert run("list", key=tmp_path / "absent")[0] == 2
    assert run("list", vault=tmp_path)[0] == 3
    other = tmp_path / "other"
    other.write_text(key_text(bytes(32)))
    code, _, err = run("list", key=other)
    assert code == 3 and "wrong key" in err
    os.unlink(sample.pack_path(sample.content_pack))
    code, _, err = run("check", "latest")
    assert code == 1 and "/t/multi" in err
