"""`python -m plan`: forecast the time, memory and disk of a run before it is started."""

import sys
from typing import Literal

from base import convert_paths
from base.command_line.calls import spread_options
from base.command_line.parser import run
from regress.fit_options import FitOptions


@convert_paths
@spread_options
def plan(
    options: FitOptions,
    weights: list[str] = [],  # noqa: B006
    captions: list[str] = [],  # noqa: B006
    precision: Literal["float32", "bfloat16", "float16"] = "float32",
    dtype: Literal["float32", "float16"] = "float32",
    memory: str = "",
    recalibrate: bool = False,
) -> None:
    """Forecast the cost of features, fits, ablation, scores and report; nothing is computed.

    The feature spaces need not exist yet. The speed of this machine is measured once, in some ten
    seconds, and stored in OUT/rates, as is that of each network and training, tried on a few
    pictures with random weights.

    Parameters
    ----------
    options : FitOptions
        What to fit, on what, and where.
    weights, captions, precision, dtype
        As for `python -m extract`; weights are not read, since they do not change the forecast.
    memory : str
        Memory of the machine to plan for, in GB, such as 64, or 500M; by default that of this
        machine.
    recalibrate : bool
        Whether to measure the speed of this machine again. No GPU is measured: for --device cuda,
        memory is computed from shapes, and times are those of the processor.

    Raises
    ------
    PlanError
        If the run does not fit into memory or on the disk; the message names a setting that would.
    """
    # The stages take seconds to import, which would delay --help.
    from plan.forecast import forecast

    forecast(options, captions, precision, dtype, memory, recalibrate)


EXAMPLES = [
    "python -m plan --spaces clip alexnet --model banded_ridge",
    "python -m plan --subject 01 --model mlp --spaces clip --memory 64",
]

if __name__ == "__main__":
    sys.exit(run(plan, "plan", EXAMPLES))
