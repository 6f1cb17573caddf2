"""Units of work packed into tasks of some minutes."""

from collections.abc import Sequence

from execute.forecast.cost import Cost
from execute.slurm.task import Piece


def pack(
    units: Sequence[tuple[int, int]], costs: Sequence[Sequence[Cost]] | None, minutes: float
) -> list[list[Piece]]:
    """Pack units into tasks; those of a group stay together where they fit.

    Parameters
    ----------
    costs : sequence of sequence of Cost, optional
        What each unit of each group takes. Unknown, each unit is a task.
    minutes : float
        How long a task should take. A unit that takes longer is one for itself.

    Returns
    -------
    list of list of (int, tuple of int)
        Of each task its groups, and the units of each.
    """
    tasks: list[list[tuple[int, int]]] = []
    seconds = 0.0
    for group, unit in units:
        each = costs[group][unit].seconds if costs else 60 * minutes
        if not tasks or seconds + each > 60 * minutes:
            tasks.append([])
            seconds = 0.0
        tasks[-1].append((group, unit))
        seconds += each
    return [_pieces(own) for own in tasks]


def _pieces(units: Sequence[tuple[int, int]]) -> list[Piece]:
    found: dict[int, list[int]] = {}
    for group, unit in units:
        found.setdefault(group, []).append(unit)
    return [(group, tuple(own)) for group, own in found.items()]
