"""Packing of units of work into tasks of some minutes."""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

from execute.forecast.cost import Cost
from execute.slurm.task import Piece
from execute.work import Unit


def pack(
    units: Sequence[Unit], costs: Sequence[Sequence[Cost]] | None, minutes: float
) -> list[list[Piece]]:
    """Pack units, (group, unit), into tasks of some minutes, if possible with groups together.

    A unit that takes longer is a task by itself; without costs, each unit is.
    """
    tasks: list[list[Unit]] = []
    seconds = 0.0
    for group, unit in units:
        unit_seconds = costs[group][unit].seconds if costs else 60 * minutes
        if not tasks or seconds + unit_seconds > 60 * minutes:
            tasks.append([])
            seconds = 0.0
        tasks[-1].append((group, unit))
        seconds += unit_seconds
    return [_pieces(task) for task in tasks]


def _pieces(task: Sequence[Unit]) -> list[Piece]:
    by_group = groupby(task, itemgetter(0))
    return [(group, tuple(number for _, number in units)) for group, units in by_group]
