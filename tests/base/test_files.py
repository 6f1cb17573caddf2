"""Files are whole or absent, whatever happens to the process that writes them."""

import hashlib
import os
import signal
import subprocess
import sys

import pytest

from base import replacing, sha256_files
from tests.builders.paths import ROOT


def test_the_new_file_replaces_the_old(tmp_path):
    path = tmp_path / "new folder" / "a b.txt"
    for text in ("old", "new"):
        with replacing(path) as temporary:
            assert temporary.parent == path.parent
            assert temporary.suffix == ".txt"
            temporary.write_text(text)
            assert not path.exists() or path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(path.parent) == ["a b.txt"]  # noqa: PTH208


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_what_was_there(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write():
        with replacing(path) as temporary:
            temporary.write_text("ne")
            raise error

    with pytest.raises(error):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_wrote_nothing_is_an_error(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), replacing(path):
        pass
    assert path.read_text() == "old"


def test_a_kill_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    code = f"""
from pathlib import Path
from base import replacing
with replacing(Path({str(path)!r})) as temporary:
    with temporary.open("wb") as opened:
        opened.write(b"half of it")
        opened.flush()
        print("writing", flush=True)
        input()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"writing\n"
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.communicate()
    assert path.read_bytes() == b"old"


def test_digests_are_those_of_the_contents(tmp_path):
    contents = [bytes([n]) * (n * 1000) for n in range(20)]
    paths = [tmp_path / str(n) for n in range(20)]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    assert sha256_files(paths) == [hashlib.sha256(content).hexdigest() for content in contents]
    assert sha256_files([]) == []
