"""Findings of a check: faults of a dataset, and remarks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from challenge.errors import DataError

P = ParamSpec("P")
Value = TypeVar("Value")


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
