"""The Makefile as a user calls it: what its variables hold is data, and names are checked.

The commands are not run: a copy of the Makefile gets a Python that writes down its arguments. What
they do with these is tested with each command.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from base.command_line.targets import RECIPE_VARIABLES, TARGETS, VARIABLES, split_paths
from tests.builders.paths import ROOT

# Make's own variables, where these tests are run by make.
ALONE = {n: v for n, v in os.environ.items() if not n.startswith(("MAKE", "MFLAGS", "ROIRIDGE_"))}
ALONE = {n: v for n, v in ALONE.items() if n not in (*VARIABLES, *RECIPE_VARIABLES)}
# What ran would leave a file.
HOSTILE = (
    """x"; touch ran; " $(touch ran) `touch ran` $(shell touch ran) ${HOME} $$ ' ; touch ran #"""
)
RECORDER = f"""#!/bin/sh
case "$1" in base/*) exec {shlex.quote(sys.executable)} "$@" ;; esac
printf '%s\\0' "$@" > words.bin
"""


class Copy:
    """A folder with the Makefile in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        commands = folder / "base" / "command_line"
        commands.mkdir(parents=True)
        for name in ("Makefile", "setup.cfg", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, folder)
        shutil.copy(ROOT / "base" / "command_line" / "targets.py", commands)
        python = folder / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(RECORDER)
        python.chmod(0o755)
        (folder / ".venv" / "installed").touch()

    def make(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Call make there."""
        (self.folder / "words.bin").unlink(missing_ok=True)
        return subprocess.run(
            ["make", f"PYTHON={sys.executable}", *words],
            cwd=self.folder, env=ALONE | environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def words(self, *arguments: str, **environment: str) -> list[str]:
        """Return what the last command of a target was given."""
        done = self.make(*arguments, **environment)
        assert done.returncode == 0, done.stderr
        return (self.folder / "words.bin").read_text().split("\0")[:-1]


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    # A name with a blank: where it lies is nobody's word either.
    return Copy(tmp_path / "a folder")


SINGLE = [n for n, v in VARIABLES.items() if v.split is None]


@pytest.mark.parametrize("target", TARGETS)
def test_a4_no_value_is_a_word_of_a_shell_or_of_make(copy: Copy, target: str) -> None:
    taken = TARGETS[target][-1].variables
    values = {name: f"{name}{HOSTILE}" for name in SINGLE if name in taken}
    if target == "compare-generative":
        del values["STUDY"]
    # Some systems keep the machine's name in the environment.
    exported = {name: value for name, value in values.items() if name != "NAME"}
    for given, expected in ((({}, exported), exported), ((values, {}), values)):
        arguments, environment = given
        words = copy.words(target, *(f"{n}={v}" for n, v in arguments.items()), **environment)
        for name, value in expected.items():
            flag = f"--{VARIABLES[name].parameter}="
            assert value in words or f"{flag}{value}" in words, (name, words)
    assert not list(copy.folder.rglob("ran"))


def test_a4_lists_and_newlines_are_no_words_of_a_shell(copy: Copy) -> None:
    words = copy.words("fit", "SPACES=a;touch${IFS}ran b$(touch ran)", "DATA=x\ntouch ran")
    assert words[words.index("--spaces") + 1 :][:3] == ["a;touch${IFS}ran", "b$(touch", "ran)"]
    assert "--data=x\ntouch ran" in words
    for target in ("help", "test"):
        copy.make(target, f"JOBS={HOSTILE}", f"SUBMISSION={HOSTILE}", f"OUT={HOSTILE}")
    assert f"OUT={HOSTILE}" in copy.make("help", f"OUT={HOSTILE}").stdout
    assert not list(copy.folder.rglob("ran"))


def test_a4_a_dry_run_shows_the_command_as_a_shell_takes_it(copy: Copy) -> None:
    arguments = ("fit", f"DATA={HOSTILE}", "PARAMS=alphas=[1, 10] scope=roi")
    shown = copy.make("-n", *arguments).stdout
    assert shlex.split(shown)[1:] == copy.words(*arguments)
    assert not list(copy.folder.rglob("ran"))


def test_a4_a_file_that_is_called_like_a_flag_is_a_file(copy: Copy) -> None:
    assert copy.words("score", "SUBMISSION=--rois=true.zip")[:3] == [
        "-m", "evaluate", "score",
    ]  # fmt: skip
    assert "./--rois=true.zip" in copy.words("score", "SUBMISSION=--rois=true.zip")
    assert "--data=-x" in copy.words("fit", "DATA=-x")


def test_the_submission_that_is_scored_lies_in_out(copy: Copy) -> None:
    assert copy.words("score", "OUT=my out")[3] == "my out/submission.zip"
    assert copy.words("score", SUBMISSION="a b.zip")[3] == "a b.zip"
    assert "SUBMISSION=my out/submission.zip" in copy.make("help", "OUT=my out").stdout


def test_the_table_and_the_makefile_name_the_same(copy: Copy) -> None:
    text = (ROOT / "Makefile").read_text().replace("\\\n", "")
    lists = {
        n: re.search(rf"^{n} := (.*)$", text, re.M) for n in ("VARIABLES", "COMMANDS", "PAIRS")
    }
    variables, commands, pairs = (found[1].split() for found in lists.values() if found)
    assert sorted(variables) == sorted([*VARIABLES, *RECIPE_VARIABLES])
    assert {*commands, *pairs} == set(TARGETS)
    assert {name for name, of in TARGETS.items() if len(of) > 1} == set(pairs)
    shown = copy.make("help").stdout
    assert all(re.search(rf"^  {name}=", shown, re.M) for name in variables)
    assert all(re.search(rf"^  make {name} ", shown, re.M) for name in TARGETS)


def test_the_demo_hands_its_own_folders_to_each_stage(copy: Copy) -> None:
    shown = copy.make("-n", "demo", "DATA=elsewhere", "WEIGHTS=clip=x").stdout
    stages = [shlex.split(line) for line in shown.splitlines() if line.startswith(".venv")][1:]
    assert [words[2] for words in stages] == [
        "extract", *["regress"] * 4, "regress.ablate", *["evaluate"] * 3,
    ]  # fmt: skip
    assert all("--data=demo/data" in words for words in stages)
    assert not any("--weights" in words for words in stages)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("clip=my files/a.pt sam=b.pt", ["clip=my files/a.pt", "sam=b.pt"]),
        ("clip='my files/a=b.pt' sam=b.pt", ["clip=my files/a=b.pt", "sam=b.pt"]),
        ("timm:a/b@c=random:0", ["timm:a/b@c=random:0"]),
        (r"clip=my\ files/a.pt", ["clip=my files/a.pt"]),
    ],
)
def test_e13_weights_with_blanks_are_one_path(copy: Copy, value: str, expected: list[str]) -> None:
    words = copy.words("features", f"WEIGHTS={value}")
    assert words[words.index("--weights") + 1 :][: len(expected)] == expected


def test_e13_captions_with_blanks_are_one_path(
    copy: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["my files/a b.json", "c.json", "my files/stim info.csv"]
    (copy.folder / "my files").mkdir()
    for name in names:
        (copy.folder / name).touch()
    words = copy.words("features", f"CAPTIONS={' '.join(names)}")
    assert words[words.index("--captions") + 1 :][:3] == names
    # What is not there is known by its quotes alone, and the error says so.
    words = copy.words("plan", "CAPTIONS='no such/a b.csv' c.json")
    assert words[words.index("--captions") + 1 :][:2] == ["no such/a b.csv", "c.json"]
    monkeypatch.chdir(tmp_path)
    assert split_paths("a  b") == ["a", "b"]


def test_e13_parameters_with_blanks_and_quotes_without_a_partner(copy: Copy) -> None:
    words = copy.words("fit", "PARAMS=alphas=[1, 10] n_iter=5")
    assert words[-3:-1] == ["--params.alphas=[1, 10]", "--params.n_iter=5"]
    assert "--hemisphere=both" in copy.words("positions", "PARAMS=hemisphere=both surface=flat")
    done = copy.make("features", "WEIGHTS=clip='my files/a.pt sam=b")
    assert done.returncode == 2
    assert "No closing quotation" in done.stderr
    assert "WEIGHTS='clip=\"my files/a.pt\" sam=b.pt'" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fit", "SPACE=alexnet"], "unknown variable SPACE, did you mean 'SPACES'?"),
        (["fit", "FIT=ridge-75"], "unknown variable FIT, did you mean 'FITS'?"),
        (["test", "spaces=alexnet"], "unknown variable spaces, did you mean 'SPACES'?"),
        (["demo", "MODLE=ridge"], "unknown variable MODLE, did you mean 'MODEL'?"),
        (["help", "ZZZ=$(shell touch ran)"], "unknown variable ZZZ (make help lists all)"),
        (["evalute"], "unknown target evalute, did you mean 'evaluate'?"),
        (["fit", "reprot"], "unknown target reprot, did you mean 'report'?"),
    ],
)
def test_u2_unknown_names_are_refused_with_the_nearest(
    copy: Copy, words: list[str], message: str
) -> None:
    done = copy.make(*words)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (copy.folder / "words.bin").exists()
    assert not list(copy.folder.rglob("ran"))


def test_u2_the_environment_may_hold_what_it_likes(copy: Copy) -> None:
    words = copy.words("evaluate", SPACE="alexnet", FIT="ridge", DATA="my data")
    assert "--data=my data" in words
    assert not any("alexnet" in word for word in words)


def test_u2_a_variable_that_no_goal_takes_is_said(copy: Copy) -> None:
    done = copy.make("evaluate", "report", "WEIGHTS=clip=x", "SPLIT=test")
    assert done.returncode == 0
    assert done.stderr == "WEIGHTS: not used by make evaluate report\n"
    assert not copy.make("features", "fit", "WEIGHTS=clip=x").stderr
    assert not copy.make("demo", "WEIGHTS=clip=x").stderr
