"""Planned costs of units of work, from rates that were measured before."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from base import convert_paths
from execute.forecast.cost import Cost


@convert_paths
def planned_costs(folder: Path, cost: Callable[[Any], list[list[Cost]]]) -> list[list[Cost]] | None:
    """Return the planned cost of each unit, by the rates that `make plan` stored.

    Parameters
    ----------
    folder : Path
        `OUT/rates`.
    cost : callable
        Returns the costs of each group's units for given `Rates`.

    Returns
    -------
    list of list of Cost, or None
        None where a rate was never measured.

    Examples
    --------
    >>> planned_costs(Path("rates"), lambda rates: [[Cost(1.0)]]) is None  # before make plan
    True
    """
    if not folder.is_dir():
        return None
    from execute.forecast.rates import NotMeasuredError, Rates

    try:
        return cost(Rates(folder, measures=False))
    except NotMeasuredError:
        return None
