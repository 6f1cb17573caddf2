"""What is found in a dataset: faults, and what is worth knowing without being one."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from challenge.errors import DataError

Value = TypeVar("Value")


@dataclass
class Findings:
    """Faults and remarks, each once, in the order in which they were found.

    Attributes
    ----------
    faults : dict of str to None
        What has to be mended: file, what was found, what was expected, the fix.
    remarks : dict of str to None
        What the data lack, and what cannot be done without it.
    """

    faults: dict[str, None] = field(default_factory=dict)
    remarks: dict[str, None] = field(default_factory=dict)

    def add_fault(self, message: str) -> None:
        """Add a fault; nothing where the message is empty."""
        self.faults.update(dict.fromkeys(message.splitlines()))

    def add_remark(self, message: str) -> None:
        """Add a remark; nothing where the message is empty."""
        self.remarks.update(dict.fromkeys(message.splitlines()))

    def attempt(self, read: Callable[[], Value]) -> Value | None:
        """Return what a function reads; where that fails, add the fault."""
        try:
            return read()
        except DataError as error:
            self.add_fault(str(error))
            return None
