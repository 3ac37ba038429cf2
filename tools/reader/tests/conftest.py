"""Makes the reader importable, and leaves the test with the real program out unless it is asked for."""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

collect_ignore = [] if os.environ.get("HOLDFAST_BIN") else ["test_with_program.py"]


@pytest.fixture
def maker(tmp_path):
    from maker import Maker

    return Maker(tmp_path / "vault")


@pytest.fixture
def sample(maker):
    """A vault with one image of many kinds of entries."""
    from sample import make_sample

    return make_sample(maker)
