"""Units of work, in groups that have much in common."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

T = TypeVar("T")

# Number of a group, and of a unit in it.
Unit = tuple[int, int]
# The units of each group, by name.
Groups = Sequence[Sequence[str]]
# A function of the number of a group and an iterator of its units' numbers, all of which it must
# consume; it returns a result. It is pickled for other processes, and so is the result: large data
# are read and written by the function itself. A unit is recorded as running from when it is taken
# until the next is taken, or the function returns; `take_all` takes several units at once, `Mapped`
# can come back to one.
Work = Callable[[int, Iterator[int]], Any]
# A function of the number of a finished group and the list of its results, one from each process
# that did some of its units.
Report = Callable[[int, list[Any]], None]


def device_kind(device: str) -> str:
    """Return the kind of a device, "cpu" or "cuda", without its number."""
    return device.partition(":")[0]


def package_of(work: Work) -> str:
    """Return the package that does the work, whose log messages are shown to the user."""
    while hasattr(work, "work"):
        work = work.work
    if isinstance(work, partial):
        work = work.func
    return str(work.__module__).partition(".")[0]


def take_all(units: Iterator[int]) -> list[int]:
    """Return all units at once; all are recorded as running until the work returns."""
    numbers: list[int] = units.take_all() if hasattr(units, "take_all") else list(units)
    return numbers


@dataclass
class Mapped(Generic[T]):
    """An iterator over what units stand for, which `base.taking_turns` can postpone and resume."""

    units: Iterator[int]  # that `Work` receives
    make: Callable[[int], T]  # returns what a unit stands for
    _numbers: dict[T, int] = field(default_factory=dict)

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        unit = next(self.units)
        item = self.make(unit)
        self._numbers[item] = unit
        return item

    def postpone(self) -> None:
        """Leave the record of the last unit to the other process that is working on it."""
        if hasattr(self.units, "postpone"):
            self.units.postpone()

    def resume(self, item: T) -> None:
        """Record that the work has come back to a unit."""
        if hasattr(self.units, "resume"):
            self.units.resume(self._numbers[item])
