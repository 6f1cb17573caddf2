"""The one error of this folder."""

from collections.abc import Callable

from base import RoiridgeError


class DataError(RoiridgeError):
    """A dataset that does not hold what it should; the message names the file and the fix."""


def faults_of(*checks: Callable[[], object]) -> list[str]:
    """Return what several checks find wrong, so that all of it is said at once."""
    found: dict[str, None] = {}  # a file that several checks need is named once
    for check in checks:
        try:
            check()
        except DataError as error:
            found.update(dict.fromkeys(str(error).splitlines()))
    return list(found)


def reason(error: Exception) -> str:
    """Return what a library's error says, in one line; its kind where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__
