"""`python -m plan`: forecast the time, memory and disk of a run before it is started."""

import sys

from base.command_line.parser import run
from plan.forecast import plan

EXAMPLES = [
    "python -m plan --spaces clip alexnet --model banded_ridge",
    "python -m plan --subject 01 --model mlp --spaces clip --memory 64",
]

if __name__ == "__main__":
    sys.exit(run(plan, "plan", EXAMPLES))
