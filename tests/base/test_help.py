"""`--help` of every command describes it, and imports nothing that computes."""

import subprocess
import sys

import pytest

from tests.builders.paths import ROOT
from tests.house import commands

HEAVY = ["torch", "scipy", "sklearn", "pandas", "matplotlib", "himalaya"]
CODE = f"""
import runpy, sys
module, *words = sys.argv[1:]
sys.argv = [module, *words, "--help"]
try:
    runpy.run_module(module, run_name="__main__")
except SystemExit as end:
    assert not end.code
print([name for name in {HEAVY} if name in sys.modules])
"""


@pytest.mark.parametrize("command", commands())
def test_help_is_light(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE, *command.split()],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    usage, _, options = done.stdout.partition("options:")
    assert "usage: " in usage
    assert all(word in usage for word in command.split()[1:])
    assert "--help" in options
    assert done.stdout.splitlines()[-1] == "[]"
