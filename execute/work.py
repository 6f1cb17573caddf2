"""What is done: units of work, in groups that have much in common."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

# A group's number, and that of a unit of it.
Unit = tuple[int, int]
# The units of each group, by name.
Groups = Sequence[Sequence[str]]
# Takes a group's number and those of its units, as they come; it takes all, and gives a result. It
# is pickled for other processes, as is what it gives: what is large is written, and read, by it.
Work = Callable[[int, Iterator[int]], Any]
# Takes the number of a group that is done, and what `Work` gave: in a list, from each process that
# did some of its units.
Report = Callable[[int, list[Any]], None]


def package_of(work: Work) -> str:
    """Name the package that does the work, whose log the user is to see.

    Parameters
    ----------
    work : callable
        The work.

    Returns
    -------
    str
        For example "regress".
    """
    while hasattr(work, "work"):
        work = work.work
    if isinstance(work, partial):
        work = work.func
    return str(work.__module__).partition(".")[0]
