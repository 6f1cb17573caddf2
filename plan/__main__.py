"""`python -m plan`: what a run will take, before it is run."""

import sys

from base.command import run


def main() -> int:
    """Plan what the command line says.

    Returns
    -------
    int
        The exit status: 2 where something cannot be done.
    """
    from plan.command import plan

    return run(plan, "plan", EXAMPLES)


EXAMPLES = [
    "python -m plan --spaces clip alexnet --model banded_ridge",
    "python -m plan --subject 01 --model mlp --spaces clip --memory 64",
]

if __name__ == "__main__":
    sys.exit(main())
