"""`python -m regress`: fit models; with a verb, `fit`, `ablate`, `study` or `positions`."""

import sys

from base.command_line.parser import Verbs, run
from regress.commands.fit import fit

VERBS = Verbs("regress.commands", ("fit", "ablate", "study", "positions"))
EXAMPLES = [
    "python -m regress --subject 01 --model banded_ridge --spaces clip alexnet sam",
    "python -m regress --subject all --model ridge --spaces clip",
    "python -m regress --subject 01 --model linear --spaces clip --params.loss mse+0.5*pearson",
    "python -m regress --subjects 01 02 --model mlp --spaces clip",
    "python -m regress --subject 03 --model mlp --spaces clip --images 300 "
    "--start derivatives/fits/mlp-0123456789abcdef --params.freeze true",
    "python -m regress ablate --subject 01 --spaces clip alexnet sam",
    "python -m regress study encoders --subject 01",
    "python -m regress positions --subject 01 --roi V1v",
]


def main() -> int:
    """Run a verb, or fit models; return the exit status."""
    if sys.argv[1:2] and sys.argv[1] in VERBS:
        return run(VERBS, "regress", EXAMPLES)
    return run(fit, "regress", EXAMPLES)


if __name__ == "__main__":
    sys.exit(main())
