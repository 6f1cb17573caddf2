"""Work for processes of their own, which plans are compared with."""

from pathlib import Path

import numpy as np


def hold(n_bytes: int) -> dict[str, float]:
    """Use some memory and no time."""
    return {"sum": float(np.ones(n_bytes // 8).sum())}


def run_regress(arguments: list[str]) -> dict[str, float]:
    """Do what `python -m regress` does."""
    # A device "auto" looks for a GPU with torch, as most people's do.
    import torch  # noqa: F401

    from base.command_line.parser import run
    from regress.commands.fit import fit as regress

    assert run(regress, "regress", [], arguments) == 0
    return {}


def plan_ridge(data: Path, out: Path) -> dict[str, float]:
    """Plan ridge on the space "wide"."""
    from execute.forecast.cost import Cost
    from execute.forecast.rates import Rates
    from regress.cost import fit_costs, start_cost
    from regress.fit_options import FitOptions
    from regress.fitting.request_checks import make_request

    rates = Rates(out / "rates")
    asked = make_request(FitOptions(data, out, model="ridge", spaces=["wide"]))
    cost = start_cost(rates) + sum((c for own in fit_costs(asked, rates) for c in own), Cost())
    return {"planned memory": cost.memory, "planned seconds": cost.seconds}
