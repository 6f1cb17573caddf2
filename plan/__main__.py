"""`python -m plan`: forecast the time, memory and disk of a run before it is started."""

import sys
from pathlib import Path
from typing import Any, Literal

from base import convert_paths
from base.command_line.parser import run
from challenge import SubjectChoice


@convert_paths
def plan(
    data: Path = Path("data"),
    out: Path = Path("derivatives"),
    subject: SubjectChoice = "all",
    model: str = "banded_ridge",
    spaces: list[str] = ["clip", "alexnet", "sam"],  # noqa: B006
    device: str = "auto",
    heldout: float = 0.1,
    folds: int = 5,
    seed: int = 0,
    group_by: str = "roi",
    params: dict[str, Any] = {},  # noqa: B006
    subjects: list[str] = [],  # noqa: B006
    start: Path | None = None,
    images: int | None = None,
    weights: list[str] = [],  # noqa: B006
    captions: list[str] = [],  # noqa: B006
    precision: Literal["float32", "bfloat16", "float16"] = "float32",
    dtype: Literal["float32", "float16"] = "float32",
    memory: str = "",
    recalibrate: bool = False,
) -> None:
    """Forecast the cost of features, fits, ablation, scores and report; nothing is computed.

    The speed of this machine is measured once, in some ten seconds, and stored in OUT/rates, as is
    that of each network and training, tried on a few pictures with random weights.

    Parameters
    ----------
    data, out, subject, model, spaces
        As for `python -m regress`. The spaces need not exist yet.
    device : str
        As for the stages. For cuda, memory is computed from shapes, and times are those of the
        processor: no GPU is measured.
    heldout, folds, seed, group_by, params, subjects, start, images
        As for `python -m regress`.
    weights, captions, precision, dtype
        As for `python -m extract`; weights are not read, since they do not change the forecast.
    memory : str
        Memory of the machine to plan for, in GB, such as 64, or 500M; by default that of this
        machine.
    recalibrate : bool
        Whether to measure the speed of this machine again.

    Raises
    ------
    PlanError
        If the run does not fit into memory or on the disk; the message names a setting that would.
    """
    options = locals()
    # The stages take seconds to import, which would delay --help.
    from plan.forecast import forecast

    forecast(**options)


EXAMPLES = [
    "python -m plan --spaces clip alexnet --model banded_ridge",
    "python -m plan --subject 01 --model mlp --spaces clip --memory 64",
]

if __name__ == "__main__":
    sys.exit(run(plan, "plan", EXAMPLES))
