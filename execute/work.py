"""What is done: units of work, in groups that have much in common."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

T = TypeVar("T")

# A group's number, and that of a unit of it.
Unit = tuple[int, int]
# The units of each group, by name.
Groups = Sequence[Sequence[str]]
# Takes a group's number and those of its units, as they come; it takes all, and gives a result. It
# is pickled for other processes, as is what it gives: what is large is written, and read, by it.
# A unit is recorded as running from when it is taken until the next is taken, or the work returns:
# who takes several at once says so with `take_all`, who comes back to one with `Mapped`.
Work = Callable[[int, Iterator[int]], Any]
# Takes the number of a group that is done, and what `Work` gave: in a list, from each process that
# did some of its units.
Report = Callable[[int, list[Any]], None]


def package_of(work: Work) -> str:
    """Name the package that does the work, whose log the user is to see."""
    while hasattr(work, "work"):
        work = work.work
    if isinstance(work, partial):
        work = work.func
    return str(work.__module__).partition(".")[0]


def take_all(units: Iterator[int]) -> list[int]:
    """Take all units at once; all are recorded as running until the work returns."""
    numbers: list[int] = units.take_all() if hasattr(units, "take_all") else list(units)
    return numbers


@dataclass
class Mapped(Generic[T]):
    """What units stand for, in their place, for `base.taking_turns`.

    Attributes
    ----------
    units : iterator of int
        As `Work` is given them.
    make : callable
        Gives what a unit stands for.
    """

    units: Iterator[int]
    make: Callable[[int], T]
    _numbers: dict[T, int] = field(default_factory=dict)

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        unit = next(self.units)
        item = self.make(unit)
        self._numbers[item] = unit
        return item

    def postpone(self) -> None:
        """Leave the record of the last unit alone: another process is at it."""
        if hasattr(self.units, "postpone"):
            self.units.postpone()

    def resume(self, item: T) -> None:
        """Record that the work comes back to a unit."""
        if hasattr(self.units, "resume"):
            self.units.resume(self._numbers[item])
