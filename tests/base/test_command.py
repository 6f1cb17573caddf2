"""The command line as a user meets it: real processes of a small command."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios

import pytest

from base import RoiridgeError, load_plugin, plugin_names
from base.command_line.parser import check
from regress import models
from tests.builders.paths import ROOT

COMMAND = '''
import errno, json, sys, time
from pathlib import Path
from typing import Literal
from base import RoiridgeError, progress
from base.command_line.parser import run


def show(
    spaces: list[str] = ["x"], train_images: int = 3, out: Path = Path("o"),
    fail: Literal["", "ours", "full", "nameless", "read", "bug", "wait"] = "", count: int = 0,
) -> None:
    """Show what was given.

    Parameters
    ----------
    spaces : list of str
        Names.
    train_images : int
        How many.
    out : Path
        Where.
    fail : str
        How to fail.
    count : int
        How far to count.
    """
    for _ in progress(range(count), desc="counting", unit="sheep"):
        time.sleep(0.01)
    with progress(total=count, desc="adding", unit="sheep") as bar:
        for _ in range(count // 5):
            bar.update(5)
    if fail == "ours":
        raise RoiridgeError("a.txt: found 1, expected 2: write 2")
    if fail == "full":
        raise OSError(errno.ENOSPC, "No space left on device", "a.h5")
    if fail == "nameless":
        raise OSError(errno.EIO, "Input/output error")
    if fail == "read":
        (out / "x").write_text("")
    if fail == "bug":
        raise IndexError("a fault of ours")
    if fail == "wait":
        print("waiting", flush=True)
        time.sleep(60)
    print(json.dumps([spaces, train_images, str(out)]))


if __name__ == "__main__":
    sys.exit(run(show, "show", ["python -m show --spaces a b", "python -m show --count 3"]))
'''


@pytest.fixture(scope="module")
def main(tmp_path_factory):
    path = tmp_path_factory.mktemp("command") / "show.py"
    path.write_text(COMMAND)
    return [sys.executable, str(path)]


@pytest.fixture
def run(main):
    def started(*arguments):
        return subprocess.run(
            [*main, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    return started


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], [["x"], 3, "o"]),
        (["--spaces", "a"], [["a"], 3, "o"]),
        (["--spaces", "a", "b", "c", "--out", "p q"], [["a", "b", "c"], 3, "p q"]),
        (["--spaces=a", "b", "--out=p=q"], [["a", "b"], 3, "p=q"]),
        (["--spaces", '["a", "b"]'], [["a", "b"], 3, "o"]),
        (["--spaces=[a, b]"], [["a", "b"], 3, "o"]),
        (["--spaces"], [[], 3, "o"]),
        (["--spaces", "timm:a/b@c+d#grid4~0", "ü,[x"], [["timm:a/b@c+d#grid4~0", "ü,[x"], 3, "o"]),
        (["--spaces", "a", "--out=p", "--spaces", "b", "c"], [["a", "b", "c"], 3, "p"]),
        (["--train-images", "5"], [["x"], 5, "o"]),
        (["--train_images", "5"], [["x"], 5, "o"]),
        (["--train-images=5", "--spaces", "01", "2"], [["01", "2"], 5, "o"]),
        (["--out", "a-b_c"], [["x"], 3, "a-b_c"]),
    ],
)  # fmt: skip
def test_flags(run, arguments, expected):
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == expected


def test_a_yaml_file_and_flags_after_it(run, tmp_path):
    config = tmp_path / "my settings.yaml"
    config.write_text("spaces: [a, b]\ntrain_images: 7\n")
    done = run("--config", config)
    assert json.loads(done.stdout) == [["a", "b"], 7, "o"]
    done = run("--config", config, "--spaces", "z")
    assert json.loads(done.stdout) == [["z"], 7, "o"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--spaecs", "a"], r"(?i)unrecognized arguments: --spaecs"),
        (["--train-images", "many"], r"train_images"),
        (["--fail", "typo"], r"fail"),
        (["--config", "/nowhere.yaml"], r"nowhere\.yaml"),
        (["--fail", "ours"], r"^error: a\.txt: found 1, expected 2: write 2\n$"),
        (["--fail", "full"], r"^error: the disk is full \(writing a\.h5\): free some space.*again"),
        (["--fail", "read", "--out", "/nowhere"], r"^error: /nowhere/x: No such file or directory"),
    ],
)
def test_bad_input_is_said_and_ends_with_2(run, arguments, message):
    done = run(*arguments)
    assert done.returncode == 2
    assert re.search(message, done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


@pytest.mark.parametrize("fail", ["bug", "nameless"])
def test_a_fault_of_ours_keeps_its_traceback(run, fail):
    done = run("--fail", fail)
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_help_has_the_examples_a_line_each(run):
    done = run("--spaces", "a", "-h")
    assert done.returncode == 0
    assert "  python -m show --spaces a b\n  python -m show --count 3\n" in done.stdout
    assert "How many." in done.stdout


def test_ctrl_c_ends_with_130(main):
    process = subprocess.Popen(
        [*main, "--fail", "wait"], env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "interrupted: what was finished is kept" in errors
    assert "Traceback" not in errors


def test_progress_in_a_log_is_plain_lines(run):
    done = run("--count", 30)
    lines = done.stderr.splitlines()
    assert [line.split(":")[0] for line in lines] == ["counting", "adding"]
    assert all(re.search(r"100%\|#+\| 30/30 \[.*sheep/s\]$", line) for line in lines), lines
    assert "\r" not in done.stderr
    assert "\x1b" not in done.stderr
    assert not run().stderr


@pytest.mark.parametrize("columns", [80, 0])
def test_progress_in_a_terminal_is_a_bar(main, columns):
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    process = subprocess.Popen(
        [*main, "--count", "50"], env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:
        pass  # the other side is closed
    os.close(ours)
    assert process.wait(timeout=300) == 0
    # A terminal that does not know its width gets lines.
    assert (shown.count(b"\rcounting:") > 2) == (columns > 0)
    assert b"50/50" in shown


def test_an_unknown_plugin_lists_those_there_are():
    names = plugin_names(models)
    assert {"ols_pca", "ridge", "banded_ridge"} <= set(names)
    assert all(load_plugin(models, name, "model").__name__.endswith(name) for name in names)
    with pytest.raises(RoiridgeError, match=r"unknown model 'rigde': choose from banded_ridge, "):
        load_plugin(models, "rigde", "model")
    with pytest.raises(RoiridgeError, match=r"unknown model '__init__'"):
        load_plugin(models, "__init__", "model")


def _never(count: int = 0) -> None:
    """Do what a job would do.

    Parameters
    ----------
    count : int
        How far.
    """
    os._exit(count + 1)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--count", "3"], ""),
        (["--coutn", "3"], "unrecognized arguments: --coutn 3"),
        (["--count", "x"], "Got value: x"),
    ],
)
def test_words_are_checked_and_nothing_is_done(
    words: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if not named:
        check(_never, "never", [], words)
        return
    with pytest.raises(SystemExit) as ended:
        check(_never, "never", [], words)
    assert ended.value.code == 2
    assert named in capsys.readouterr().err
