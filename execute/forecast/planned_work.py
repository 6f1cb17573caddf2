"""What work was planned to take, where a plan was made; nothing is measured for it."""

from collections.abc import Callable
from pathlib import Path

from base import convert_paths
from execute.forecast.cost import Cost
from execute.forecast.rates import Rates, Values

Costs = list[list[Cost]]


class _NotMeasured(Exception):
    """A rate that a plan would measure."""


class _StoredRates(Rates):
    """Rates that were measured before."""

    def get_or_measure(self, name: str, measure: Callable[[], Values]) -> Values:
        def refuse() -> Values:
            raise _NotMeasured(name)

        return super().get_or_measure(name, refuse)


@convert_paths
def planned_costs(folder: Path, cost: Callable[[Rates], Costs]) -> Costs | None:
    """Say what each unit takes, by rates that `make plan` has kept.

    Parameters
    ----------
    folder : Path
        `OUT/rates`.
    cost : callable
        Gives the costs by the rates.

    Returns
    -------
    list of list of Cost, or None
        None where no plan was made of such work.
    """
    if not folder.is_dir():
        return None
    try:
        return cost(_StoredRates(folder))
    except _NotMeasured:
        return None
