"""The error of this package, and helpers for messages."""

from collections.abc import Callable

from base import RoiridgeError


class DataError(RoiridgeError):
    """A dataset has a fault; the message names the file and the fix."""


def collect_faults(*checks: Callable[[], object]) -> list[str]:
    """Return the faults of several checks, so that all are reported at once."""
    faults: dict[str, None] = {}  # several checks may report the same fault
    for check in checks:
        try:
            check()
        except DataError as error:
            faults.update(dict.fromkeys(str(error).splitlines()))
    return list(faults)


def reason(error: Exception) -> str:
    """Return the message of a library's error in one line, or its type if it has no message."""
    return " ".join(str(error).split()) or type(error).__name__
