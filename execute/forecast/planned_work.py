"""Planned costs of work, from rates that were measured before; nothing is measured here."""

from collections.abc import Callable
from pathlib import Path

from base import convert_paths
from execute.forecast.cost import Cost
from execute.forecast.rates import Rates, Values

Costs = list[list[Cost]]


class _NotMeasured(Exception):
    """A rate that would have to be measured."""


class _StoredRates(Rates):
    """Rates that were measured before; a missing one raises `_NotMeasured`."""

    def get_or_measure(self, name: str, measure: Callable[[], Values]) -> Values:
        def refuse() -> Values:
            raise _NotMeasured(name)

        return super().get_or_measure(name, refuse)


@convert_paths
def planned_costs(folder: Path, cost: Callable[[Rates], Costs]) -> Costs | None:
    """Return the planned cost of each unit, by the rates that `make plan` stored.

    Parameters
    ----------
    folder : Path
        `OUT/rates`.
    cost : callable
        Returns the costs for given rates.

    Returns
    -------
    list of list of Cost, or None
        The costs of each group's units; None where a rate was never measured.

    Examples
    --------
    >>> planned_costs(Path("rates"), lambda rates: [[Cost(1.0)]]) is None  # before make plan
    True
    """
    if not folder.is_dir():
        return None
    try:
        return cost(_StoredRates(folder))
    except _NotMeasured:
        return None
