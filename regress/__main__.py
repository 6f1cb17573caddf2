"""`python -m regress`: the command of `regress.commands.fit`."""

import sys
from functools import wraps
from typing import Any

from base.command_line.parser import run
from regress.commands.fit import fit


@wraps(fit)
def regress(*arguments: Any, **options: Any) -> None:  # noqa: D103, wraps copies fit's docstring
    # `fit` returns a folder, which is no exit status.
    fit(*arguments, **options)


EXAMPLES = [
    "python -m regress --subject 01 --model banded_ridge --spaces clip alexnet sam",
    "python -m regress --subject all --model ridge --spaces clip",
    "python -m regress --subject 01 --model linear --spaces clip --params.loss mse+0.5*pearson",
    "python -m regress --subjects 01 02 --model mlp --spaces clip",
    "python -m regress --subject 03 --model mlp --spaces clip --images 300 "
    "--start derivatives/fits/mlp-0123456789abcdef --params.freeze true",
]

if __name__ == "__main__":
    sys.exit(run(regress, "regress", EXAMPLES))
