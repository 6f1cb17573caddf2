"""The code of plug-ins, as a digest: its meaning counts, how it is written does not."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from base import code_digest
from base.code import entry_digest

PLUGIN = '''"""A plug-in."""

import numpy as np
from helper_of_mine import FACTOR


class Model:
    """It solves."""

    def solve(self, x):
        # Why it does so.
        return FACTOR * np.sqrt(x)
'''
HELPER = "FACTOR = 2\n"
TABLE = '''TABLE = {"plain": plain, "other": lambda x: x * SCALE}
SCALE = 3


def plain(x):
    """Say."""
    return helped(x)


def helped(x):
    return x + 1
'''


@pytest.fixture
def digest_of(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Write a plug-in and a module of the user's that it imports; digest it."""
    sys.path.insert(0, str(tmp_path))

    def digest(plugin: str = PLUGIN, helper: str = HELPER) -> str:
        for name, text in (("plugin_of_mine", plugin), ("helper_of_mine", helper)):
            (tmp_path / f"{name}.py").write_text(text)
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        return code_digest(importlib.import_module("plugin_of_mine"))

    yield digest
    sys.path.remove(str(tmp_path))
    for name in ("plugin_of_mine", "helper_of_mine"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    "change",
    [("It solves.", "It solves well."), ("# Why it does so.", "#"), ("* np", "*  np"),
     ('    """It solves."""\n', ""), ("import numpy as np\n", "import numpy as np\n\n")],
)  # fmt: skip
def test_u1_comments_docstrings_and_layout_are_no_code(
    digest_of: Callable[..., str], change: tuple[str, str]
) -> None:
    before = digest_of()
    assert PLUGIN.replace(*change) != PLUGIN
    assert digest_of(PLUGIN.replace(*change)) == before


def test_u1_what_a_plugin_and_its_own_imports_do_is_its_code(
    digest_of: Callable[..., str],
) -> None:
    before = digest_of()
    assert digest_of(PLUGIN.replace("np.sqrt", "np.cbrt")) != before
    assert digest_of(helper="FACTOR = 2.0\n") != before
    assert digest_of() == before


def test_u1_an_entry_of_a_table_is_what_it_names(tmp_path: Path) -> None:
    sys.path.insert(0, str(tmp_path))
    try:
        digests = []
        changes = [("", ""), ("x + 1", "x + 2"), ("SCALE = 3", "SCALE = 4"), ("Say.", "Tell.")]
        for change in changes:
            (tmp_path / "table_of_mine.py").write_text(TABLE.replace(*change))
            names = ("plain", "other")
            digests.append([entry_digest("table_of_mine", "TABLE", name) for name in names])
    finally:
        sys.path.remove(str(tmp_path))
    (plain, other), helped, scaled, told = digests
    assert plain != other
    assert (helped[0] != plain, helped[1] == other) == (True, True)
    assert (scaled[0] == plain, scaled[1] != other) == (True, True)
    assert told == [plain, other]
