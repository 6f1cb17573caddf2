"""The error of this package, the text of those of libraries, and the findings of a check."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from base import RoiridgeError

P = ParamSpec("P")
Value = TypeVar("Value")


class DataError(RoiridgeError):
    """A dataset has a fault; the message names the file and the fix."""


def reason(error: Exception) -> str:
    """Return the message of a library's error in one line, or its type if it has no message."""
    return " ".join(str(error).split()) or type(error).__name__


@dataclass
class Findings:
    """Faults and remarks, each once, in the order in which they were added."""

    # File, what was found, what was expected, the fix.
    faults: dict[str, None] = field(default_factory=dict)
    # Optional files that are absent, and what cannot be done without them.
    remarks: dict[str, None] = field(default_factory=dict)

    def add_fault(self, message: str) -> None:
        """Add a fault for each line of a message, which may be empty."""
        self.faults.update(dict.fromkeys(message.splitlines()))

    def add_remark(self, message: str) -> None:
        """Add a remark for each line of a message, which may be empty."""
        self.remarks.update(dict.fromkeys(message.splitlines()))

    def attempt(
        self, read: Callable[P, Value], *arguments: P.args, **options: P.kwargs
    ) -> Value | None:
        """Return the result of a function; where it raises a `DataError`, add the fault."""
        try:
            return read(*arguments, **options)
        except DataError as error:
            self.add_fault(str(error))
            return None
