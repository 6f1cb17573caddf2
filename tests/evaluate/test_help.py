"""`--help` answers at once: it imports nothing that computes."""

import subprocess
import sys

from tests.builders.paths import ROOT

CODE = """
import contextlib, io, runpy, sys
from evaluate.__main__ import VERBS
for words in ([], *([verb] for verb in VERBS)):
    sys.argv = ["evaluate", *words, "--help"]
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        runpy.run_module("evaluate", run_name="__main__")
    usage, _, options = text.getvalue().partition("options:")
    assert "python -m evaluate" in usage and all(verb in usage for verb in words), words
    assert "--help" in options, words
heavy = ("torch", "scipy", "sklearn", "pandas", "matplotlib")
print(len(VERBS), [name for name in heavy if name in sys.modules])
"""


def test_help_of_every_verb_is_light() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split(maxsplit=1) == ["12", "[]\n"]
