"""The cache on a file system that refuses locks, as those of clusters may."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders.paths import ROOT

# The system's own function, which refuses as such a file system does.
REFUSING = """
#include <errno.h>
int flock(int descriptor, int operation) { errno = %s; return -1; }
"""
WRITE = """
import sys, time
from pathlib import Path
import numpy as np
from cache import FeatureStore
store = FeatureStore(Path(sys.argv[1]))
with store.writer("space", {"made": "so"}, {"origin": "the test"}) as writer:
    missing = [f"{n:064x}" for n in range(50) if f"{n:064x}" not in writer.stored_digests()]
    print("computes", len(missing), flush=True)
    time.sleep(1)
    if missing:
        writer.add(missing, np.ones((len(missing), 3), np.float32))
"""


@pytest.mark.parametrize("reason", ["ENOLCK", "ENOTSUP", "ENOSYS"])
def test_two_writers_without_locks(tmp_path: Path, reason: str) -> None:
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("no C compiler to make a file system's refusal with")
    (tmp_path / "refusing.c").write_text(REFUSING % reason)
    library = tmp_path / "refusing.so"
    command = [compiler, "-shared", "-fPIC", "-o", str(library), str(tmp_path / "refusing.c")]
    subprocess.run(command, check=True)
    environment = {**os.environ, "LD_PRELOAD": str(library)}
    run = [sys.executable, "-c", WRITE, str(tmp_path / "features")]
    both = [
        subprocess.Popen(run, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    # One computes all, the other waits and finds it there.
    counts = sorted(line for text in said for line in text.splitlines() if "computes" in line)
    assert counts == ["computes 0", "computes 50"]
    assert sum("works on it; waiting" in text for text in said) == 1
    listed = subprocess.run(
        [sys.executable, "-m", "cache", "verify", "--out", str(tmp_path)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert "space" in listed.stdout, listed.stderr
    assert not list((tmp_path / "features").glob("*.claim"))
