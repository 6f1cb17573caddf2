"""Work for processes of their own, apart from what their test imports."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path


def who(group: int, units: Iterator[int]) -> tuple[int, str | None, list[tuple[int, int]]]:
    """Say who does what; the first unit waits until there are two processes."""
    own = []
    for unit in units:
        own.append((group, unit))
        Path(os.environ["MET"], str(os.getpid())).touch()
        end = time.monotonic() + 60
        while len(list(Path(os.environ["MET"]).iterdir())) < 2:
            assert time.monotonic() < end, "no other process came"
            time.sleep(0.01)
    return os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES"), own


def dying(group: int, units: Iterator[int]) -> None:
    for unit in units:
        if unit == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)


def failing(group: int, units: Iterator[int]) -> None:
    raise ZeroDivisionError(f"group {group} has units {list(units)}")
